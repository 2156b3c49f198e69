"""Images as one tar that every engine reads: an OCI layout (oci-layout, index.json) that is a docker-archive as well.

manifest.json points into blobs/sha256, so that `docker load` takes it with either of its image stores, and skopeo and
podman by either of their names for it. Headers are of GNU's format: BuildKit takes a leading PAX header for a file.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

from shipml.errors import BuildError, UntrustedInputError, UsageError
from shipml.oci.digest import Digest
from shipml.oci.documents import DOCUMENT_LIMIT_BYTES, copy_blob, parse_document
from shipml.oci.image import Image, LayerValue, assemble_image
from shipml.oci.layout import (
    LAYOUT_FILE,
    LAYOUT_MARKER,
    blob_name,
    image_entries,
    read_layout_from,
)
from shipml.oci.manifest import (
    INDEX_MEDIA_TYPE,
    LAYER_GZIP_MEDIA_TYPE,
    Platform,
    canonical_json,
)
from shipml.oci.reference import Reference

__all__ = ["read_archive", "stream_docker_archive", "write_docker_archive"]

LAYER_TAR_MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"

_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_MAGICS = ((_GZIP_MAGIC, "gunzip"), (b"\x28\xb5\x2f\xfd", "zstd -d"), (b"\xfd7zXZ", "unxz"), (b"BZh", "bunzip2"))


def stream_docker_archive(
    image: Image, out: IO[bytes], references: Sequence[Reference] = (), *, without: Collection[Digest] = ()
) -> int:
    """Write an image as an archive to a binary stream; returns the number of bytes written.

    `without` names blobs (layers, config, manifest) that are left out because the reader has them. The bytes depend
    on image, references and `without` alone.

    Raises:
        UntrustedInputError: a layer's bytes are not those of its digest.
    """
    archive = _TarWriter(out)
    archive.file(LAYOUT_FILE, LAYOUT_MARKER)
    entries = image_entries(image, references)
    archive.file(
        "index.json", canonical_json({"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": entries})
    )
    archive.file("manifest.json", canonical_json([_docker_entry(image, references)]))
    archive.directory("blobs")
    archive.directory("blobs/sha256")
    done = set(without)
    for document in (image.manifest, image.config):
        digest = Digest.of(document)
        if digest not in done:
            archive.file(blob_name(digest), document)
            done.add(digest)
    for layer in image.layers:
        if layer.digest not in done:
            with layer.open() as source:
                archive.blob(layer.digest, source, layer.size_bytes)
            done.add(layer.digest)
    archive.end()
    return archive.written_bytes


def write_docker_archive(
    image: Image, path: Path, references: Sequence[Reference] = (), *, without: Collection[Digest] = ()
) -> None:
    """Write an image as an archive file, which appears by rename when it is whole; an older file is replaced.

    Raises:
        UsageError: `path` is a folder.
        UntrustedInputError: a layer's bytes are not those of its digest.
        BuildError: the file cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint=f"name a file, such as {path / 'image.tar'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        work = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as out:
                stream_docker_archive(image, out, references, without=without)
            mask = os.umask(0o022)
            os.umask(mask)
            work.chmod(0o666 & ~mask)
            work.rename(path)
        finally:
            work.unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(
            f"cannot write {path}: {error.strerror}", hint="free some space or name another place"
        ) from error


def _docker_entry(image: Image, references: Sequence[Reference]) -> dict[str, Any]:
    """The image's entry in manifest.json (docker image spec 1.2, "Combined Image JSON + Filesystem Changeset")."""
    return {
        "Config": blob_name(Digest.of(image.config)),
        "RepoTags": [f"{reference.name}:{reference.tag or 'latest'}" for reference in references],
        "Layers": [blob_name(layer.digest) for layer in image.layers],
    }


