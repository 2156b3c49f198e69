"""An image → a repository: what it lacks is mounted or uploaded, then the manifest appears under its tags.

Order (distribution-spec 1.1, "Pushing Manifests"): blobs first, the manifest last, so that whoever can read it can
read all of it.
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from shipml.errors import NotAllowedError, TryAgainError, UsageError
from shipml.events import (
    Emit,
    Step,
    ignore,
    step,
)
from shipml.images import FoundImage
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.reference import Reference
from shipml.publish.kinds import explained
from shipml.publish.pushed import Pushed
from shipml.registry.client import RegistryClient
from shipml.registry.keychain import Keychain
from shipml.registry.remote import Registries
from shipml.store import Store
from shipml.text import size_text
from shipml.workers import WorkerGroup

__all__ = ["ClientPusher", "Transferred", "copy_image"]

_AT_ONCE = 4
"""What other clients do that registries put up with (go-containerregistry)."""
_FOREIGN = ("nondistributable", ".foreign.")
"""In media types of layers that stay where their URLs point (image-spec, layer.md)."""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a copy did. The three amounts add up to all bytes of layers, config and manifest."""

    digest: Digest
    """Of the manifest, as the registry confirmed it."""
    uploaded_bytes: int
    mounted_bytes: int
    """Of blobs that another repository of the registry gave."""
    skipped_bytes: int
    """Of what was there already."""


def copy_image(
    image: Image,
    references: Sequence[Reference],
    client: RegistryClient,
    *,
    mount_from: Sequence[str] = (),
    homes_of: Callable[[Digest], Sequence[str]] = lambda _: (),
    emit: Emit = ignore,
    at_once: int = _AT_ONCE,
) -> Transferred:
    """Make a repository have an image, under all references; layers that it has are not opened.

    Args:
        image: what to copy.
        references: of one repository; with tags, or pinned only.
        client: of their registry.
        mount_from: repositories of that registry which may have any of the blobs.
        homes_of: the repositories that are known to have a blob, or were once.
        emit: hears of the step "push".
        at_once: how many blobs are under way together, at most; half as many after each 429.

    Raises:
        NotAllowedError: the registry refuses.
        TryAgainError: network or registry failed, or confirmed another digest than the image's.
        ShipmlError: as its class says. Under the references is then what was there before.
    """
    with step(emit, "push", str(references[0])) as running:
        client.expect_push(references[0].repository)
        copy = _Copy(image, references[0].repository, client, running)
        copy.run(at_once, lambda digest: [*homes_of(digest), *mount_from])
        copy.name(references)
        running.detail = f"{references[0]}: {copy.tally}"
        return Transferred(image.digest, copy.tally.uploaded, copy.tally.mounted, copy.tally.skipped)


@dataclass(frozen=True, slots=True)
class _Blob:
    """A layer or the config."""

    digest: Digest
    size_bytes: int
    opener: Callable[[], BinaryIO]

    def open(self) -> BinaryIO:
        return self.opener()


@dataclass(slots=True)
class _Tally:
    """Bytes by what happened to them."""

    uploaded: int = 0
    mounted: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        parts = {"uploaded": self.uploaded, "mounted": self.mounted, "there already": self.skipped}
        return ", ".join(f"{size_text(size)} {what}" for what, size in parts.items() if size)


