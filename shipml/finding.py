"""Which image is meant: a name, a digest or a folder → an image of the store, or one only the user's engine has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shipml import docker_engine
from shipml.builders.built_folder import built_on_engine
from shipml.errors import UsageError
from shipml.events import Emit, step
from shipml.oci.image import Image, read_config
from shipml.oci.source import Source
from shipml.registries import Subject
from shipml.store import Store, StoredImage

__all__ = ["Finder"]


class Finder:
    """Finds images. `target` is a name, digest or folder everywhere; None is the last image of the current folder."""

    def __init__(self, store: Store, emit: Emit) -> None:
        self._store = store
        self._emit = emit

    def subject(self, target: str | None) -> Subject:
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
            return Subject(found.id, None, named or next(iter(found.references), ""), labels)
        return Subject(image.digest, image, self.stored(target).reference, _labels(image))

    def _read(self, source: Source) -> Subject:
        with step(self._emit, "read", str(source)):
            found = source.read()
            image = self._store.image(self._store.keep_image(found))
        return Subject(image.digest, image, source.name_of(found), _labels(image))

    def stored(self, target: str | None) -> StoredImage:
        """The image's entry in the store.

        Raises:
            UsageError: the store does not have it.
        """
        return self._store.last_built_from(Path()) if target is None else self._store.resolve(target)

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
        return self._store.image(self.stored(target).digest)

    def newest_on_engine(self, target: str | None) -> str:
        """The id of the image of a folder (None: the current one), where an engine built its newest; else ""."""
        folder = Path(target or ".")
        if not folder.is_dir():
            return ""
        source = str(folder.resolve())
        times = [stored.created_at_seconds for stored in self._store.images() if stored.source == source]
        return built_on_engine(self._store, folder, since_seconds=max(times, default=0.0))


def _labels(image: Image) -> Mapping[str, str]:
    return read_config(image).get("config", {}).get("Labels") or {}
