"""The interpreter that compiles bytecode for an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Interpreter"]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython that runs on this machine and has the image's minor version."""

    argv: tuple[str, ...]
    """How it is started; its own options may follow."""
    environment: Mapping[str, str]
    """The whole environment that it is started with."""
    version: str
    """Full version, as "3.11.2"."""
