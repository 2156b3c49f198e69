"""What an engine says → one cause and one way out. Pure: texts in, errors out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shipml.docker_engine.endpoint import Endpoint
from shipml.errors import (
    BuildError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UsageError,
)

__all__ = ["EngineGoneError", "engine_gone", "explain", "unreachable"]

_START_COMMANDS = {
    "docker": "start it: sudo systemctl start docker",
    "rootless": "start it: systemctl --user start docker",
    "desktop": "open Docker Desktop and wait until it says that the engine is running",
    "colima": "start it: colima start",
    "orbstack": "start it: orb start",
    "podman": "start it: systemctl --user start podman.socket",
}
_TEXT_LIMIT = 600


class EngineGoneError(TryAgainError):
    """The engine stopped answering in the middle of a task."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    error: type[ShipmlError]
    cause: str
    hint: str


def _rule(pattern: str, error: type[ShipmlError], cause: str, hint: str) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), error, cause, hint)


_RULES = (
    _rule(
        r"no space left on device|disk quota exceeded", BuildError,
        "the engine's disk is full", "free some space: docker system prune --all; what uses it: docker system df",
    ),
    _rule(
        r"toomanyrequests|rate limit|too many requests|\b429\b", TryAgainError,
        "the registry limits how often it may be asked", "log in, which raises the limit: docker login",
    ),
    _rule(
        r"x509|certificate signed by unknown|failed to verify certificate|certificate is not trusted", UnavailableError,
        "the engine does not trust the registry's certificate",
        "give the engine your CA: copy it to /etc/docker/certs.d/HOST/ca.crt on the engine's machine",
    ),
    _rule(
        r"server gave HTTP response to HTTPS client|does not look like a TLS handshake", UnavailableError,
        "the registry speaks plain HTTP, which the engine only allows for hosts in its `insecure-registries`",
        "add the host to insecure-registries in /etc/docker/daemon.json and restart the engine",
    ),
    _rule(
        r"incorrect username or password|unauthorized|authentication required|no basic auth credentials|access denied"
        r"|requested access to the resource is denied|insufficient_scope|\bdenied:|\b40[13] (?:Unauthorized|Forbidden)",
        NotAllowedError, "the registry refuses access", "log in with an account that may: docker login REGISTRY",
    ),
    _rule(
        r"no matching manifest|does not match the (?:specified|detected host) platform|exec format error"
        r"|image operating system .* cannot be used|wanted linux/\w+, actual", UnavailableError,
        "the image is for another platform", "name the platform: --platform linux/amd64 or --platform linux/arm64",
    ),
    _rule(
        r"could not select device driver|nvidia-container-cli|unknown or invalid runtime name: nvidia|unresolvable CDI",
        UnavailableError, "the engine has no GPU",
        "install the NVIDIA container toolkit on the engine's machine, or run without --gpus",
    ),
    _rule(
        r"port is already allocated|address already in use", UnavailableError,
        "the port is taken", "stop what listens there, or name another port",
    ),
    _rule(
        r"no such image|manifest (?:for .* )?(?:unknown|not found)|repository does not exist|reference does not exist"
        r"|image not known|pull access denied|tag does not exist|does not exist locally|: not found$", UsageError,
        "there is no such image", "look for the name among `docker images`, and mind spelling and tag",
    ),
    _rule(
        r"no such host|connection refused|i/o timeout|handshake timeout|connection reset|unexpected EOF|\bEOF\b"
        r"|unexpected http status|unexpected status.*\b5\d\d\b|service unavailable|bad gateway"
        r"|context deadline exceeded|network is unreachable"
        r"|temporary failure in name resolution|blob upload (?:unknown|invalid)",
        TryAgainError, "the registry cannot be reached or failed",
        "try again in a moment; the same command is safe to repeat",
    ),
    _rule(
        r"client version .* is too (?:old|new)", UnavailableError,
        "the engine speaks another version of the API", "upgrade the engine, or shipml: uv tool upgrade shipml",
    ),
)  # fmt: skip


_STOPPING = re.compile(
    r"grpc: the client connection is clos|transport is closing|code = Unavailable|context canceled"
    r"|failed to mount \S*buildkit-mount\d+"
)
_NETWORK = next(rule for rule in _RULES if rule.pattern.search("unexpected EOF"))
_TLS_FAILURE = re.compile(r"certificate|\bssl\b|\btls\b|to an HTTPS server", re.IGNORECASE)
_TLS_REASON = re.compile(r"(?:\[SSL: \w+\] )?([^'\"\]]+) \(_ssl\.c:\d+\)")
_HUNG_UP = re.compile(r"\bEOF\b|reset|aborted|broken pipe", re.IGNORECASE)
"""How a refused client's certificate may look: TLS 1.3 tells of it only after the client's first request."""


