"""Pushes through the user's Docker Engine: its network, its certificates, its mirrors; the only way for what it built.

An engine with a graph driver's store compresses the layers again, so that the registry gets another manifest than the
store has; config and diff ids are the same. containerd's store sends the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from shipml.docker_engine import Engine, manifests_in
from shipml.docker_engine.loading import load_image
from shipml.errors import NotAllowedError, TryAgainError, UsageError
from shipml.events import Emit
from shipml.images import FoundImage
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference
from shipml.publish.kinds import kind_of_host
from shipml.publish.pushed import Pushed
from shipml.registry.credentials import Credentials, find_credentials, login_command
from shipml.store import Store
from shipml.text import listed

__all__ = ["EnginePusher"]


class EnginePusher:
    """Implements `registries.base.Pusher`."""

    name = "engine"

    def __init__(
        self, engine: Engine, store: Store, credentials: Callable[[Reference], Credentials] = find_credentials
    ) -> None:
        self._engine = engine
        self._store = store
        self._credentials = credentials

    def push(self, subject: FoundImage, references: Sequence[Reference], emit: Emit) -> Pushed:
        """See `registries.base.Pusher.push`; the engine has the image under these names afterwards."""
        started_at = time.monotonic()
        if subject.index is not None:
            raise UsageError(
                f"the Docker Engine pushes one platform, and {subject.name} is for"
                f" {listed([str(platform) for platform in subject.index.platforms])}",
                hint="let shipml push all of them: --via client",
            )
        found = self._credentials(references[0])
        image_id = self._name_in_engine(subject, references, emit)
        digests = {self._push(reference, found, emit) for reference in references}
        digest = digests.pop()
        identity = "" if digests else self._identity(image_id, references[0], digest)
        if not identity:
            raise TryAgainError(
                f"what the Docker Engine pushed as {references[0]} is not the image that was run",
                hint="push again; another program seems to have given the name to another image meanwhile",
            )
        return Pushed(
            digest=digest,
            references=tuple(references),
            pushed_by=self.name,
            identity=identity,
            credentials=found.source or "none",
            elapsed_seconds=time.monotonic() - started_at,
        )

    def _name_in_engine(self, subject: FoundImage, references: Sequence[Reference], emit: Emit) -> Digest:
        """Give the image its names, loading it first where the engine lacks it; returns the engine's id for it."""
        if subject.image is not None:
            load_image(self._engine, subject.image, references, emit, manifest_of=manifests_in(self._store))
            return self._engine.id_of(subject.image)
        for reference in references:
            self._engine.tag(str(subject.digest), reference)
        return subject.digest

    def _push(self, reference: Reference, found: Credentials, emit: Emit) -> Digest:
        try:
            return self._engine.push(reference, found.for_engine(), emit)
        except NotAllowedError as error:
            login = login_command(reference.registry)
            particular = kind_of_host(reference.registry).explain(error, reference, found)
            hint = particular or f"log in with an account that may push there: {login}"
            if found.source.startswith("SHIPML_"):
                hint = f"correct SHIPML_USERNAME and SHIPML_PASSWORD, or unset them and log in: {login}"
            raise NotAllowedError(
                f"{error.message}; credentials used for {reference.registry}: {found}", hint=hint, said=error.said
            ) from error

    def _identity(self, image_id: Digest, reference: Reference, digest: Digest) -> str:
        """How it is known that the digest is that of the image; "" where it is another's."""
        if digest == image_id:
            return "same manifest"
        recorded = self._engine.find_image(f"{reference.name}@{digest}")
        if recorded is None:
            return "not checked" if self._engine.is_podman else ""
        return "same config and layers" if recorded.id == image_id else ""
