"""What the project depends on: the file that counts, corrected, and completed by what the code imports."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from shipml.errors import ConfigurationError
from shipml.facts.requirements import Correction, ImportedModule, Requirements, StatedHashes
from shipml.folders import is_file
from shipml.oci.digest import Digest
from shipml.project.code.imports import Code
from shipml.project.code.uses import FileUses
from shipml.project.corrections.correct import Corrected, correct, understand
from shipml.project.corrections.item import Item
from shipml.project.corrections.missing import add_missing
from shipml.project.corrections.optional_parts import add_optional_parts
from shipml.project.requirements.choose import Taken
from shipml.project.requirements.local_projects import local_projects
from shipml.project.requirements.own_project import expand, source_folder
from shipml.project.requirements.pyproject import uv_settings
from shipml.project.requirements.reader import Folder, Found, Line

__all__ = ["read_requirements", "split_options"]

_ARCHIVES = (".whl", ".tar.gz", ".zip")
_INDEX = re.compile(r"(?:-i|--index-url|--extra-index-url|-f|--find-links)\b.*")


def read_requirements(
    folder: Folder,
    taken: Taken | None,
    imports: Sequence[ImportedModule],
    code: Code,
    uses: Sequence[FileUses] = (),
) -> Requirements | None:
    """What the project asks for; None: nothing.

    Args:
        folder: the project.
        taken: the file that counts, as `take` finds it.
        imports: of third parties, by the code that runs.
        code: all of it: notebooks say in pip lines what they need.
        uses: of packages, by the code that runs: what these need for that is added, too.

    Raises:
        ConfigurationError: a line's meaning is not certain.
    """
    if taken is None:
        return _of_code(folder, imports, code, uses)
    found = taken.found
    imported = {module.root for module in imports}
    settings = tuple(uv_settings(folder))
    local = local_projects(folder.path, folder.pyproject)
    expanded = expand(found.requirements, folder, local=local)
    options, pytorch_backends = split_options(found.options)
    has_indexes = bool(settings) or any(_INDEX.fullmatch(option.text) for option in options)
    corrected = correct(expanded.lines, folder.path, imported=imported, has_indexes=has_indexes)
    constraints = correct(found.constraints, folder.path, imported=imported, has_indexes=has_indexes)
    locked = _locked(taken, corrected, folder, has_indexes=has_indexes)
    offers = _offers(found.offers, folder.path)
    added, additions, unknown = add_missing(corrected.items, imports, offers, named=found.path)
    parts, part_changes = add_optional_parts(
        [*corrected.items, *added], uses, locked=locked.items, offers=offers, named=found.path
    )
    added, additions = [*added, *parts], [*additions, *part_changes]
    if found.as_it_stands:
        corrected, added, additions = _as_it_stands(found, folder), [], []
    return Requirements(
        path=found.path,
        because=found.because,
        requirements=tuple(item.declared() for item in (*corrected.items, *added)),
        constraints=tuple(item.declared() for item in (*constraints.items, *locked.items)),
        options=tuple(option.text for option in options),
        changes=_in_order(
            *(found.changes, expanded.changes, corrected.changes, constraints.changes, locked.changes, additions)
        ),
        left_aside=found.left_aside,
        locked_by=taken.lock.path if taken.lock is not None else "",
        as_it_stands=found.as_it_stands,
        uv_choices=found.uv_choices,
        texts=found.texts,
        inputs=(*found.inputs, *settings, *_local_archives(folder.path, corrected.items)),
        pytorch_backends=pytorch_backends,
        unknown=tuple(unknown),
        source_folders=_source_folders(
            folder,
            tuple(source_folder(folder.path / path, path) for path in local.values())
            if found.as_it_stands
            else expanded.folders,
        ),
        stated_hashes=tuple(_stated(taken, locked)),
    )


def _stated(taken: Taken, locked: Corrected) -> Iterator[StatedHashes]:
    """The hashes of the locks, without those of versions that the project file has outgrown."""
    yield from taken.found.hashes
    outgrown = {change.source for change in locked.changes if change.kind == "lock"}
    yield from (one for one in (taken.lock.hashes if taken.lock else ()) if one.source not in outgrown)


def _in_order(*groups: Iterable[Correction]) -> tuple[Correction, ...]:
    """By file and line, files in the order in which they were met."""
    changes = [change for group in groups for change in group]
    order = {name: number for number, name in enumerate(dict.fromkeys(_place(change)[0] for change in changes))}
    return tuple(sorted(changes, key=lambda change: (order[_place(change)[0]], _place(change)[1])))


def _place(change: Correction) -> tuple[str, int]:
    file, colon, line = change.source.rpartition(":")
    return (file, int(line)) if colon and line.isdecimal() else (change.source, 0)


def _of_code(
    folder: Folder, imports: Sequence[ImportedModule], code: Code, uses: Sequence[FileUses]
) -> Requirements | None:
    """No file says anything: what the code imports is what it needs, and pip lines in notebooks say which versions."""
    lines = [Line(text, source) for source, text in code.installs]
    corrected = correct(lines, folder.path, imported={module.root for module in imports}, has_indexes=False)
    added, additions, unknown = add_missing(corrected.items, imports, {}, named="")
    parts, part_changes = add_optional_parts([*corrected.items, *added], uses, named="")
    added, additions = [*added, *parts], [*additions, *part_changes]
    if not corrected.items and not added and not unknown:
        return None
    return Requirements(
        path="",
        because="no file names dependencies, so the imports of the code say what it needs",
        requirements=tuple(item.declared() for item in (*corrected.items, *added)),
        changes=_in_order(corrected.changes, additions),
        inputs=tuple(uv_settings(folder)),
        unknown=tuple(unknown),
        source_folders=_source_folders(folder, ()),
    )


def _as_it_stands(found: Found, folder: Folder) -> Corrected:
    """What uv reads itself is not corrected."""
    items = [item for line in found.requirements for item in understand(line, folder.path, [])]
    return Corrected(items)


def _locked(taken: Taken, corrected: Corrected, folder: Folder, *, has_indexes: bool) -> Corrected:
    """The lock's versions, without those that the project file has outgrown."""
    if taken.lock is None:
        return Corrected()
    locked = correct(taken.lock.lines, folder.path, imported=(), has_indexes=has_indexes)
    asked = {item.name: item for item in corrected.items if item.requirement is not None}
    kept, changes = [], []
    for item in locked.items:
        wanted = asked.get(item.name)
        if wanted is None or wanted.requirement is None or _allows(wanted, item):
            kept.append(item)
            continue
        because = f"{wanted.source} asks for {wanted.text}: the lock is older"
        changes.append(Correction("lock", item.text, "", because, item.source))
    return Corrected(kept, changes)


