"""The commands that a project shows for its own files: in its README, Makefile, CI, compose file, MLproject."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from shipml.errors import ConfigurationError
from shipml.facts.programs import RunEvidence, RunEvidenceKind
from shipml.project.code.command_target import CommandReader
from shipml.project.text import read_any_text

__all__ = ["find_run_evidence"]

_LIMIT_CHARACTERS = 200_000
_SOURCES: tuple[tuple[RunEvidenceKind, re.Pattern[str]], ...] = (
    ("readme", re.compile(r"read[-_]?me(?:\.(?:md|rst|txt|markdown))?", re.IGNORECASE)),
    ("make", re.compile(r"(?:GNU)?makefile|justfile|taskfile\.ya?ml", re.IGNORECASE)),
    ("script", re.compile(r"[^/]+\.sh|scripts/[^/]+\.sh|[^/]+\.bat")),
    ("ci", re.compile(r"\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.ya?ml|azure-pipelines\.ya?ml|Jenkinsfile")),
    ("compose", re.compile(r"(?:docker-)?compose[^/]*\.ya?ml|render\.yaml|app\.ya?ml|railway\.\w+|nixpacks\.toml")),
    ("mlproject", re.compile(r"MLproject|dvc\.yaml|\.replit", re.IGNORECASE)),
)
"""Which files are looked through for what, the strongest first."""
_RUN_TARGETS = re.compile(
    r"run|start|serve|app|train|predict|demo|web|ui|api|dev|main|pipeline|up|infer", re.IGNORECASE
)
_NOT_TARGETS = re.compile(r"test|lint|clean|install|format|docs?\b|setup|venv|requirements|build|docker", re.IGNORECASE)
_TARGET = re.compile(r"(?:  )?(?P<name>[\w-]+)\s*:(?!=)")
_COMMANDS = re.compile(r"\s*(?:-\s+)?(?:command|entrypoint|cmd|run|startCommand|start_command)\s*[:=]\s*(?P<rest>.*)")
_FRONT_MATTER = re.compile(r"app_file\s*:\s*(?P<path>\S+)")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_SILENT_STEP = re.compile(r"\s*#(?!!)")
"""A comment of a script, Makefile or YAML file; in a README it is a heading."""


def find_run_evidence(folder: Path, paths: Collection[str]) -> tuple[RunEvidence, ...]:
    """What the project's texts say of how its files are run, the strongest first.

    Args:
        folder: the project.
        paths: of its files that go into the image.
    """
    reader = CommandReader(frozenset(paths))
    names = _names(folder)
    found: list[RunEvidence] = []
    for kind, pattern in _SOURCES:
        for name in (one for one in names if pattern.fullmatch(one)):
            lines = _text(folder, name).splitlines()
            found += _FINDERS.get(kind, _any_line)(kind, name, lines, reader)
    return tuple(dict.fromkeys(found))


def _names(folder: Path) -> list[str]:
    """The files at the top, and those of the folders where the others lie."""
    found: list[str] = []
    for place in (".", "scripts", ".github/workflows"):
        try:
            found += sorted(one.relative_to(folder).as_posix() for one in (folder / place).iterdir() if one.is_file())
        except OSError:
            continue
    return found


def _text(folder: Path, name: str) -> str:
    try:
        found = read_any_text(folder, name)
    except ConfigurationError:
        return ""
    return (found[0] if found is not None else "")[:_LIMIT_CHARACTERS]


def _readme(kind: RunEvidenceKind, name: str, lines: list[str], reader: CommandReader) -> Iterator[RunEvidence]:
    """Commands in blocks and in sentences; a block, or a heading, starts in the project's folder again."""
    is_header = lines[:1] == ["---"]
    is_block = False
    reader.enter("")
    for number, line in enumerate(lines, start=1):
        if is_header and (match := _FRONT_MATTER.match(line)):  # of a Space on Hugging Face
            yield from reader.read(f"python {match['path']}", f"{name}:{number}", kind)
        is_header = is_header and (number == 1 or line != "---")
        is_block ^= _FENCE.match(line) is not None
        if _FENCE.match(line) or line.startswith("#"):
            reader.enter("")
        if is_block and _SILENT_STEP.match(line):
            continue
        yield from reader.read(line, f"{name}:{number}", kind)


def _make(kind: RunEvidenceKind, name: str, lines: list[str], reader: CommandReader) -> Iterator[RunEvidence]:
    """The recipes of targets that run or train something."""
    target = ""
    for number, line in enumerate(lines, start=1):
        if match := _TARGET.match(line):
            target = match["name"]
        runs = _RUN_TARGETS.search(target) and not _NOT_TARGETS.search(target)
        reader.enter("")  # each line of a recipe is a shell of its own
        if runs and line[:1].isspace():
            yield from reader.read(line.lstrip("\t @-"), f"{name}:{number}", kind)


def _commands(kind: RunEvidenceKind, name: str, lines: list[str], reader: CommandReader) -> Iterator[RunEvidence]:
    """`command: python app.py`, `command: ["python", "app.py"]`, and lists of one word a line."""
    reader.enter("")
    for number, line in enumerate(lines, start=1):
        match = _COMMANDS.match(line)
        if match is None or _SILENT_STEP.match(line):
            continue
        words = match["rest"].strip().strip("'\"")
        if words.startswith("["):
            words = " ".join(re.findall(r"[^\[\]\"',\s]+", words))
        elif not words or words in {"|", ">", ">-", "|-"}:
            words = " ".join(_items(lines[number:]))
        yield from reader.read(words, f"{name}:{number}", kind)


def _items(lines: Iterable[str]) -> Iterator[str]:
    """The words of a list, or the first line of a text, that begins here."""
    for line in lines:
        text = line.strip()
        if not text.startswith("- "):
            if text and ":" not in text.partition(" ")[0]:
                yield text
            return
        yield text.removeprefix("- ").strip("'\"")


def _any_line(kind: RunEvidenceKind, name: str, lines: list[str], reader: CommandReader) -> Iterator[RunEvidence]:
    reader.enter("")
    for number, line in enumerate(lines, start=1):
        if not _SILENT_STEP.match(line):
            yield from reader.read(line, f"{name}:{number}", kind)


_FINDERS = {"readme": _readme, "make": _make, "compose": _commands, "mlproject": _commands}
