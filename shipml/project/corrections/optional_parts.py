"""Packages that the code needs for what it does with those that it imports: backends, readers, drivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from shipml.facts.requirements import Correction
from shipml.project.code.uses import FileUses, Use
from shipml.project.corrections.item import Item
from shipml.project.corrections.missing import equal_names, provided_by
from shipml.project.data import normalised
from shipml.project.data.needs import Need, needs

__all__ = ["add_optional_parts"]


def add_optional_parts(
    items: Sequence[Item],
    uses: Iterable[FileUses],
    *,
    locked: Iterable[Item] = (),
    offers: Mapping[str, Item] | None = None,
    named: str,
) -> tuple[list[Item], list[Correction]]:
    """What has to be asked for besides `items`, and the changes that say so.

    Args:
        items: what is asked for, what the imports need included.
        uses: of packages, by the code that runs.
        locked: what a lock file pins: that is there, too.
        offers: requirements that files name under conditions (groups, extras), by normalised name.
        named: how to call the place where it should be asked for; "" where no file asks for anything.
    """
    known = [*items, *locked]
    pins = {item.name: item.pin for item in known if item.pin}
    there = provided_by({item.name for item in known})
    extras = {(item.name, extra) for item in known if item.requirement for extra in item.requirement.extras}
    found: list[Item] = []
    changes: list[Correction] = []
    every = tuple(uses)
    for need in needs():
        if any(equal_names(name) & there for name in need.instead) or not _applies(need, pins):
            continue
        use = next(_evidence(need, every), None)
        for package in need.packages if use is not None else ():
            requirement = Requirement(package)
            name = normalised(requirement.name)
            wanted = {(name, extra) for extra in requirement.extras}
            is_there = bool(equal_names(name) & there) and wanted <= extras
            if is_there or use is None:
                continue
            offer = (offers or {}).get(name)
            item = offer if offer is not None and not wanted else Item(package, use.source, requirement)
            found.append(item)
            there |= provided_by({name})
            extras |= wanted
            changes.append(Correction("added", "", item.text, _because(use, item, named), use.source))
    return found, changes


def _applies(need: Need, pins: Mapping[str, str]) -> bool:
    """Whether the pinned versions are those that the need is of."""
    for text in need.of:
        requirement = Requirement(text)
        try:
            version = Version(pins.get(normalised(requirement.name), "9999"))
        except InvalidVersion:
            return False
        if not requirement.specifier.contains(version, prereleases=True):
            return False
    return True


def _evidence(need: Need, files: Iterable[FileUses]) -> Iterator[Use]:
    for file in files:
        is_beside = not need.beside or need.beside & file.roots
        if is_beside and (need.where is None or need.where.fit(file.path)):
            yield from (use for use in file.uses if _shows(use, need))


def _shows(use: Use, need: Need) -> bool:
    if use.kind not in need.kinds or not need.evidence.fit(use.name) or need.besides.fit(use.name):
        return False
    if need.unless is not None and any(map(need.unless.fit, use.arguments)):
        return False
    return need.arguments is None or any(map(need.arguments.fit, use.arguments))


def _because(use: Use, item: Item, named: str) -> str:
    """A clause: what the code does that takes it."""
    if use.kind == "text":
        does = f"{use.source} names {_address(use.name)}"
    elif use.kind == "import":
        does = f"{use.source} imports {use.name}"
    else:
        does = f"{use.source} {'calls' if use.is_call else 'uses'} {use.name}"
    if item.source != use.source:
        return f"{does}, which needs it, and {item.source} says which version"
    return f"{does}, which needs it, and {named} does not ask for it" if named else f"{does}, which needs it"


def _address(text: str) -> str:
    """The scheme alone of a URL: the rest may hold a password."""
    scheme, separator, _ = text.partition("://")
    return f"{scheme}{separator}" if separator else text
