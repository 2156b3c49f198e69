"""How a program of the project is run in an image: the server's command, its port, and what must answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from shipml.errors import PlanError
from shipml.facts.programs import Program, ProgramKind
from shipml.plan.launching import NOTEBOOK, with_variables

__all__ = ["Served", "health_path", "needed_packages", "serve", "serve_itself"]

_FLASK_PORT, _UVICORN_PORT = 5000, 8000
"""Where they listen when their code says nothing."""
_HEALTH = ("/health", "/healthz", "/healthcheck", "/ping", "/status", "/ready", "/")
_ALWAYS_THERE: Mapping[ProgramKind, str] = {
    "fastapi": "/openapi.json",
    "streamlit": "/",
    "gradio": "/",
    "dash": "/",
}
_HOST = "0.0.0.0"  # noqa: S104  (in a container nobody else can reach it otherwise)


@dataclass(frozen=True, slots=True)
class Served:
    """What the image runs for a program."""

    arguments: tuple[str, ...]
    because: str
    environment: tuple[tuple[str, str], ...] = ()
    port: int | None = None
    """Where it listens; None for a job."""
    http: str = ""
    """The path that must answer; "" where none is known."""


def serve(program: Program, packages: Collection[str], port: int) -> Served:
    """The command for `program`.

    Args:
        program: what to run.
        packages: normalised names of the distributions that are installed.
        port: where a server is to listen, where the program leaves it open.

    Raises:
        PlanError: it needs a server that is not among the packages.
    """
    served = _WAYS[program.kind](program, packages, port)
    environment = served.environment
    if served.port is not None:
        environment = tuple(sorted({**dict(environment), "PORT": str(served.port)}.items()))
    return replace(served, arguments=with_variables(served.arguments), environment=environment)


def serve_itself(program: Program, port: int) -> Served:
    """Where a program listens that starts its own server, and what it is told by variables."""
    usual = {"fastapi": _UVICORN_PORT, "flask": _FLASK_PORT}.get(program.kind, port)
    listens_at = program.port or usual
    environment = {"PORT": str(listens_at)}
    if program.kind == "gradio":
        environment |= {"GRADIO_SERVER_NAME": _HOST, "GRADIO_SERVER_PORT": str(listens_at)}
    elif program.kind == "dash":
        environment |= {"HOST": _HOST}
    return Served((), "", tuple(sorted(environment.items())), listens_at, health_path(program))


def needed_packages(program: Program, packages: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The distributions that running `program` takes and that nothing lists, each with the reason."""
    if program.kind == "fastapi" and not {"uvicorn", "hypercorn", "granian", "daphne"} & set(packages):
        return (("uvicorn", "a FastAPI app needs a server, and none is listed"),)
    is_served = program.kind == "flask" and program.object and not program.prepares_itself
    if is_served and not {"gunicorn", "waitress"} & set(packages):
        return (("gunicorn", "a Flask app needs a server, and none is listed"),)
    if program.kind == "notebook":
        because = f"{program.path} is run as a job, by a kernel as in Jupyter"
        return tuple((name, because) for name in ("ipykernel", "nbclient") if name not in packages)
    return ()


def _flask(program: Program, packages: Collection[str], port: int) -> Served:
    if program.prepares_itself or not program.object:
        return _by_itself(program, _FLASK_PORT, "Flask app", {})
    return _wsgi(program, packages, port, program.object, "Flask app")


def _wsgi(program: Program, packages: Collection[str], port: int, name: str, what: str) -> Served:
    module = program.module
    found = f"{program.source} makes the {what} {name}"
    health = health_path(program)
    paths = _paths(program)
    if "gunicorn" in packages:
        arguments = ("gunicorn", "--bind", f"{_HOST}:$PORT", f"{module}:{name}")
        return Served(arguments, f"{found}, and gunicorn is there", paths, port, health)
    if "waitress" in packages:
        call = ("--call",) if name.endswith("()") else ()
        target = f"{module}:{name.removesuffix('()')}"
        return Served(
            ("waitress-serve", f"--listen={_HOST}:$PORT", *call, target),
            f"{found}, and waitress is listed",
            paths,
            port,
            health,
        )
    return Served(
        ("python", "-m", "flask", "run", "--host", _HOST, "--port", "$PORT"),
        f"{found}; it is served by Flask's own server, as no other is listed (gunicorn is made for production)",
        (("FLASK_APP", f"{module}:{name}"), *paths),
        port,
        health,
    )


