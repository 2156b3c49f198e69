"""What is pushed, what pushes it, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shipml.events import Emit
from shipml.images import FoundImage
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference

__all__ = ["Pushed", "Pusher"]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What has arrived. What nobody counted is None."""

    digest: Digest
    """Of the manifest in the registry."""
    references: tuple[Reference, ...]
    """The names that it has there now, all of one repository."""
    pushed_by: str
    """"client" or "engine"."""
    identity: str
    """How it is known that this is what was run: "same manifest", "same config and layers", "not checked"."""
    credentials: str
    """Where they came from, without them; "none" for none."""
    elapsed_seconds: float
    smoke: str = ""
    """Whether it was run: "passed", "passed before", or "not run, because …"."""
    uploaded_bytes: int | None = None
    mounted_bytes: int | None = None
    skipped_bytes: int | None = None

    @property
    def pinned(self) -> str:
        """`repository@sha256:…`: what to deploy."""
        return f"{self.references[0].name}@{self.digest}"

    def to_json(self) -> dict[str, Any]:
        """As `shipml push --json` prints it."""
        return {
            "reference": self.pinned,
            "digest": str(self.digest),
            "references": [str(reference) for reference in self.references],
            "pushed_by": self.pushed_by,
            "identity": self.identity,
            "credentials": self.credentials,
            "smoke": self.smoke,
            "uploaded_bytes": self.uploaded_bytes,
            "mounted_bytes": self.mounted_bytes,
            "skipped_bytes": self.skipped_bytes,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
        }


class Pusher(Protocol):
    """Brings images into registries."""

    name: str

    def push(self, subject: FoundImage, references: Sequence[Reference], emit: Emit) -> Pushed:
        """Push under all references, which are of one repository.

        Raises:
            NotAllowedError: the registry refuses the credentials, which the message names by their source.
            TryAgainError: the network, the registry or an engine failed.
            ShipmlError: as its class says.
        """
