"""What to do after a failed smoke test: pure, from what is known of the run. Only the program's text is read."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shipml.facts.plan import SmokeCheck
from shipml.text import listed

__all__ = ["Failure", "FailureKind", "LeftOut", "SettingsPlace", "remedy"]

FailureKind = str
"""One of: "cannot-start", "did-nothing", "exit-code", "expected", "http-failed", "http-refused", "measure", "memory",
"no-answer", "processes", "question", "still-running", "unanswered", "unreachable"."""

_MISSING_FILE = re.compile(r"\[Errno 2\] No such file or directory: '(?P<path>[^'\n]{1,500})'")
_NO_PERMISSION = re.compile(r"\[Errno 13\] Permission denied: '(?P<path>[^'\n]{1,500})'")
_READ_ONLY = re.compile(r"\[Errno 30\] Read-only file system: '(?P<path>[^'\n]{1,500})'")
_UNSET = re.compile(r"KeyError: '(?P<name>[A-Z][A-Z0-9_]{1,100})'")
_NO_VARIABLE = re.compile(r"(?P<name>[A-Z][A-Z0-9_]{2,100}(?:_KEY|_TOKEN|_SECRET|_PASSWORD|_URL|_ID|_ENDPOINT))\b")
_IS_ABOUT_VARIABLES = re.compile(r"environment|not set|missing|api[ _-]?key", re.IGNORECASE)
_PATH_WORD = re.compile(r"(?<![\w./-])(?:[\w.-]{0,100}/){0,20}[\w-]{1,100}[\w.-]{0,100}[\w]")
_NO_MODULE = re.compile(r"No module named '(?P<name>[\w.]{1,200})'")
_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|\[Errno -[235]\]|getaddrinfo failed"
    r"|Network is unreachable|Failed to resolve|NameResolutionError|ConnectError|MaxRetryError"
)
_NLTK = re.compile(r"nltk\.download\('(?P<name>[\w.-]{1,80})'\)")
_SPACY = re.compile(r"\[E050\] Can't find model '(?P<name>[\w.-]{1,80})'")
_SHARED_MEMORY = re.compile(r"shared memory|bus error|Bus error|/dev/shm|/torch_\w+", re.IGNORECASE)
_SHELLS = frozenset({"sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/env"})
_PROGRAM_PACKAGES = {
    "convert": "imagemagick", "dot": "graphviz", "ffmpeg": "ffmpeg", "ffprobe": "ffmpeg", "gcc": "gcc", "git": "git",
    "java": "default-jre-headless", "make": "make", "node": "nodejs", "nvidia-smi": "", "pdftoppm": "poppler-utils",
    "pdftotext": "poppler-utils", "pandoc": "pandoc", "soffice": "libreoffice-core", "sox": "sox",
    "tesseract": "tesseract-ocr", "wget": "wget", "curl": "curl", "unzip": "unzip", "zip": "zip",
    "ps": "procps", "file": "file",
}  # fmt: skip
"""Programs that code starts → Debian's packages."""
_SIGNAL_BASE, _SEGV, _KILL, _BUS, _ILL = 128, 11, 9, 7, 4
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of the project that is not in the image."""

    path: str
    because: str
    """The rule, such as ".dockerignore:3", or a reason: "may hold a secret"."""
    is_safeguard: bool = False
    """Whether it is one of what is never sent unless `include` names it."""


@dataclass(frozen=True, slots=True)
class SettingsPlace:
    """Where the project's settings stand, and what is there."""

    file: str = "shipml.toml"
    include: tuple[str, ...] = ()

    def setting(self, line: str) -> str:
        """A line of the settings, and where to write it: before the tables, which would swallow it."""
        where = "under [tool.shipml] of" if self.file == "pyproject.toml" else "at the top of"
        return f"{line} {where} {self.file}"

    def including(self, path: str) -> str:
        """The line that takes a file in, beside what is taken in already."""
        names = ", ".join(f'"{name}"' for name in dict.fromkeys((*self.include, path)))
        return self.setting(f"include = [{names}]")


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a run that failed."""

    kind: FailureKind
    exit_code: int | None = None
    words: str = ""
    """The end of what the program wrote."""
    program: str = ""
    """What could not be executed, for "cannot-start"."""
    measure: str = ""
    """The name that was demanded and not printed, for "measure"; "" where its value is too low."""
    measures: tuple[str, ...] = ()
    """Names of those that were printed."""
    listeners: tuple[str, ...] = ()
    """`address:port` of what listened."""
    left_out: Sequence[LeftOut] = ()
    written_by: Mapping[str, str] = field(default_factory=dict)
    """Path of a file → `FILE:LINE` of the project's code that writes it."""
    memory_bytes: int | None = None
    settings: SettingsPlace = SettingsPlace()


