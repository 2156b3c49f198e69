"""Where a push goes: the words of a command line → references of one repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from shipml.errors import UsageError
from shipml.oci.reference import DOCKER_HUB, Reference

__all__ = ["Destination"]

_HUB = "hub"
_OFFICIAL = "library/"
_HOST = re.compile(r"localhost|.*[.:].*")


@dataclass(frozen=True, slots=True)
class Destination:
    """What was said about the destination; "" and () for what was not."""

    reference: str = ""
    """`[registry/]name[:tag]`."""
    registry: str = ""
    """`hub` or a host."""
    repository: str = ""
    tags: tuple[str, ...] = ()

    def references(self, image: str, username_at: Callable[[str], str]) -> tuple[Reference, ...]:
        """The references to push under, at least one.

        Args:
            image: the image's own name; "" for none.
            username_at: the user's name at a registry, "" where it is not known; the namespace at Docker Hub.

        Raises:
            UsageError: it is not clear where to, or no image can be there.
        """
        if self.reference and (self.registry or self.repository):
            raise UsageError(
                "the destination is named twice", hint="give either a reference, or --registry and --repository"
            )
        if self.reference:
            return self._tagged(_parse(self.reference), keep=_has_tag(self.reference))
        own = _parse(image) if image else None
        if self.registry or self.repository:
            return self._tagged(self._composed(own, username_at), keep=False)
        if own is None or _is_official(own):
            name = own.name if own else "IMAGE"
            raise UsageError(
                f"{image or 'the image'} names no registry to push to",
                hint=f"say where: shipml push {name} --registry hub --repository USERNAME/{name}, or"
                f" shipml push {name} HOST/{name}",
            )
        return self._tagged(own, keep=_has_tag(image))

    def _tagged(self, reference: Reference, *, keep: bool) -> tuple[Reference, ...]:
        """With `--tag`, those tags, after the typed one where one was typed."""
        if not self.tags:
            return (reference,)
        tagged = [reference] if keep else []
        return tuple(dict.fromkeys([*tagged, *(reference.with_tag(tag) for tag in self.tags)]))

    def _composed(self, own: Reference | None, username_at: Callable[[str], str]) -> Reference:
        registry = self._host() if self.registry else (own.registry if own else DOCKER_HUB)
        repository = self.repository or (own.repository.removeprefix(_OFFICIAL) if own else "")
        if not repository:
            raise UsageError("the image has no name to push it under", hint="name one: --repository NAME")
        if registry == DOCKER_HUB and "/" not in repository:
            username = username_at(DOCKER_HUB)
            if not username:
                raise UsageError(
                    "nobody but Docker can push to Docker Hub without a namespace",
                    hint=f"add yours: --repository USERNAME/{repository}",
                )
            repository = f"{username}/{repository}"
        tag = own.tag if own and own.tag else "latest"
        return _parse(f"{registry}/{repository}:{tag}")

    def _host(self) -> str:
        if self.registry == _HUB:
            return DOCKER_HUB
        if not _HOST.fullmatch(self.registry) or "/" in self.registry:
            raise UsageError(
                f"{self.registry!r} is no registry", hint="use hub, or a host as registry.example.org or localhost:5000"
            )
        return self.registry


def _parse(text: str) -> Reference:
    reference = Reference.parse(text)
    if reference.digest:
        raise UsageError(
            f"{text} names a digest, which follows from the image", hint="push under a tag: REGISTRY/NAME:TAG"
        )
    return reference


def _has_tag(text: str) -> bool:
    return ":" in text.rpartition("/")[2]


def _is_official(reference: Reference) -> bool:
    return reference.registry == DOCKER_HUB and reference.repository.startswith(_OFFICIAL)
