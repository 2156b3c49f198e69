"""Images as OCI layout folders (image-spec 1.1, image-layout.md): written whole or not at all, and read with care."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from shipml.errors import BuildError, UntrustedInputError, UsageError
from shipml.oci.digest import Digest
from shipml.oci.documents import (
    DOCUMENT_LIMIT_BYTES,
    choose_manifest,
    copy_blob,
    is_index,
    open_image,
    parse_document,
    parse_index,
    read_document,
)
from shipml.oci.image import Image, platform_of
from shipml.oci.index import ImageIndex, open_index
from shipml.oci.manifest import (
    INDEX_MEDIA_TYPE,
    Descriptor,
    Platform,
    canonical_json,
)
from shipml.oci.reference import Reference

__all__ = [
    "CONTAINERD_NAME",
    "LAYOUT_FILE",
    "LAYOUT_MARKER",
    "BlobSource",
    "blob_name",
    "image_entries",
    "read_layout",
    "read_layout_from",
    "read_whole_layout",
    "write_layout",
]

LAYOUT_FILE = "oci-layout"
LAYOUT_MARKER = b'{"imageLayoutVersion":"1.0.0"}'

_REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
_NESTED_INDEXES = 3


class BlobSource(Protocol):
    """Files by their names in a layout: a folder, or a tar of one."""

    def open(self, name: str) -> BinaryIO:
        """The file `name`, such as `blobs/sha256/…`.

        Raises:
            UntrustedInputError: it is missing, or no plain file.
        """


def blob_name(digest: Digest) -> str:
    """Where a layout has a blob."""
    return f"blobs/sha256/{digest.hex}"


def image_entries(image: Image | ImageIndex, references: Sequence[Reference]) -> list[dict[str, Any]]:
    """The entries of index.json for an image or index: one for each reference, or one without name."""
    platform = None if isinstance(image, ImageIndex) else platform_of(image)
    entries = []
    for reference in references or (None,):
        annotations = {}
        if reference is not None:
            annotations = {_REF_NAME: reference.tag or str(image.digest), CONTAINERD_NAME: reference.canonical}
        descriptor = Descriptor(image.media_type, image.digest, len(image.manifest), annotations, platform=platform)
        entries.append(descriptor.to_json())
    return entries


def write_layout(image: Image | ImageIndex, folder: Path, references: Sequence[Reference] = ()) -> None:
    """Write an image, or all of an index, as an OCI layout; a layout that is there already gets it beside its others.

    A new folder appears by rename once it is whole; in an old one the index is renamed last.

    Raises:
        UsageError: `folder` is a file, or a folder with something else in it.
        UntrustedInputError: a layer's bytes are not those of its digest.
        BuildError: the folder cannot be written.
    """
    with _explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if _is_new(folder):
            work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
            try:
                _fill(work, image, references)
                work.chmod(0o777 & ~_umask())
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        else:
            with _locked(folder):
                _fill(folder, image, references)


def read_layout(folder: Path, reference: str | None = None, *, platform: Platform | None = None) -> Image:
    """An image of a layout folder; its layers are opened when asked for.

    `reference` is a tag, a full name or a digest; without it the layout must hold one image only, for `platform`
    (this machine's by default) where it has several.

    Raises:
        UsageError: there is no such image, or it is unclear which is meant.
        UntrustedInputError: the layout is broken.
    """
    return read_layout_from(_Folder(folder), str(folder), reference, platform=platform)


def read_layout_from(
    source: BlobSource, what: str, reference: str | None = None, *, platform: Platform | None = None
) -> Image:
    """As `read_layout`, from anything that has a layout's files; `what` names it in errors."""
    platform = platform or Platform.of_this_machine()
    entry = _choose(_entries(source, what), reference, platform, what)

    def open_blob(descriptor: Descriptor) -> BinaryIO:
        return source.open(blob_name(descriptor.digest))

    for _ in range(_NESTED_INDEXES):
        with open_blob(entry) as stream:
            data = read_document(stream, entry)
        if not is_index(entry.media_type, parse_document(data, "the manifest")):
            return open_image(data, open_blob, media_type=entry.media_type)
        entry = choose_manifest(parse_index(data), platform, what)
    raise UntrustedInputError(f"{what} has indexes inside indexes, more than {_NESTED_INDEXES} deep")


def read_whole_layout(folder: Path, reference: str | None = None) -> Image | ImageIndex:
    """As `read_layout`, but where a name means several platforms it is the index with all of them.

    Raises:
        UsageError: there is no such image, or it is unclear which is meant.
        UntrustedInputError: the layout is broken, or lacks the image of a platform.
    """
    source, what = _Folder(folder), str(folder)
    entry = _choose(_entries(source, what), reference, Platform.of_this_machine(), what)

    def open_blob(descriptor: Descriptor) -> BinaryIO:
        return source.open(blob_name(descriptor.digest))

    def document(descriptor: Descriptor) -> bytes:
        with open_blob(descriptor) as stream:
            return read_document(stream, descriptor)

    data = document(entry)
    index = open_index(
        data, lambda one: open_image(document(one), open_blob, media_type=one.media_type), media_type=entry.media_type
    )
    return index or open_image(data, open_blob, media_type=entry.media_type)


def _entries(source: BlobSource, what: str) -> tuple[Descriptor, ...]:
    marker = parse_document(_small(source, LAYOUT_FILE), f"{LAYOUT_FILE} of {what}")
    if marker.get("imageLayoutVersion") != "1.0.0":
        raise UntrustedInputError(f"{what} is a layout of a version that shipml does not know")
    return parse_index(_small(source, "index.json"), f"index.json of {what}")


def _choose(entries: Sequence[Descriptor], reference: str | None, platform: Platform, what: str) -> Descriptor:
    found = [entry for entry in entries if reference is None or _is_named(entry, reference)]
    names = sorted({entry.annotations.get(_REF_NAME, str(entry.digest)) for entry in entries})
    if not found:
        raise UsageError(
            f"{what} has no image {reference!r}" if reference else f"{what} has no image",
            hint=f"it has {', '.join(names)}" if names else "",
        )
    if len({entry.digest for entry in found}) == 1:
        return found[0]
    if len({entry.annotations.get(CONTAINERD_NAME, entry.annotations.get(_REF_NAME)) for entry in found}) > 1:
        raise UsageError(f"{what} has several images", hint=f"say which: {', '.join(names)}")
    return choose_manifest(found, platform, what)


def _is_named(entry: Descriptor, reference: str) -> bool:
    names = {entry.annotations.get(_REF_NAME), entry.annotations.get(CONTAINERD_NAME), str(entry.digest)}
    if reference in names:
        return True
    try:
        return Reference.parse(reference).canonical in names
    except UsageError:
        return False


def _small(source: BlobSource, name: str) -> bytes:
    with source.open(name) as stream:
        data = stream.read(DOCUMENT_LIMIT_BYTES + 1)
    if len(data) > DOCUMENT_LIMIT_BYTES:
        raise UntrustedInputError(f"{name} is larger than {DOCUMENT_LIMIT_BYTES} bytes")
    return data


class _Folder:
    """The files of a layout folder; links and devices in it are refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> BinaryIO:
        path = self._folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UntrustedInputError(
                f"{path} cannot be read: {error.strerror}", hint=f"is {self._folder} a whole OCI layout?"
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UntrustedInputError(f"{path} is not a plain file")
        return os.fdopen(descriptor, "rb")


def _is_new(folder: Path) -> bool:
    if not folder.exists():
        return True
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file", hint="name a folder that is new, empty or an OCI layout")
    if (folder / LAYOUT_FILE).is_file():
        return False
    if any(folder.iterdir()):
        raise UsageError(
            f"{folder} has other things in it and is not an OCI layout", hint="name a folder that is new, or empty it"
        )
    return True


def _fill(folder: Path, image: Image | ImageIndex, references: Sequence[Reference]) -> None:
    """Blobs first, the index last: a reader never sees an entry whose blobs are missing."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    if isinstance(image, ImageIndex):
        for one in image.images:
            _write_blobs(blobs, one)
        _write_documents(blobs, image.manifest)
    else:
        _write_blobs(blobs, image)
    entries = image_entries(image, references)
    entries = [entry for entry in _old_entries(folder) if not _is_replaced(entry, entries)] + entries
    with _appearing(folder / "index.json") as target:
        target.write(canonical_json({"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": entries}))
    with _appearing(folder / LAYOUT_FILE) as target:
        target.write(LAYOUT_MARKER)


def _write_blobs(blobs: Path, image: Image) -> None:
    for layer in image.layers:
        path = blobs / layer.digest.hex
        if path.is_file() and path.stat().st_size == layer.size_bytes:
            continue
        with layer.open() as source, _appearing(path) as target:
            copy_blob(source, target.write, layer.digest, layer.size_bytes, what="layer")
    _write_documents(blobs, image.config, image.manifest)


def _write_documents(blobs: Path, *documents: bytes) -> None:
    for document in documents:
        with _appearing(blobs / Digest.of(document).hex) as target:
            target.write(document)


def _old_entries(folder: Path) -> list[dict[str, Any]]:
    path = folder / "index.json"
    if not path.exists():
        return []
    data = _small(_Folder(folder), "index.json")
    parse_index(data, str(path))
    entries: list[dict[str, Any]] = parse_document(data, str(path))["manifests"]
    return entries


def _is_replaced(old: dict[str, Any], entries: Sequence[dict[str, Any]]) -> bool:
    """Whether a new entry has the old one's name, or is the same image without any."""
    annotations = old.get("annotations") or {}
    name = annotations.get(CONTAINERD_NAME)
    if name is not None:
        return any(entry.get("annotations", {}).get(CONTAINERD_NAME) == name for entry in entries)
    return _REF_NAME not in annotations and any(entry["digest"] == old.get("digest") for entry in entries)


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that appears at `path` by rename when the block ends well."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        Path(name).chmod(0o666 & ~_umask())
        Path(name).rename(path)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait for other writers of the same layout."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"cannot write {folder}: {error.strerror}", hint="free some space or name another place"
        ) from error


def _umask() -> int:
    """The process's umask: mkstemp ignores it, what we leave behind should not."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
