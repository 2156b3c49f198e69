"""Which repository of a registry has a blob: from there it can be mounted into another one instead of uploaded."""

from __future__ import annotations

from collections.abc import Iterable

from shipml.oci.digest import Digest
from shipml.store import Store

__all__ = ["Homes"]

_KIND = "blob-home"


class Homes:
    """What is remembered of earlier pushes and pulls. A memory may be wrong: a mount that fails becomes an upload."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, registry: str, digest: Digest) -> str:
        """The repository that got the blob last; "" where none is known."""
        known = self._store.fact(_KIND, f"{registry} {digest}")
        return known if isinstance(known, str) else ""

    def keep(self, registry: str, repository: str, digests: Iterable[Digest]) -> None:
        """Remember that a repository has these blobs."""
        for digest in digests:
            if self.of(registry, digest) != repository:
                self._store.keep_fact(_KIND, f"{registry} {digest}", repository)
