"""Runs in the sandbox, by the image's own Python (3.8 and later) with its standard library alone.

Unpacks a source and calls its build backend (PEP 517), or runs its setup.py where it names none. What the build prints
goes to standard error; standard output gets one line of JSON and, after it, the wheel: `{"wheel": name}`; or
`{"requires": [...]}` where more is needed first.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import tarfile
import tokenize
import zipfile
from typing import Any

__all__ = ["main"]

_WORK = "/tmp/build"  # noqa: S108  (the sandbox is its own)


class _MoreNeededError(Exception):
    """The source wants build tools that were not known before."""


def _unpack(path: str) -> str:
    """Unpack the archive; returns its top folder."""
    source = os.path.join(_WORK, "source")
    os.makedirs(source)
    if path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(source)
    else:
        with tarfile.open(path) as archive:
            arguments: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
            archive.extractall(source, **arguments)
    for folder, names, files in os.walk(source):
        for name in names + files:
            item = os.path.join(folder, name)
            if not os.path.islink(item):
                os.chmod(item, os.stat(item).st_mode | 0o600 | (0o100 if name in names else 0))
    entries = [name for name in os.listdir(source) if not name.startswith(".")]
    top = os.path.join(source, entries[0]) if len(entries) == 1 else source
    return top if os.path.isdir(top) else source


def _build_by_backend(spec: dict[str, Any], out: str) -> str:
    """Call the backend's hooks."""
    sys.path[:0] = [os.path.abspath(folder) for folder in spec["backend_path"]]
    module, _, attribute = spec["backend"].partition(":")
    backend = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        backend = getattr(backend, name)
    if hasattr(backend, "get_requires_for_build_wheel"):
        _demand(backend.get_requires_for_build_wheel(None), spec)
    return str(backend.build_wheel(out, None))


def _build_by_setup(spec: dict[str, Any], out: str) -> str:
    """Run setup.py as pip did, with setuptools behind its back where it knows distutils alone."""
    import setuptools.dist  # type: ignore[import-untyped]

    def fetch_build_eggs(_: object, requires: Any, *__: object, **___: object) -> list[object]:  # noqa: ANN401
        """Setuptools would ask an index: there is none here."""
        lines = [requires] if isinstance(requires, str) else list(requires)
        _demand([line for text in lines for line in str(text).splitlines() if line.strip()], spec)
        return []

    setuptools.dist.Distribution.fetch_build_eggs = fetch_build_eggs
    script = os.path.abspath("setup.py")
    sys.argv = [script, "--quiet", "bdist_wheel", "--dist-dir", out]
    sys.path.insert(0, os.getcwd())
    code = "from setuptools import setup; setup()"
    if os.path.exists(script):
        with tokenize.open(script) as file:
            code = file.read()
    try:
        exec(compile(code, script, "exec"), {"__name__": "__main__", "__file__": script})
    except SystemExit as ending:
        if ending.code not in (None, 0):
            raise
    return min(name for name in os.listdir(out) if name.endswith(".whl"))


def _demand(requirements: list[str], spec: dict[str, Any]) -> None:
    """Stop where something is wanted that was not asked for."""
    news = [one for one in requirements if one.replace(" ", "") not in spec["known"]]
    if news:
        raise _MoreNeededError(news)


def main() -> None:
    """Build what the specification in the first argument names."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    spec = json.loads(sys.argv[1])
    sys.path[:] = [folder for folder in sys.path if folder]  # the source's own folder must be asked for (PEP 517)
    spec["known"] = [one.replace(" ", "") for one in spec["known"]]
    out = os.path.join(_WORK, "wheels")
    os.makedirs(out)
    os.chdir(_unpack(spec["archive"]))
    try:
        name = (_build_by_backend if spec["backend"] else _build_by_setup)(spec, out)
    except _MoreNeededError as more:
        answer.write(json.dumps({"requires": more.args[0]}).encode() + b"\n")
    else:
        answer.write(json.dumps({"wheel": os.path.basename(name)}).encode() + b"\n")
        with open(os.path.join(out, name), "rb") as wheel:
            shutil.copyfileobj(wheel, answer, 1 << 20)
    answer.close()


if __name__ == "__main__":
    main()
