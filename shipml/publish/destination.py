"""Where a push goes: the words of a command line → references of one repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from shipml.errors import UsageError
from shipml.oci.reference import DOCKER_HUB, Reference, has_registry
from shipml.publish.locations import Location

__all__ = ["REVISION_LABEL", "VERSION_LABEL", "Destination", "default_tags", "is_dirty", "parse_typed"]

_OFFICIAL = "library/"
_USUAL_TAG = "latest"


@dataclass(frozen=True, slots=True)
class Destination:
    """What was said about the destination; "" and () for what was not."""

    reference: str = ""
    """`[registry/]name[:tag]`."""
    registry: str = ""
    """`hub`, `acr`, a host, or a name of the settings: see `locate`."""
    repository: str = ""
    tags: tuple[str, ...] = ()
    name: str = ""
    """Name of the Azure registry, or of the user or organisation on Docker Hub."""
    no_overwrite: bool = False
    """Whether a tag that has another image already is an error."""

    def with_tags_split(self) -> Destination:
        """The same with bare tags only: `HOST/NAME:TAG` among them says where to, `NAME:TAG` which repository.

        Raises:
            UsageError: that says something else than the rest, or than another tag.
        """
        full = {tag: _parse(tag) for tag in self.tags if "/" in tag or ":" in tag}
        if not full:
            return self
        names = {reference.name for reference in full.values()}
        said = parse_typed(self.reference).name if self.reference else self.repository
        if len(names | ({said} if said else set())) > 1 or (self.registry and any(map(has_registry, full.values()))):
            raise UsageError(
                f"--tag {next(iter(full))} names another place than the rest of the command line",
                hint="give either full references by --tag, all of one repository, or REF and bare tags",
            )
        tags = tuple(full[tag].tag or _USUAL_TAG if tag in full else tag for tag in self.tags)
        one = next(iter(full.values()))
        if self.reference or not has_registry(one):
            return replace(self, tags=tags, repository="" if self.reference else one.name)
        return replace(self, tags=tags, reference=one.name, repository="")

    def references(
        self,
        image: str,
        username_at: Callable[[str], str],
        *,
        location: Location | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> tuple[Reference, ...]:
        """The references to push under, at least one.

        Tags are those that were asked for, with the destination or with --tag; else the location's; else the image's
        own, unless that is `latest`, which nobody may have chosen; else its version and revision; else `latest`.

        Args:
            image: the image's own name; "" for none.
            username_at: the user's name at a registry, "" where it is not known; the namespace at Docker Hub.
            location: what `registry` means; None where that is "".
            labels: of the image.

        Raises:
            UsageError: it is not clear where to, or no image can be there.
        """
        if self.reference and (self.registry or self.repository):
            raise UsageError(
                "the destination is named twice", hint="give either a reference, or --registry and --repository"
            )
        own = _parse(image) if image else None
        own_tag = own.tag if own and own.tag and own.tag != _USUAL_TAG else ""
        usual = (own_tag,) if own_tag else default_tags(labels or {}) or (_USUAL_TAG,)
        if self.reference:
            typed = _parse(self.reference)
            if _has_tag(self.reference):
                return _with_tags(typed, (typed.tag or _USUAL_TAG, *self.tags))
            return _with_tags(typed, self.tags or default_tags(labels or {}) or (_USUAL_TAG,))
        if location or self.repository:
            composed = self._composed(own, location, username_at)
            at_home = (location.tag,) if location and location.tag else usual
            return _with_tags(composed, self.tags or at_home)
        if own is None or not has_registry(own):
            name = own.name if own else "IMAGE"
            raise UsageError(
                f"it is not clear which registry {image or 'the image'} should go to",
                hint=f"name it: shipml push {name} --registry hub --repository USERNAME/{name}, or"
                f" shipml push {name} HOST/{name}",
            )
        return _with_tags(own, self.tags or usual)

    def _composed(
        self, own: Reference | None, location: Location | None, username_at: Callable[[str], str]
    ) -> Reference:
        registry = location.registry if location else (own.registry if own else DOCKER_HUB)
        repository = self.repository or (location.repository if location else "")
        repository = repository or (own.repository.removeprefix(_OFFICIAL) if own else "")
        if not repository:
            raise UsageError("the image has no name to push it under", hint="name one: --repository NAME")
        if registry == DOCKER_HUB and "/" not in repository:
            username = (location.namespace if location else "") or username_at(DOCKER_HUB)
            if not username:
                raise UsageError(
                    f"Docker Hub repositories need a namespace: {repository} has none",
                    hint=f"add yours: --repository USERNAME/{repository}",
                )
            repository = f"{username}/{repository}"
        return _parse(f"{registry}/{repository}")


def _with_tags(reference: Reference, tags: tuple[str, ...]) -> tuple[Reference, ...]:
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise UsageError(
                f"{tag!r} cannot be a tag: letters, digits and . _ - are allowed, at most {_TAG_LIMIT}",
                hint=f"use: --tag {_tag(tag)}" if _tag(tag) else "use another --tag",
            )
    return tuple(dict.fromkeys(reference.with_tag(tag) for tag in tags))


def parse_typed(text: str) -> Reference:
    """A reference as it was typed.

    Raises:
        UsageError: it is not one; an address of a web page, for example.
    """
    _, separator, bare = text.partition("://")
    if separator:
        raise UsageError(f"{text!r} is a URL, where the name of an image is wanted", hint=f"write {bare.rstrip('/')}")
    return Reference.parse(text)


def _parse(text: str) -> Reference:
    reference = parse_typed(text)
    if reference.digest:
        raise UsageError(
            f"{text} names a digest, which follows from the image", hint="push under a tag: REGISTRY/NAME:TAG"
        )
    return reference


def _has_tag(text: str) -> bool:
    return ":" in text.rpartition("/")[2]


VERSION_LABEL = "org.opencontainers.image.version"
REVISION_LABEL = "org.opencontainers.image.revision"

_DIRTY = "-dirty"
_SHORT_REVISION = 12
"""Digits of a commit, as `docker` and GitHub's own actions abbreviate; 7 are not unique in large repositories."""
_TAG_LIMIT = 128
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def default_tags(labels: Mapping[str, str]) -> tuple[str, ...]:
    """The version, then the revision; () where the image knows neither.

    Two builds of one version differ in their revision, and a revision with changes that nobody committed says so.
    """
    commit, dash, dirty = labels.get(REVISION_LABEL, "").partition("-")
    tags = (_tag(labels.get(VERSION_LABEL, "")), _tag(commit[:_SHORT_REVISION] + dash + dirty))
    return tuple(dict.fromkeys(filter(None, tags)))


def is_dirty(labels: Mapping[str, str]) -> bool:
    """Whether the image holds changes that no commit has."""
    return labels.get(REVISION_LABEL, "").endswith(_DIRTY)


def _tag(text: str) -> str:
    """The nearest tag: `1.0+cpu` has a sign that no tag may have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip(".-")[:_TAG_LIMIT]
