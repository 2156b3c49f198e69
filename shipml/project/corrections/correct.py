"""The whole way of a file's lines: understood, named right, each once, and completed by what the code imports."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from shipml.errors import ConfigurationError
from shipml.facts.gpu_packages import PYTORCH_BUILDS
from shipml.facts.requirements import Correction
from shipml.project.corrections.duplicates import merge
from shipml.project.corrections.item import Item, local_segment
from shipml.project.corrections.lines import has_odd_version, repair
from shipml.project.corrections.models import place_models
from shipml.project.corrections.names import correct_name, nearest_name, without_local
from shipml.project.corrections.places import is_place, settle
from shipml.project.data import module_names
from shipml.project.requirements.reader import Line

__all__ = ["Corrected", "chained", "correct", "understand"]

_OPTIONS = re.compile(r"\s+(?=--(?:hash|global-option|install-option|build-option|config-settings?)\b)")
_LONGEST_SHOWN = 200
_LONGEST_LINE = 16_384
"""Many hashes are long; what is longer than this is not a requirement, and costs patterns too much."""
_MOST_LINES = 5000
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_NO_BUILDS = "the index has no local versions, and no file names an index that does"


@dataclass(slots=True)
class Corrected:
    """Requirements and what was changed on the way."""

    items: list[Item] = field(default_factory=list)
    changes: list[Correction] = field(default_factory=list)


def correct(lines: Iterable[Line], folder: Path, *, imported: Collection[str], has_indexes: bool) -> Corrected:
    """What `lines` ask for.

    Args:
        lines: of one kind: requirements, or constraints.
        folder: the project, for local paths.
        imported: top-level modules that the code imports.
        has_indexes: whether the project names indexes of its own: they may have what the public one has not.

    Raises:
        ConfigurationError: a line whose meaning is not certain; names it and, where there is one, what it may mean.
            Or there are more lines than any project has.
    """
    corrected = Corrected()
    named: list[Item] = []
    for number, line in enumerate(lines):
        if number >= _MOST_LINES:
            raise ConfigurationError(
                f"{line.source} is beyond {_MOST_LINES} requirements",
                hint="no project has as many: is it the right file?",
            )
        for item in understand(line, folder, corrected.changes):
            kept, change = correct_name(item, imported)
            corrected.changes += [change] if change is not None else []
            if kept is not None and kept.local and not has_indexes:
                is_pytorch = kept.name in PYTORCH_BUILDS  # the resolver looks for its builds, and says what comes of it
                kept, lost = without_local(kept, _NO_BUILDS)
                corrected.changes += [] if is_pytorch else [lost]
            named += [kept] if kept is not None else []
    merged, changes = merge(named)
    corrected.items, placed = place_models(merged)
    corrected.changes = chained([*corrected.changes, *changes, *placed])
    return corrected


def chained(changes: Iterable[Correction]) -> list[Correction]:
    """What was changed step by step as one change for each: from what is written to what is taken."""
    said: list[Correction] = []
    places: dict[tuple[str, str], list[int]] = {}
    """By source and what it came to: which of `said`, in order."""
    for change in changes:
        numbers = places.get((change.source, change.before))
        if numbers and change.before:
            at = numbers.pop(0)
            first = said[at]
            because = change.because if change.kind == "dropped" else f"{first.because}; {change.because}"
            said[at] = replace(change, before=first.before, because=because)
        else:
            at = len(said)
            said.append(change)
        insort(places.setdefault((change.source, change.after), []), at)
    return [replace(change, before=_shown(change.before), after=_shown(change.after)) for change in said]


def understand(line: Line, folder: Path, changes: list[Correction]) -> Iterator[Item]:
    """The requirements in a line; what had to be changed is added to `changes`."""
    if len(line.text) > _LONGEST_LINE:
        raise _unclear(line, line.text)
    text, *options = _OPTIONS.split(line.text)
    text = text.replace("\u00a0", " ").replace("\u200b", "").strip()
    hashes = tuple(re.sub(r"[\s=]+", "=", option, count=1) for option in options if option.startswith("--hash"))
    if (item := _item(text, line, hashes, folder, changes)) is not None:
        yield item
        return
    corrected = repair(text)
    if corrected is None:
        raise _unclear(line, text)
    if not corrected.texts:
        changes.append(Correction("line", text, "", corrected.because, line.source))
        return
    changes.append(Correction("line", text, ", ".join(corrected.texts), corrected.because, line.source))
    for one in corrected.texts:
        if (item := _item(one, line, (), folder, changes)) is not None:
            yield item


def _item(text: str, line: Line, hashes: tuple[str, ...], folder: Path, changes: list[Correction]) -> Item | None:
    """What `text` asks for as it stands; None where it is neither a requirement nor a place."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        if not is_place(text):
            return None
    else:
        if has_odd_version(requirement):
            return None
        if not requirement.url:
            item = Item(text, line.source, requirement, hashes)
            return Item(text, line.source, requirement, hashes, local_segment(item.pin))
    place = settle(text, folder)
    if place.missing:
        raise ConfigurationError(
            f"{line.source} asks for {_shown(place.missing)}, which is not there",
            hint="add it to the project, or name a package of the index and its version instead",
        )
    if place.because:
        changes.append(Correction("line", text, place.text, place.because, line.source))
    try:
        return Item(place.text, line.source, Requirement(place.text), hashes)
    except InvalidRequirement:
        return Item(place.text, line.source, None, hashes)


def _shown(text: str) -> str:
    text = _CREDENTIALS.sub("", text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _unclear(line: Line, text: str) -> ConfigurationError:
    word = re.match(r"[A-Za-z0-9][\w.-]*", text)
    near = ""
    if word is not None:
        near = word[0] if word[0].lower() in module_names().known else nearest_name(word[0])
    meant = f"; if {near} is meant, write {near} alone or {near}==VERSION" if near else ""
    return ConfigurationError(
        f'{line.source} is not a requirement: "{_shown(text)}"',
        hint=f"write it as NAME or NAME==VERSION, or remove the line{meant}",
    )
