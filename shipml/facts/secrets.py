"""A secret that was found in what goes into an image: where, and of which kind; never the secret itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["FoundSecret"]


@dataclass(frozen=True, slots=True, order=True)
class FoundSecret:
    """Where a secret is."""

    path: str
    """Of the file, relative to the project; or of the setting: `shipml.toml [env] API_KEY`."""
    line: int
    """Counted from 1; 0 where there are no lines."""
    kind: str
    """What it is: "AWS access key"."""
    fingerprint: str
    """`sha256:…` of the secret's UTF-8."""

    @property
    def source(self) -> str:
        """`FILE:LINE`, as `[secrets] allow` takes it."""
        return f"{self.path}:{self.line}" if self.line else self.path

    def to_json(self) -> list[Any]:
        """As a fact of the store holds it."""
        return [self.path, self.line, self.kind, self.fingerprint]

    @classmethod
    def from_json(cls, value: object) -> FoundSecret | None:
        """The inverse; None for what has another shape."""
        match value:
            case [str(path), int(line), str(kind), str(fingerprint)]:
                return cls(path, line, kind, fingerprint)
        return None
