"""What a build knows of files that the image lacks: kept with its digest, so that a run much later can name them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shipml.facts.project import Project
from shipml.oci.digest import Digest
from shipml.runtimes.base import RunOptions
from shipml.runtimes.diagnose import LeftOut, SettingsPlace
from shipml.store import Store
from shipml.store.fact import Fact

__all__ = ["AbsentFiles", "absent_files", "explained", "keep_absent_files"]

_MOST = 1000


@dataclass(frozen=True, slots=True)
class _Written:
    path: str
    source: str
    """`FILE:LINE`."""


@dataclass(frozen=True, slots=True)
class AbsentFiles:
    """Files of the project that a rule leaves out, files that its code writes, and where to change that."""

    left_out: tuple[LeftOut, ...] = ()
    written: tuple[_Written, ...] = ()
    settings: SettingsPlace = SettingsPlace()
    present: tuple[str, ...] = ()
    """Files of the project that the image has."""

    @property
    def written_by(self) -> dict[str, str]:
        """Path → `FILE:LINE`, the first that writes it."""
        return {one.path: one.source for one in reversed(self.written)}


_FACT = Fact("absent-files-2", AbsentFiles)
"""By the image's digest."""


def keep_absent_files(store: Store, digest: Digest, project: Project) -> None:
    """Remember what the project has that its image `digest` lacks."""
    by_rule = [LeftOut(path, rule) for path, rule in project.ignored]
    safe = [LeftOut(path, reason, is_safeguard=True) for path, reason in project.left_out]
    written = tuple(_Written(path, source) for path, source in project.written_files[:_MOST])
    place = SettingsPlace(project.settings.source or "shipml.toml", project.settings.include)
    there = [file.path for file in project.files if file.kind == "file"]
    found = AbsentFiles((*by_rule[:_MOST], *safe[:_MOST]), written, place, tuple(there[:_MOST]))
    if found != AbsentFiles() or _FACT.last(store, str(digest)) is not None:
        _FACT.keep(store, str(digest), found)


def absent_files(store: Store, digest: Digest) -> AbsentFiles:
    """What is known of an image; nothing for one that was not built here."""
    return _FACT.last(store, str(digest)) or AbsentFiles()


def explained(options: RunOptions, store: Store, digest: Digest, called: str = "IMAGE") -> RunOptions:
    """The options with what is known of the image's files, for hints; `called` is the image as they name it."""
    known = absent_files(store, digest)
    return replace(
        options,
        left_out=known.left_out,
        written_by=known.written_by,
        present=known.present,
        settings=known.settings,
        called=called,
    )
