"""Pushes what the store has with our own client: no engine, the very bytes that were built and run."""

from __future__ import annotations

import time
from collections.abc import Sequence

from shipml.errors import UsageError
from shipml.events import Emit
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.reference import Reference
from shipml.registries.base import Pushed, Subject
from shipml.registries.keychain import Keychain
from shipml.registries.kinds import explained
from shipml.registries.remote import Registries
from shipml.registries.transfer import copy_image
from shipml.store import Store

__all__ = ["ClientPusher"]


class ClientPusher:
    """Implements `registries.base.Pusher`."""

    name = "client"

    def __init__(self, registries: Registries, keychain: Keychain, store: Store) -> None:
        """Push with the clients of a session, and the keychain that they ask."""
        self._registries = registries
        self._keychain = keychain
        self._store = store

    def push(self, subject: Subject, references: Sequence[Reference], emit: Emit) -> Pushed:
        """See `registries.base.Pusher.push`."""
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
