"""What one pass over a module's syntax tells of what it serves: objects, routes, where it listens."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shipml.facts.programs import ProgramKind

__all__ = ["ModuleSyntax", "read_module"]

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


@dataclass(slots=True)
class ModuleSyntax:
    """What one pass over a module's syntax tells."""

    names: dict[str, str] = field(default_factory=dict)
    """Local name → dotted name of what was imported under it."""
    members: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """Local name → (dots of a relative import, module, name there)."""
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
    given: Mapping[str, ProgramKind] = field(default_factory=dict)
    """What is served among the names that it imports from the project's other files: `app`, `create_app()`."""


def read_module(tree: ast.Module, given: Mapping[str, ProgramKind] = MappingProxyType({})) -> ModuleSyntax:
    """What a module's syntax tells.

    Args:
        tree: of the module.
        given: what is served among the names that it imports from the project's other files: `app`, `create_app()`.
    """
    module = ModuleSyntax(given=given)
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


def _take_import(node: ast.Import | ast.ImportFrom, module: ModuleSyntax) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            module.names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
        return
    for alias in node.names:
        module.members[alias.asname or alias.name] = (node.level, node.module or "", alias.name)
        if node.module and not node.level:
            module.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"


def _take_object(node: ast.stmt, module: ModuleSyntax) -> None:
    """`app = Flask(…)`, `with gr.Blocks() as demo:`, `def create_app():` that makes one, `from .web import app`."""
    if isinstance(node, ast.ImportFrom):
        names = (alias.asname or alias.name for alias in node.names)
        module.objects += [(module.given[name], name, node.lineno) for name in names if name in module.given]
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        kind = _kind_of(node.value, module)
        for target in targets:
            if kind and isinstance(target, ast.Name):
                module.objects.append((kind, target.id, node.lineno))
    elif isinstance(node, ast.With):
        module.objects += _made_by_with(node, module)
    elif isinstance(node, ast.FunctionDef) and node.name in _FACTORIES and not _required_arguments(node):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and (kind := _kind_of(inner, module)) in {"flask", "fastapi"}:
                module.objects.append((kind, f"{node.name}()", node.lineno))
                break


def _made_by_with(node: ast.With, module: ModuleSyntax) -> Iterator[tuple[ProgramKind, str, int]]:
    for item in node.items:
        if isinstance(item.context_expr, ast.Call) and isinstance(item.optional_vars, ast.Name):
            kind = _kind_of(item.context_expr, module)
            yield from [(kind, item.optional_vars.id, node.lineno)] if kind else []


def _required_arguments(node: ast.FunctionDef) -> int:
    return len(node.args.args) + len(node.args.posonlyargs) - len(node.args.defaults)


def _kind_of(call: ast.Call, module: ModuleSyntax) -> ProgramKind | None:
    made_here = f"{call.func.id}()" if isinstance(call.func, ast.Name) else ""
    return _MAKERS.get(_dotted(call.func, module)) or module.given.get(made_here)


def _dotted(node: ast.expr, module: ModuleSyntax) -> str:
    """The full name of what an expression names: `gr.Blocks` → `gradio.Blocks`; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([module.names.get(node.id, node.id), *reversed(parts)])


def _take_call(node: ast.Call, module: ModuleSyntax) -> None:
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


def _take_routes(node: ast.FunctionDef | ast.AsyncFunctionDef, module: ModuleSyntax) -> None:
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
