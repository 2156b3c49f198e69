"""Reads a Dockerfile as far as a build has to be prepared: instructions, stages, the images that it starts from.

Grammar: docs.docker.com/reference/dockerfile. What is wrong in it is left to the engine, which says so best. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

__all__ = ["Dockerfile", "ImageUse", "Instruction", "Stage", "expanded", "parse_dockerfile"]

_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=\s*(.+?)\s*", re.IGNORECASE)
_FLAG = re.compile(r"--([a-z-]+)(?:=(\"[^\"]*\"|\S*))?\s*")
_HEREDOC = re.compile(r"<<(-?)\s*(['\"]?)([A-Za-z0-9_.-]+)\2")
_VARIABLE = re.compile(r"\\(?P<literal>\$)|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<how>[-+?])(?P<word>[^}]*))?\})")
_HAS_HEREDOC = ("RUN", "COPY", "ADD")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continuation lines joined."""

    keyword: str
    """Upper case: "FROM"."""
    flags: tuple[tuple[str, str], ...]
    """`--name=value` in order; a flag may come again."""
    rest: str
    """What follows the flags."""
    first_line: int
    """Counted from 0."""
    last_line: int
    """Its last line, here-documents included."""
    documents: tuple[tuple[str, bool], ...] = ()
    """The here-documents below it, and whether variables in them are left alone."""

    def values(self, flag: str) -> list[str]:
        """The values of a flag."""
        return [value for name, value in self.flags if name == flag]


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it."""

    base: str
    """Variables replaced: an image, an earlier stage, or "scratch"."""
    name: str
    platform: str
    """As `--platform` says it, variables replaced; "" where it is not given."""
    instructions: tuple[Instruction, ...]
    """Without the FROM."""


@dataclass(frozen=True, slots=True)
class ImageUse:
    """An image that the engine must have."""

    name: str
    platform: str
    """As for Stage."""


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile's text, read."""

    text: str = field(repr=False)
    syntax: str
    """The image that `# syntax=` names, "" for none."""
    instructions: tuple[Instruction, ...]

    def stages(self, build_arguments: Mapping[str, str]) -> list[Stage]:
        """The stages in order, with the arguments that are declared before the first FROM put in."""
        variables: dict[str, str] = {name: build_arguments[name] for name in _AUTOMATIC if name in build_arguments}
        parts: list[tuple[Instruction, list[Instruction]]] = []
        for instruction in self.instructions:
            if instruction.keyword == "FROM":
                parts.append((instruction, []))
            elif parts:
                parts[-1][1].append(instruction)
            elif instruction.keyword == "ARG":
                for name, default in _declared(instruction.rest):
                    value = build_arguments.get(name, default and expanded(default, variables))
                    if value is not None:
                        variables[name] = value
        return [_stage(start, body, variables) for start, body in parts]

    def images(self, build_arguments: Mapping[str, str], target: str = "") -> list[ImageUse]:
        """The images that a build up to `target` ("" for the last stage) starts from or copies from, its base first."""
        stages = self.stages(build_arguments)
        numbers = {stage.name.lower(): number for number, stage in enumerate(stages) if stage.name}
        wanted = [_stage_number(target, numbers, len(stages)) if target else len(stages) - 1]
        seen: set[int] = set()
        uses: list[ImageUse] = []
        while wanted:
            number = wanted.pop(0)
            if number is None or number in seen or number < 0:
                continue
            seen.add(number)
            stage = stages[number]
            earlier = {name: at for name, at in numbers.items() if at < number}
            for source, platform in _sources(stage):
                at = _stage_number(source, earlier, number)
                if at is not None:
                    wanted.append(at)
                elif source.lower() != "scratch" and "$" not in source:
                    uses.append(ImageUse(source, platform))
        return list(dict.fromkeys(uses))

    def session_mount(self) -> str:
        """The first mount that needs a session with the client: "secret" or "ssh"; "" for none."""
        for instruction in self.instructions:
            for mount in instruction.values("mount") if instruction.keyword == "RUN" else ():
                kind = _mount(mount).get("type", "bind")
                if kind in {"secret", "ssh"}:
                    return kind
        return ""


