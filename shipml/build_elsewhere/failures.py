"""Why a build failed: what its programs and the engine said → one cause and one command. Pure.

The rules are tried in order, those of the machine before those of the project; the first whose pattern is found in the
last lines of the log decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shipml.errors import (
    BuildError,
    NotAllowedError,
    ResolutionError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
)

__all__ = ["explain_failure"]

_QUOTED_CHARACTERS = 300
_LINE_CHARACTERS = 2000
"""Patterns are tried on no longer lines: some take time that grows with the square."""
_LIBRARY_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libsndfile.so.1": "libsndfile1",
    "libSM.so.6": "libsm6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libpq.so.5": "libpq5",
    "libmagic.so.1": "libmagic1",
    "libgeos_c.so.1": "libgeos-c1v5",
    "libopenblas.so.0": "libopenblas0",
}
_HEADER_PACKAGES = {"Python.h": "python3-dev", "libpq-fe.h": "libpq-dev", "mysql.h": "default-libmysqlclient-dev"}


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    error: type[ShipmlError]
    cause: str
    """May name groups of the pattern: {what}."""
    hint: str


def _rule(pattern: str, error: type[ShipmlError], cause: str, hint: str) -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE | re.MULTILINE), error, cause, hint)


_RULES = (
    _rule(
        r"no space left on device|ENOSPC|\[Errno 28\]|disk quota exceeded", BuildError,
        "the engine's disk is full", "free some space: docker system prune --all",
    ),
    _rule(
        r"exit code: 137|returned a non-zero code: 137|\bcannot allocate memory\b|\bMemoryError\b|std::bad_alloc"
        r"|ResourceExhausted|signal: killed|c\+\+: fatal error: Killed", BuildError,
        "a program was killed, most likely because memory ran out",
        "give the engine more memory (Docker Desktop: Settings, Resources), or let the step use less: "
        "MAKEFLAGS=-j1, pip install --no-cache-dir",
    ),
    _rule(
        r"toomanyrequests|pull rate limit|\b429 Too Many Requests\b.{0,200}(?:docker|registry|manifest)", TryAgainError,
        "the registry of the base image limits how often it may be asked",
        "log in, which raises the limit: docker login",
    ),
    _rule(
        r"exec format error|no match for platform in manifest|no matching manifest for (?P<what>\S+)", UnavailableError,
        "the image, or a program in it, is for another kind of machine",
        "build for the engine's own platform, without --platform; or let the engine emulate others: "
        "docker run --privileged --rm tonistiigi/binfmt --install all",
    ),
    _rule(
        r"CERTIFICATE_VERIFY_FAILED|x509: certificate signed by|unable to get local issuer certificate|UnknownIssuer"
        r"|self[- ]signed certificate|SSL certificate problem|certificate verify failed", UnavailableError,
        "a server's certificate is not trusted: it is signed by a private authority",
        "name the file with its certificate, which is then used during the build and left out of the image: "
        "export SSL_CERT_FILE=/path/to/ca.pem",
    ),
    _rule(
        r"No matching distribution found for (?P<what>[^\s()]+)", ResolutionError,
        "pip finds no version of {what} for this Python and platform",
        "look which versions there are: pip index versions {name}",
    ),
    _rule(
        r"ResolutionImpossible|No solution found when resolving dependencies"
        r"|because these package versions have conflicting dependencies", ResolutionError,
        "the requirements contradict each other", "see what fits together: shipml plan --builder embedded",
    ),
    _rule(
        r"THESE PACKAGES DO NOT MATCH THE HASHES", ResolutionError,
        "a package is not the one whose hash is written down", "resolve again: shipml build --upgrade",
    ),
    _rule(
        r"(?:ImportError|OSError): (?P<what>lib[\w.+-]+\.so[\w.]*): cannot open shared object file"
        r"|error while loading shared libraries: (?P<what2>\S+):", BuildError,
        "the system library {what} is missing", "add its package to the Dockerfile: {install}",
    ),
    _rule(
        r"fatal error: (?P<what>[\w./+-]+\.h): No such file", BuildError,
        "the header {what} is missing: a package is compiled because it has no wheel for this Python",
        "take a Python that it has a wheel for, or add to the Dockerfile: {install_header}",
    ),
    _rule(
        r"Could not resolve host|Temporary failure in name resolution|Name or service not known|no such host"
        r"|Network is unreachable|Temporary failure resolving", TryAgainError,
        "the build could not reach the network",
        "try again; behind a proxy: export HTTPS_PROXY=http://HOST:PORT",
    ),
    _rule(
        r"pull access denied|insufficient_scope|requested access to the resource is denied", NotAllowedError,
        "the base image is not there for you: its name is wrong, or its repository is private",
        "mind the spelling, or log in: docker login REGISTRY",
    ),
    _rule(
        r"(?<!\S)(?P<what>\S{1,300}): not found\s*$|manifest unknown", BuildError,
        "something that the Dockerfile names was not found", "look at the name in the Dockerfile",
    ),
)  # fmt: skip


def explain_failure(engine_said: str, log_tail: str, *, step: str = "", log: str = "") -> ShipmlError:
    """The error for a build that failed.

    Args:
        engine_said: the engine's complaint.
        log_tail: the last lines that programs in the build wrote.
        step: the instruction that failed, "" where none is known.
        log: path of the whole log.
    """
    where = f" in `{_short(step)}`" if step else ""
    whole = f"the whole log: {log}" if log else ""
    text = "\n".join(line[:_LINE_CHARACTERS] for line in f"{log_tail}\n{engine_said}".splitlines())
    for rule in _RULES:
        if match := rule.pattern.search(text):
            return _explained(rule, match, where, whole)
    reason = _last_words(log_tail) or _short(engine_said)
    return BuildError(
        f"the build failed{where}: {reason}",
        hint="; ".join(filter(None, ("correct that instruction", whole))),
    )


def _explained(rule: _Rule, match: re.Match[str], where: str, whole: str) -> ShipmlError:
    groups = match.groupdict()
    what = (groups.get("what") or groups.get("what2") or "").rstrip(".,;")
    facts = {
        "what": what,
        "name": re.split(r"[<>=!~\[;]", what)[0] or what,
        "install": _install(_LIBRARY_PACKAGES.get(what, ""), what),
        "install_header": _install(_HEADER_PACKAGES.get(what.rpartition("/")[2], ""), what),
    }
    line = _line_of(match)
    said = f" ({line})" if line else ""
    hint = "; ".join(filter(None, (rule.hint.format(**facts), whole)))
    return rule.error(f"the build failed{where}: {rule.cause.format(**facts)}{said}", hint=hint)


def _install(package: str, what: str) -> str:
    if package:
        return f"RUN apt-get update && apt-get install -y --no-install-recommends {package}"
    return f"find its package with: apt-file search {what}"


def _line_of(match: re.Match[str]) -> str:
    text = match.string
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    return _short(text[start : end if end >= 0 else len(text)])


def _last_words(tail: str) -> str:
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b|Error:|Exception|not found|denied", line, re.IGNORECASE)]
    return _short((errors or lines or [""])[-1])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _QUOTED_CHARACTERS else line[: _QUOTED_CHARACTERS - 1] + "…"
