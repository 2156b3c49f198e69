"""Bytecode of the standard library, compiled with the suite's own interpreter: the same bytes on every machine.

Unchecked-hash files (PEP 552) carry no times. Each process compiles a fixed share of the sorted files: what is compiled
earlier in a process can change the bytes of what comes later (references shared in marshal), so shares depend on the
files alone, never on the number of CPUs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shipml.errors import BuildError
from shipml.wheels.bytecode import Interpreter

__all__ = ["compile_sources"]

_SHARE = 150
_TIMEOUT_SECONDS = 300
_PROGRAM = """
import os, py_compile, sys
for path in sys.stdin.read().splitlines():
    target = os.path.join(sys.argv[1], path + "c")
    try:
        py_compile.compile(path, target, dfile="/" + path, doraise=True, optimize=0,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except py_compile.PyCompileError:
        pass
"""


def compile_sources(sources: Mapping[str, bytes], interpreter: Interpreter, *, tag: str) -> dict[str, bytes]:
    """Bytecode of Python files given by their path in the image; by the path that it belongs at (PEP 3147).

    `tag` is that of the interpreter, as "cpython-311". Files that do not compile (templates) are left out.

    Raises:
        BuildError: the interpreter failed.
    """
    paths = sorted(sources)
    with tempfile.TemporaryDirectory(prefix="shipml-") as work, ThreadPoolExecutor(os.cpu_count()) as pool:
        root, out = Path(work, "in"), Path(work, "out")
        out.mkdir()
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(sources[path])
        shares = [paths[start : start + _SHARE] for start in range(0, len(paths), _SHARE)]
        list(pool.map(lambda share: _compile(share, interpreter, root, out), shares))
        return {
            _cache_path(path, tag): (out / f"{path}c").read_bytes() for path in paths if (out / f"{path}c").is_file()
        }


def _compile(share: list[str], interpreter: Interpreter, root: Path, out: Path) -> None:
    result = subprocess.run(
        [*interpreter.argv, "-c", _PROGRAM, str(out)],
        cwd=root,
        env=dict(interpreter.environment),
        input="\n".join(share),
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
    )
    if result.returncode:
        raise BuildError(
            f"Python {interpreter.version} could not compile the standard library "
            f"(exit code {result.returncode}): {result.stderr.strip()[-300:]}",
            hint="run shipml doctor; if it says nothing, please report this",
        )


def _cache_path(path: str, tag: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