def remedy(failure: Failure, check: SmokeCheck, image: str = "IMAGE") -> str:
    """The next step: the command or the change that gets further."""
    by_kind = {
        "did-nothing": "call what it is to do where it starts, or name another command: "
        + failure.settings.setting('command = "…"'),
        "expected": "compare the output above with `expect` in [smoke], or --expect; `\\` escapes what is special",
        "memory": f"allow more: shipml run {image} --memory 4g; or let the program load less at once",
        "processes": "let the program start fewer processes and threads",
        "still-running": _still_running(failure, check, image),
        "no-answer": _no_answer(failure, image),
        "http-refused": f'ask a path that answers: shipml run {image} --http /PATH, or smoke.http = "/PATH"; '
        "for no request at all: smoke.alive = true",
        "unreachable": _unreachable(failure),
        "cannot-start": _cannot_start(failure, image),
        "measure": _measure(failure, check),
    }
    return by_kind.get(failure.kind) or _of_exit(failure, check, image)


def _still_running(failure: Failure, check: SmokeCheck, image: str) -> str:
    if failure.listeners:
        return f'it listens at {listed(failure.listeners, most=3)}: test it as a server: smoke.http = "/"'
    more = f"{check.timeout_seconds * 2:g}"
    return (
        f"give it more time: shipml run {image} --timeout {more}; "
        "for a program that is meant to go on: smoke.alive = true and a timeout"
    )


def _no_answer(failure: Failure, image: str) -> str:
    if failure.exit_code is not None:
        return ""
    if failure.listeners:
        return f"it listens at {listed(failure.listeners, most=3)}: name the port: shipml run {image} --port PORT"
    return (
        f"it opened no port: give it more time (shipml run {image} --timeout 1200), or make it listen on 0.0.0.0:$PORT"
    )


def _unreachable(failure: Failure) -> str:
    port = failure.listeners[0].rpartition(":")[2] if failure.listeners else "8080"
    return (
        f'let it listen on all addresses, such as host="0.0.0.0", port={port} in its code, or --host 0.0.0.0; '
        "then build again"
    )


def _cannot_start(failure: Failure, image: str) -> str:
    if failure.program in _SHELLS or failure.program.rpartition("/")[2] in _SHELLS:
        return "images have no shell unless asked: shipml build --with-shell; or start the program itself"
    look = "python -c \"import os; print(os.environ['PATH'])\""
    return f"see where programs are looked for: shipml run {image} -- {look}; then correct `command`"


def _measure(failure: Failure, check: SmokeCheck) -> str:
    if not failure.measure:
        return "improve the model, or lower `minimum` in [smoke]"
    near = difflib.get_close_matches(failure.measure, failure.measures, n=1, cutoff=0.5)
    least = dict(check.minimum).get(failure.measure, 0.0)
    if near:
        return f"did you mean {near[0]}? --minimum '{near[0]}={least:g}', or minimum in [smoke]"
    return f'print it on a line of its own: print(f"{failure.measure}: {{value}}")'


def _of_exit(failure: Failure, check: SmokeCheck, image: str) -> str:
    """From what the program said, the telling first; then from its exit code."""
    words = failure.words
    for found in (
        _data(words, check, image),
        _files(failure),
        _variables(words, image),
        _network(words, check, image),
        _module(words),
        _mentioned(failure),
        _signal(failure, image),
    ):
        if found:
            return found
    return "correct the program and build again: shipml build"


def _data(words: str, check: SmokeCheck, image: str) -> str:
    if match := _NLTK.search(words):
        return (
            f"ship NLTK's data with the project: python -m nltk.downloader -d nltk_data {match['name']}, "
            'and [env] NLTK_DATA = "/app/nltk_data"'
        )
    if match := _SPACY.search(words):
        return f"add the model's package to the requirements: {match['name'].replace('_', '-')}"
    del check, image
    return ""


