"""Bytecode of the standard library."""

from __future__ import annotations

import dataclasses
import marshal
import sys
from pathlib import Path

import pytest

from shipml.debian.bytecode import compile_sources
from shipml.errors import BuildError
from shipml.wheels.bytecode import Interpreter

_LIBRARY = Path(dataclasses.__file__).parent


def _sources() -> dict[str, bytes]:
    paths = [*_LIBRARY.glob("*.py"), *_LIBRARY.glob("json/*.py")]
    return {f"usr/lib/python/{path.relative_to(_LIBRARY)}": path.read_bytes() for path in paths}


@pytest.mark.slow
def test_bytecode_is_the_same_every_time(running_python: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order of files, number of CPUs and hash seed of the caller change no byte."""
    sources = _sources()
    first = compile_sources(sources, running_python, tag="t")
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert compile_sources(dict(reversed(sources.items())), running_python, tag="t") == first
    assert len(first) == len(sources)


def test_bytecode_names_its_place_in_the_image(running_python: Interpreter) -> None:
    """Tracebacks in the image show where the source is there; the cache file lies where PEP 3147 says."""
    (compiled,) = compile_sources({"usr/lib/a/b.py": b"x = 1\n"}, running_python, tag="cpython-311").items()
    assert compiled[0] == "usr/lib/a/__pycache__/b.cpython-311.pyc"
    assert marshal.loads(compiled[1][16:]).co_filename == "/usr/lib/a/b.py"  # noqa: S302  (made a line above)


def test_interpreter_that_fails_is_an_error() -> None:
    """An interpreter that cannot run is no silent lack of bytecode."""
    broken = Interpreter((sys.executable, "--no-such-option"), {}, "3.11.2")
    with pytest.raises(BuildError, match=r"Python 3\.11\.2 could not compile"):
        compile_sources({"a/b.py": b""}, broken, tag="t")