def _allows(wanted: Item, locked: Item) -> bool:
    requirement = wanted.requirement
    return requirement is None or not locked.pin or requirement.specifier.contains(locked.pin, prereleases=True)


def _offers(lines: Iterable[Line], folder: Path) -> dict[str, Item]:
    """By name, the first that says which version; lines of files that were not taken need not make sense."""
    offers: dict[str, Item] = {}
    for line in lines:
        try:
            items = list(understand(line, folder, []))
        except ConfigurationError:
            continue
        for item in items:
            known = offers.get(item.name)
            if item.requirement is not None and (known is None or known.text == known.name):
                offers[item.name] = item
    return offers


def _source_folders(folder: Folder, asked: Sequence[str]) -> tuple[str, ...]:
    """Folders in which the project's own packages lie, other than its top, which programs find by themselves."""
    is_project = any(name in folder.names for name in ("pyproject.toml", "setup.py", "setup.cfg"))
    own = [source_folder(folder.path, ".")] if is_project else []
    return tuple(dict.fromkeys(one for one in (*asked, *own) if one != "."))


def _local_archives(folder: Path, items: Iterable[Item]) -> list[tuple[str, str]]:
    """(path, digest) of wheels that are asked for by path: another file of the same name is another requirement."""
    found = []
    for item in items:
        url = item.requirement.url if item.requirement is not None else item.text
        path = (url or "").partition(" ;")[0].strip().removeprefix("file://").removeprefix("file:")
        if path.endswith(_ARCHIVES) and "://" not in path and is_file(folder / path):
            found.append((posixpath.normpath(path), str(Digest.of_file(folder / path))))
    return found


_PYTORCH = re.compile(
    r"(?:-i|--index-url|--pypi-url|--extra-index-url|-f|--find-links)[ \t=]+[\"']?https?://download\.pytorch\.org/whl/?"
    r"(?:(?P<backend>cpu|cu\d+)/?)?(?:(?:torch_)?stable\.html)?[\"']?"
)


def split_options(options: Iterable[Line]) -> tuple[tuple[Line, ...], tuple[tuple[str, str], ...]]:
    """The options without those that name PyTorch's index, and which parts of it those named, and where.

    It also holds some releases of what PyTorch needs: as an index of equal rank it would hide all others of these.
    """
    kept, named = [], []
    for option in options:
        match = _PYTORCH.fullmatch(option.text.strip())
        if match is None:
            kept.append(option)
        else:
            named.append((match["backend"] or "", option.source))
    return tuple(kept), tuple(named)