def _files(failure: Failure) -> str:
    if match := _MISSING_FILE.search(failure.words):
        return _missing_file(match["path"], failure)
    if match := _NO_PERMISSION.search(failure.words) or _READ_ONLY.search(failure.words):
        return f"the image's user cannot write {match['path']}: write below /tmp, or where a variable says"
    return ""


def _missing_file(path: str, failure: Failure) -> str:
    name = path.removeprefix("/app/").removeprefix("./")
    if name in _SHELLS:
        return "images have no shell unless asked: shipml build --with-shell"
    if package := _PROGRAM_PACKAGES.get(name):
        return "add the program: " + failure.settings.setting(f'system-packages = ["{package}"]')
    if known := _known_file(path, failure):
        return known
    if name.startswith("/"):
        return f"{path} is a path of another machine: put the file into the project, and name it relative to it"
    return f"{name} is not in the project: put it there and build again (shipml plan lists what is in the image)"


def _known_file(path: str, failure: Failure) -> str:
    """What is known of a file that the image lacks: which rule leaves it out, or what writes it."""
    parts = posixpath.normpath(path).split("/")
    names = ["/".join(parts[at:]) for at in range(len(parts) if path.startswith("/") else 1)]
    for name in filter(None, names):
        for left in failure.left_out:
            if left.path.rstrip("/") == name or name.startswith(f"{left.path.rstrip('/')}/"):
                return _taken_in(left, failure.settings)
        if name in failure.written_by:
            return f"{failure.written_by[name]} writes {name}: run that first, and build again"
    return ""


def _taken_in(left: LeftOut, settings: SettingsPlace) -> str:
    by = f"by a rule of shipml's own ({left.because})" if left.is_safeguard else f"by {left.because}"
    return f"{left.path} is left out {by}; this takes it in: {settings.including(left.path.rstrip('/'))}"


def _mentioned(failure: Failure) -> str:
    """Libraries have words of their own for a missing file: any name at the end that is known to be missing."""
    for word in reversed(_PATH_WORD.findall(_last_lines(failure.words))):
        if ("/" in word or "." in word) and (found := _known_file(word, failure)):
            return found
    return ""


def _variables(words: str, image: str) -> str:
    last = _last_lines(words)
    match = _UNSET.search(last) if "os.environ" in words or "environ[" in words else None
    match = match or (
        _NO_VARIABLE.search(last)
        if re.search(r"environment|not set|missing|api[ _-]?key", last, re.IGNORECASE)
        else None
    )
    if match is None:
        return ""
    name = match["name"]
    return f'set it for the test: shipml run {image} -e {name}=…; for push and CI: smoke.env = ["{name}"]'


def _network(words: str, check: SmokeCheck, image: str) -> str:
    if check.network or not _NO_NETWORK.search(_last_lines(words, 40)):
        return ""
    return (
        f"the smoke test has no network: allow it with shipml run {image} --network, or smoke.network = true; "
        "or put what it fetches into the project"
    )


def _module(words: str) -> str:
    match = _NO_MODULE.search(_last_lines(words))
    return f"add what has the module {match['name']} to the requirements, and build again" if match else ""


def _signal(failure: Failure, image: str) -> str:
    if failure.exit_code is None or failure.exit_code <= _SIGNAL_BASE:
        return ""
    number = failure.exit_code - _SIGNAL_BASE
    if number == _BUS or (number in (_SEGV, _KILL) and _SHARED_MEMORY.search(failure.words)):
        return f"allow more shared memory: shipml run {image} --shm-size 1g; where it goes, /dev/shm has 64 MB, too"
    if number == _KILL:
        return f"most often memory ran out: shipml run {image} --memory 8g, or let it load less at once"
    if number == _SEGV:
        return f"native code crashed: shipml run {image} -e PYTHONFAULTHANDLER=1 shows where"
    if number == _ILL:
        return "a package is compiled for another CPU: choose a version that has wheels, without -march=native"
    return ""


def _last_lines(words: str, count: int = 12) -> str:
    return "\n".join(words.rstrip().splitlines()[-count:])
