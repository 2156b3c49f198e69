"""What a source distribution says of how it is built, read from its files: nothing of it is run."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.errors import UntrustedInputError
from shipml.formats import load_toml
from shipml.project.corrections.names import standard_library
from shipml.project.data import module_names
from shipml.resolver.sdist import read_sdist

__all__ = ["SourceFacts", "distribution_of", "read_source"]

_CODE_LIMIT = 128 << 10
"""Characters of setup.py that are looked at."""
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
    sdist = read_sdist(path, filename)
    setup = sdist.text("setup.py")
    text = setup + sdist.text("setup.cfg")
    system = _build_system(sdist.text("pyproject.toml"))
    if system is None and not {"setup.py", "setup.cfg"} & sdist.names:
        if "pyproject.toml" not in sdist.names:
            raise UntrustedInputError(f"{filename} has neither pyproject.toml nor setup.py: it cannot be built")
        system = {"build-backend": "setuptools.build_meta"}  # PEP 517: what is meant where nothing is said
    backend = _string((system or {}).get("build-backend"))
    listed = _strings((system or {}).get("requires")) or _DEFAULT
    imported = () if backend else tuple(_imported(setup, sdist.names))
    return SourceFacts(
        requires=tuple(dict.fromkeys((*listed, *(() if backend else _DEFAULT), *imported))),
        backend=backend,
        backend_path=_strings((system or {}).get("backend-path")),
        is_native=any(name.endswith(_COMPILED) for name in sdist.names) or _COMPILES.search(setup) is not None,
        needs_rust=any(posixpath.basename(name) == "Cargo.toml" for name in sdist.names),
        text=text,
        tools=tuple(_tools(sdist.names, text)),
        compiled_bytes=sum(size for name, size in sdist.sizes_bytes.items() if name.endswith(_C)),
    )


def _tools(members: Collection[str], text: str) -> Iterator[str]:
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


def _build_system(text: str) -> dict[str, Any] | None:
    try:
        system = load_toml(text).get("build-system")
    except ValueError:
        return None
    return system if isinstance(system, dict) else None


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _imported(setup: str, members: Collection[str]) -> Iterator[str]:
    """The distributions of what setup.py imports where it would fail without: not in a function, not in a `try`."""
    try:
        tree = ast.parse(setup[:_CODE_LIMIT])
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