_AUTOMATIC = tuple(f"{side}{part}" for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT"))


def parse_dockerfile(text: str) -> Dockerfile:
    """Read a Dockerfile."""
    lines = text.removeprefix("\ufeff").splitlines()
    directives = _directives(lines)
    escape = directives.get("escape", "\\")
    return Dockerfile(text, directives.get("syntax", ""), tuple(_instructions(lines, escape)))


def _directives(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None or match[1].lower() in found:
            break
        found[match[1].lower()] = match[2]
    return found


def _instructions(lines: Sequence[str], escape: str) -> Iterator[Instruction]:
    at = 0
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    while at < len(lines):
        first = at
        if not lines[at].strip() or lines[at].lstrip().startswith("#"):
            at += 1
            continue
        text = ""
        while at < len(lines):
            line = lines[at]
            at += 1
            if text and (not line.strip() or line.lstrip().startswith("#")):
                continue
            text += continued.sub("", line)
            if not continued.search(line):
                break
        keyword, rest = (*text.split(maxsplit=1), "", "")[:2]
        keyword = keyword.upper()
        documents: list[tuple[str, bool]] = []
        for tabs, quote, word in _HEREDOC.findall(rest) if keyword in _HAS_HEREDOC else ():
            body, at = _here_document(lines, at, word, without_tabs=bool(tabs))
            documents.append((body, bool(quote)))
        yield replace(_instruction(keyword, rest, first, min(at, len(lines)) - 1), documents=tuple(documents))


def _here_document(lines: Sequence[str], at: int, word: str, *, without_tabs: bool) -> tuple[str, int]:
    """The text that begins at line `at` and ends before a line of `word`, and where it goes on after that."""
    body = []
    while at < len(lines):
        line = lines[at].lstrip("\t") if without_tabs else lines[at]
        at += 1
        if line == word:
            break
        body.append(f"{line}\n")
    return "".join(body), at


def _instruction(keyword: str, rest: str, first: int, last: int) -> Instruction:
    flags: list[tuple[str, str]] = []
    rest = rest.strip()
    while match := _FLAG.match(rest):
        flags.append((match[1], (match[2] or "").strip('"')))
        rest = rest[match.end() :]
    return Instruction(keyword, tuple(flags), rest, first, last)


def _declared(rest: str) -> Iterator[tuple[str, str | None]]:
    """Names and defaults of an ARG: `A B=c D="e f"`."""
    for match in re.finditer(r"(\w+)(?:=(\"[^\"]*\"|'[^']*'|\S*))?", rest):
        yield match[1], match[2].strip("\"'") if match[2] is not None else None


def _stage(start: Instruction, body: Sequence[Instruction], variables: Mapping[str, str]) -> Stage:
    words = expanded(start.rest, variables).split()
    base = words[0].strip("\"'") if words else ""
    name = words[2] if len(words) > 2 and words[1].lower() == "as" else ""  # noqa: PLR2004  (FROM image AS name)
    platform = expanded("".join(start.values("platform")[-1:]), variables)
    return Stage(base, name, platform, tuple(body))


def _sources(stage: Stage) -> Iterator[tuple[str, str]]:
    """What a stage starts from and copies or mounts from, with the platform."""
    yield stage.base, stage.platform
    for instruction in stage.instructions:
        if instruction.keyword in ("COPY", "ADD"):
            for source in instruction.values("from"):
                yield source, ""
        elif instruction.keyword == "RUN":
            for mount in instruction.values("mount"):
                if source := _mount(mount).get("from", ""):
                    yield source, ""


def _mount(value: str) -> dict[str, str]:
    return {key.strip(): rest for key, _, rest in (part.partition("=") for part in value.split(","))}


def _stage_number(source: str, numbers: Mapping[str, int], count: int) -> int | None:
    if source.lower() in numbers:
        return numbers[source.lower()]
    return int(source) if source.isdecimal() and int(source) < count else None


def expanded(text: str, variables: Mapping[str, str], *, unset_stays: bool = True) -> str:
    """`text` with `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}` replaced.

    A plain `$NAME` that is not set stays, for a shell to read; without `unset_stays` it is empty, as in ENV.
    """

    def value(match: re.Match[str]) -> str:
        if match["literal"]:
            return "$"
        name = match["plain"] or match["name"]
        found = variables.get(name, "")
        if match["how"] == "-":
            return found or match["word"]
        if match["how"] == "+":
            return match["word"] if found else ""
        return found if name in variables or match["name"] or not unset_stays else match[0]

    return _VARIABLE.sub(value, text)
