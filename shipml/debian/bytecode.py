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
from shipml.wheels.interpreter import Interpreter

__all__ = ["compile_sources"]

_SHARE = 150
_TIMEOUT_SECONDS = 300
_PROGRAM = """
import sys, _imp, marshal
from _frozen_importlib_external import MAGIC_NUMBER
for path in sys.stdin.read().splitlines():
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, "/" + path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        continue
    digest = _imp.source_hash(int.from_bytes(MAGIC_NUMBER, "little"), source)
    with open(path + "c", "wb") as file:
        file.write(MAGIC_NUMBER + b"\\1\\0\\0\\0" + digest + marshal.dumps(code))
"""
"""Imports only what is built into the interpreter, which has no bytecode of its own yet."""


def compile_sources(sources: Mapping[str, bytes], interpreter: Interpreter, *, tag: str) -> dict[str, bytes]:
    """Bytecode of Python files given by their path in the image; by the path that it belongs at (PEP 3147).

    `tag` is that of the interpreter, as "cpython-311". Files that do not compile (templates) are left out.

    Raises:
        BuildError: the interpreter failed.
    """
    paths = sorted(sources)
    with tempfile.TemporaryDirectory(prefix="shipml-") as work, ThreadPoolExecutor(os.cpu_count()) as pool:
        root = Path(work)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(sources[path])
        shares = [paths[start : start + _SHARE] for start in range(0, len(paths), _SHARE)]
        list(pool.map(lambda share: _compile(share, interpreter, root), shares))
        compiled = {path: root / f"{path}c" for path in paths}
        return {_cache_path(path, tag): made.read_bytes() for path, made in compiled.items() if made.is_file()}


def _compile(share: list[str], interpreter: Interpreter, root: Path) -> None:
    result = subprocess.run(
        [*interpreter.argv, "-c", _PROGRAM],
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
            hint="forget what was unpacked: shipml cache prune --all; if that does not help, please report this",
        )


def _cache_path(path: str, tag: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
