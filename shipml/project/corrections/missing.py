"""Packages that the code imports and no file asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.requirements import Requirement

from shipml.facts.requirements import Correction, ImportedModule
from shipml.project.corrections.item import Item
from shipml.project.data import module_names, normalised

__all__ = ["add_missing", "equal_names", "provided_by"]

_VARIANT = re.compile(
    r"(?:-(?:aws|binary|cpu|cu\d+|cuda\d*x?|directml|gpu|headless|intel|macos|mkl|nightly|openvino|rocm[\d.]*|rolling"
    r"|silicon|simd))+"
)
_REPOSITORY = 3
"""Parts of an address before those of a repository: scheme, nothing, host."""


def add_missing(
    items: Sequence[Item], imports: Iterable[ImportedModule], offers: Mapping[str, Item], *, named: str
) -> tuple[list[Item], list[Correction], list[ImportedModule]]:
    """What has to be asked for besides `items`, the changes that say so, and the imports of which nobody knows.

    Args:
        items: what is asked for.
        imports: of the code, in the order of names.
        offers: requirements that files name under conditions (groups, extras), by normalised name.
        named: how to call the place where it should be asked for, as "requirements.txt"; "" where no file asks for
            anything: then imports in functions count too.
    """
    provided = provided_by({name for item in items for name in (item.name, *_names_of_place(item)) if name})
    nameless = any(item.requirement is None for item in items)
    added: list[Item] = []
    changes: list[Correction] = []
    unknown: list[ImportedModule] = []
    for module in imports:
        if module.optional or (named and not module.top_level):
            continue
        candidates = module_names().distributions(module.name, module.members)
        if _is_provided(module, candidates, provided):
            continue
        if not candidates:
            unknown += [] if nameless else [module]
            continue
        item = offers.get(normalised(candidates[0])) or _item(candidates[0], module)
        added.append(item)
        provided |= provided_by({item.name})
        changes.append(Correction("added", "", item.text, _because(module, item, named), module.source))
    return added, changes, unknown


def _item(name: str, module: ImportedModule) -> Item:
    return Item(name, module.source, Requirement(name))


def _because(module: ImportedModule, item: Item, named: str) -> str:
    root = module.root if module_names().distributions(module.root) else module.name
    text = f"{module.source} imports {root}"
    if item.source != module.source:
        return f"{text}, and {item.source} says which version"
    return f"{text}, and {named} does not ask for it" if named else text


def provided_by(names: set[str]) -> set[str]:
    """`names` and what they surely bring along."""
    brings = module_names().brings
    found, todo = set(names), list(names)
    while todo:
        name = todo.pop()
        new = frozenset[str]().union(*(brings.get(one, ()) for one in equal_names(name))) - found
        found |= new
        todo += new
    return found


def equal_names(name: str) -> frozenset[str]:
    """The distributions, normalised, that have the same modules as `name`, itself among them."""
    return next((names for names in module_names().equal if name in names), frozenset({name}))


def _names_of_place(item: Item) -> Iterator[str]:
    """What the URL or path of a requirement without a name calls it: a file's name, or the repository's."""
    if item.requirement is not None:
        return
    place = item.text.partition(" ;")[0].partition("#")[0].rstrip("/")
    words = [re.sub(r"@[^/]*$|\.git$", "", word) for word in place.split("/")]
    yield normalised(re.split(r"-\d", words[-1], maxsplit=1)[0].removesuffix(".git"))
    if len(words) > _REPOSITORY and "archive" in words:
        yield normalised(words[words.index("archive") - 1])


def _is_provided(module: ImportedModule, candidates: tuple[str, ...] | None, provided: set[str]) -> bool:
    names = {normalised(name) for name in candidates or ()} | {normalised(module.root), normalised(module.name)}
    names = {equal for name in names for equal in equal_names(name)}
    if names & provided or any(_is_variant(one, name) for one in provided for name in names):
        return True
    return any(name.startswith(f"{normalised(module.root)}-") for name in provided) and not candidates


def _is_variant(name: str, of: str) -> bool:
    """Whether a distribution is another build of one: tensorflow-cpu, onnxruntime-gpu, dgl-cu113, pillow-simd."""
    return name.startswith(of) and _VARIANT.fullmatch(name[len(of) :]) is not None
