"""Where an image can be read from beside the store: `oci:DIR` or `docker-archive:FILE`, what `--output` writes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shipml.errors import UsageError
from shipml.events import Emit, step
from shipml.oci.archive import read_archive, write_docker_archive
from shipml.oci.digest import Digest
from shipml.oci.documents import DOCUMENT_LIMIT_BYTES
from shipml.oci.image import Image
from shipml.oci.index import ImageIndex
from shipml.oci.layout import CONTAINERD_NAME, read_whole_layout, write_layout
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.reading import read_regular

__all__ = ["Output", "Source", "write_outputs"]

_INDEX, _DOCKER_MANIFEST = "index.json", "manifest.json"


@dataclass(frozen=True, slots=True)
class Source:
    """One image beside the store; prints as it is typed."""

    kind: Literal["oci", "docker-archive"]
    path: Path
    reference: str | None = None
    """A tag or name in it; None where it has one image only."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}" + (f":{self.reference}" if self.reference else "")

    @classmethod
    def parse(cls, text: str) -> Source | None:
        """Read `oci:DIR[:NAME]`, `docker-archive:FILE[:NAME]` or `oci-archive:FILE[:NAME]`; None for anything else.

        Raises:
            UsageError: there is nothing at the path.
        """
        kind, colon, rest = text.partition(":")
        if not colon or kind not in ("oci", "docker-archive", "oci-archive"):
            return None
        place, reference = rest, ""
        while place and not Path(place).exists():  # a path may have colons, too
            place, colon, name = place.rpartition(":")
            reference = f"{name}:{reference}" if reference else name
        if not place:
            raise UsageError(
                f"there is nothing at {rest or text}", hint="give a path, such as oci:DIR or docker-archive:FILE"
            )
        return cls("oci" if kind == "oci" else "docker-archive", Path(place), reference or None)

    def read(self) -> Image | ImageIndex:
        """The image, or the index of a layout that has several platforms; layers are read when asked for.

        Raises:
            UsageError: there is no such image, or it is unclear which is meant.
            UntrustedInputError: what is there is broken.
        """
        if self.kind == "oci":
            return read_whole_layout(self.path, self.reference)
        return read_archive(self.path, self.reference)

    def name_of(self, digest: Digest) -> str:
        """The first name that what was read, by its digest, has there; "" for none that can be read."""
        try:
            index, manifest = (self._document(name) for name in (_INDEX, _DOCKER_MANIFEST))
        except (OSError, tarfile.TarError, KeyError, ValueError, RecursionError):
            return ""
        for name in (*_names_in_index(index, str(digest)), *_names_in_manifest(manifest)):
            try:
                return str(Reference.parse(name))
            except UsageError:
                continue
        return ""

    def _document(self, name: str) -> Any:  # noqa: ANN401  (JSON has no narrower type)
        if self.kind == "oci":
            path = self.path / name
            return json.loads(read_regular(path, DOCUMENT_LIMIT_BYTES) or b"null")
        with tarfile.open(self.path, "r:") as archive:
            try:
                stream = archive.extractfile(name)
            except KeyError:
                return None
            return json.loads(stream.read(DOCUMENT_LIMIT_BYTES)) if stream else None


def _names_in_index(index: Any, digest: str) -> Iterator[str]:  # noqa: ANN401  (as above)
    for entry in index.get("manifests") or () if isinstance(index, dict) else ():
        if isinstance(entry, dict) and entry.get("digest") == digest and isinstance(entry.get("annotations"), dict):
            yield str(entry["annotations"].get(CONTAINERD_NAME, ""))


def _names_in_manifest(manifest: Any) -> Iterator[str]:  # noqa: ANN401  (as above)
    """Of an archive with one image: which of several was read is not said there."""
    if isinstance(manifest, list) and len(manifest) == 1 and isinstance(manifest[0], dict):
        tags = manifest[0].get("RepoTags")
        yield from map(str, tags if isinstance(tags, list) else ())


@dataclass(frozen=True, slots=True)
class Output:
    """One target of `--output`; prints as it is typed."""

    kind: Literal["oci", "docker-archive"]
    path: Path

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"

    @classmethod
    def parse(cls, text: str) -> Output:
        """Read `oci:DIR` or `docker-archive:FILE`.

        Raises:
            UsageError: another form.
        """
        kind, colon, path = text.partition(":")
        if not colon or not path or kind not in ("oci", "docker-archive"):
            raise UsageError(f"cannot write an image to {text!r}", hint="use oci:DIR or docker-archive:FILE")
        return cls("oci" if kind == "oci" else "docker-archive", Path(path))

    def write(self, image: Image | ImageIndex, references: Sequence[Reference]) -> None:
        """Write `image` under these names; of an index, an archive gets the image for this machine alone.

        Raises:
            UsageError: the target exists and is something else.
            StoreError: the disk is full.
        """
        if self.kind == "oci":
            write_layout(image, self.path, references)
            return
        if isinstance(image, ImageIndex):
            image = image.image_for(Platform.of_this_machine())
        write_docker_archive(image, self.path, references)


def write_outputs(image: Image | ImageIndex, targets: Sequence[Output], names: Sequence[Reference], emit: Emit) -> None:
    """Write an image to each of the targets, under its names."""
    for target in targets:
        with step(emit, "write", str(target)):
            target.write(image, names)
