"""A command line that starts a known server: where it listens, and what it needs to be reached from outside. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["ServerLine", "read_server_line"]

_HOST = "0.0.0.0"  # noqa: S104  (in a container nobody else can reach it otherwise)


@dataclass(frozen=True, slots=True)
class _Server:
    """How a server is told where to listen."""

    package: str
    both: tuple[str, ...] = ()
    """Options that take HOST:PORT."""
    hosts: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    """What else a container needs."""
    reads_port: bool = False
    """Whether it listens on 0.0.0.0:$PORT by itself where PORT is set."""


_SERVERS: Mapping[str, _Server] = MappingProxyType(
    {
        "gunicorn": _Server("gunicorn", both=("--bind", "-b"), reads_port=True),
        "uvicorn": _Server("uvicorn", hosts=("--host",), ports=("--port",)),
        "hypercorn": _Server("hypercorn", both=("--bind", "-b")),
        "granian": _Server("granian", hosts=("--host",), ports=("--port",)),
        "daphne": _Server("daphne", hosts=("--bind", "-b"), ports=("--port", "-p")),
        "waitress-serve": _Server("waitress", both=("--listen",), hosts=("--host",), ports=("--port",)),
        "streamlit": _Server(
            "streamlit",
            hosts=("--server.address",),
            ports=("--server.port",),
            added=("--server.headless", "true"),
        ),
        "flask": _Server("flask", hosts=("--host", "-h"), ports=("--port", "-p")),
        "fastapi": _Server("fastapi", hosts=("--host",), ports=("--port",)),
    }
)
_RUN_COMMANDS = MappingProxyType({"streamlit": "run", "flask": "run", "fastapi": "run"})
"""The subcommand that serves."""
_ELSEWHERE = re.compile(r"--(?:uds|fd|unix-socket|config)\b|unix:|fd://|-c$")
"""What tells a server where to listen besides: then nothing is added."""


@dataclass(frozen=True, slots=True)
class ServerLine:
    """What a command line of a server comes to."""

    words: tuple[str, ...]
    """The command, completed; variables as written."""
    package: str
    """The distribution that has the server."""
    port: str
    """Where it listens, as written: "8000", "$PORT"; "" where nothing shows it."""
    added: tuple[str, ...] = ()
    """The words that were added."""
    app_at: int = -1
    """Which word names the app (`main:app`); -1 for none."""


def read_server_line(words: Sequence[str]) -> ServerLine | None:
    """The command as a server's; None where it starts none that is known."""
    start = 2 if len(words) > 2 and re.fullmatch(r"python[\d.]*", words[0]) and words[1] == "-m" else 0  # noqa: PLR2004
    name = words[start].rpartition("/")[2] if len(words) > start else ""
    server = _SERVERS.get({"waitress": "waitress-serve"}.get(name, name))
    if server is None:
        return None
    subcommand = _RUN_COMMANDS.get(name, "")
    if subcommand and subcommand not in words[start + 1 :]:
        return None
    rest = words[start + 1 :]
    app_at = next((at for at, word in enumerate(words) if at > start and _is_app(word)), -1)
    if any(_ELSEWHERE.match(word) for word in rest):
        return ServerLine(tuple(words), server.package, "", app_at=app_at)
    both, host, port = (_option(rest, names) for names in (server.both, server.hosts, server.ports))
    if both:
        return ServerLine(tuple(words), server.package, _port_of(both), app_at=app_at)
    if server.reads_port:
        return ServerLine(tuple(words), server.package, "$PORT", app_at=app_at)
    added = _added(server, host, port, rest)
    return ServerLine((*words, *added), server.package, port or "$PORT", added, app_at)


def _added(server: _Server, host: str, port: str, rest: Sequence[str]) -> tuple[str, ...]:
    if not server.hosts:
        return (server.both[0], f"{_HOST}:$PORT")
    added: tuple[str, ...] = () if host else (server.hosts[0], _HOST)
    added += () if port else (server.ports[0], "$PORT")
    return added + (server.added if server.added and server.added[0] not in {_name(word) for word in rest} else ())


def _name(word: str) -> str:
    return word.partition("=")[0]


def _option(words: Sequence[str], names: Sequence[str]) -> str:
    """The value of the last option of one of these names: `--port 80`, `--port=80`, `-b:80`; "" where there is none."""
    found = ""
    for at, word in enumerate(words):
        for name in names:
            if word == name and at + 1 < len(words):
                found = words[at + 1]
            elif word.startswith(f"{name}="):
                found = word.partition("=")[2]
            elif len(name) == 2 and word.startswith(name) and not word.startswith("--") and word != name:  # noqa: PLR2004
                found = word[2:]
    return found


def _port_of(address: str) -> str:
    """The port of HOST:PORT; servers that are given a host alone listen on 8000, and a variable may hold both."""
    address = re.sub(r":?-[^}]*\}", "}", address)  # ${PORT:-8000}
    if ":" in address:
        return address.rpartition(":")[2]
    return "" if "$" in address else "8000"


def _is_app(word: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?:\(.*\))?", word) is not None
