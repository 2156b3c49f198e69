"""What a source distribution says of how it is built, read from its files: nothing of it is run."""

from __future__ import annotations

import ast
import posixpath
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.errors import UntrustedInputError
from shipml.project.corrections.names import standard_library
from shipml.project.data import module_names
from shipml.resolver.source_metadata import BROKEN_ARCHIVE

__all__ = ["SourceFacts", "distribution_of", "read_source"]

_LIMIT_BYTES = 4 << 20
_MOST_MEMBERS = 200_000
_COMPILED = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".f", ".f90", ".cu", ".i", ".s", ".rs", ".stan")
_C = (".c", ".cc", ".cpp", ".cxx", ".pyx")
_FORTRAN = (".f", ".f90", ".f77", ".for")
_COMPILES = re.compile(r"\b(?:ext_modules|Extension\(|cffi_modules|CMakeExtension|pystan|pybind11|rust_extensions)")
"""Words of a setup.py that compiles, whatever files it has."""
_OURS = ("setuptools", "distutils", "wheel", "pkg_resources")
_ONLY_NAMES = {"cython": "Cython", "skbuild": "scikit-build"}
_DEFAULT = ("setuptools", "wheel")


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of a source before it is built."""

    requires: tuple[str, ...]
    """Its build requirements (PEP 518), else what setup.py needs."""
    backend: str
    """PEP 517's build-backend; "" where setup.py is run as it was before there were backends."""
    backend_path: tuple[str, ...]
    is_native: bool
    """Whether there is anything to compile."""
    needs_rust: bool
    text: str
    """setup.py and setup.cfg, for limits."""
    tools: tuple[str, ...] = ()
    """Debian's packages with programs that its files surely need."""
    compiled_bytes: int = 0
    """Of its C and C++."""


def read_source(path: Path, filename: str) -> SourceFacts:
    """Read what `path` says of its build.

    Raises:
        UntrustedInputError: it is not an archive, or has neither pyproject.toml nor setup.py.
    """
    try:
        found = _of_zip(path) if filename.endswith(".zip") else _of_tar(path)
        files = {name: (data, size_bytes) for name, data, size_bytes in found}
    except BROKEN_ARCHIVE as error:
        raise UntrustedInputError(f"{filename} is not a source distribution: {error}") from error
    members = {name: data for name, (data, _) in files.items()}
    setup = members.get("setup.py", b"").decode("utf-8", "replace")
    text = setup + members.get("setup.cfg", b"").decode("utf-8", "replace")
    system = _build_system(members.get("pyproject.toml", b""))
    if system is None and not {"setup.py", "setup.cfg"} & members.keys():
        if "pyproject.toml" not in members:
            raise UntrustedInputError(f"{filename} has neither pyproject.toml nor setup.py: it cannot be built")
        system = {"build-backend": "setuptools.build_meta"}  # PEP 517: what is meant where nothing is said
    backend = _string((system or {}).get("build-backend"))
    listed = _strings((system or {}).get("requires")) or _DEFAULT
    imported = () if backend else tuple(_imported(setup, set(members)))
    return SourceFacts(
        requires=tuple(dict.fromkeys((*listed, *(() if backend else _DEFAULT), *imported))),
        backend=backend,
        backend_path=_strings((system or {}).get("backend-path")),
        is_native=any(name.endswith(_COMPILED) for name in members) or _COMPILES.search(setup) is not None,
        needs_rust=any(posixpath.basename(name) == "Cargo.toml" for name in members),
        text=text,
        tools=tuple(_tools(members, text)),
        compiled_bytes=sum(size for name, (_, size) in files.items() if name.endswith(_C)),
    )


def _tools(members: Mapping[str, bytes], text: str) -> Iterator[str]:
    """Debian's packages of the programs that a source calls for: CMake, Fortran, SWIG."""
    names = {posixpath.basename(name) for name in members}
    if "CMakeLists.txt" in members or ("CMakeLists.txt" in names and re.search(r"(?i)cmake", text)):
        yield "cmake"
    if any(name.lower().endswith(_FORTRAN) for name in members):
        yield "gfortran"
    if re.search(r"\bswig\b|swig_opts", text, re.IGNORECASE) or any(name.endswith(".i") for name in members):
        yield "swig"


def distribution_of(module: str) -> str:
    """The distribution that brings a top-level module, as far as is known; else its own name."""
    root = module.partition(".")[0]
    found = module_names().distributions(root)
    return _ONLY_NAMES.get(root.lower()) or (found[0] if found else root.replace("_", "-"))


def _of_tar(path: Path) -> Iterator[tuple[str, bytes, int]]:
    with tarfile.open(path, "r:*") as archive:
        for number, member in enumerate(archive):
            if number > _MOST_MEMBERS:
                return
            name = _below_top(member.name)
            if not name or not member.isfile():
                continue
            stream = archive.extractfile(member) if _is_read(name, member.size) else None
            yield name, stream.read(_LIMIT_BYTES) if stream else b"", member.size


def _of_zip(path: Path) -> Iterator[tuple[str, bytes, int]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist()[:_MOST_MEMBERS]:
            name = _below_top(member.filename)
            if name:
                content = archive.read(member) if _is_read(name, member.file_size) else b""
                yield name, content, member.file_size


def _below_top(path: str) -> str:
    return "/".join(posixpath.normpath(path).split("/")[1:])


def _is_read(name: str, size_bytes: int) -> bool:
    return name in ("setup.py", "setup.cfg", "pyproject.toml") and size_bytes <= _LIMIT_BYTES


def _build_system(data: bytes) -> dict[str, Any] | None:
    try:
        system = tomllib.loads(data.decode("utf-8", "replace")).get("build-system")
    except ValueError:
        return None
    return system if isinstance(system, dict) else None


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _imported(setup: str, members: set[str]) -> Iterator[str]:
    """The distributions of what setup.py imports where it would fail without: not in a function, not in a `try`."""
    try:
        tree = ast.parse(setup)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    # setup.py puts folders of its own on the path, wherever they are
    own = {part.removesuffix(".py") for name in members for part in name.split("/")}
    for node in tree.body:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for root in {name.partition(".")[0] for name in names} - set(_OURS):
            if root and root not in own and not root.startswith("_") and root not in standard_library():
                yield distribution_of(root)