class _TarWriter:
    """A tar in GNU's format whose bytes depend on names and content alone."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.written_bytes = 0

    def directory(self, name: str) -> None:
        self._header(name, 0, kind=tarfile.DIRTYPE, mode=0o755)

    def file(self, name: str, data: bytes) -> None:
        self._header(name, len(data))
        self._write(data)
        self._pad(len(data))

    def blob(self, digest: Digest, source: BinaryIO, size_bytes: int) -> None:
        self._header(blob_name(digest), size_bytes)
        copy_blob(source, self._write, digest, size_bytes, what="layer")
        self._pad(size_bytes)

    def end(self) -> None:
        self._write(b"\0" * (2 * tarfile.BLOCKSIZE))
        self._write(b"\0" * (-self.written_bytes % tarfile.RECORDSIZE))

    def _header(self, name: str, size_bytes: int, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.type, entry.mode = size_bytes, kind, mode
        self._write(entry.tobuf(tarfile.GNU_FORMAT))

    def _pad(self, size_bytes: int) -> None:
        self._write(b"\0" * (-size_bytes % tarfile.BLOCKSIZE))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self.written_bytes += len(data)


def read_archive(path: Path, reference: str | None = None, *, platform: Platform | None = None) -> Image:
    """An image of a docker-archive (`docker save`, ours) or oci-archive; layers are read from the file when asked for.

    Raises:
        UsageError: the archive has no such image, or is compressed.
        UntrustedInputError: the archive is broken.
        BuildError: it cannot be read.
    """
    members = _Members(path)
    if LAYOUT_FILE in members:
        return read_layout_from(members, str(path), reference, platform=platform)
    if "manifest.json" in members:
        return _read_docker_archive(members, path, reference)
    raise UntrustedInputError(f"{path} is not an image archive: it has neither {LAYOUT_FILE} nor manifest.json")


class _Members:
    """The plain files of an uncompressed tar, by name; links between them are followed inside the archive only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            with path.open("rb") as file:
                _refuse_compressed(file.read(6), path)
                file.seek(0)
                with tarfile.open(fileobj=file, mode="r:") as archive:
                    for member in archive:
                        self._add(member)
        except tarfile.TarError as error:
            raise UntrustedInputError(f"{path} is not a tar: {error}") from error
        except OSError as error:
            raise BuildError(f"cannot read {path}: {error.strerror}") from error

    def _add(self, member: tarfile.TarInfo) -> None:
        name = member.name.removeprefix("./")
        if member.isreg():
            if name in self._places:
                raise UntrustedInputError(f"{self._path} has {name[:200]} twice")
            self._places[name] = (member.offset_data, member.size)
        elif member.issym():
            self._links[name] = os.path.normpath(f"{Path(name).parent}/{member.linkname}")
        elif member.islnk():
            self._links[name] = member.linkname.removeprefix("./")

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def open(self, name: str) -> BinaryIO:
        offset, size_bytes = self.place(name)
        return io.BufferedReader(_Slice(self._path, offset, size_bytes), 1 << 16)

    def place(self, name: str) -> tuple[int, int]:
        """Offset and size in bytes of a file; a link leads once to where it points."""
        found = self._places.get(name) or self._places.get(self._links.get(name, ""))
        if found is None:
            raise UntrustedInputError(f"{self._path} lacks {name[:200]}")
        return found


class _Slice(io.RawIOBase):
    """A part of a file, read-only."""

    def __init__(self, path: Path, offset: int, size_bytes: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(offset)
        self._left = size_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  (typeshed's buffer type is 3.12's)
        view = memoryview(buffer)[: self._left]
        count = self._file.readinto(view)
        self._left -= count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _refuse_compressed(start: bytes, path: Path) -> None:
    for magic, program in _OTHER_MAGICS:
        if start.startswith(magic):
            raise UsageError(f"{path} is compressed", hint=f"unpack it first: {program} {path}")


def _read_docker_archive(members: _Members, path: Path, reference: str | None) -> Image:
    """What `docker save` of engines before 25 wrote: a config, and each layer's tar, usually uncompressed."""
    entry = _choose_docker_entry(members, path, reference)
    config = _small(members, str(entry.get("Config")))
    rootfs = parse_document(config, f"the config in {path}").get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    names = entry.get("Layers")
    if not isinstance(diff_ids, list) or not isinstance(names, list) or len(names) != len(diff_ids):
        raise UntrustedInputError(f"{path}: the config and manifest.json disagree on the number of layers")
    layers = [
        _docker_layer(members, str(name), Digest.parse(str(diff_id)))
        for name, diff_id in zip(names, diff_ids, strict=True)
    ]
    return assemble_image(config, layers)


def _choose_docker_entry(members: _Members, path: Path, reference: str | None) -> dict[str, Any]:
    wrapped = parse_document(b'{"entries":' + _small(members, "manifest.json") + b"}", f"manifest.json of {path}")
    entries = wrapped["entries"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UntrustedInputError(f"manifest.json of {path} is not a list of images")
    wanted = str(Reference.parse(reference)) if reference else None
    found = [entry for entry in entries if wanted is None or wanted in (entry.get("RepoTags") or ())]
    if len(found) == 1:
        only: dict[str, Any] = found[0]
        return only
    tags = ", ".join(str(tag) for entry in entries for tag in entry.get("RepoTags") or ())
    raise UsageError(
        f"{path} has no image {reference!r}" if reference else f"{path} has {len(entries)} images",
        hint=f"say which: {tags}" if tags else "",
    )


def _docker_layer(members: _Members, name: str, diff_id: Digest) -> LayerValue:
    _, size_bytes = members.place(name)
    with members.open(name) as stream:
        compressed = stream.read(2) == _GZIP_MAGIC
    digest = diff_id
    if compressed:
        with members.open(name) as stream:
            digest = Digest.of_stream(stream)
    media_type = LAYER_GZIP_MEDIA_TYPE if compressed else LAYER_TAR_MEDIA_TYPE
    return LayerValue(digest, diff_id, size_bytes, lambda: members.open(name), media_type)


def _small(members: _Members, name: str) -> bytes:
    _, size_bytes = members.place(name)
    if size_bytes > DOCUMENT_LIMIT_BYTES:
        raise UntrustedInputError(f"{name[:200]} is larger than {DOCUMENT_LIMIT_BYTES} bytes")
    with members.open(name) as stream:
        return stream.read()
