"""Loads an image into an engine, sending only what it lacks.

A graph driver's store knows a layer by its chain (it and all below it): an archive that names all layers and holds the
upper ones loads where the engine has the lower ones, under whatever image. containerd's store keeps blobs, by digest:
an OCI layout without those that it has loads. Where the guess was wrong the engine refuses, and gets the whole image.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile

from shipml.docker_engine.engine import Engine, EngineImage
from shipml.errors import (
    BuildError,
    NotAllowedError,
    ShipmlError,
    TryAgainError,
)
from shipml.events import Emit, Step, ignore, step
from shipml.oci.archive import stream_docker_archive
from shipml.oci.digest import Digest
from shipml.oci.image import Image, Layer
from shipml.oci.reference import Reference
from shipml.store import Store
from shipml.text import size_text

__all__ = ["load_image", "manifests_in"]

_CHUNK_BYTES = 1 << 20
_NOT_WORTH_ASKING_BYTES = 256 << 10
_IMAGES_ASKED = 64


def manifests_in(store: Store) -> Callable[[Digest], bytes | None]:
    """The manifests of images made earlier, as a load wants them."""

    def manifest_of(digest: Digest) -> bytes | None:
        if not store.has_blob(digest):
            return None
        with store.open_blob(digest) as stream:
            return stream.read()

    return manifest_of


def load_image(
    engine: Engine,
    image: Image,
    references: Sequence[Reference],
    emit: Emit = ignore,
    *,
    manifest_of: Callable[[Digest], bytes | None] = lambda _: None,
) -> int:
    """Put an image into the engine under its references, sending only what it lacks; returns the bytes sent.

    `manifest_of` gives the manifests of images made earlier (from the store): containerd's store tells only by
    them which blobs it has.

    Raises:
        TryAgainError: the engine went away.
        BuildError: it refuses the image, or its disk is full.
    """
    return _Loading(engine, image, references, emit, manifest_of).run()


class _Loading:
    """One load: of one image into one engine."""

    def __init__(
        self,
        engine: Engine,
        image: Image,
        references: Sequence[Reference],
        emit: Emit,
        manifest_of: Callable[[Digest], bytes | None],
    ) -> None:
        self._engine = engine
        self._image = image
        self._references = references
        self._emit = emit
        self._manifest_of = manifest_of
        self._id = engine.id_of(image)
        self._name = str(references[0]) if references else f"the image {image.digest.short}"
        self._doing = f"load {self._name}"

    def run(self) -> int:
        """Load; returns the bytes sent."""
        with step(self._emit, "load", ", ".join(map(str, self._references))) as running:
            sent_bytes = 0
            if not self._is_there():
                sent_bytes = self._send_lacking(running)
            self._tag()
            running.detail = f"{size_text(sent_bytes)} sent" if sent_bytes else "already there"
        return sent_bytes

    def _is_there(self) -> bool:
        """Whether the engine has this very image, under any name."""
        found = self._engine.find_image(str(self._id))
        return found is not None and found.id == self._id and self._is_complete()

    def _send_lacking(self, running: Step) -> int:
        present = self._present()
        if present:
            try:
                sent_bytes = self._send(present, running)
                if self._is_there():
                    return sent_bytes
            except (TryAgainError, NotAllowedError):
                raise
            except ShipmlError:
                pass  # it has less than it said: someone removed an image at this moment
        sent_bytes = self._send(frozenset(), running)
        if not self._is_there():
            raise BuildError(
                f"the Docker Engine took {self._name} and does not have it now",
                hint="load again; the engine's log may say more: journalctl -u docker",
            )
        return sent_bytes

    def _tag(self) -> None:
        """Give it the names that it lacks."""
        for reference in self._references:
            found = self._engine.find_image(_tagged(reference))
            if found is None or found.id != self._id:
                self._engine.tag(str(self._id), reference)

    def _is_complete(self) -> bool:
        """Whether all blobs are there: containerd's store also loads what lacks some, but cannot push it then."""
        if self._engine.store_kind == "graph":
            return True
        return self._engine.is_complete(self._image.digest)

    # What the engine has.

    def _present(self) -> frozenset[Digest]:
        """Blobs of the image that need not be sent."""
        if self._engine.is_podman:  # it reads archives only whole
            return frozenset()
        if self._engine.store_kind == "containerd":
            return self._blobs_in_containerd()
        return self._layers_in_chain()

    def _blobs_in_containerd(self) -> frozenset[Digest]:
        wanted = {layer.digest for layer in self._image.layers}
        found: set[Digest] = set()
        for identifier in self._engine.image_ids():
            manifest = self._manifest_of(identifier)
            if manifest is not None and self._engine.is_complete(identifier):
                digests = {Digest.parse(entry["digest"]) for entry in json.loads(manifest).get("layers", ())}
                found |= digests & wanted
                if found == wanted:
                    break
        return frozenset(found)

    def _layers_in_chain(self) -> frozenset[Digest]:
        layers = self._image.layers
        best = 0
        for image in self._candidates():
            pairs = zip(layers, image.diff_ids, strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0].diff_id == pair[1], pairs))
            best = max(best, shared)
            if _size_bytes(layers[best:]) <= _NOT_WORTH_ASKING_BYTES:
                break
        return frozenset(layer.digest for layer in layers[:best]) - {layer.digest for layer in layers[best:]}

    def _candidates(self) -> Iterator[EngineImage]:
        """What has the names now is most likely the image before one change; then the newest others."""
        names = [_tagged(reference) for reference in self._references]
        for name in (*names, *map(str, self._engine.image_ids()[:_IMAGES_ASKED])):
            if image := self._engine.find_image(name):
                yield image

    # How it gets the rest.

    def _send(self, present: frozenset[Digest], running: Step) -> int:
        total_bytes = _size_bytes([layer for layer in self._image.layers if layer.digest not in present])
        archive = _ArchiveStream(self._image, self._references, present, partial(self._progress, running, total_bytes))
        try:
            with self._engine.sdk.doing(self._doing):
                stream = self._engine.sdk.post(
                    "/images/load",
                    body=archive,
                    parameters={"quiet": "1"},
                    headers={"Content-Type": "application/x-tar"},
                )
            for _ in self._engine.sdk.messages(stream, self._doing):
                pass
        except ShipmlError:
            archive.close()
            if archive.failure:  # the archive broke off on our side: the engine's complaint only follows from it
                raise archive.failure from None
            raise
        finally:
            archive.close()
        return archive.sent_bytes

    @staticmethod
    def _progress(running: Step, total_bytes: int, sent_bytes: int) -> None:
        running.progress(min(sent_bytes, total_bytes), total_bytes or None)


