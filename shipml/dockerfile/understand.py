"""Understands the Dockerfiles that ML projects have: instructions → `FollowedDockerfile`, or the first that is not.

Semantics: docs.docker.com/reference/dockerfile. Pure: what a COPY finds is looked up later, among the project's files.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

from shipml.dockerfile.instructions import KEYWORDS
from shipml.dockerfile.reader import Reader, UnsupportedError, because_of
from shipml.dockerfile.stages import without_tools
from shipml.dockerfile.text import Dockerfile, parse_dockerfile
from shipml.facts.dockerfile import FollowedDockerfile, UnsupportedInstruction

__all__ = ["understand_dockerfile"]


def understand_dockerfile(
    text: str, build_arguments: Mapping[str, str] | None = None, *, file: str = "Dockerfile"
) -> FollowedDockerfile | UnsupportedInstruction:
    """What the Dockerfile says; what the image can do without is among `skipped`.

    Args:
        text: of the Dockerfile.
        build_arguments: values of its ARGs.
        file: its name.
    """
    found = _Stages(parse_dockerfile(text), dict(build_arguments or {})).last()
    if isinstance(found, UnsupportedInstruction):
        return replace(found, file=file)
    return replace(found, file=file, skipped=tuple(replace(one, file=file) for one in found.skipped))


class _Stages:
    """The stages of a Dockerfile, each read when something needs it."""

    def __init__(self, document: Dockerfile, arguments: Mapping[str, str]) -> None:
        self._stages = document.stages(arguments)
        self._froms = [one for one in document.instructions if one.keyword == "FROM"]
        self._arguments = arguments
        self._read: dict[int, Reader | UnsupportedInstruction] = {}

    def last(self) -> FollowedDockerfile | UnsupportedInstruction:
        """What the image is made of."""
        if not self._stages:
            return UnsupportedInstruction(1, "", "it has no FROM")
        read = self._stage(len(self._stages) - 1)
        return without_tools(read.found) if isinstance(read, Reader) else read

    def named(self, name: str, before: int) -> Reader | UnsupportedInstruction | None:
        """The stage that a FROM or COPY names; None where there is none before."""
        names = [stage.name.lower() for stage in self._stages[:before]]
        if name.lower() in names:
            return self._stage(len(names) - 1 - names[::-1].index(name.lower()))
        return self._stage(int(name)) if name.isdecimal() and int(name) < before else None

    def _stage(self, number: int) -> Reader | UnsupportedInstruction:
        if number not in self._read:
            self._read[number] = self._understood(number)
        return self._read[number]

    def _understood(self, number: int) -> Reader | UnsupportedInstruction:
        stage, start = self._stages[number], self._froms[number]
        earlier = self.named(stage.base, number)
        if isinstance(earlier, UnsupportedInstruction):
            return earlier
        reader = Reader(self._arguments, functools.partial(self.named, before=number))
        try:
            reader.begin(stage, start, earlier)
        except UnsupportedError as error:
            return because_of(start, str(error))
        return reader.read(stage.instructions, KEYWORDS) or reader
