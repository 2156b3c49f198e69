"""One distribution on several lines: the same, more of it, or a contradiction."""

from __future__ import annotations

from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion

from shipml.facts.requirements import Correction
from shipml.project.corrections.item import Item

__all__ = ["merge"]


def merge(items: Sequence[Item]) -> tuple[list[Item], list[Correction]]:
    """Each distribution once for each marker, where its first line was; and what became of the other lines."""
    merged: dict[tuple[str, str], Item] = {}
    changes: list[Correction] = []
    for number, item in enumerate(items):
        key = (
            (item.name, str(item.requirement.marker or ""))
            if item.requirement is not None
            else (item.text, str(number))
        )
        if key in merged:
            merged[key], change = _both(merged[key], item)
            changes += change
        elif item.requirement is not None or item.text not in {one.text for one in merged.values()}:
            merged[key] = item
    return list(merged.values()), changes


def _both(first: Item, second: Item) -> tuple[Item, list[Correction]]:
    one, other = first.requirement, second.requirement
    if one is None or other is None:
        return first, []
    if one.url or other.url:
        taken = first if one.url else second
        left = second if taken is first else first
        same = one.url == other.url
        because = f"{taken.source} {'asks for the same' if same else 'names its address'}"
        return taken, [Correction("duplicate", left.text, "", because, left.source)]
    extras = one.extras | other.extras
    if second.pin and _contradicts(one.specifier, second.pin):
        because = f"{first.source} asks for {first.text}, and the later line wins"
        return _with(second, extras), [Correction("contradiction", first.text, second.text, because, second.source)]
    if first.pin and _contradicts(other.specifier, first.pin):
        because = f"{first.source} pins {first.text}"
        return _with(first, extras), [Correction("contradiction", second.text, first.text, because, second.source)]
    specifier = one.specifier if first.pin else other.specifier if second.pin else one.specifier & other.specifier
    result = _with(second if second.pin and not first.pin else first, extras, specifier)
    return result, [_left_out(first, second, result)]


def _left_out(first: Item, second: Item, result: Item) -> Correction:
    """Which of two lines that fit together says nothing that the result does not say."""
    if result.text == second.text != first.text:
        return Correction("duplicate", first.text, "", f"{second.source} asks for {second.text}", first.source)
    if result.requirement == first.requirement:
        same = "the same" if first.requirement == second.requirement else first.text
        return Correction("duplicate", second.text, "", f"{first.source} asks for {same}", second.source)
    return Correction("duplicate", second.text, result.text, f"{first.source} asks for {first.text}", second.source)


def _with(item: Item, extras: set[str], specifier: SpecifierSet | None = None) -> Item:
    requirement = item.requirement
    if requirement is None or (extras == requirement.extras and specifier in (None, requirement.specifier)):
        return item
    text = f"{requirement.name}[{','.join(sorted(extras))}]" if extras else requirement.name
    text += str(requirement.specifier if specifier is None else specifier)
    text += f" ; {requirement.marker}" if requirement.marker is not None else ""
    return Item(text, item.source, Requirement(text), item.hashes, item.local)


def _contradicts(specifier: SpecifierSet, version: str) -> bool:
    try:
        return bool(specifier) and not specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return False