def _fastapi(program: Program, packages: Collection[str], port: int) -> Served:
    if program.prepares_itself or not program.object:
        return _by_itself(program, _UVICORN_PORT, "FastAPI app", {})
    if "uvicorn" not in packages:
        raise PlanError(
            f"{program.source} makes the FastAPI app {program.object}, and no server for it is among the packages",
            hint="add a line to the requirements: uvicorn",
        )
    factory = ("--factory",) if program.object.endswith("()") else ()
    target = f"{program.module}:{program.object.removesuffix('()')}"
    arguments = ("python", "-m", "uvicorn", *factory, target, "--host", _HOST, "--port", "$PORT")
    because = f"{program.source} makes the FastAPI app {program.object}, which uvicorn serves"
    return Served(arguments, because, _paths(program), port, health_path(program))


def _streamlit(program: Program, packages: Collection[str], port: int) -> Served:
    del packages
    options = ("--server.port", "$PORT", "--server.address", _HOST, "--server.headless", "true")
    environment = (("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false"),)
    arguments = ("python", "-m", "streamlit", "run", program.path, *options)
    return Served(arguments, f"{program.path} imports streamlit", environment, port, health_path(program))


def _gradio(program: Program, packages: Collection[str], port: int) -> Served:
    del packages
    listens_at = program.port or port
    environment = {
        "GRADIO_SERVER_NAME": _HOST,
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    served = _by_itself(program, listens_at, "Gradio app", environment)
    return replace(served, arguments=("GRADIO_SERVER_PORT=$PORT", *served.arguments))


def _dash(program: Program, packages: Collection[str], port: int) -> Served:
    del packages
    listens_at = program.port or port
    return _by_itself(program, listens_at, "Dash app", {"HOST": _HOST})


def _django(program: Program, packages: Collection[str], port: int) -> Served:
    del packages
    arguments = ("python", program.path, "runserver", "--noreload", f"{_HOST}:$PORT")
    return Served(arguments, f"{program.path} is Django's; it is served by Django's own server", (), port)


def _script(program: Program, packages: Collection[str], port: int) -> Served:
    del packages, port
    if program.as_module:
        because = f"{program.path} is there, in a package"
        paths = (("PYTHONPATH", f"/app/{program.package_folder}"),) if program.package_folder else ()
        return Served(("python", "-m", program.module), because, paths)
    return Served(("python", program.path), f"{program.path} is there")


def _notebook(program: Program, packages: Collection[str], port: int) -> Served:
    del packages, port
    environment = (("IPYTHONDIR", "/tmp/ipython"), ("JUPYTER_RUNTIME_DIR", "/tmp/jupyter"))  # noqa: S108  (of the image)
    because = f"{program.path} is run as a job: its code cells in their order, until one fails"
    return Served(("python", NOTEBOOK, program.path), because, environment)


def _by_itself(program: Program, port: int, what: str, environment: Mapping[str, str]) -> Served:
    """`python FILE`: the program starts its own server."""
    because = f"{program.source} is a {what} that starts its own server"
    if not environment and program.host not in {_HOST, "::"}:
        because += f", for its own machine alone: host={_HOST!r} in its code would let others reach it"
    listens_at = program.port or port
    return Served(
        ("python", program.path),
        because,
        tuple(sorted(environment.items())),
        listens_at,
        health_path(program),
    )


def health_path(program: Program) -> str:
    """The path to ask: one that is made for it, else one that every app of its kind has, else the first for GET."""
    routes = {route.rstrip("/") or "/": route for route in reversed(program.routes)}
    for path in _HEALTH:
        if path in routes:
            return routes[path]
    harmless = [route for route in program.routes if not re.search(r"log|exit|shutdown|delete|train", route)]
    return _ALWAYS_THERE.get(program.kind) or next(iter(harmless), "")


def _paths(program: Program) -> tuple[tuple[str, str], ...]:
    """What makes a module in a folder find what lies beside it, as it does where the program is started there."""
    return (("PYTHONPATH", f"/app/{program.folder}"),) if program.needs_its_folder else ()


_WAYS: Mapping[ProgramKind, Callable[[Program, Collection[str], int], Served]] = {
    "flask": _flask,
    "fastapi": _fastapi,
    "streamlit": _streamlit,
    "gradio": _gradio,
    "dash": _dash,
    "django": _django,
    "script": _script,
    "notebook": _notebook,
}
