"""Which files can be run, and as what: read from their syntax; nothing is imported or run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipml.facts.plan import ApplicationFile
from shipml.facts.project import Program, ProgramKind
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
    r"(?:^|/)(?:tests?|docs?|examples?|migrations|node_modules|site-packages|\.[^/]+)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest|setup|__init__|noxfile|fabfile)\.py$"
)
_MAKERS: Mapping[str, ProgramKind] = {
    "flask.Flask": "flask",
    "apiflask.APIFlask": "flask",
    "connexion.FlaskApp": "flask",
    "fastapi.FastAPI": "fastapi",
    "starlette.applications.Starlette": "fastapi",
    "dash.Dash": "dash",
    "gradio.Interface": "gradio",
    "gradio.Blocks": "gradio",
    "gradio.ChatInterface": "gradio",
    "gradio.TabbedInterface": "gradio",
}
"""What makes the object that a server serves."""
_FACTORIES = ("create_app", "make_app", "build_app", "get_app", "application_factory")
_RUNS = ("run", "run_server", "launch")
_PORTS = ("port", "server_port")
_HOSTS = ("host", "server_name")
_ROUTES = ("route", "get", "api_route")


def find_programs(folder: Path, files: Sequence[ApplicationFile]) -> tuple[Program, ...]:
    """The programs among the project's files, in the order of their paths; those nearest to the root first.

    Modules that show no sign of being started count only where there is nothing else.
    Files that cannot be read or parsed are left out: they are not programs of Python 3.
    """
    paths = [file.path for file in files if file.kind == "file" and file.size_bytes <= _limit_bytes(file.path)]
    known = frozenset(paths)
    found: list[Program] = []
    modules: list[Program] = []
    used: dict[str, set[str]] = {}
    wanted = sorted((path for path in paths if _may_be_program(path)), key=lambda path: (path.count("/"), path))
    for path in wanted[:_MOST_FILES]:
        if path.endswith(".ipynb"):
            if is_python_notebook(folder / path):
                found.append(Program(path, "notebook", calls_shell=calls_shell(folder / path)))
        elif (tree := _parsed(folder / path)) is not None:
            module = _read(tree)
            used[path] = _local_imports(path, module.roots, known)
            program = _program(path, module, known)
            package = package_folder(path, known)
            if package is not None and (
                is_relative(tree) or path.endswith("/__main__.py") or not program.needs_its_folder
            ):
                program = replace(program, as_module=True, package_folder=package)
            program = replace(program, calls_nothing=calls_nothing(tree))
            (found if program.kind != "script" or _starts_something(path, module) else modules).append(program)
    imported = {other for path, others in used.items() for other in others if other != path}
    programs = found or [one for one in modules if one.path not in imported]
    return tuple(replace(one, is_imported=one.path in imported) for one in programs)


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


@dataclass(slots=True)
class _Module:
    """What one pass over a module's syntax tells."""

    names: dict[str, str] = field(default_factory=dict)
    """Local name → dotted name of what was imported under it."""
    roots: set[str] = field(default_factory=set)
    """Top-level modules that are imported when the file is."""
    objects: list[tuple[ProgramKind, str, int]] = field(default_factory=list)
    """Kind, name and line of what a server could serve."""
    routes: list[str] = field(default_factory=list)
    port: int | None = None
    host: str = ""
    runs: bool = False
    main: ast.If | None = None
    prepares: bool = False


def _starts_something(path: str, module: _Module) -> bool:
    return module.main is not None or module.runs or "/" not in path or path.endswith("/__main__.py")


def _program(path: str, module: _Module, known: frozenset[str]) -> Program:
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


def _what_it_is(path: str, module: _Module) -> tuple[ProgramKind, str, int]:
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


