"""What is kept of a build that had nothing to do: what it was asked, what it read, what it said."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from shipml.errors import ShipmlError
from shipml.events import Notice
from shipml.facts.request import PlanRequest
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.report import BuildReport
from shipml.store import Store
from shipml.store.fact import Fact

__all__ = ["KNOWN", "LAYERS", "Asked", "Known", "whole_image"]

LAYERS = "layers"
"""The one step of a build that has nothing to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a build is asked for."""

    request: PlanRequest
    names: tuple[str, ...]
    """As they are typed."""
    builder: str
    load: bool | None
    check: bool
    trust_last: bool
    more: bool
    """Whether there are options that only the whole way knows."""

    @property
    def can_be_answered(self) -> bool:
        """Whether nobody has to be asked: no index, no registry with a last image, no builder elsewhere."""
        return (
            self.builder in {"auto", "embedded"}
            and not self.more
            and not self.request.upgrade
            and not os.environ.get("SHIPML_CACHE_MAX_SIZE")
            and not any("/" in name or "@" in name for name in self.names)
        )

    @property
    def key(self) -> str:
        """The same for the same words in the same folder."""
        folder = os.fsencode(self.request.folder.absolute()).hex()
        return json.dumps([str(Path.cwd()), folder, asdict(self)], default=str, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Known:
    """A build that had nothing to do."""

    surroundings: str
    """See `tool.surroundings`."""
    files: dict[str, str]
    """How what was read looked, by path."""
    folders: dict[str, str]
    """How the entries of folders looked that were listed."""
    notices: tuple[Notice, ...]
    """What was said until the layers were there."""
    report: BuildReport


KNOWN = Fact("unchanged-1", Known)
"""By `Asked.key`."""


def whole_image(store: Store, digest: Digest) -> Image | None:
    """The image, where the store has every byte of it."""
    try:
        image = store.image(digest)
    except ShipmlError:
        return None
    return image if all(store.has_blob(layer.digest, layer.size_bytes) for layer in image.layers) else None
