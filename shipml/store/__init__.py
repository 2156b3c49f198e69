"""The content-addressed store under SHIPML_HOME, shared by all processes of a user: files, images, upkeep."""

from __future__ import annotations

from pathlib import Path

from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.store import images, upkeep
from shipml.store.files import (
    Draft,
    StoredImage,
    default_home,
)
from shipml.store.remote import OpenRemote, RemoteBlobs
from shipml.store.upkeep import (
    KindSize,
    MissingBlob,
    PruneReport,
    StoreInfo,
)

__all__ = [
    "Draft",
    "KindSize",
    "MissingBlob",
    "OpenRemote",
    "PruneReport",
    "Store",
    "StoreInfo",
    "StoredImage",
    "default_home",
]


class Store(RemoteBlobs):
    """Opens (and makes) the store in `home`, and holds it in use until the process ends or `close` is called."""

    def image(self, digest: Digest) -> Image:
        """The image whose manifest is `digest`; its layers are opened when asked for.

        Raises:
            StoreError: manifest or config are missing or damaged.
        """
        return images.load(self, digest)

    def keep_image(self, image: Image) -> Digest:
        """Keep an image: layers that are missing are streamed in, the manifest comes last; returns its digest.

        A layer that a registry is noted to have stays there until someone opens it.

        Raises:
            UntrustedInputError: a layer's bytes are not those of its digest.
            StoreError: the store cannot be written.
        """
        return images.keep(self, image)

    def resolve(self, what: str) -> StoredImage:
        """The image that a user means: by reference, by digest or the start of it, or as the last built from a folder.

        Raises:
            UsageError: there is none, or several; the hint has the nearest name.
        """
        return images.resolve(self, what)

    def last_built_from(self, folder: Path) -> StoredImage:
        """The newest image built from `folder`.

        Raises:
            UsageError: none was.
        """
        return images.last_built_from(self, folder)

    def info(self, *, verify: bool = False) -> StoreInfo:
        """What is in the store, by kind.

        With `verify` every blob is read and compared with its digest; those that differ are listed and removed, so
        that the next build makes or fetches them again.
        """
        return upkeep.info(self, verify=verify)

    def prune(
        self,
        *,
        all: bool = False,  # noqa: A002  (named as the option)
        older_than_seconds: float | None = None,
        dry_run: bool = False,
        wait: bool = False,
    ) -> PruneReport:
        """Remove what no tagged image needs.

        Args:
            all: downloads, unpacked trees and facts about missing blobs too. Otherwise downloads stay for 30 days
                after their last use.
            older_than_seconds: remove only what was not used for so long, to the day.
            dry_run: only say what would go.
            wait: for builds in progress, instead of giving up.

        Raises:
            TryAgainError: another process uses the store, and `wait` is false.
        """
        return upkeep.prune(self, all=all, older_than_seconds=older_than_seconds, dry_run=dry_run, wait=wait)