def explain(text: str, doing: str, *, asks_registry: bool = False) -> ShipmlError:
    """The error for an engine's complaint.

    Args:
        text: the complaint; it is the error's `said`, too.
        doing: what the engine was asked to do ("push user/app:1").
        asks_registry: whether it asks a registry to do that: a cut connection may then be the registry's.
    """
    shown = " ".join(text.split())[:_TEXT_LIMIT].rstrip(" .")
    stopping = TryAgainError(
        f"the Docker Engine cannot {doing}: it is stopping, or a part of it has failed ({shown})",
        hint="look whether it runs: docker info; then repeat the command",
        said=text,
    )
    if _STOPPING.search(text):
        return stopping
    for rule in _RULES:
        if rule.pattern.search(text):
            if rule is _NETWORK and not asks_registry:
                return stopping
            return rule.error(f"the Docker Engine cannot {doing}: {rule.cause} ({shown})", hint=rule.hint, said=text)
    return BuildError(
        f"the Docker Engine cannot {doing}: {shown}",
        hint="the engine's log may say more: journalctl -u docker",
        said=text,
    )


def engine_gone(doing: str, endpoint: Endpoint) -> EngineGoneError:
    """The error for an engine that stopped answering in the middle of `doing`."""
    start = _START_COMMANDS.get(endpoint.kind, "start it again")
    return EngineGoneError(
        f"the Docker Engine at {endpoint} went away while it was asked to {doing}",
        hint=f"{start}; then repeat the command",
    )


def unreachable(  # noqa: PLR0911  (a table of cases)
    endpoint: Endpoint, reason: str, timeout_seconds: float
) -> ShipmlError:
    """The error for an engine that cannot be connected to; `reason` is the text of what failed."""
    start = _START_COMMANDS.get(endpoint.kind, "start the engine that listens there")
    if re.search(r"permission denied|Errno 13\b", reason, re.IGNORECASE) and endpoint.is_local:
        return NotAllowedError(
            f"you may not use the Docker Engine at {endpoint}",
            hint="join its group and log in again: sudo usermod -aG docker $USER",
        )
    if endpoint.url.startswith("ssh://"):
        return _unreachable_by_ssh(endpoint, reason, timeout_seconds)
    if re.search(r"timed out|timeout", reason, re.IGNORECASE):
        return UnavailableError(
            f"the Docker Engine at {endpoint} does not answer within {timeout_seconds:g} s",
            hint="restart it: sudo systemctl restart docker" if endpoint.kind == "docker" else _look(endpoint, start),
        )
    if _TLS_FAILURE.search(reason) or (endpoint.tls and _HUNG_UP.search(reason)):
        told = _TLS_REASON.search(reason)
        return UnavailableError(
            f"no TLS connection to the Docker Engine at {endpoint}: "
            f"{told[1] if told else reason[:_TEXT_LIMIT].rstrip(' .')}",
            hint="put ca.pem, cert.pem and key.pem for this engine into DOCKER_CERT_PATH, and set DOCKER_TLS_VERIFY=1",
        )
    if re.search(r"name or service not known|name resolution|nodename nor servname|getaddrinfo", reason, re.IGNORECASE):
        return UnavailableError(f"the host of the Docker Engine at {endpoint} is unknown", hint=_look(endpoint, start))
    if re.search(r"no such file|refused|Errno (?:2|111|61)\b", reason, re.IGNORECASE):
        return UnavailableError(f"no Docker Engine is running at {endpoint}", hint=_look(endpoint, start))
    return UnavailableError(
        f"what answers at {endpoint} is not a Docker Engine: {reason[:_TEXT_LIMIT]}", hint=_look(endpoint, start)
    )


def _unreachable_by_ssh(endpoint: Endpoint, reason: str, timeout_seconds: float) -> ShipmlError:
    address = endpoint.url.removeprefix("ssh://").partition("/")[0]
    host, _, port = address.partition(":")
    trial = f"try by hand: ssh {f'-p {port} ' if port else ''}{host} docker version"
    if re.search(r"permission denied|host key verification", reason, re.IGNORECASE):
        return NotAllowedError(f"ssh to the Docker Engine at {endpoint} is refused: {reason[:_TEXT_LIMIT]}", hint=trial)
    if re.search(r"timed out|timeout", reason, re.IGNORECASE):
        return UnavailableError(
            f"the Docker Engine at {endpoint} does not answer within {timeout_seconds:g} s", hint=trial
        )
    return UnavailableError(f"no Docker Engine at {endpoint}: {reason[:_TEXT_LIMIT]}", hint=trial)


def _look(endpoint: Endpoint, start: str) -> str:
    if endpoint.source == "DOCKER_HOST":
        return f"{start}, or leave DOCKER_HOST unset to use this machine's own: unset DOCKER_HOST"
    if endpoint.source:
        return f"{start}, or go back to this machine's own: docker context use default"
    return start
