"""What the program looks for beyond itself: hosts, services, ports."""

from __future__ import annotations

import re

from shipml.facts.plan import SmokeCheck
from shipml.runtimes.diagnose.failure import Failure, around, telling

__all__ = ["network", "port"]

_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Name does not resolve|\[Errno -[235]\]"
    r"|Error -[235] connecting|getaddrinfo failed|gaierror|Network is unreachable|Failed to resolve"
    r"|NameResolutionError|Could not resolve host|ConnectError|MaxRetryError|Failed to establish a new connection"
    r"|could not translate host name|Cannot connect to host|couldn't connect to '?https?:|LocalEntryNotFoundError"
    r"|cannot find the requested files in the|DNS resolution failed|ServerSelectionTimeoutError"
    r"|Unknown MySQL server host|No address associated with hostname|NoNameservers|dns error"
    r"|client error \(Connect\)",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"Connection refused|\[Errno 111\]|ECONNREFUSED|actively refused")
_SERVICE = re.compile(
    r"(?:server at|connecting to|connect to|host=?)\s*['\"]?(?P<host>localhost|127\.0\.0\.1|::1)['\"]?\)?"
    r"(?: \([\d.:]+\))?[,:]? ?(?:port[ =]?|\()?(?P<port>\d{2,5})"
)
_IN_USE = re.compile(
    r"Address already in use|address already in use|Connection in use: |\[Errno 98\]|Port \d+ is (?:already )?in use"
)
_NUMBER = re.compile(r"(?:[Pp]ort |:|', )(?P<port>\d{2,5})\b")
_LOW_PORT = re.compile(
    r"PermissionError: \[Errno 13\] Permission denied$|\[Errno 13\] error while attempting to bind"
    r"|bind[^\n]{0,100}[Pp]ermission denied",
    re.MULTILINE,
)
_UNPRIVILEGED = 1024


def network(failure: Failure, check: SmokeCheck, image: str) -> str:
    """What helps where a host or a service cannot be reached; "" where that is not the matter."""
    words = around(failure.words)
    if _REFUSED.search(telling(words)):
        found = _SERVICE.search(words)
        where = f"at {found['host']}:{found['port']}" if found else "of this machine"
        if check.network:
            return f'the program needs a server {where}: start it, or say why the image is not run: smoke.skip = "…"'
        return (
            f"the program needs a server {where}, and in the test it is alone: with shipml run{image} --network "
            'it reaches those of this machine; where there is none, say so: smoke.skip = "needs …"'
        )
    if check.network or not _NO_NETWORK.search(words):
        return ""
    return (
        f"the smoke test has no network: allow it with shipml run{image} --network, or smoke.network = true; "
        "or put what it fetches into the project"
    )


def port(failure: Failure, check: SmokeCheck, image: str) -> str:
    """What helps where the program cannot listen where it wants to; "" where that is not the matter."""
    words = telling(failure.words)
    if _IN_USE.search(words):
        found = _NUMBER.search(words)
        number = found["port"] if found else "its port"
        if check.network:
            elsewhere = f"shipml run{image} -e PORT=18080"
            return f"something on this machine listens at {number}: run it without --network, or elsewhere: {elsewhere}"
        return f"the program listens at {number} twice: start its server once, and no second one in the background"
    if _LOW_PORT.search(words):
        return f"only root may listen below {_UNPRIVILEGED}: let the program take $PORT, and set it: [env] PORT = 8080"
    return ""
