"""Registry → registry: what ran in one environment runs in the next, the same digest, nothing rebuilt."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from shipml.publish.moving_tags import meanings, refuse_to_move
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
from shipml.store import Store

__all__ = ["promote", "roll_back"]


@dataclass(frozen=True, slots=True)
class _Access:
    """Who we are to the registries of one promotion."""

    session: Session
    keychain: Keychain
    registries: Registries

    @classmethod
    def to(cls, session: Session, target: Reference, *, is_typed: bool) -> _Access:
        """SHIPML_USERNAME and SHIPML_PASSWORD are for where images go, and for no other registry."""
        known = keychain_for(target.registry, is_typed=is_typed, ask=session.azure.choose, emit=session.emit)
        keychain = ChainKeychain(known, session.azure.keychain())
        with explained(target, keychain):
            keychain.credentials(target)  # a broken file is an error before the first byte is sent
        return cls(session, keychain, Registries(keychain, session.emit))


def promote(
    session: Session,
    run: Callable[[Image], SmokeResult],
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
        session: its store, who we are, and who hears of it.
        run: runs an image as its labels demand, and keeps the result.
        text: what to promote, as `find_source` takes it.
        origin: the environment that it comes from; "" where `text` says all.
        target: an environment, or `REGISTRY/NAME[:TAG]`.
        tags: as `--tag` names them.
        smoke: False promotes what was never run.
        no_overwrite: whether a tag of the target that has another image is an error.
        folder: whose settings name environments.
    """
    started_at = time.monotonic()
    settings = _settings(session, folder)
    source = find_source(text, environment(origin, settings) if origin else None)
    references = find_target(target, settings, source, tags)
    access = _Access.to(session, references[0], is_typed=is_typed(target, settings))
    with explained(source, access.keychain):
        manifest = _resolve(access, source)
    _refuse_secrets(session.store, source, manifest)
    with explained(references[0], access.keychain):
        before = meanings(references, access.registries)
    if no_overwrite or is_immutable(target, settings):
        refuse_to_move(before, manifest.digest)
    pinned = replace(source, tag=None, digest=manifest.digest)
    verdict = "not run, because it was asked to be promoted without"
    if smoke:
        verdict = _require_smoke(access, run, pinned, manifest)
    else:
        session.emit(Notice(f"{pinned} is promoted without a smoke test", "warning"))
    with explained(references[0], access.keychain):
        copier = Copier(access.registries, session.emit, import_image=functools.partial(_import_inside_azure, session))
        copied = copier.copy(source, references[0], manifest)
        _check_unmoved(access, source, manifest.digest)
        _name(access, references, manifest, before)
    former, promotions = before[references[0]], Promotions(session.store)
    for reference in references:
        if before[reference] != manifest.digest:
            promotions.keep(reference, manifest.digest, before[reference], pinned)
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


def roll_back(
    session: Session, target: str, *, text: str = "", tags: Sequence[str] = (), folder: Path = Path()
) -> Promoted:
    """Let an environment have what it had before its last promotion from this machine.

    Args:
        session: its store, who we are, and who hears of it.
        target: as for `promote`.
        text: a name or tag, where the environment's settings have none.
        tags: as `--tag` names them.
        folder: whose settings name environments.
    """
    started_at = time.monotonic()
    settings = _settings(session, folder)
    place = Reference.parse(text) if text else Reference("", "", "latest")
    references = find_target(target, settings, place, tags)
    access = _Access.to(session, references[0], is_typed=is_typed(target, settings))
    client, promotions = access.registries.client(references[0]), Promotions(session.store)
    with explained(references[0], access.keychain):
        now = meanings(references, access.registries)
        wanted = {reference: _former(promotions, reference, now[reference]) for reference in references}
        for reference, former in wanted.items():
            try:
                manifest = client.manifest(reference.repository, str(former))
            except NotFoundError as error:
                raise UsageError(
                    f"{reference.name} has no longer what was there before, {former}",
                    hint=f"promote it again from where it is: shipml promote HOST/NAME@{former} --to {reference}",
                ) from error
            _name(access, [reference], manifest, now)
            current = now[reference]
            if current is not None:
                promotions.undo(reference, current)
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


