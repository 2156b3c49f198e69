"""Data that code reads and no package brings, for an image: found at its publisher, fetched, hashed and kept.

A publisher that cannot be reached is not an error: the plan says what is missing, what reads it, and the command that
gets it. What was fetched once stays the same until `--upgrade`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shipml.data_files.hugging_face import hub_pin
from shipml.data_files.nltk import nltk_pin, nltk_uses
from shipml.data_files.publisher import Absent, Publisher, Sized
from shipml.data_files.spacy import spacy_wheel
from shipml.events import Notice
from shipml.facts.data import HUB_HOME, NLTK_HOME, DataOutcome, DataPin, DataUse
from shipml.facts.plan import WORKING_DIR, LockedWheel
from shipml.facts.project import Lock, Project
from shipml.session import Session
from shipml.text import size_text

__all__ = ["FoundData", "find_data", "with_wheels"]

_MOST_BYTES = 4 << 30
"""Of all data of an image together."""


@dataclass(frozen=True, slots=True)
class FoundData:
    """What was found."""

    outcome: DataOutcome
    wheels: tuple[LockedWheel, ...] = ()
    """Models that are packages."""


def find_data(project: Project, lock: Lock, *, session: Session, to_look: bool) -> FoundData:
    """The data that the project's code reads.

    Args:
        project: says what is read.
        lock: the packages that read it.
        session: fetches, keeps, and hears what is missing.
        to_look: nothing is downloaded but lists.
    """
    if not project.data:
        return FoundData(DataOutcome())
    versions = {wheel.name: wheel.version for wheel in lock.wheels}
    publisher = Publisher(session, most_bytes=_MOST_BYTES, to_look=to_look)
    pins: list[DataPin] = []
    wheels: list[LockedWheel] = []
    planned: list[tuple[DataUse, int]] = []
    missing: list[tuple[DataUse, str, str]] = []
    for use in nltk_uses(project.data, versions):
        if _folder_with(use, project) is not None or (use.kind == "spacy" and use.name.replace("_", "-") in versions):
            continue
        found = _FINDERS[use.kind](use, publisher, versions)
        if isinstance(found, DataPin):
            pins.append(found)
        elif isinstance(found, LockedWheel):
            wheels.append(found)
        elif isinstance(found, Sized):
            planned.append((use, found.size_bytes))
        else:
            missing.append((use, found.because, found.command))
    outcome = DataOutcome(tuple(sorted(pins)), tuple(planned), tuple(missing), _environment(project, pins))
    _say(outcome, session)
    return FoundData(outcome, tuple(wheels))


def _other(use: DataUse, publisher: Publisher, versions: Mapping[str, str]) -> Absent:
    del publisher, versions
    return Absent(
        f"{use.what} downloads it when it runs",
        "run that call once, put what it downloads into the project, and read it from there",
    )


_Finder = Callable[[DataUse, Publisher, Mapping[str, str]], DataPin | LockedWheel | Sized | Absent]
_FINDERS: Mapping[str, _Finder] = {"nltk": nltk_pin, "huggingface": hub_pin, "spacy": spacy_wheel, "other": _other}


def _folder_with(use: DataUse, project: Project) -> str | None:
    """The folder of the project that has it, as the readers' own tools make one; None where none has."""
    for file in project.files:
        if use.kind == "nltk":
            folder, _, name = file.path.removesuffix(".zip").rpartition("/")
            if name == use.name and folder.rpartition("/")[0].endswith("nltk_data"):
                return folder.rpartition("/")[0]
        elif use.kind == "huggingface" and file.path.endswith(f"hub/models--{use.name.replace('/', '--')}"):
            return file.path.rpartition("hub/")[0].rstrip("/")
    return None


def _environment(project: Project, pins: Sequence[DataPin]) -> tuple[tuple[str, str], ...]:
    """Variables by which readers find what was fetched, and what the project has itself."""
    kinds = {pin.kind for pin in pins}
    own = {(use.kind, folder) for use in project.data if (folder := _folder_with(use, project)) is not None}
    variables = {}
    for kind, name, home in (("nltk", "NLTK_DATA", NLTK_HOME), ("huggingface", "HF_HOME", HUB_HOME)):
        folders = [f"{WORKING_DIR}/{folder}".rstrip("/") for of, folder in sorted(own) if of == kind]
        every = [*([home] if kind in kinds else []), *folders]
        if every:
            variables[name] = ":".join(every) if kind == "nltk" else every[0]
    return tuple(sorted(variables.items()))


def _say(outcome: DataOutcome, session: Session) -> None:
    for use, because, command in outcome.missing:
        level = "warning" if use.at_start and use.kind != "other" else "info"
        what = f"{use.source} reads {use.title}, which is not in the image: {because}; to add it: {command}"
        session.emit(Notice(what, level))  # type: ignore[arg-type]
    for use, size_bytes in outcome.planned:
        size = f", {size_text(size_bytes)}" if size_bytes else ""
        session.emit(Notice(f"{use.source} reads {use.title}{size}: the build fetches it"))


def with_wheels(lock: Lock, wheels: Sequence[LockedWheel]) -> Lock:
    """The lock with models that are packages."""
    return replace(lock, wheels=tuple(sorted((*lock.wheels, *wheels)))) if wheels else lock
