"""Which files can be run, and as what: read from their syntax; nothing is imported or run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from shipml.facts.plan import ApplicationFile
from shipml.facts.programs import Program, ProgramKind
from shipml.project.code.imports import Code, Imported, files_of, scan_code
from shipml.project.code.module_syntax import ModuleSyntax, read_module
from shipml.project.code.running import (
    calls_nothing,
    calls_shell,
    is_python_notebook,
    is_relative,
    package_folder,
)
from shipml.reading import read_data

__all__ = ["find_programs"]

_LIMIT_BYTES = 1 << 20
_NOTEBOOK_LIMIT_BYTES = 32 << 20
_MOST_FILES = 400
_DEEPEST = 4
_NOT_PROGRAMS = re.compile(
    r"(?:^|/)(?:(?:\w+[_-])?tests?|docs?|examples?|migrations|node_modules|site-packages|\.[^/]+)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest|setup|__init__|noxfile|fabfile)\.py$"
)
_ENTRIES = frozenset({"wsgi", "asgi", "application", "app", "main", "server", "run", "serve", "start", "index"})
"""Names of files that do no more than import an app for its server."""


def find_programs(
    folder: Path, files: Sequence[ApplicationFile], code: Code | None = None, named: Collection[str] = ()
) -> tuple[Program, ...]:
    """The programs among the project's files, in the order of their paths; those nearest to the root first.

    Modules that show no sign of being started count only where there is nothing else.
    Files that cannot be read or parsed are left out: they are not programs of Python 3.

    Args:
        folder: the project.
        files: of it.
        code: what they import of each other; None reads it.
        named: files that something of the project says are run, whatever they look like.
    """
    paths = [file.path for file in files if file.kind == "file" and file.size_bytes <= _limit_bytes(file.path)]
    code = code or scan_code(folder, paths)
    known = frozenset(paths)
    wanted = [path for path in paths if _may_be_program(path) or path in named or path.endswith("__init__.py")]
    wanted = sorted(wanted, key=lambda path: (path.count("/"), path))[:_MOST_FILES]
    found = [
        Program(path, "notebook", calls_shell=calls_shell(folder / path))
        for path in wanted
        if path.endswith(".ipynb") and is_python_notebook(folder / path)
    ]
    plain: list[Program] = []
    modules = _read_modules(folder, (path for path in wanted if path.endswith(".py")))
    for path, (tree, module) in modules.items():
        if not _may_be_program(path) and path not in named:
            continue
        program = replace(_program(path, module, known), calls_nothing=calls_nothing(tree))
        package = package_folder(path, known)
        is_run_as_module = is_relative(tree) or path.endswith("/__main__.py") or not program.needs_its_folder
        if package is not None and is_run_as_module:
            program = replace(program, as_module=True, package_folder=package)
        starts = program.kind != "script" or path in named or _starts_something(path, module)
        (found if starts else plain).append(program)
    users = code.importers()
    programs = found or [one for one in plain if not users.get(one.path)]
    programs.sort(key=lambda one: (one.path.count("/"), one.path))
    servers = {one.path for one in programs if one.kind not in {"script", "notebook"}}
    return tuple(replace(one, is_imported=_is_imported(one, users, servers, code)) for one in programs)


def _is_imported(program: Program, users: Mapping[str, Collection[str]], servers: Collection[str], code: Code) -> bool:
    """Whether a program is a part of another: a job that uses an app has no part in it, and its parts may import it."""
    if not users.get(program.path):
        return False
    own = code.reachable([program.path])
    if program.path not in servers:
        return any(user not in own or user in servers for user in users[program.path])
    return any(user not in own and (user in servers or not _may_be_program(user)) for user in users[program.path])


def _read_modules(folder: Path, paths: Iterable[str]) -> dict[str, tuple[ast.Module, ModuleSyntax]]:
    """Each module with what it serves, be it made by another file of the project."""
    trees = {path: tree for path in paths if (tree := _parsed(folder / path)) is not None}
    alone = {path: read_module(tree) for path, tree in trees.items()}
    return {path: (tree, _with_given(path, tree, alone)) for path, tree in trees.items()}


def _with_given(path: str, tree: ast.Module, modules: Mapping[str, ModuleSyntax]) -> ModuleSyntax:
    """A module with the apps and factories that it imports: `from web import app`, `from web import create_app`."""
    given: dict[str, ProgramKind] = {}
    routes: list[str] = []
    for name, (level, module, member) in modules[path].members.items():
        files = [*files_of(path, Imported(module, 0, optional=False, top_level=True, level=level), modules)]
        for kind, made, _ in modules[files[-1]].objects if files and files[-1] != path else ():
            if made in {member, f"{member}()"}:
                given[made.replace(member, name)] = kind
                routes += modules[files[-1]].routes
    if not given:
        return modules[path]
    found = read_module(tree, given)
    found.routes += routes
    makes = any(name not in given for _, name, _ in found.objects)
    is_entry = found.runs or makes or path.rpartition("/")[2].removesuffix(".py") in _ENTRIES
    return found if is_entry else modules[path]  # a job may use the app as well


def _limit_bytes(path: str) -> int:
    return _NOTEBOOK_LIMIT_BYTES if path.endswith(".ipynb") else _LIMIT_BYTES


def _may_be_program(path: str) -> bool:
    return (
        path.endswith((".py", ".ipynb"))
        and path.count("/") <= _DEEPEST
        and not _NOT_PROGRAMS.search(path)
        and ".ipynb_checkpoints/" not in path
    )


def _parsed(path: Path) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the project's own escapes, not ours to show
        try:
            return ast.parse(read_data(path))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _starts_something(path: str, module: ModuleSyntax) -> bool:
    return module.main is not None or module.runs or "/" not in path or path.endswith("/__main__.py")


def _program(path: str, module: ModuleSyntax, known: frozenset[str]) -> Program:
    kind, name, line = _what_it_is(path, module)
    return Program(
        path,
        kind,
        line=line,
        object=name,
        port=module.port,
        routes=tuple(dict.fromkeys(module.routes)),
        runs_itself=module.runs or module.main is not None,
        host=module.host,
        prepares_itself=module.prepares,
        needs_its_folder=_needs_its_folder(path, module.roots, known),
    )


def _what_it_is(path: str, module: ModuleSyntax) -> tuple[ProgramKind, str, int]:
    served = sorted(
        module.objects, key=lambda one: (one[1].endswith("()"), one[1] not in {"app", "application", "server"})
    )
    for kind, name, line in served:
        if kind != "gradio" or module.runs:
            return kind, name, line
    if path.rpartition("/")[2] == "manage.py" and "django" in module.roots | {
        dotted.partition(".")[0] for dotted in module.names.values()
    }:
        return "django", "", 0
    if "streamlit" in module.roots:
        return "streamlit", "", 0
    return "script", "", 0


def _needs_its_folder(path: str, roots: Iterable[str], known: frozenset[str]) -> bool:
    folder = path.rpartition("/")[0]
    if not folder:
        return False
    beside = {root for root in roots if f"{folder}/{root}.py" in known or f"{folder}/{root}/__init__.py" in known}
    at_root = {root for root in roots if f"{root}.py" in known or any(one.startswith(f"{root}/") for one in known)}
    return bool(beside - at_root)
