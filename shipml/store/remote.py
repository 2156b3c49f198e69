"""Blobs that a registry has: known by digest, fetched when someone opens them, and checked on the way.

The store itself knows no registry: whoever opens it hands in a function that does. What was *noted* is kept for good,
since a digest says what the bytes must be. What was *borrowed* (that a layer's key leads to this digest) is somebody
else's word: it counts within one `with` block only, and is never written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from shipml.errors import (
    BuildError,
    CancelledError,
    ShipmlError,
    StoreError,
    UntrustedInputError,
)
from shipml.oci.digest import Digest
from shipml.oci.documents import copy_blob
from shipml.oci.manifest import Descriptor
from shipml.store.tree_files import TreeStore

__all__ = ["OpenRemote", "RemoteBlobs"]

OpenRemote: TypeAlias = Callable[[str, Descriptor], BinaryIO]
"""Opens a blob: (`registry/repository`, descriptor) → its bytes. Raises BuildError where it is not there any more."""

_FACT = "remote-1"
_HOMES_KEPT = 4


class RemoteBlobs(TreeStore):
    """A store that can fetch what it lacks."""

    def __init__(self, home: Path, open_remote: OpenRemote | None = None) -> None:
        """`open_remote` opens what is noted to be in a registry; None: nothing can be fetched."""
        super().__init__(home)
        self._open_remote = open_remote
        self._borrowed: Mapping[tuple[str, str], Any] = {}

    # Blobs

    def note_remote(self, digest: Digest, repository: str) -> None:
        """Remember that `repository` (`registry/path`) has the blob."""
        homes = self.remote_homes(digest)
        if homes[:1] != [repository]:
            kept = [repository, *(home for home in homes if home != repository)][:_HOMES_KEPT]
            self.keep_fact(_FACT, str(digest), kept, durable=True)  # an image may lack the blob because of this

    def remote_homes(self, digest: Digest) -> list[str]:
        """The repositories that are said to have the blob, the last noted first."""
        kept = self.fact(_FACT, str(digest))
        return [home for home in kept if isinstance(home, str)] if isinstance(kept, list) else []

    def has_or_can_fetch(self, digest: Digest, size_bytes: int) -> bool:
        """Whether the blob is here, or is noted to be in a registry."""
        return self.has_blob(digest, size_bytes) or bool(self.remote_homes(digest))

    def open_layer(self, layer: Descriptor) -> BinaryIO:
        """The bytes of a layer, fetched into the store where it is not here.

        Raises:
            StoreError: it is neither here nor noted to be in a registry.
            ShipmlError: it cannot be fetched, as the class says.
        """
        if not self.has_blob(layer.digest, layer.size_bytes) and not self.fetch(layer):
            raise StoreError(
                f"{layer.digest} is not in the store {self.home}", hint="build the image again: shipml build"
            )
        return self.open_blob(layer.digest)

    def fetch(self, layer: Descriptor) -> bool:
        """Bring a blob here from the first repository that has it; False where none is noted.

        Raises:
            ShipmlError: none of them gave it; the last one's reason. Where it is there no more, that is forgotten.
        """
        homes = self.remote_homes(layer.digest)
        if self._open_remote is None or not homes:
            return False
        failure: ShipmlError | None = None
        with self.lock(f"blob-{layer.digest.hex}"):
            for home in homes:
                if self.has_blob(layer.digest, layer.size_bytes):
                    return True
                try:
                    self._fetch_from(home, layer, self._open_remote)
                except CancelledError:
                    raise
                except ShipmlError as error:
                    failure = error
        if failure is not None and not self.has_blob(layer.digest, layer.size_bytes):
            raise failure
        return True

    def _fetch_from(self, home: str, layer: Descriptor, open_remote: OpenRemote) -> None:
        try:
            source = open_remote(home, layer)
        except BuildError:
            self._forget(layer.digest, home)
            raise
        with source, self.draft() as draft:  # a full disk here is a BuildError, too, and not the repository's fault
            try:
                copy_blob(source, draft.stream.write, layer.digest, layer.size_bytes, what="layer")
            except UntrustedInputError:
                self._forget(layer.digest, home)
                raise
            self.adopt(draft, layer.digest)

    def _forget(self, digest: Digest, repository: str) -> None:
        self.keep_fact(_FACT, str(digest), [home for home in self.remote_homes(digest) if home != repository])

    # Facts

    def fact(self, kind: str, key: str) -> Any:  # noqa: ANN401  (JSON has no narrower type)
        """See `BlobStore.fact`; what is borrowed counts where nothing was kept."""
        kept = super().fact(kind, key)
        return self._borrowed.get((kind, key)) if kept is None else kept

    @contextmanager
    def borrowing(self, facts: Mapping[tuple[str, str], Any]) -> Iterator[None]:
        """Let `fact` know these, by kind and key, until the block ends."""
        before = self._borrowed
        self._borrowed = {**before, **facts}
        try:
            yield
        finally:
            self._borrowed = before
