"""Which image is meant: a name, a digest or a folder → an image of the store, or one only the user's engine has.

`target` is a name, digest or folder everywhere; None is the last image of this place.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shipml import docker_engine
from shipml.errors import StoreError, UsageError
from shipml.events import Emit, Notice, step
from shipml.oci.digest import Digest
from shipml.oci.image import Image, platform_of, read_config
from shipml.oci.index import ImageIndex
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.oci.source import Source
from shipml.session import Session
from shipml.store import Store, StoredImage
from shipml.store.built_files import changed_files
from shipml.store.fact import Fact
from shipml.text import age_text, listed

__all__ = [
    "FoundImage",
    "built_on_engine",
    "default_image",
    "find_image",
    "image_in_store",
    "keep_built_on_engine",
    "name_image",
    "newest_on_engine",
    "require_current",
    "shown_path",
    "stored_image",
    "tell_choice",
    "typed_names",
]


def find_image(session: Session, target: str | None) -> FoundImage:
    """The image, in the store or else in the user's engine; `oci:DIR` and the like are read into the store.

    Raises:
        UsageError: neither has it.
        UntrustedInputError: what was read is broken.
    """
    if source := Source.parse(target or ""):
        return _read(session, source)
    elsewhere = newest_on_engine(session.store, target)
    try:
        image = image_in_store(session, target, elsewhere)
    except UsageError:
        engine = docker_engine.find(emit=session.emit) if elsewhere or target else None
        if engine is None:
            raise
        with engine:
            if (found := engine.find_image(elsewhere or target or "")) is None:
                raise
        named = target if target and not elsewhere and not found.id.hex.startswith(target) else ""
        labels = found.config.get("Labels") or {}
        return FoundImage(found.id, None, named or next(iter(found.references), ""), labels)
    stored = stored_image(session.store, target)
    return FoundImage(image.digest, image, stored.reference, _labels(image), index=session.store.index(stored.digest))


def _read(session: Session, source: Source) -> FoundImage:
    with step(session.emit, "read", str(source)):
        found = source.read()
        if isinstance(found, ImageIndex):
            index = session.store.index(session.store.keep_index(found))
            image = session.store.image(found.digest)
        else:
            index, image = None, session.store.image(session.store.keep_image(found))
    return FoundImage(image.digest, image, source.name_of(found.digest), _labels(image), index=index)


def stored_image(store: Store, target: str | None) -> StoredImage:
    """The image's entry in the store.

    Raises:
        UsageError: the store does not have it, or the word could mean two images.
    """
    if target is None:
        return default_image([one for one in store.images() if _runs_here(store, one)], Path())
    found = store.resolve(target)
    _refuse_twofold_name(store.images(), target, found)
    return found


def _runs_here(store: Store, stored: StoredImage) -> bool:
    try:
        return platform_of(store.image(stored.digest)) == Platform.of_this_machine()
    except StoreError:
        return False


def tell_choice(emit: Emit, target: str | None, stored: StoredImage) -> None:
    """Say which image was taken, where none was named."""
    if target is None:
        age = age_text(time.time() - stored.created_at_seconds)
        origin = f" from {shown_path(stored.source)}" if stored.source else ""
        emit(Notice(f"using {stored.reference}, built {age}{origin}"))


def _warn_if_changed(session: Session, target: str | None, stored: StoredImage) -> None:
    """Say where the folder is no longer what the image was built from; who names a digest means just that one."""
    if not stored.source or (target or "").startswith("sha256:"):
        return
    if changed := changed_files(session.store, Path(stored.source), stored.digest):
        again = f"build it again: shipml build {shlex.quote(_short_path(stored.source))}"
        session.emit(Notice(f"changed since {stored.reference} was built: {listed(changed)}; {again}", "warning"))


def require_current(store: Store, folder: str) -> None:
    """Make sure that the last image of `folder` holds what the folder holds now.

    Raises:
        UsageError: a file has changed since, or there is no image.
    """
    stored = stored_image(store, folder)
    if stored.source != str(Path(folder).resolve()):
        return
    if changed := changed_files(store, Path(folder), stored.digest):
        where = shlex.quote(folder)
        raise UsageError(
            f"{folder} has changed since {stored.reference} was built: {listed(changed)}",
            hint=f"build, test and push what it is now: shipml ship {where}; or push the image of before:"
            f" shipml push {stored.reference}",
        )


def image_in_store(session: Session, target: str | None, elsewhere: str = "") -> Image:
    """The image in the store, and a word where one may expect another; `elsewhere` is what `newest_on_engine` found.

    Raises:
        UsageError: the store does not have it, or has an older one than the engine.
    """
    if elsewhere:
        raise UsageError(
            "the image is only in the Docker Engine that built it",
            hint="run it there: start that engine, and omit --runtime",
        )
    stored = stored_image(session.store, target)
    tell_choice(session.emit, target, stored)
    _warn_if_changed(session, target, stored)
    return session.store.image(stored.digest)


def newest_on_engine(store: Store, target: str | None) -> str:
    """The id of the image of a folder (None: the current one), where an engine built its newest; else ""."""
    folder = Path(target or ".")
    if not folder.is_dir():
        return ""
    source = str(folder.resolve())
    times = [stored.created_at_seconds for stored in store.images() if stored.source == source]
    return built_on_engine(store, folder, since_seconds=max(times, default=0.0))


def default_image(images: Sequence[StoredImage], folder: Path) -> StoredImage:
    """The image that is meant in `folder` where none is named: built from it, else below it, else anywhere.

    Args:
        images: those that can run here, newest first.
        folder: where the user is.

    Raises:
        UsageError: nothing was built yet.
    """
    here = folder.resolve()
    built = [image for image in images if image.source]
    from_here = [image for image in built if Path(image.source) == here]
    below = [image for image in built if here in Path(image.source).parents]
    found = next(iter([*from_here, *below, *built, *images]), None)
    if found is None:
        raise UsageError(
            "nothing has been built for this platform yet", hint="name the folder of your program: shipml build DIR"
        )
    return found


def _short_path(source: str) -> str:
    """A folder as one would type it: below the current one, else as it is."""
    with contextlib.suppress(ValueError):
        below = Path(source).relative_to(Path.cwd())
        return "." if below == Path() else f"./{below}"
    return source


_VERSION = re.compile(r"v?\d+(?:\.\d+)*(?:[-.]?(?:a|b|rc|alpha|beta|dev|post|pre)[.-]?\d*)?")
_TAG_WORDS = frozenset({"dev", "int", "latest", "prod", "stable"})


def typed_names(words: Sequence[str], own_name: Callable[[], str]) -> list[Reference]:
    """The names that `--tag` of a build gives: `1.4`, `v2`, `latest` and the like are tags of the image's own name.

    Args:
        words: as they were typed; all that is neither a version nor one of `_TAG_WORDS` is a name, as in docker.
        own_name: gives the image's own name, if it is needed.

    Raises:
        UsageError: no image can have such a name.
    """
    return [
        Reference.parse(f"{own_name()}:{word}" if word in _TAG_WORDS or _VERSION.fullmatch(word) else word)
        for word in words
    ]


def shown_path(source: str) -> str:
    """A folder for people to read: `./x` below the current one, `~/x` below the home folder, else as it is."""
    short = _short_path(source)
    with contextlib.suppress(ValueError, RuntimeError):
        if short == source and source:
            return str(Path("~") / Path(source).relative_to(Path.home()))
    return short


def name_image(session: Session, image: Digest, names: Sequence[Reference], folder: Path) -> None:
    """Give the image built from `folder` its names; one that another folder's image had is said."""
    source = str(folder.resolve())
    before = {stored.reference: stored.source for stored in session.store.images()}
    for name in map(str, names):
        if (other := before.get(name)) and other != source:
            session.emit(Notice(f"{name} now names this image; it was the image of {_short_path(other)}", "warning"))
        session.store.tag(name, image, source=source)