def _settings(session: Session, folder: Path) -> Settings:
    """A folder's settings, with Azure's registries among them known as such, whatever their hosts."""
    settings = read_outline(folder).settings
    session.azure.trust(*acr_hosts(settings, variables_host()))
    return settings


def _import_inside_azure(session: Session, source: Reference, target: Reference) -> bool:
    """Let one of Azure's registries fetch an image from another; False where they are not both Azure's."""
    hosts = (source.registry, target.registry)
    if hosts[0] == hosts[1] or not all(is_acr_host(host) for host in hosts):
        return False
    registries = [session.azure.registry(host) for host in hosts]
    session.azure.manager().import_image(
        registries[1],
        registries[0],
        f"{source.repository}@{source.digest}",
        untagged=(target.repository,),
        emit=session.emit,
    )
    return True


def _resolve(access: _Access, source: Reference) -> RemoteManifest:
    with step(access.session.emit, "resolve", str(source)) as running:
        client = access.registries.client_to_pull(source)
        wanted = str(source.digest) if source.digest else source.tag or "latest"
        found = client.manifest(source.repository, wanted)
        running.detail = f"{source} is {found.digest.short}"
        return found


def _refuse_secrets(store: Store, source: Reference, manifest: RemoteManifest) -> None:
    """Of images that were built here it is known what they hold; of others nothing is."""
    digests = [manifest.digest]
    if is_index(manifest.media_type, parse_document(manifest.data, f"the manifest of {source}")):
        digests += [entry.digest for entry in parse_index(manifest.data)]
    for digest in digests:
        require_no_secrets(store, digest, str(source), verb="promoted")


def _require_smoke(
    access: _Access, run: Callable[[Image], SmokeResult], pinned: Reference, manifest: RemoteManifest
) -> str:
    """Evidence is what this machine knows of the digest; else the image is fetched and run here."""
    client = access.registries.client_to_pull(pinned)
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
    return require_smoke(subject, access.session.store, lambda: run(image), verb="promoted") + note


def _check_unmoved(access: _Access, source: Reference, digest: Digest) -> None:
    if source.digest or not source.tag:
        return
    now = access.registries.client_to_pull(source).head_manifest(source.repository, source.tag)
    if now != digest:
        raise TryAgainError(
            f"{source} moved while it was promoted: from {digest} to {now or 'nothing'}; no tag was changed",
            hint=f"promote again, or name what you mean: {source.name}@{digest}",
        )


def _name(
    access: _Access,
    references: Sequence[Reference],
    manifest: RemoteManifest,
    before: dict[Reference, Digest | None],
) -> None:
    """Move the tags, unless another has moved one of them since `before`."""
    client = access.registries.client(references[0])
    now = meanings(references, access.registries)
    for reference in references:
        if now[reference] != before[reference]:
            raise TryAgainError(
                f"{reference} moved meanwhile: from {before[reference] or 'nothing'} to {now[reference] or 'nothing'}",
                hint="find out who else promotes, then promote again",
            )
    for reference in references:
        if now[reference] != manifest.digest:
            tag = reference.tag or "latest"
            client.put_manifest(reference.repository, tag, manifest.data, manifest.media_type)


def _former(promotions: Promotions, reference: Reference, now: Digest | None) -> Digest:
    former = promotions.before(reference, now) if now else None
    if former is None and any(one.get("digest") == str(now) for one in promotions.of(reference)):
        raise UsageError(f"{reference} had nothing before it got {now}", hint="promote what it is to have instead")
    if former is None:
        raise UsageError(
            f"it is not known here what {reference} was before{f' it was {now}' if now else ''}",
            hint=f"name the digest, which the promotion printed as before: shipml promote {reference.name}@sha256:…"
            f" --to {reference}",
        )
    return former
