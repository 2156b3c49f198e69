"""Which image is meant: a name, a digest or a folder → an image of the store, or one only the user's engine has."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shipml import docker_engine
from shipml.errors import StoreError, UsageError
from shipml.events import Emit, Notice, step
from shipml.oci.digest import Digest
from shipml.oci.image import Image, platform_of, read_config
from shipml.oci.manifest import Platform
from shipml.oci.source import Source
from shipml.store import Store, StoredImage
from shipml.store.built_files import changed_files
from shipml.text import age_text, listed

__all__ = ["BUILT_ON_ENGINE", "Finder", "FoundImage", "built_on_engine", "default_image"]


class Finder:
    """Finds images. `target` is a name, digest or folder everywhere; None is the last image of this place."""

    def __init__(self, store: Store, emit: Emit) -> None:
        self._store = store
        self._emit = emit
        self._default: StoredImage | None = None
        self._compared: set[Digest] = set()

    def subject(self, target: str | None) -> FoundImage:
        """The image, in the store or else in the user's engine; `oci:DIR` and the like are read into the store.

        Raises:
            UsageError: neither has it.
            UntrustedInputError: what was read is broken.
        """
        if source := Source.parse(target or ""):
            return self._read(source)
        elsewhere = self.newest_on_engine(target)
        try:
            image = self.image(target, elsewhere)
        except UsageError:
            engine = docker_engine.find(emit=self._emit) if elsewhere or target else None
            if engine is None:
                raise
            with engine:
                if (found := engine.find_image(elsewhere or target or "")) is None:
                    raise
            named = target if target and not elsewhere and not found.id.hex.startswith(target) else ""
            labels = found.config.get("Labels") or {}
            return FoundImage(found.id, None, named or next(iter(found.references), ""), labels)
        return FoundImage(image.digest, image, self.stored(target).reference, _labels(image))

    def _read(self, source: Source) -> FoundImage:
        with step(self._emit, "read", str(source)):
            found = source.read()
            image = self._store.image(self._store.keep_image(found))
        return FoundImage(image.digest, image, source.name_of(found), _labels(image))

    def stored(self, target: str | None) -> StoredImage:
        """The image's entry in the store.

        Raises:
            UsageError: the store does not have it.
        """
        if target is None:
            return self._last_built()
        found = self._store.resolve(target)
        _refuse_twofold_name(self._store.images(), target, found)
        return found

    def _last_built(self) -> StoredImage:
        """The image that is meant where none is named; it is said once which one that is."""
        if self._default is None:
            self._default = default_image([one for one in self._store.images() if self._runs_here(one)], Path())
            self._emit(Notice(_using(self._default)))
        return self._default

    def _runs_here(self, stored: StoredImage) -> bool:
        try:
            return platform_of(self._store.image(stored.digest)) == Platform.of_this_machine()
        except StoreError:
            return False

    def image(self, target: str | None, elsewhere: str = "") -> Image:
        """The image in the store; `elsewhere` is what `newest_on_engine` found.

        Raises:
            UsageError: the store does not have it, or has an older one than the engine.
        """
        if elsewhere:
            raise UsageError(
                "the image is only in the Docker Engine that built it",
                hint="run it there: start that engine, and leave --runtime away",
            )
        stored = self.stored(target)
        self._warn_if_changed(stored)
        return self._store.image(stored.digest)

    def _warn_if_changed(self, stored: StoredImage) -> None:
        """Say, once, that the folder is no longer what the image was built from."""
        if stored.digest in self._compared or not stored.source:
            return
        self._compared.add(stored.digest)
        if changed := changed_files(self._store, Path(stored.source), stored.digest):
            folder = shlex.quote(_short_path(stored.source))
            again = f"build it again: shipml build {folder}"
            self._emit(Notice(f"changed since {stored.reference} was built: {listed(changed)}; {again}", "warning"))

    def require_current(self, folder: str) -> None:
        """Make sure that the last image of `folder` holds what the folder holds now.

        Raises:
            UsageError: a file has changed since, or there is no image.
        """
        stored = self.stored(folder)
        if stored.source != str(Path(folder).resolve()):
            return
        if changed := changed_files(self._store, Path(folder), stored.digest):
            where = shlex.quote(folder)
            raise UsageError(
                f"{folder} has changed since {stored.reference} was built: {listed(changed)}",
                hint=f"build, test and push what it is now: shipml ship {where}; or push the image of before:"
                f" shipml push {stored.reference}",
            )

    def newest_on_engine(self, target: str | None) -> str:
        """The id of the image of a folder (None: the current one), where an engine built its newest; else ""."""
        folder = Path(target or ".")
        if not folder.is_dir():
            return ""
        source = str(folder.resolve())
        times = [stored.created_at_seconds for stored in self._store.images() if stored.source == source]
        return built_on_engine(self._store, folder, since_seconds=max(times, default=0.0))


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


def _using(image: StoredImage) -> str:
    age = age_text(time.time() - image.created_at_seconds)
    origin = f" from {_short_path(image.source)}" if image.source else ""
    return f"using {image.reference}, built {age}{origin}"


def _short_path(source: str) -> str:
    """A folder as one would type it: below the current one, else as it is."""
    with contextlib.suppress(ValueError):
        below = Path(source).relative_to(Path.cwd())
        return "." if below == Path() else f"./{below}"
    return source


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
    return read_config(image).get("config", {}).get("Labels") or {}


BUILT_ON_ENGINE = "built-on-engine"
"""The kind of fact, by the folder's path: `{"id": …, "built_at_seconds": POSIX time}`."""


def built_on_engine(store: Store, folder: Path, *, since_seconds: float = 0.0) -> str:
    """The id of the image that was built from the folder on an engine after `since_seconds` (POSIX time), else ""."""
    fact = store.fact(BUILT_ON_ENGINE, str(folder.resolve()))
    if not isinstance(fact, dict) or float(fact.get("built_at_seconds", 0.0)) <= since_seconds:
        return ""
    return str(fact.get("id", ""))


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