def _refuse_twofold_name(images: Sequence[StoredImage], target: str, found: StoredImage) -> None:
    """A word that is both a folder with a build of its own and another folder's image, `found`, has no clear meaning.

    Raises:
        UsageError: it is both.
    """
    if not Path(target).is_dir():
        return
    source = str(Path(target).resolve())
    if found.source not in ("", source) and any(image.source == source for image in images):
        raise UsageError(
            f"{target} is a folder here, and also an image that was built from {_short_path(found.source)}",
            hint=f"for the folder: ./{target}; for the image: {found.reference}",
        )


def _labels(image: Image) -> Mapping[str, str]:
    return (read_config(image).get("config") or {}).get("Labels") or {}


@dataclass(frozen=True, slots=True)
class _BuiltOnEngine:
    id: str
    built_at_seconds: float
    """POSIX time."""


_BUILT = Fact("built-on-engine", _BuiltOnEngine)
"""By the folder's path."""


def keep_built_on_engine(store: Store, folder: Path, image: Digest) -> None:
    """Remember that the newest image of a folder is in an engine, under this id."""
    _BUILT.keep(store, str(folder.resolve()), _BuiltOnEngine(str(image), time.time()))


def built_on_engine(store: Store, folder: Path, *, since_seconds: float = 0.0) -> str:
    """The id of the image that was built from the folder on an engine after `since_seconds` (POSIX time), else ""."""
    built = _BUILT.last(store, str(folder.resolve()))
    return built.id if built is not None and built.built_at_seconds > since_seconds else ""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that is to be pushed."""

    digest: Digest
    """Under which its smoke test is kept: of the manifest, or the engine's id where only an engine has it."""
    image: Image | None
    """None: only the engine has it."""
    name: str
    """As people know it; "" where it has no name."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of its config."""
    index: ImageIndex | None = None
    """What the image is one of, where the name means several platforms; `image` is then the one that runs here."""

    @property
    def named_digest(self) -> Digest:
        """What its names mean: the index where there is one, else the image itself."""
        return self.digest if self.index is None else self.index.digest

    @property
    def other_images(self) -> tuple[Image, ...]:
        """The images for other platforms."""
        return tuple(one for one in (self.index.images if self.index else ()) if one.digest != self.digest)