class _Copy:
    """One image on its way into one repository."""

    def __init__(self, image: Image, repository: str, client: RegistryClient, running: Step) -> None:
        self._image = image
        self._repository = repository
        self._client = client
        self._running = running
        self._lock = threading.Lock()
        self._missing: list[_Blob] = []
        self._done_bytes = self._total_bytes = 0
        self.tally = _Tally()

    def run(self, at_once: int, homes: Callable[[Digest], Sequence[str]]) -> None:
        """Bring all blobs, the largest first: at the end no worker waits long for the others."""
        throttled_before = self._client.throttled
        workers: WorkerGroup[_Blob] = WorkerGroup(
            lambda: max(1, at_once >> (self._client.throttled - throttled_before))
        )
        workers.work(_blobs_of(self._image), self._look)
        self._missing.sort(key=lambda blob: (-blob.size_bytes, blob.digest))
        self._total_bytes = sum(blob.size_bytes for blob in self._missing)
        workers.work(self._missing, lambda blob: self._bring(blob, homes(blob.digest), workers.check))

    def name(self, references: Sequence[Reference]) -> None:
        """Put the manifest under each tag that does not have it yet, or under its digest where there are no tags."""
        digest = self._image.digest
        for name in dict.fromkeys(reference.tag or str(digest) for reference in references):
            if self._client.head_manifest(self._repository, name) == digest:
                self.tally.skipped += len(self._image.manifest)
                continue
            confirmed = self._client.put_manifest(self._repository, name, self._image.manifest, self._image.media_type)
            if confirmed != digest:
                raise TryAgainError(
                    f"{self._client.registry} confirmed {confirmed} for {self._repository}:{name}, not {digest}",
                    hint="push again; if it happens again, something between here and the registry changes requests",
                )
            self.tally.uploaded += len(self._image.manifest)

    def _look(self, blob: _Blob) -> None:
        there = self._client.has_blob(self._repository, blob.digest)
        with self._lock:
            if there:
                self.tally.skipped += blob.size_bytes
            else:
                self._missing.append(blob)

    def _bring(self, blob: _Blob, homes: Sequence[str], check: Callable[[], None]) -> None:
        home = self._home_of(blob, homes)
        upload = self._client.mount_blob(self._repository, blob.digest, home) if home else None
        if home and upload is None:
            with self._lock:
                self.tally.mounted += blob.size_bytes
            self._progress(blob.size_bytes)
            return
        sent_bytes = 0

        def progress(size_bytes: int) -> None:
            nonlocal sent_bytes
            check()
            sent_bytes += size_bytes
            self._progress(size_bytes)

        self._client.upload_blob(self._repository, blob, upload=upload, progress=progress)
        with self._lock:
            self.tally.uploaded += blob.size_bytes
        self._progress(blob.size_bytes - sent_bytes)

    def _home_of(self, blob: _Blob, homes: Sequence[str]) -> str:
        """The repository to mount from; of several, one that has the blob: each mount that fails costs a session."""
        candidates = [home for home in dict.fromkeys(homes) if home != self._repository]
        if len(candidates) <= 1:
            return candidates[0] if candidates else ""
        for home in candidates:
            with contextlib.suppress(NotAllowedError):
                if self._client.has_blob(home, blob.digest):
                    return home
        return ""

    def _progress(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            self._running.progress(self._done_bytes, self._total_bytes)


def _blobs_of(image: Image) -> list[_Blob]:
    """Layers and config, each digest once."""
    layers = [layer for layer in image.layers if not any(word in layer.media_type for word in _FOREIGN)]
    blobs = {layer.digest: _Blob(layer.digest, layer.size_bytes, layer.open) for layer in layers}
    config = image.config
    digest = Digest.of(config)
    blobs[digest] = _Blob(digest, len(config), lambda: io.BytesIO(config))
    return sorted(blobs.values(), key=lambda blob: (-blob.size_bytes, blob.digest))


class ClientPusher:
    """Implements `publish.pushed.Pusher`."""

    name = "client"

    def __init__(self, registries: Registries, keychain: Keychain, store: Store) -> None:
        """Push with the clients of a session, and the keychain that they ask."""
        self._registries = registries
        self._keychain = keychain
        self._store = store

    def push(self, subject: FoundImage, references: Sequence[Reference], emit: Emit) -> Pushed:
        """See `publish.pushed.Pusher.push`."""
        started_at = time.monotonic()
        if subject.image is None:
            raise UsageError(
                f"{subject.name or subject.digest.short} is only in the Docker Engine that built it",
                hint="let the engine push it: --via engine",
            )
        first = references[0]
        with explained(first, self._keychain):
            client = self._registries.client(first)
            done = copy_image(
                subject.image, references, client, homes_of=lambda digest: self._homes_of(digest, first), emit=emit
            )
            self._note_homes(subject.image, first)
            return Pushed(
                digest=done.digest,
                references=tuple(references),
                pushed_by=self.name,
                identity="same manifest",
                credentials=client.credentials(first.repository).source or "none",
                elapsed_seconds=time.monotonic() - started_at,
                uploaded_bytes=done.uploaded_bytes,
                mounted_bytes=done.mounted_bytes,
                skipped_bytes=done.skipped_bytes,
            )

    def _homes_of(self, digest: Digest, target: Reference) -> list[str]:
        """Repositories of the target's registry that are said to have a blob: of earlier pushes, and of bases."""
        prefix = f"{target.registry}/"
        homes = self._store.remote_homes(digest)
        return [home.removeprefix(prefix) for home in homes if home.startswith(prefix)]

    def _note_homes(self, image: Image, target: Reference) -> None:
        repository = f"{target.registry}/{target.repository}"
        for digest in {Digest.of(image.config), *(layer.digest for layer in image.layers)}:
            self._store.note_remote(digest, repository)
