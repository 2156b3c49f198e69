"""One stage of a Dockerfile while its instructions are carried out on values."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from shipml.dockerfile.from_image import read_base
from shipml.dockerfile.ran import RunError
from shipml.dockerfile.text import Instruction, Stage, expanded
from shipml.facts.dockerfile import FollowedDockerfile, UnsupportedInstruction

__all__ = ["Keywords", "Reader", "UnsupportedError", "because_of", "exec_form"]

_SHOWN = 60


class UnsupportedError(Exception):
    """Why an instruction is not understood."""

    def __init__(self, because: str, *, is_light: bool = False) -> None:
        """`is_light`: the image can do without what it does."""
        super().__init__(because)
        self.is_light = is_light


def because_of(instruction: Instruction, because: str) -> UnsupportedInstruction:
    """The instruction, on one line, with why it is not understood."""
    shown = " ".join(f"{instruction.keyword} {instruction.rest}".split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    return UnsupportedInstruction(instruction.first_line + 1, shown, because)


@dataclass(slots=True)
class Reader:
    """Carries out instructions on values, one after the other."""

    arguments: Mapping[str, str]
    stage: Callable[[str], Reader | UnsupportedInstruction | None]
    """The earlier stage of a name."""
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": "$PATH"})
    """ENV and ARG, as they are at this point; the base's PATH is put in by the plan."""
    groups: dict[str, int] = field(default_factory=dict)
    """Made by `groupadd`, by name."""
    exported: set[str] = field(default_factory=set)
    """Requirements files that tools write: absolute."""
    found: FollowedDockerfile = field(default_factory=lambda: FollowedDockerfile(""))

    def begin(self, stage: Stage, start: Instruction, earlier: Reader | None) -> None:
        """Start from an image, or where an earlier stage ended."""
        if earlier is not None:
            self.variables, self.groups = dict(earlier.variables), dict(earlier.groups)
            self.exported, self.found = set(earlier.exported), earlier.found
            return
        base = read_base(stage.base)
        if base.unsupported:
            raise UnsupportedError(base.unsupported)
        self.found = FollowedDockerfile(stage.base, python=base.python, image=base.image)
        if base.instead:
            self.skip(start, base.instead)
        if stage.platform and "$" not in stage.platform:
            self.skip(start, "the platform is the one that --platform and the settings name")

    def read(self, instructions: Sequence[Instruction], keywords: Keywords) -> UnsupportedInstruction | None:
        """Carry them out, each by its keyword; the first that the image needs and that is not understood."""
        for instruction in instructions:
            understand = keywords.get(instruction.keyword)
            if understand is None:
                return because_of(instruction, f"{instruction.keyword} is not understood")
            try:
                understand(self, instruction)
            except (UnsupportedError, RunError) as error:
                if not error.is_light:
                    return because_of(instruction, str(error))
                self.skip(instruction, str(error))
            except ValueError:  # of shlex or json
                return because_of(instruction, "its quotes or brackets do not match")
        return None

    def skip(self, instruction: Instruction, because: str, what: str = "") -> None:
        """Leave out an instruction, or a command of it."""
        one = because_of(replace(instruction, rest=what or instruction.rest), because)
        self.found = replace(self.found, skipped=(*self.found.skipped, one))

    def text(self, instruction: Instruction) -> str:
        """What follows the keyword, with variables put in; one that is not set is left to the shell of a RUN alone."""
        return expanded(instruction.rest, self.variables, unset_stays=instruction.keyword == "RUN")

    def path(self, path: str) -> str:
        """An absolute path in the image; what ends with "/" keeps that."""
        joined = posixpath.normpath(posixpath.join(self.found.working_dir, path))
        is_folder = path.endswith(("/", "/.")) or path in {".", ".."}
        return joined.rstrip("/") + "/" if is_folder else joined


Keywords: TypeAlias = Mapping[str, Callable[[Reader, Instruction], None]]
"""What carries out the instructions of each keyword."""


def exec_form(rest: str) -> tuple[tuple[str, ...], str]:
    """The exec form as words, or the shell form as it stands."""
    if rest.lstrip().startswith("["):
        try:
            words = json.loads(rest)
        except (ValueError, RecursionError):
            return (), rest
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return tuple(words), ""
    return (), rest