def _tagged(reference: Reference) -> str:
    return f"{reference.name}:{reference.tag or 'latest'}"


def _size_bytes(layers: Sequence[Layer]) -> int:
    return sum(layer.size_bytes for layer in layers)


class _ArchiveStream:
    """An archive in pieces, as a thread writes it: nothing is held but a pipe's buffer."""

    def __init__(
        self,
        image: Image,
        references: Sequence[Reference],
        without: frozenset[Digest],
        progress: Callable[[int], None],
    ) -> None:
        self.sent_bytes = 0
        self.failure: ShipmlError | None = None
        self._progress = progress
        reader, self._writer = os.pipe()
        self._reader = os.fdopen(reader, "rb", buffering=0)
        self._thread = threading.Thread(
            target=self._write, args=(image, references, without), name="archive", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._reader.read(_CHUNK_BYTES):
            self.sent_bytes += len(chunk)
            self._progress(self.sent_bytes)
            yield chunk
        self._thread.join()
        if self.failure:
            raise self.failure

    def close(self) -> None:
        """Stop the thread, if it still writes."""
        self._reader.close()
        self._thread.join()

    def _write(self, image: Image, references: Sequence[Reference], without: frozenset[Digest]) -> None:
        try:
            with os.fdopen(self._writer, "wb", buffering=_CHUNK_BYTES) as out:
                stream_docker_archive(image, out, references, without=without)
        except BrokenPipeError:
            pass  # the reader has gone, and says itself why
        except OSError as error:
            self.failure = BuildError(f"cannot read the image: {error}", hint="build it again")
        except ShipmlError as error:
            self.failure = error
