"""Registry → registry: what ran in one environment runs in the next, the same digest, nothing rebuilt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from shipml.azure import is_acr_host
from shipml.errors import TryAgainError, UsageError
from shipml.events import Notice, step
from shipml.images import FoundImage
from shipml.oci.digest import Digest
from shipml.oci.documents import (
    choose_manifest,
    is_index,
    open_image,
    parse_document,
    parse_index,
)
from shipml.oci.image import Image, read_config
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.project import Settings, read_outline
from shipml.publish.consent import keychain_for, variables_host
from shipml.publish.kinds import explained
from shipml.publish.locations import acr_hosts, environment
from shipml.publish.moving_tags import refuse_to_move
from shipml.publish.promotion import (
    Copier,
    Promoted,
    Promotions,
    find_source,
    find_target,
    is_immutable,
    is_typed,
)
from shipml.publish.smoke_gate import require_smoke
from shipml.registry.client import RemoteManifest
from shipml.registry.errors import NotFoundError
from shipml.registry.keychain import ChainKeychain, Keychain
from shipml.registry.remote import Registries
from shipml.runtimes.base import SmokeResult
from shipml.secrets.evidence import require_no_secrets
from shipml.session import Session

__all__ = ["Promoter"]


class Promoter:
    """Promotes images between registries and repositories; raises ShipmlError, as its class says."""

    def __init__(self, session: Session, run: Callable[[Image], SmokeResult]) -> None:
        """`run` runs an image as its labels demand, and keeps the result."""
        self._session = session
        self._store = session.store
        self._emit = session.emit
        self._run = run
        self._azure = session.azure
        self._keychain: Keychain = ChainKeychain()
        self._registries = Registries(self._keychain, self._emit)
        self._promotions = Promotions(self._store)

    def promote(
        self,
        text: str,
        *,
        origin: str,
        target: str,
        tags: Sequence[str] = (),
        smoke: bool = True,
        no_overwrite: bool = False,
        folder: Path = Path(),
    ) -> Promoted:
        """Copy an image from one environment to another by digest.

        Args:
            text: what to promote, as `find_source` takes it.
            origin: the environment that it comes from; "" where `text` says all.
            target: an environment, or `REGISTRY/NAME[:TAG]`.
            tags: as `--tag` names them.
            smoke: False promotes what was never run.
            no_overwrite: whether a tag of the target that has another image is an error.
            folder: whose settings name environments.
        """
        started_at = time.monotonic()
        settings = self._settings(folder)
        source = find_source(text, environment(origin, settings) if origin else None)
        references = find_target(target, settings, source, tags)
        self._log_in(references[0], is_typed=is_typed(target, settings))
        with explained(source, self._keychain):
            manifest = self._resolve(source)
        self._refuse_secrets(source, manifest)
        with explained(references[0], self._keychain):
            before = self._meanings(references)
        if no_overwrite or is_immutable(target, settings):
            refuse_to_move(before, manifest.digest)
        pinned = replace(source, tag=None, digest=manifest.digest)
        verdict = "not run, because it was asked to be promoted without"
        if smoke:
            verdict = self._require_smoke(pinned, manifest)
        else:
            self._emit(Notice(f"{pinned} is promoted without a smoke test", "warning"))
        with explained(references[0], self._keychain):
            copier = Copier(self._registries, self._emit, import_image=self._import_inside_azure)
            copied = copier.copy(source, references[0], manifest)
            self._check_unmoved(source, manifest.digest)
            self._name(references, manifest, before)
        former = before[references[0]]
        for reference in references:
            if before[reference] != manifest.digest:
                self._promotions.keep(reference, manifest.digest, before[reference], pinned)
        return Promoted(
            digest=manifest.digest,
            source=pinned,
            references=references,
            before=former,
            way=copied.way,
            smoke=verdict,
            elapsed_seconds=time.monotonic() - started_at,
            uploaded_bytes=copied.uploaded_bytes,
            mounted_bytes=copied.mounted_bytes,
            skipped_bytes=copied.skipped_bytes,
        )

    def roll_back(self, target: str, *, text: str = "", tags: Sequence[str] = (), folder: Path = Path()) -> Promoted:
        """Let an environment have what it had before its last promotion from this machine.

        Args:
            target: as for `promote`.
            text: a name or tag, where the environment's settings have none.
            tags: as `--tag` names them.
            folder: whose settings name environments.
        """
        started_at = time.monotonic()
        settings = self._settings(folder)
        place = Reference.parse(text) if text else Reference("", "", "latest")
        references = find_target(target, settings, place, tags)
        self._log_in(references[0], is_typed=is_typed(target, settings))
        client = self._registries.client(references[0])
        with explained(references[0], self._keychain):
            now = self._meanings(references)
            wanted = {reference: self._former(reference, now[reference]) for reference in references}
            for reference, former in wanted.items():
                try:
                    manifest = client.manifest(reference.repository, str(former))
                except NotFoundError as error:
                    raise UsageError(
                        f"{reference.name} has no longer what was there before, {former}",
                        hint=f"promote it again from where it is: shipml promote HOST/NAME@{former} --to {reference}",
                    ) from error
                self._name([reference], manifest, now)
                current = now[reference]
                if current is not None:
                    self._promotions.undo(reference, current)
        first = references[0]
        return Promoted(
            digest=wanted[first],
            source=replace(first, tag=None, digest=wanted[first]),
            references=references,
            before=now[first],
            way="rollback",
            smoke="not run, because it ran there before",
            elapsed_seconds=time.monotonic() - started_at,
        )

    def _settings(self, folder: Path) -> Settings:
        """A folder's settings, with Azure's registries among them known as such, whatever their hosts."""
        settings = read_outline(folder).settings
        self._azure.trust(*acr_hosts(settings, variables_host()))
        return settings

    def _log_in(self, target: Reference, *, is_typed: bool) -> None:
        """SHIPML_USERNAME and SHIPML_PASSWORD are for where images go, and for no other registry."""
        known = keychain_for(target.registry, is_typed=is_typed, ask=self._azure.choose, emit=self._emit)
        self._keychain = ChainKeychain(known, self._azure.keychain())
        with explained(target, self._keychain):
            self._keychain.credentials(target)  # a broken file is an error before the first byte is sent
        self._registries = Registries(self._keychain, self._emit)

    def _import_inside_azure(self, source: Reference, target: Reference) -> bool:
        """Let one of Azure's registries fetch an image from another; False where they are not both Azure's."""
        hosts = (source.registry, target.registry)
        if hosts[0] == hosts[1] or not all(is_acr_host(host) for host in hosts):
            return False
        registries = [self._azure.registry(host) for host in hosts]
        self._azure.manager().import_image(
            registries[1],
            registries[0],
            f"{source.repository}@{source.digest}",
            untagged=(target.repository,),
            emit=self._emit,
        )
        return True

    def _resolve(self, source: Reference) -> RemoteManifest:
        with step(self._emit, "resolve", str(source)) as running:
            client = self._registries.client_to_pull(source)
            wanted = str(source.digest) if source.digest else source.tag or "latest"
            found = client.manifest(source.repository, wanted)
            running.detail = f"{source} is {found.digest.short}"
            return found

    def _refuse_secrets(self, source: Reference, manifest: RemoteManifest) -> None:
        """Of images that were built here it is known what they hold; of others nothing is."""
        digests = [manifest.digest]
        if is_index(manifest.media_type, parse_document(manifest.data, f"the manifest of {source}")):
            digests += [entry.digest for entry in parse_index(manifest.data)]
        for digest in digests:
            require_no_secrets(self._store, digest, str(source), verb="promoted")

    def _meanings(self, references: Sequence[Reference]) -> dict[Reference, Digest | None]:
        client = self._registries.client(references[0])
        return {
            reference: client.head_manifest(reference.repository, reference.tag or "latest") for reference in references
        }

    def _require_smoke(self, pinned: Reference, manifest: RemoteManifest) -> str:
        """Evidence is what this machine knows of the digest; else the image is fetched and run here."""
        client = self._registries.client_to_pull(pinned)
        note = ""
        if is_index(manifest.media_type, parse_document(manifest.data, f"the manifest of {pinned}")):
            platform = Platform.of_this_machine()
            entry = choose_manifest(parse_index(manifest.data), platform, str(pinned))
            manifest = client.manifest(pinned.repository, str(entry.digest))
            note = f", for {platform} alone"
        image = open_image(
            manifest.data,
            lambda descriptor: client.open_blob(pinned.repository, descriptor),
            media_type=manifest.media_type,
        )
        labels = (read_config(image).get("config") or {}).get("Labels") or {}
        subject = FoundImage(manifest.digest, image, str(pinned), labels)
        return require_smoke(subject, self._store, lambda: self._run(image), verb="promoted") + note

    def _check_unmoved(self, source: Reference, digest: Digest) -> None:
        if source.digest or not source.tag:
            return
        now = self._registries.client_to_pull(source).head_manifest(source.repository, source.tag)
        if now != digest:
            raise TryAgainError(
                f"{source} moved while it was promoted: from {digest} to {now or 'nothing'}; no tag was changed",
                hint=f"promote again, or name what you mean: {source.name}@{digest}",
            )

    def _name(
        self, references: Sequence[Reference], manifest: RemoteManifest, before: dict[Reference, Digest | None]
    ) -> None:
        """Move the tags, unless another has moved one of them since `before`."""
        client = self._registries.client(references[0])
        now = self._meanings(references)
        for reference in references:
            if now[reference] != before[reference]:
                raise TryAgainError(
                    f"{reference} moved meanwhile: from {before[reference] or 'nothing'} to"
                    f" {now[reference] or 'nothing'}",
                    hint="find out who else promotes, then promote again",
                )
        for reference in references:
            if now[reference] != manifest.digest:
                tag = reference.tag or "latest"
                client.put_manifest(reference.repository, tag, manifest.data, manifest.media_type)

    def _former(self, reference: Reference, now: Digest | None) -> Digest:
        former = self._promotions.before(reference, now) if now else None
        if former is None and any(one.get("digest") == str(now) for one in self._promotions.of(reference)):
            raise UsageError(f"{reference} had nothing before it got {now}", hint="promote what it is to have instead")
        if former is None:
            raise UsageError(
                f"it is not known here what {reference} was before{f' it was {now}' if now else ''}",
                hint=f"name the digest, which the promotion printed as before: shipml promote {reference.name}@sha256:…"
                f" --to {reference}",
            )
        return former
