"""One environment → another: which image is meant, by which way its bytes come, and what was there before."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shipml.errors import (
    NotAllowedError,
    UnavailableError,
    UntrustedInputError,
    UsageError,
)
from shipml.events import Emit, Notice
from shipml.facts.project import Settings
from shipml.oci.digest import Digest
from shipml.oci.documents import (
    is_index,
    open_image,
    parse_document,
    parse_index,
)
from shipml.oci.reference import Reference
from shipml.publish.destination import parse_typed
from shipml.publish.locations import Location, environment, locate
from shipml.publish.transfer import copy_image
from shipml.registry.client import RemoteManifest
from shipml.registry.remote import Registries
from shipml.store import Store

__all__ = ["Copied", "Copier", "Promoted", "Promotions", "find_source", "find_target", "is_immutable", "is_typed"]

_KEPT_PROMOTIONS = 50
_NESTED_INDEXES = 3
_KINDS = ("hub", "acr")


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion, or its undoing, did."""

    digest: Digest
    """What the target's names mean now."""
    source: Reference
    """Where it came from, with digest."""
    references: tuple[Reference, ...]
    """Its names in the target."""
    before: Digest | None
    """What the first of these names meant before; None for nothing."""
    way: str
    """"there already", "import inside Azure", "mount", "copy" or "rollback"."""
    smoke: str
    """Whether it was run: "passed", "passed before", or "not run, because …"."""
    elapsed_seconds: float
    uploaded_bytes: int = 0
    mounted_bytes: int = 0
    skipped_bytes: int = 0

    @property
    def pinned(self) -> str:
        """`repository@sha256:…`: what to deploy."""
        return f"{self.references[0].name}@{self.digest}"

    @property
    def way_back(self) -> str:
        """The command that puts the former image back from any machine; "" where there was none."""
        if self.before is None or self.before == self.digest:
            return ""
        target = self.references[0]
        return f"shipml promote {target.name}@{self.before} --to {target}"

    def to_json(self) -> dict[str, Any]:
        """As `shipml promote --json` prints it."""
        return {
            "reference": self.pinned,
            "digest": str(self.digest),
            "source": str(self.source),
            "references": [str(reference) for reference in self.references],
            "before": str(self.before) if self.before else None,
            "after": str(self.digest),
            "way": self.way,
            "way_back": self.way_back,
            "smoke": self.smoke,
            "uploaded_bytes": self.uploaded_bytes,
            "mounted_bytes": self.mounted_bytes,
            "skipped_bytes": self.skipped_bytes,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
        }


def find_source(text: str, origin: Location | None) -> Reference:
    """What is to be promoted.

    Args:
        text: `REGISTRY/NAME[:TAG][@DIGEST]`; within `origin` also NAME, NAME:TAG, TAG or a digest; "" for what its
            settings name.
        origin: where `--from` says that images come from; None where it says nothing.

    Raises:
        UsageError: it is not clear which image is meant.
    """
    first, slash, _ = text.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return parse_typed(text)
    if origin is not None:
        return _within(origin, text)
    if not text:
        raise UsageError(
            "it is not said what to promote", hint="for example: shipml promote iris:1.4 --from int --to prod"
        )
    return parse_typed(text)


def _within(origin: Location, text: str) -> Reference:
    """What `text` means where images come from `origin`."""
    if not text:
        return origin.reference()
    if text.startswith("sha256:"):
        return Reference.parse(f"{origin.reference().name}@{text}")
    own_names = (origin.repository, origin.repository.rpartition("/")[2])
    if origin.repository and not set(text) & set("/:@") and text not in own_names:
        return origin.reference().with_tag(text)
    repository = text.partition("@")[0].partition(":")[0]
    found = replace(origin, repository=origin.repository if repository in own_names else repository).reference()
    typed = parse_typed(text)
    if typed.digest:
        return replace(found, tag=None, digest=typed.digest)
    return found.with_tag(typed.tag or "latest") if ":" in text else found


def find_target(word: str, settings: Settings, source: Reference, tags: Sequence[str] = ()) -> tuple[Reference, ...]:
    """The names that an image is promoted to, at least one.

    Tags are those that were asked for, else the environment's, else the source's own.

    Args:
        word: an environment or registry of the settings, a host, or `REGISTRY/NAME[:TAG]`.
        settings: the project's.
        source: what is promoted.
        tags: as `--tag` names them.

    Raises:
        UsageError: it is not clear where to.
        ConfigurationError: the settings contradict themselves.
    """
    first, slash, _ = word.partition("/")
    if slash and word not in dict(settings.registries):
        reference = parse_typed(word)
        if reference.digest:
            raise UsageError(f"{word} names a digest, which follows from the image", hint=f"--to {reference.name}:TAG")
        typed = (reference.tag or "latest",) if ":" in word[len(first) :] else ()
        found, usual = reference, (*typed, *tags) or _source_tags(source)
    else:
        location = _place(word, settings)
        found = location.reference(source.repository.removeprefix("library/"))
        usual = tuple(tags) or ((location.tag,) if location.tag else _source_tags(source))
    if not usual:
        raise UsageError(f"it is not said which tag {found.name} is to get", hint="add one: --tag TAG")
    return tuple(dict.fromkeys(found.with_tag(tag) for tag in usual))