def _read(tree: ast.Module) -> _Module:
    module = _Module()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            _take_import(node, module)
    for node in _top_level(tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module.roots.update(_roots(node))
        elif isinstance(node, ast.If) and _is_main_guard(node):
            module.main = node
        _take_object(node, module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            _take_call(node, module)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            _take_routes(node, module)
    module.prepares = _prepares(module.main, tree)
    return module


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, those of `if`, `try` and `with` included."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and not _is_main_guard(node):
            yield from _top_level([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _top_level([*node.body, *(item for one in node.handlers for item in one.body), *node.orelse])
        elif isinstance(node, ast.With):
            yield from _top_level(node.body)


def _is_main_guard(node: ast.If) -> bool:
    test = node.test
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return False
    sides = [test.left, test.comparators[0]]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )


def _roots(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif node.module and not node.level:
        yield node.module.partition(".")[0]


def _take_import(node: ast.Import | ast.ImportFrom, module: _Module) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            module.names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
    elif node.module and not node.level:
        for alias in node.names:
            module.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"


def _take_object(node: ast.stmt, module: _Module) -> None:
    """`app = Flask(…)`, `with gr.Blocks() as demo:`, `def create_app():` that makes one."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        kind = _kind_of(node.value, module)
        for target in targets:
            if kind and isinstance(target, ast.Name):
                module.objects.append((kind, target.id, node.lineno))
    elif isinstance(node, ast.With):
        for item in node.items:
            if (
                isinstance(item.context_expr, ast.Call)
                and isinstance(item.optional_vars, ast.Name)
                and (kind := _kind_of(item.context_expr, module))
            ):
                module.objects.append((kind, item.optional_vars.id, node.lineno))
    elif isinstance(node, ast.FunctionDef) and node.name in _FACTORIES and not _required_arguments(node):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and (kind := _kind_of(inner, module)) in {"flask", "fastapi"}:
                module.objects.append((kind, f"{node.name}()", node.lineno))
                break


def _required_arguments(node: ast.FunctionDef) -> int:
    return len(node.args.args) + len(node.args.posonlyargs) - len(node.args.defaults)


def _kind_of(call: ast.Call, module: _Module) -> ProgramKind | None:
    return _MAKERS.get(_dotted(call.func, module))


def _dotted(node: ast.expr, module: _Module) -> str:
    """The full name of what an expression names: `gr.Blocks` → `gradio.Blocks`; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([module.names.get(node.id, node.id), *reversed(parts)])


def _take_call(node: ast.Call, module: _Module) -> None:
    """`app.run(port=5000)`, `uvicorn.run(app, port=8000)`, `demo.launch(server_port=7860)`."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _RUNS:
        return
    owner = node.func.value
    objects = {name for _, name, _ in module.objects}
    is_ours = isinstance(owner, ast.Name) and (owner.id in objects or owner.id in {"uvicorn", "waitress"})
    if not is_ours and not (isinstance(owner, ast.Call) and _kind_of(owner, module)):
        return
    module.runs = True
    if isinstance(owner, ast.Call) and (kind := _kind_of(owner, module)):
        module.objects.append((kind, "", node.lineno))
    for keyword in node.keywords:
        if keyword.arg in _PORTS and (port := _number(keyword.value)):
            module.port = port
        elif keyword.arg in _HOSTS and (texts := _strings(keyword.value)):
            module.host = texts[-1].lower()


def _number(node: ast.expr) -> int | None:
    """5000, or the default in `int(os.environ.get("PORT", 5000))`."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant):
            value = inner.value
            if isinstance(value, str) and value.isdecimal():
                value = int(value)
            if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 16:
                return value
    return None


def _take_routes(node: ast.FunctionDef | ast.AsyncFunctionDef, module: _Module) -> None:
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
            continue
        owner = decorator.func.value
        if decorator.func.attr not in _ROUTES or not (
            isinstance(owner, ast.Name) and owner.id in {name for _, name, _ in module.objects}
        ):
            continue
        given = [*decorator.args[:1], *(one.value for one in decorator.keywords if one.arg in {"rule", "path"})]
        methods = next((one.value for one in decorator.keywords if one.arg == "methods"), None)
        for path in given[:1]:
            if (
                isinstance(path, ast.Constant)
                and isinstance(path.value, str)
                and path.value.startswith("/")
                and not re.search(r"[<{]", path.value)
                and (methods is None or "GET" in _strings(methods))
            ):
                module.routes.append(path.value)


def _strings(node: ast.expr) -> list[str]:
    return [one.value.upper() for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _prepares(main: ast.If | None, tree: ast.Module) -> bool:
    """Whether the block binds names that functions of the module read."""
    if main is None:
        return False
    bound = {
        target.id
        for node in main.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return any(
        isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load) and inner.id in bound
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        for inner in ast.walk(node)
    )


def _local_imports(path: str, roots: Iterable[str], known: frozenset[str]) -> set[str]:
    """The project's own files that a file imports at its top, as far as the first name tells."""
    folder = path.rpartition("/")[0]
    places = {"", f"{folder}/" if folder else ""}
    return {f"{place}{root}.py" for place in places for root in roots} & known


def _needs_its_folder(path: str, roots: Iterable[str], known: frozenset[str]) -> bool:
    folder = path.rpartition("/")[0]
    if not folder:
        return False
    beside = {root for root in roots if f"{folder}/{root}.py" in known or f"{folder}/{root}/__init__.py" in known}
    at_root = {root for root in roots if f"{root}.py" in known or any(one.startswith(f"{root}/") for one in known)}
    return bool(beside - at_root)
