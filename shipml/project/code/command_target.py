"""Which file of a project a command line runs: `cd src && python -m app.main`, `streamlit run ui.py`. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence

from shipml.facts.programs import RunEvidence, RunEvidenceKind

__all__ = ["CommandReader"]

_RUNNERS = frozenset(
    {"streamlit", "uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "waitress-serve", "waitress", "flask"}
    | {"fastapi", "chainlit", "gradio", "panel", "bokeh", "voila", "papermill", "jupyter", "nbconvert", "solara"}
    | {"torchrun", "accelerate", "dagster", "prefect", "celery", "sanic", "litestar", "ray"}
)
"""What is told a file, or a module, to run."""
_START = re.compile(
    r"(?:^|(?<=[\s`$>(&;|\"':=/]))"
    r"(?P<command>(?:cd\s|(?:\S*FLASK_APP\s*=)|\.[/\\][\w./\\-]+\.(?:py|sh)\b"
    r"|\$[({]\w*PY\w*[)}]\s|(?:python[\d.]*|py)(?:\.exe)?\s"
    rf"|(?:{'|'.join(sorted(map(re.escape, _RUNNERS), key=len, reverse=True))})\s)[^`\n]*)",
    re.IGNORECASE,
)
_NEXT = re.compile(r"&&|\|\||[;|]|\s#|\s(?:→|->|=>)\s|<br|</")
_PYTHON = re.compile(r"(?:python[\d.]*|py)(?:\.exe)?|\$[({]\w*PY\w*[)}]", re.IGNORECASE)
_VALUE_OPTIONS = frozenset({"-W", "-X", "--check-hash-based-pycs"})
_APP = re.compile(r"(?P<module>[A-Za-z_][\w.]*)(?::[A-Za-z_][\w.]*(?:\(.*\))?)?")
_APP_OPTIONS = frozenset({"--app", "-A"})
_PLACEHOLDER = re.compile(r"[<>\[\]{}$*…]|\.\.\.|path/to|your|example\.|_here", re.IGNORECASE)
_HELP = frozenset({"--help", "-h", "--version"})


class CommandReader:
    """Reads lines one after the other; `cd` leads on."""

    def __init__(self, paths: frozenset[str]) -> None:
        self._paths = paths
        self._folders = {path.rpartition("/")[0] for path in paths}
        self._folders |= {
            "/".join(one.split("/")[:depth]) for one in self._folders for depth in range(one.count("/") + 1)
        }
        self._folder = ""

    def enter(self, folder: str) -> None:
        """Begin in a folder of the project; "" is its own."""
        self._folder = folder

    def read(self, line: str, source: str, kind: RunEvidenceKind) -> Iterator[RunEvidence]:
        """What the commands in a line of text run, where that is a file of the project."""
        for part in _NEXT.split(_with_slashes(line)):
            match = _START.search(part)
            words = _words(match["command"]) if match is not None else []
            if words[:1] == ["cd"]:
                self._change_folder(words[1] if len(words) > 1 else "")
            elif words and (found := self._target(words)) is not None:
                path, arguments = found
                yield RunEvidence(path, source, kind, arguments, self._folder)

    def _change_folder(self, folder: str) -> None:
        """A folder that there is not is most often the project itself, after its clone."""
        found = posixpath.normpath(posixpath.join(self._folder, folder.rstrip("/")))
        if found in {".", ".."} or found.startswith("../"):
            self._folder = ""
        elif found in self._folders:
            self._folder = found

    def _target(self, words: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
        """The file that is run, and the words after it."""
        first = words[0]
        if "FLASK_APP" in first:
            return self._first_of(["--app", " ".join(words).partition("=")[2].strip().partition(" ")[0]])
        if first.startswith("./") or not _PYTHON.fullmatch(first.rpartition("/")[2]):
            return self._first_of([first] if first.startswith("./") else words[1:])
        at = 1
        while at < len(words) and words[at].startswith("-") and words[at] not in {"-m", "-c"}:
            at += 2 if words[at] in _VALUE_OPTIONS else 1
        if words[at : at + 1] != ["-m"]:
            path = self._file(words[at]) if at < len(words) else None
            return (path, _arguments(words[at + 1 :], self._paths)) if path is not None else None
        if len(words) <= at + 1:
            return None
        if words[at + 1].partition(".")[0] in _RUNNERS:
            return self._first_of(words[at + 2 :])
        path = self._module(words[at + 1])
        return (path, _arguments(words[at + 2 :], self._paths)) if path is not None else None

    def _first_of(self, words: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
        """Of a server or notebook runner: the first word that is a file or module of the project."""
        before = ""
        for word in words:
            name = word.partition("=")[2] if word.startswith("--") and "=" in word else word
            is_app = _APP.fullmatch(name) and (":" in name or "." in name or before in _APP_OPTIONS)
            path = self._file(name) or (self._module(name) if is_app else None)
            before = word
            if path is not None:
                return path, ()
        return None

    def _file(self, word: str) -> str | None:
        """A path as it is, from where the command stands, or the only one that ends so."""
        if not word.endswith((".py", ".ipynb")):
            return None
        wanted = posixpath.normpath(word.lstrip("/"))
        for path in (posixpath.normpath(posixpath.join(self._folder, word)), wanted):
            if path in self._paths:
                return path
        near = [path for path in self._paths if path.endswith(f"/{wanted}")]
        return near[0] if len(near) == 1 else None

    def _module(self, name: str) -> str | None:
        stem = name.partition(":")[0].replace(".", "/")
        starts = dict.fromkeys((self._folder, "", "src"))
        ends = (".py", "/__main__.py", "/__init__.py")
        candidates = (posixpath.join(start, f"{stem}{end}") for start in starts for end in ends)
        return next((path for path in candidates if path in self._paths), None)


def _with_slashes(line: str) -> str:
    r"""`python src\train.py` of Windows as anywhere else."""
    return re.sub(r"(?<=[\w.])\\(?=\w)", "/", line.replace(".\\", "./"))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a sentence with an apostrophe
        return [word.strip("\"'") for word in text.split()]


def _arguments(words: Sequence[str], paths: frozenset[str]) -> tuple[str, ...]:
    """The arguments that can be given as they are written; () where one is an example, or a file that is missing."""
    found = [word.rstrip(".,)") if word == words[-1] else word for word in words]
    for word in found:
        value = word.rpartition("=")[2]
        is_file = re.search(r"\w\.(?!\d+$)[A-Za-z]\w{1,5}$", value) is not None
        if _PLACEHOLDER.search(word) or word in _HELP or (is_file and value.removeprefix("./") not in paths):
            return ()
    return tuple(found) if all(map(_is_argument, found)) and any(word.startswith("-") for word in found[:1]) else ()


def _is_argument(word: str) -> bool:
    """Whether it may be one, and not the next word of a sentence."""
    return word.isascii() and word.isprintable() and not word.endswith((":", ","))