def _place(word: str, settings: Settings) -> Location:
    """The environment, registry or host that a word without a slash means."""
    names = dict(settings.registries)
    looks_like_name = word not in names and word not in _KINDS and not set(word) & {".", ":"} and word != "localhost"
    return environment(word, settings) if looks_like_name else locate(word, settings)


def is_typed(word: str, settings: Settings) -> bool:
    """Whether `--to` names the registry itself, not by settings of a project."""
    is_reference = "/" in word and word not in dict(settings.registries)
    return is_reference or _place(word, settings).is_typed


def is_immutable(word: str, settings: Settings) -> bool:
    """Whether the settings say that tags of a target must not move."""
    is_reference = "/" in word and word not in dict(settings.registries)
    return not is_reference and _place(word, settings).immutable


def _source_tags(source: Reference) -> tuple[str, ...]:
    return (source.tag,) if source.tag else ()


@dataclass(frozen=True, slots=True)
class Copied:
    """How an image came into a repository."""

    way: str
    uploaded_bytes: int = 0
    mounted_bytes: int = 0
    skipped_bytes: int = 0


class Copier:
    """Brings a digest into a repository by the shortest way that is open; no tag changes."""

    def __init__(
        self, registries: Registries, emit: Emit, *, import_image: Callable[[Reference, Reference], bool] | None = None
    ) -> None:
        """With the clients of a session.

        Args:
            registries: one session's.
            emit: hears of what happens.
            import_image: lets one registry fetch `source` (with digest) from the other for the repository of
                `target`, without us in between; False where these two cannot. None: nothing can.
        """
        self._registries = registries
        self._emit = emit
        self._import_image = import_image

    def copy(self, source: Reference, target: Reference, manifest: RemoteManifest) -> Copied:
        """Let the repository of `target` have `manifest`, which is in the repository of `source`.

        Raises:
            ShipmlError: as `copy_image`.
        """
        client = self._registries.client(target)
        if client.head_manifest(target.repository, str(manifest.digest)) == manifest.digest:
            return Copied("there already")
        pinned = replace(source, tag=None, digest=manifest.digest)
        if self._imported(pinned, target) and client.head_manifest(target.repository, str(manifest.digest)):
            return Copied("import inside Azure")
        way = "mount" if source.registry == target.registry else "copy"
        return self._through(pinned, target, manifest, Copied(way), depth=0)

    def _imported(self, source: Reference, target: Reference) -> bool:
        if self._import_image is None:
            return False
        try:
            return self._import_image(source, target)
        except (NotAllowedError, UnavailableError, UsageError) as error:
            said = f"the registries do not copy by themselves, so the image comes through here: {error.message}"
            self._emit(Notice(said))
            return False

    def _through(
        self, source: Reference, target: Reference, manifest: RemoteManifest, so_far: Copied, *, depth: int
    ) -> Copied:
        """Copy an image, or an index and all that it lists."""
        if depth > _NESTED_INDEXES:
            raise UntrustedInputError(f"{source} has indexes inside indexes, more than {_NESTED_INDEXES} deep")
        pull, push = self._registries.client_to_pull(source), self._registries.client(target)
        if is_index(manifest.media_type, parse_document(manifest.data, f"the manifest of {source}")):
            for entry in parse_index(manifest.data):
                inner = pull.manifest(source.repository, str(entry.digest))
                so_far = self._through(source, target, inner, so_far, depth=depth + 1)
            push.put_manifest(target.repository, str(manifest.digest), manifest.data, manifest.media_type)
            return so_far
        image = open_image(
            manifest.data,
            lambda descriptor: pull.open_blob(source.repository, descriptor),
            media_type=manifest.media_type,
        )
        mount_from = (source.repository,) if source.registry == target.registry else ()
        pinned = replace(target, tag=None, digest=manifest.digest)
        done = copy_image(image, [pinned], push, mount_from=mount_from, emit=self._emit)
        return replace(
            so_far,
            uploaded_bytes=so_far.uploaded_bytes + done.uploaded_bytes,
            mounted_bytes=so_far.mounted_bytes + done.mounted_bytes,
            skipped_bytes=so_far.skipped_bytes + done.skipped_bytes,
        )


class Promotions:
    """What was promoted from this machine, by target: so that it can be undone."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, target: Reference) -> list[Mapping[str, Any]]:
        """Oldest first; each has `digest`, `before`, `source` and `at_seconds` (POSIX time)."""
        known = self._store.fact("promotions", str(target))
        return [one for one in known if isinstance(one, dict)] if isinstance(known, list) else []

    def keep(self, target: Reference, digest: Digest, before: Digest | None, source: Reference) -> None:
        """Remember a promotion."""
        document = {
            "digest": str(digest),
            "before": str(before) if before else None,
            "source": str(source),
            "at_seconds": time.time(),
        }
        self._store.keep_fact("promotions", str(target), [*self.of(target), document][-_KEPT_PROMOTIONS:])

    def before(self, target: Reference, digest: Digest) -> Digest | None:
        """What `target` meant before it got `digest`; None where that is not known."""
        for one in reversed(self.of(target)):
            if one.get("digest") == str(digest) and one.get("before"):
                with contextlib.suppress(UntrustedInputError):  # what was noted is damaged
                    return Digest.parse(str(one["before"]))
        return None

    def undo(self, target: Reference, digest: Digest) -> None:
        """Forget the last promotion of `digest`, and what came after it: the next undoing goes further back."""
        history = self.of(target)
        while history and history.pop().get("digest") != str(digest):
            pass
        self._store.keep_fact("promotions", str(target), history)
