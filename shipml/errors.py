"""Everything that shipml raises on purpose, each with what to do next and the exit code of the command.

::

    ShipmlError
    ├── BuildError               1   the image could not be made
    │   ├── PlanError            1   no plan fits the project
    │   ├── ResolutionError      1   no set of packages satisfies the requirements
    │   ├── UntrustedInputError  1   a wheel, package, archive or index is broken or hostile
    │   ├── ImportCheckError     1   what the program imports does not work in the image
    │   ├── SecretError          1   the image holds a secret, and is not pushed
    │   └── StoreError           1   the store cannot be read or written (disk full, damaged)
    ├── UsageError               2   the command cannot be carried out as typed
    │   ├── ConfigurationError   2   a settings file or environment variable is wrong
    │   └── UnavailableError     2   this machine lacks what the command needs
    ├── SmokeTestError           3   the image ran and did not do what it must
    ├── NotAllowedError          4   credentials or rights are missing
    ├── TryAgainError           75   network, registry or mirror: the same command may work later
    └── CancelledError         130   stopped by the user
"""

from __future__ import annotations

import copy
from typing import ClassVar, Self

from shipml.failed_imports import FailedImport

__all__ = [
    "BuildError",
    "CancelledError",
    "ConfigurationError",
    "ImportCheckError",
    "NotAllowedError",
    "PlanError",
    "ResolutionError",
    "SecretError",
    "ShipmlError",
    "SmokeTestError",
    "StoreError",
    "TryAgainError",
    "UnavailableError",
    "UntrustedInputError",
    "UsageError",
]


class ShipmlError(Exception):
    """What happened and to which thing (`message`), and what to do next (`hint`).

    Both are for people. Code looks at the class, at attributes, and at `said`.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", said: str = "") -> None:
        """Make the error; `said` is what a registry, an engine or a program said, in its own words."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.said = said

    def worded(self, *, message: str = "", hint: str = "", said: str = "") -> Self:
        """The same error, told with another message, hint or `said`."""
        other = copy.copy(self)
        other.args = (message or self.message,)
        other.message, other.hint, other.said = message or self.message, hint or self.hint, said or self.said
        return other

    def to_json(self) -> dict[str, object]:
        """The `error` object of `--json` (docs/reference.md, "Errors")."""
        return {"kind": self.kind, "message": self.message, "hint": self.hint, "exit_code": self.exit_code}


class BuildError(ShipmlError):
    """The image could not be made."""

    kind = "build"


class PlanError(BuildError):
    """No plan fits the project."""

    kind = "plan"


class ResolutionError(BuildError):
    """No set of packages satisfies the project's requirements."""

    kind = "resolution"


class UntrustedInputError(BuildError):
    """Something from outside (wheel, .deb, archive, index) is broken, or tries what it must not."""

    kind = "untrusted-input"


class ImportCheckError(BuildError):
    """What the program imports cannot be imported in the image: each of `failures`."""

    kind = "import-check"

    def __init__(self, message: str, *, hint: str = "", failures: tuple[FailedImport, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.failures = failures


class SecretError(BuildError):
    """What would be pushed holds a secret; neither message nor hint shows it."""

    kind = "secret"


class StoreError(BuildError):
    """The store under SHIPML_HOME cannot be read or written."""

    kind = "store"


class UsageError(ShipmlError):
    """The command cannot be carried out as it was typed."""

    exit_code = 2
    kind = "usage"


class ConfigurationError(UsageError):
    """A settings file or an environment variable holds something that cannot be meant."""

    kind = "configuration"


class UnavailableError(UsageError):
    """This machine lacks what the command needs: an engine, a kernel feature, a program."""

    kind = "unavailable"


class SmokeTestError(ShipmlError):
    """The image was run and did not do what it must."""

    exit_code = 3
    kind = "smoke-test"


class NotAllowedError(ShipmlError):
    """Credentials or rights are missing or refused."""

    exit_code = 4
    kind = "not-allowed"


class TryAgainError(ShipmlError):
    """A network, registry or mirror failed in a way that may pass (EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75
    kind = "try-again"


class CancelledError(ShipmlError):
    """The user stopped the command."""

    exit_code = 130
    kind = "cancelled"
