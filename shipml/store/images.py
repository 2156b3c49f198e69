"""Images in the store: kept as blobs, read back lazily, found by what a user calls them."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shipml.errors import StoreError, UntrustedInputError, UsageError
from shipml.oci.digest import Digest
from shipml.oci.documents import DOCUMENT_LIMIT_BYTES, copy_blob, open_image
from shipml.oci.image import Image
from shipml.oci.index import ImageIndex, open_index
from shipml.oci.manifest import Descriptor, Platform
from shipml.oci.reference import Reference
from shipml.store.files import BlobStore, StoredImage
from shipml.store.remote import RemoteBlobs

__all__ = [
    "damage_explained",
    "keep",
    "keep_index",
    "last_built_from",
    "load",
    "load_index",
    "named",
    "resolve",
]

_DIGEST_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
_FULL_HEX = 64


def load(store: RemoteBlobs, digest: Digest) -> Image:
    """See `Store.image`."""
    index = load_index(store, digest)
    return _load_one(store, digest) if index is None else index.image_for(Platform.of_this_machine())


def load_index(store: RemoteBlobs, digest: Digest) -> ImageIndex | None:
    """See `Store.index`."""
    data = _document(store, digest)
    try:
        return open_index(data, lambda entry: _load_one(store, entry.digest))
    except UntrustedInputError as error:
        raise _damaged(store, digest, error.message) from error


def _load_one(store: RemoteBlobs, digest: Digest) -> Image:
    manifest = _document(store, digest)

    def open_blob(descriptor: Descriptor) -> BinaryIO:
        try:
            return store.open_layer(descriptor)
        except StoreError as error:
            raise StoreError(error.message, hint=_rebuild(store, digest)) from error

    try:
        return open_image(manifest, open_blob)
    except UntrustedInputError as error:
        raise _damaged(store, digest, error.message) from error


def _document(store: BlobStore, digest: Digest) -> bytes:
    with store.open_blob(digest) as stream:
        data = stream.read(DOCUMENT_LIMIT_BYTES)
    if Digest.of(data) != digest:
        raise _damaged(store, digest, "its manifest is not what it was")
    return data


def _damaged(store: BlobStore, digest: Digest, because: str) -> StoreError:
    return StoreError(f"the image {digest} in {store.home} is damaged: {because}", hint=_rebuild(store, digest))


def _rebuild(store: BlobStore, digest: Digest) -> str:
    source = next((image.source for image in store.images() if image.digest == digest and image.source), "")
    return f"build it again: shipml build {shlex.quote(source)}".rstrip() if source else "build it again: shipml build"


@contextmanager
def damage_explained(store: RemoteBlobs, image: Image) -> Iterator[None]:
    """See `Store.damage_explained`."""
    try:
        yield
    except UntrustedInputError as error:
        damaged = [one for one in image.layers if store.has_blob(one.digest) and not store.verify_blob(one.digest)]
        if not damaged:
            raise
        raise _damaged(store, image.digest, f"{damaged[0].digest} was not what it was, and is removed") from error


def keep(store: RemoteBlobs, image: Image, *, complete: bool = False) -> Digest:
    """See `Store.keep_image`."""
    for layer in image.layers:
        if not complete and store.has_or_can_fetch(layer.digest, layer.size_bytes):
            continue
        if store.has_blob(layer.digest, layer.size_bytes):
            continue
        with layer.open() as source:
            if store.has_blob(layer.digest, layer.size_bytes):
                continue  # opening a lazy layer may have made it here
            with store.draft() as draft:
                copy_blob(source, draft.stream.write, layer.digest, layer.size_bytes, what="layer")
                store.adopt(draft, layer.digest)
    store.put_blob(image.config)
    return store.put_blob(image.manifest)


def keep_index(store: RemoteBlobs, index: ImageIndex) -> Digest:
    """See `Store.keep_index`."""
    for image in index.images:
        keep(store, image)
    return store.put_blob(index.manifest)


def last_built_from(store: BlobStore, folder: Path) -> StoredImage:
    """See `Store.last_built_from`."""
    source = str(folder.resolve())
    for image in store.images():
        if image.source == source:
            return image
    raise UsageError(f"nothing has been built from {folder} yet", hint=f"build one: shipml build {folder}")


def resolve(store: BlobStore, what: str) -> StoredImage:
    """See `Store.resolve`. A folder's name that is also an image's means the image; `./name` means the folder."""
    listed = store.images()
    found = _by_reference(listed, what) or _by_digest(store, listed, what)
    if found is not None:
        return found
    if what and Path(what).is_dir():
        return last_built_from(store, Path(what))
    names = {
        name: image.reference for image in listed for name in (image.reference.rpartition(":")[0], image.reference)
    }
    nearest = difflib.get_close_matches(what, names, n=1)
    hint = f"did you mean {names[nearest[0]]}? " if nearest else ""
    raise UsageError(f"there is no image {what!r} here", hint=hint + "see: shipml images")


def named(store: BlobStore, what: str) -> tuple[StoredImage, ...]:
    """See `Store.named`."""
    listed = store.images()
    if (found := _by_reference(listed, what)) is not None:
        return (found,)
    image = _by_digest(store, listed, what)
    return tuple(one for one in listed if image is not None and one.digest == image.digest)


def _by_reference(listed: list[StoredImage], what: str) -> StoredImage | None:
    for image in listed:
        if image.reference == what:
            return image
    try:
        wanted = Reference.parse(what)
    except UsageError:
        return None
    name = f"{wanted.name}:{wanted.tag}" if wanted.tag else ""
    for image in listed:
        if wanted.digest not in (None, image.digest):
            continue
        if image.reference == name or (not name and image.reference.rpartition(":")[0] == wanted.name):
            return image
    return None


def _by_digest(store: BlobStore, listed: list[StoredImage], what: str) -> StoredImage | None:
    match = _DIGEST_PREFIX.fullmatch(what)
    if match is None:
        return None
    digits = match[1]
    found = {image.digest: image for image in reversed(listed) if image.digest.hex.startswith(digits)}
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} images begin with {what}", hint=f"say more: {', '.join(str(digest) for digest in found)}"
        )
    if found:
        return next(iter(found.values()))
    if len(digits) == _FULL_HEX and store.has_blob(Digest(digits)):
        return StoredImage("", Digest(digits), "", store.blob_path(Digest(digits)).stat().st_mtime)
    return None
