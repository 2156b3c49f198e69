"""What the project's code imports: read from the syntax tree, nothing is run.

Tests, environments and copies of other projects are left out. Imports for the type checker alone are none.
"""

from __future__ import annotations

import ast
import posixpath
import re
import warnings
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipml.errors import ConfigurationError
from shipml.facts.project import PythonEvidence
from shipml.facts.requirements import ImportedModule
from shipml.project.code.notebooks import read_notebook
from shipml.project.code.syntax import BrokenFile, find_fault
from shipml.project.code.writes import written_files
from shipml.project.data import module_names
from shipml.project.requirements.choose import Taken
from shipml.project.text import read_any_text

__all__ = ["Code", "Imported", "files_of", "python_hints", "scan_code"]

_LIMIT_BYTES = 1 << 20
_LIMIT_FILES = 2000
_ASIDE = re.compile(
    r"(?:.*/)?(?:tests?|testing|docs?|examples?|node_modules|site-packages|dist-packages|vendor|third_party|migrations"
    r"|\.[^/]+|__pycache__|venv|env|virtualenv|build|dist|[^/]+\.egg-info)/.*"
)
_TEST = re.compile(r"(?:.*/)?(?:test_[^/]*|[^/]*_test|conftest|setup|noxfile|fabfile|tasks)\.py")
_PYTHON_2 = re.compile(
    r"^[ \t]*print[ \t]+[\"'\w]|^[ \t]*except[ \t]+[\w.]+[ \t]*,[ \t]*\w+[ \t]*:|\braise[ \t]+\w+[ \t]*,|\bxrange\(",
    re.MULTILINE,
)
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_FOR_THE_COMPILER = frozenset({"__future__", "__main__"})
_IMPORT_LINE = re.compile(r"^(?:import|from)\s+([A-Za-z_][\w.]*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Imported:
    """One import statement's module."""

    name: str
    line: int
    optional: bool
    top_level: bool
    members: tuple[str, ...] = ()
    level: int = 0
    """Dots of a relative import."""
    conditional: bool = False
    """Whether an `if` decides about it, other than whether the module is the program: the platform, the version."""


@dataclass(frozen=True, slots=True)
class Code:
    """All code of a project, file by file."""

    by_file: tuple[tuple[str, tuple[Imported, ...]], ...] = ()
    """(path, imports) sorted by path; of notebooks the line is the number of the cell."""
    python_2: str = ""
    """`FILE:LINE` of code that only Python 2 can run; "" where there is none."""
    has_python_3: bool = False
    """Whether any program is Python 3."""
    broken: tuple[BrokenFile, ...] = ()
    """Programs that no Python 3 can read, but for those that are Python 2."""
    local: frozenset[str] = frozenset()
    """Top-level modules that the project itself has."""
    kernels: tuple[tuple[str, str], ...] = ()
    """(path, Python version) of notebooks."""
    installs: tuple[tuple[str, str], ...] = field(default=())
    """(`FILE:CELL`, line) of the pip lines in notebooks."""
    written: tuple[tuple[str, str], ...] = ()
    """(path, `FILE:LINE`) of files that the code writes."""

    def third_party(self, paths: Iterable[str], standard: frozenset[str]) -> tuple[ImportedModule, ...]:
        """What the files `paths` import of third parties, sorted by name."""
        wanted = set(paths)
        found: dict[str, ImportedModule] = {}
        for path, imports in self.by_file:
            for one in imports if path in wanted else ():
                root = one.name.partition(".")[0]
                if one.level or not root or root in standard or root in self.local or root.startswith("_"):
                    continue
                module = ImportedModule(one.name, f"{path}:{one.line}", one.optional, one.top_level, one.members)
                found[one.name] = _together(found[one.name], module) if one.name in found else module
        return tuple(sorted(found.values(), key=lambda module: module.name))

    def of_standard_library(self, paths: Iterable[str], standard: frozenset[str]) -> tuple[ImportedModule, ...]:
        """What the files `paths` cannot start without of the standard library, sorted by name."""
        wanted = set(paths)
        found: dict[str, ImportedModule] = {}
        for path, imports in self.by_file:
            for one in imports if path in wanted else ():
                root = one.name.partition(".")[0]
                if one.level or root not in standard or root in self.local or root in _FOR_THE_COMPILER:
                    continue
                if one.top_level and not one.optional and not one.conditional:
                    module = ImportedModule(one.name, f"{path}:{one.line}", members=one.members)
                    found[one.name] = _together(found[one.name], module) if one.name in found else module
        return tuple(sorted(found.values(), key=lambda module: module.name))

    def reachable(self, entries: Sequence[str]) -> tuple[str, ...]:
        """The files that run when one of `entries` does: those, and what they import of the project itself."""
        by_path = dict(self.by_file)
        todo, found = [path for path in entries if path in by_path], set()
        while todo:
            path = todo.pop()
            if path not in found:
                found.add(path)
                todo += [one for imported in by_path[path] for one in files_of(path, imported, by_path)]
        return tuple(sorted(found))

    def importers(self) -> dict[str, frozenset[str]]:
        """The files that import each file of the project, by its path."""
        by_path = dict(self.by_file)
        found: dict[str, set[str]] = {}
        for path, imports in self.by_file:
            for used in (one for imported in imports for one in files_of(path, imported, by_path) if one != path):
                found.setdefault(used, set()).add(path)
        return {path: frozenset(users) for path, users in found.items()}


def _together(one: ImportedModule, other: ImportedModule) -> ImportedModule:
    first = one if one.top_level or not other.top_level else other
    return replace(
        first,
        optional=one.optional and other.optional,
        top_level=one.top_level or other.top_level,
        members=tuple(sorted({*one.members, *other.members})),
    )


def files_of(path: str, imported: Imported, known: Container[str]) -> Iterator[str]:
    """The project's files that an import in `path` runs."""
    here = posixpath.dirname(path)
    if imported.level:
        starts = [posixpath.normpath(posixpath.join(here, *[".."] * (imported.level - 1)))]
    else:
        starts = list(dict.fromkeys([here, "", "src"]))
    parts = imported.name.split(".") if imported.name else []
    for start in starts:
        base = [part for part in start.split("/") if part not in ("", ".")]
        stems = ["/".join([*base, *parts[:count]]) for count in range(0 if imported.level else 1, len(parts) + 1)]
        stems += ["/".join([*base, *parts, member]) for member in imported.members]
        for stem in stems:
            yield from (one for one in (f"{stem}.py", f"{stem}/__init__.py".lstrip("/")) if one in known)


def scan_code(folder: Path, paths: Iterable[str]) -> Code:
    """What the code among `paths` (files of the project, with `/`) imports."""
    programs = sorted(
        path for path in paths if path.endswith(".py") and not _ASIDE.fullmatch(path) and not _TEST.fullmatch(path)
    )
    notebooks = sorted(path for path in paths if path.endswith(".ipynb") and not _ASIDE.fullmatch(path))
    by_file: list[tuple[str, tuple[Imported, ...]]] = []
    python_2, has_python_3, kernels, installs = "", False, [], []
    broken: list[BrokenFile] = []
    written: list[tuple[str, str]] = []
    for path in programs[:_LIMIT_FILES]:
        text, encoding = _text(folder, path)
        tree = _parse(text)
        has_python_3 |= tree is not None
        written += written_files(path, tree) if tree is not None else ()
        is_python_2 = _PYTHON_2.search(text) if tree is None else None
        if is_python_2 and not python_2:
            python_2 = f"{path}:{text.count(chr(10), 0, is_python_2.start()) + 1}"
        if (tree is None or encoding) and not is_python_2 and (fault := find_fault(path, text, encoding)):
            broken.append(fault)
        by_file.append((path, tuple(_imports(tree)) if tree is not None else tuple(_imports_by_line(text))))
    for path in notebooks[:_LIMIT_FILES]:
        notebook = read_notebook(folder, path)
        if notebook is None:
            continue
        kernels += [(path, notebook.python)] if notebook.python else []
        installs += [(f"{path}:{number}", line) for number, line in notebook.installs]
        found: list[Imported] = []
        for number, source in notebook.cells:
            tree = _parse(source)
            inside = _imports(tree) if tree is not None else _imports_by_line(source)
            found += [replace(one, line=number) for one in inside]
        by_file.append((path, tuple(found)))
    return Code(
        tuple(by_file),
        python_2,
        has_python_3,
        tuple(broken),
        _local_modules(paths),
        tuple(kernels),
        tuple(installs),
        tuple(written),
    )


def _text(folder: Path, path: str) -> tuple[str, str]:
    """Text and encoding ("" is UTF-8) of a program."""
    try:
        if (folder / path).stat().st_size > _LIMIT_BYTES:
            return "", ""
        return read_any_text(folder, path) or ("", "")
    except (OSError, ConfigurationError):
        return "", ""


def _parse(text: str) -> ast.Module | None:
    """The tree; None for what this Python cannot read (Python 2, templates, broken files)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imports_by_line(text: str) -> Iterator[Imported]:
    """What can be told of code without a tree: the statements that begin a line."""
    for match in _IMPORT_LINE.finditer(text):
        yield Imported(match[1], text.count("\n", 0, match.start()) + 1, optional=False, top_level=True)


def _imports(tree: ast.Module) -> Iterator[Imported]:
    todo: list[tuple[ast.AST, _Where]] = [(tree, _Where())]
    while todo:
        node, where = todo.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield where.imported(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            members = tuple(sorted(alias.name for alias in node.names if alias.name != "*"))
            yield where.imported(node.module or "", node.lineno, members, node.level)
        else:
            todo += _below(node, where)


@dataclass(frozen=True, slots=True)
class _Where:
    """What stands around a statement."""

    optional: bool = False
    top_level: bool = True
    conditional: bool = False

    def imported(self, name: str, line: int, members: tuple[str, ...] = (), level: int = 0) -> Imported:
        return Imported(name, line, self.optional, self.top_level, members, level, self.conditional)


def _below(node: ast.AST, where: _Where) -> Iterator[tuple[ast.AST, _Where]]:
    """The statements in a statement, each with what stands around it."""
    if isinstance(node, ast.Try):
        tries = replace(where, optional=where.optional or any(map(_catches_import_errors, node.handlers)))
        tried = [*node.body, *(one for handler in node.handlers for one in handler.body)]
        yield from ((one, tries) for one in tried)
        yield from ((one, where) for one in (*node.orelse, *node.finalbody))
    elif isinstance(node, ast.If):
        decided = where if _asks_for_main(node.test) else replace(where, conditional=True)
        kept = node.orelse if _for_types_alone(node.test) else [*node.body, *node.orelse]
        yield from ((one, where if _for_types_alone(node.test) else decided) for one in kept)
    else:
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        around = replace(where, top_level=where.top_level and not inside)
        yield from ((one, around) for one in ast.iter_child_nodes(node))


def _asks_for_main(test: ast.expr) -> bool:
    """Whether a test is `__name__ == "__main__"`."""
    return isinstance(test, ast.Compare) and any(_name(one) == "__name__" for one in (test.left, *test.comparators))


def _catches_import_errors(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or any(_name(node) in _IMPORT_ERRORS for node in ast.walk(handler.type))


def _for_types_alone(test: ast.expr) -> bool:
    return _name(test) == "TYPE_CHECKING" or (isinstance(test, ast.Constant) and not test.value)


def _name(node: ast.AST) -> str:
    """The last word of a name with or without dots: of any depth, without recursion."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _local_modules(paths: Iterable[str]) -> frozenset[str]:
    """Every name that could be imported from somewhere in the project: modules, and folders with modules below them.

    Folders that programs add to their path are not known, so any may be one; but a folder that is called like a known
    package (airflow/dags/x.py) counts only if it says that it is a package itself.
    """
    found = set()
    known = module_names()
    for path in paths:
        if not path.endswith((".py", ".so", ".pyx")) or "site-packages/" in path:
            continue
        *folders, file = path.split("/")
        found.add(file.partition(".")[0])
        found |= {folder for folder in folders if folder.isidentifier() and known.distributions(folder) is None}
        if file == "__init__.py":
            found |= set(folders[-1:])
    return frozenset(found)


_PYTHON = re.compile(r"python\s*(?P<operator>[=<>!~]=?=?)\s*(?P<version>3[\d.]*)(?P<rest>(?:,.*|=\w+)?)")


def python_hints(taken: Taken | None, code: Code) -> Iterator[PythonEvidence]:
    """What dependency files say of Python, then the kernels of notebooks."""
    if taken is not None:
        yield from taken.python
        for line in taken.found.requirements:
            if match := _PYTHON.fullmatch(line.text):
                yield _of_requirement(match, line.source)
    for path, version in code.kernels:
        yield PythonEvidence(version, f"{path}:1", "hint")


def _of_requirement(match: re.Match[str], source: str) -> PythonEvidence:
    """`python==3.9.5` in a requirements file installs nothing, and says what was meant."""
    if match["operator"].strip("=") == "" and match["version"].count("."):
        return PythonEvidence(match["version"], source, "version")
    rest = match["rest"] if match["rest"].startswith(",") else ""
    return PythonEvidence(f"{match['operator']}{match['version']}{rest}", source, "range")
