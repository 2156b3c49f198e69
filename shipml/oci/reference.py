"""Image references as docker reads them: `[registry/]repository[:tag][@digest]` (distribution, package reference)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from shipml.errors import UntrustedInputError, UsageError
from shipml.oci.digest import Digest

__all__ = ["DOCKER_HUB", "Reference", "has_registry", "repository_name"]

DOCKER_HUB = "docker.io"
"""The registry that a reference without one means."""

_OFFICIAL = "library/"
_ALIASES = {"index.docker.io": DOCKER_HUB}
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HEX_64 = re.compile(r"[0-9a-f]{64}")
_NAME_LIMIT = 255
_TAG_LIMIT = 128
_PROJECT_NAME_LIMIT = 128

_SLASHED_TAG = re.compile(r"(?P<name>(?:[^/:]+(?::\d+)?/)?[^:]*):(?P<tag>[A-Za-z_][^:/]*/[^:]*)")
"""A branch as a tag: `app:feature/x`; what follows the colon is not a port."""


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One image in one registry; prints in docker's short form, such as `scipy-app:latest`."""

    registry: str
    """Host with port if any: `docker.io`, `localhost:5000`."""
    repository: str
    """Path in the registry, with `library/` on Docker Hub."""
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as typed. Without tag and digest, the tag is `latest`.

        Raises:
            UsageError: no image can have that name; the hint has the nearest one that can be.
        """
        name, at, digest_text = text.strip().partition("@")
        digest = _digest(digest_text, text) if at else None
        name, tag = _split_tag(name)
        registry, repository = _split_registry(name)
        wrong = _what_is_wrong(registry, repository, tag)
        if wrong and (meant := _misread(text.strip())):
            because, near = meant
            raise UsageError(f"{text!r} is not a valid image name: {because}", hint=f"write {near}")
        if wrong:
            raise UsageError(
                f"{text!r} is not a valid image name: {wrong}", hint=_corrected(registry, repository, tag, digest)
            )
        if tag is None and digest is None:
            tag = "latest"
        if registry == DOCKER_HUB and "/" not in repository:
            repository = _OFFICIAL + repository
        return cls(registry, repository, tag, digest)

    def __str__(self) -> str:
        return self.name + self._suffix

    @property
    def name(self) -> str:
        """Registry and repository in docker's short form: `scipy-app`, `user/app`, `localhost:5000/app`."""
        if self.registry == DOCKER_HUB:
            return self.repository.removeprefix(_OFFICIAL)
        return f"{self.registry}/{self.repository}"

    @property
    def canonical(self) -> str:
        """With nothing left out: `docker.io/library/scipy-app:latest`."""
        return f"{self.registry}/{self.repository}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag is not None else "") + (f"@{self.digest}" if self.digest else "")

    def with_digest(self, digest: Digest) -> Reference:
        """The same repository and tag, pinned to `digest`."""
        return replace(self, digest=digest)

    def with_tag(self, tag: str) -> Reference:
        """The same repository under another tag, not pinned.

        Raises:
            UsageError: no tag can be spelled so.
        """
        return Reference.parse(f"{self.registry}/{self.repository}:{tag}")


def repository_name(text: str) -> str:
    """The nearest valid repository name, of one component, for any project name: `My Project!` gives `my-project`.

    Accents are dropped; where no letter or digit of ASCII is left the name is `image`.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    parts = re.split(r"([^a-z0-9]+)", plain)
    words = parts[0::2]
    separators = [part if part in {".", "_", "__"} or set(part) == {"-"} else "-" for part in parts[1::2]]
    name = words[0]
    for separator, word in zip(separators, words[1:], strict=True):
        name += (separator if name and word else "") + word
    return name[:_PROJECT_NAME_LIMIT].rstrip("._-") or "image"


def _digest(digest_text: str, text: str) -> Digest:
    try:
        return Digest.parse(digest_text)
    except UntrustedInputError as error:
        raise UsageError(
            f"{text!r} is not a valid image name: {error.message}",
            hint="copy the whole digest, as shipml images prints it",
        ) from error


def _split_tag(name: str) -> tuple[str, str | None]:
    """Cut off the tag: what follows the last colon, unless that belongs to the registry's port."""
    head, colon, tail = name.rpartition(":")
    if not colon or "/" in tail:
        return name, None
    return head, tail


def _split_registry(name: str) -> tuple[str, str]:
    """Docker's rule: the first component is a registry if it has a dot or a colon, or is `localhost`."""
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return _ALIASES.get(first, first), rest
    return DOCKER_HUB, name


def _misread(text: str) -> tuple[str, str] | None:
    """What is wrong with an address in place of a name, or a branch in place of a tag, and what is meant."""
    without_scheme = re.sub(r"^[a-z]+://", "", text)
    slashed = _SLASHED_TAG.fullmatch(without_scheme)
    near, because = without_scheme, "it begins as an address does"
    if slashed is not None:
        tag = re.sub(r"[^A-Za-z0-9_.-]+", "-", slashed["tag"])
        near, because = f"{slashed['name']}:{tag}", f"the tag {slashed['tag']!r} may not have a slash"
    if near == text:
        return None
    try:
        return because, str(Reference.parse(near))
    except UsageError:
        return None


def _what_is_wrong(registry: str, repository: str, tag: str | None) -> str:
    checks = (
        (_REGISTRY.fullmatch(registry), f"{registry!r} is not the host name of a registry"),
        (repository, "the repository's name is missing"),
        (repository == repository.lower(), "a repository's name must be lower case"),
        (
            _REPOSITORY.fullmatch(repository),
            f"{repository!r} may only have a-z, 0-9 and, between those, one of . _ __ - /",
        ),
        (len(repository) <= _NAME_LIMIT, f"the repository's name is longer than {_NAME_LIMIT} characters"),
        (not _HEX_64.fullmatch(repository), "64 hex digits are an image's id, not a name"),
    )
    for fine, sentence in checks:
        if not fine:
            return sentence
    return "" if tag is None or _TAG.fullmatch(tag) else _what_is_wrong_with_tag(tag)


def _what_is_wrong_with_tag(tag: str) -> str:
    if not tag:
        return "the tag after the colon is missing"
    if len(tag) > _TAG_LIMIT:
        return f"the tag is longer than {_TAG_LIMIT} characters"
    return f"the tag {tag!r} may only have letters, digits, _ . and -, and must not begin with . or -"


def _corrected(registry: str, repository: str, tag: str | None, digest: Digest | None) -> str:
    """A hint with the nearest valid spelling."""
    host = registry if _REGISTRY.fullmatch(registry) else ""
    parts = [repository_name(part) for part in repository.split("/") if part]
    if not parts or (len(parts) == 1 and _HEX_64.fullmatch(parts[0])):
        return "write [registry/]name[:tag], as in my-app:latest"
    path = "/".join(parts)[:_NAME_LIMIT].rstrip("._-/")
    name = path if host in {"", DOCKER_HUB} else f"{host}/{path}"
    if tag is not None:
        tag = re.sub(r"[^A-Za-z0-9_.-]+", "-", tag).strip("-.")[:_TAG_LIMIT] or "latest"
    return f"write {Reference(DOCKER_HUB, _OFFICIAL + name, tag, digest)}"


def has_registry(image: Reference) -> bool:
    """Whether an image's name says where it can be pushed: `iris` does not, nobody may push to Docker's own names."""
    return image.registry != DOCKER_HUB or not image.repository.startswith(_OFFICIAL)
