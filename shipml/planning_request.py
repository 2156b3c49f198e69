"""What a user asks of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shipml.plan.following import Following

__all__ = ["PlanRequest"]


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user asked for, beyond what the project's settings say. None: not said."""

    folder: Path
    name: str | None = None
    python: str | None = None
    base: str | None = None
    platform: str | None = None
    accelerator: str | None = None
    locked: bool = False
    strict: bool = False
    upgrade: bool = False
    with_shell: bool = False
    allow_expired: bool = False
    no_dockerfile: bool = False
    """Leave the project's Dockerfile aside."""
    must_follow: bool = False
    """Fail where the project's Dockerfile is not understood."""

    @property
    def dockerfile(self) -> Following:
        """Whether the project's Dockerfile decides."""
        if self.no_dockerfile:
            return "ignore"
        return "follow" if self.must_follow else "try"

    @property
    def for_plans(self) -> tuple[str, ...]:
        """The options that were given and mean nothing to a Dockerfile of the user's own, as they are typed."""
        given = {
            "--python": self.python,
            "--base": self.base,
            "--accelerator": self.accelerator,
            "--locked": self.locked,
            "--strict": self.strict,
            "--upgrade": self.upgrade,
            "--with-shell": self.with_shell,
        }
        return tuple(name for name, value in given.items() if value)
