"""An image that an engine has built: known by what the engine tells, its bytes saved only if someone needs them."""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from shipml.docker_engine import Engine, EngineImage
from shipml.oci.archive import read_archive
from shipml.oci.digest import Digest
from shipml.oci.image import Image, Layer

__all__ = ["BuiltImage", "BuiltLayer"]

_ONLY_SETTINGS = re.compile(
    r"(?:/bin/sh -c #\(nop\)\s+)?(?:ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL"
    r"|USER|VOLUME)\b"
)
_NOISE = re.compile(r"^/bin/sh -c #\(nop\)\s+|^RUN (?:\|\d+ (?:\S+=\S* )*)?/bin/sh -c |\s*# buildkit$")


@dataclass(frozen=True, slots=True)
class BuiltLayer:
    """A layer as the engine tells of it."""

    diff_id: Digest
    size_bytes: int
    """Of the files in it."""
    created_by: str
    """The instruction that made it, "" where that is unclear."""


class BuiltImage:
    """Implements `oci.image.Image`. `id`, `facts` and `layer_facts` are quick; the others save it first."""

    def __init__(self, engine: Engine, facts: EngineImage, work_folder: Path, *, base: str = "") -> None:
        """`work_folder` is where it is saved, for as long as this object lives; `base` what it starts from."""
        self.engine = engine
        self.facts = facts
        self.base = base
        self._work_folder = work_folder

    @property
    def id(self) -> Digest:
        """As the engine calls it: `docker images --no-trunc`."""
        return self.facts.id

    @property
    def python(self) -> str:
        """Minor version of its Python where the environment says it, as in Docker's official images; else ""."""
        variables = dict(variable.partition("=")[::2] for variable in self.facts.config.get("Env") or ())
        return ".".join(variables.get("PYTHON_VERSION", "").split(".")[:2])

    @cached_property
    def layer_facts(self) -> tuple[BuiltLayer, ...]:
        """What is known of its layers, oldest first."""
        with self.engine.sdk.doing("tell an image's history"):
            history: Sequence[Mapping[str, Any]] = self.engine.sdk.api.history(str(self.id))
        return _layers(self.facts.diff_ids, history)

    @property
    def digest(self) -> Digest:
        """Of its manifest as it is saved; a registry to which the engine pushes it may see another."""
        return self._saved.digest

    @property
    def manifest(self) -> bytes:
        """The manifest, byte for byte."""
        return self._saved.manifest

    @property
    def media_type(self) -> str:
        """The manifest's media type."""
        return self._saved.media_type

    @property
    def config(self) -> bytes:
        """The config, byte for byte."""
        return self._saved.config

    @property
    def layers(self) -> Sequence[Layer]:
        """Oldest first."""
        return self._saved.layers

    @cached_property
    def _saved(self) -> Image:
        folder = tempfile.TemporaryDirectory(prefix="saved-", dir=self._work_folder)
        weakref.finalize(self, folder.cleanup)
        archive = Path(folder.name) / "image.tar"
        name = str(self.id)
        self.engine.save(name, archive)
        return read_archive(archive)


def _layers(diff_ids: Sequence[Digest], history: Sequence[Mapping[str, Any]]) -> tuple[BuiltLayer, ...]:
    """Layers with the steps that made them; the API does not say which steps made none."""
    steps = [(str(step.get("CreatedBy") or ""), int(step.get("Size") or 0)) for step in reversed(history)]
    made = [step for step in steps if step[1] or not _ONLY_SETTINGS.match(step[0])]
    if len(made) != len(diff_ids):
        made = [step for step in steps if step[1]]
    if len(made) != len(diff_ids):
        made = [("", 0)] * len(diff_ids)
    return tuple(
        BuiltLayer(diff_id, size_bytes, _NOISE.sub("", _NOISE.sub("", words)))
        for diff_id, (words, size_bytes) in zip(diff_ids, made, strict=True)
    )
