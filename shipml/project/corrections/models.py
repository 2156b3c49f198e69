"""Language models of spaCy: wheels that no index has, at addresses that follow from their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from packaging.requirements import Requirement

from shipml.facts.requirements import Correction
from shipml.project.corrections.item import Item

__all__ = ["place_models"]

_MODEL = re.compile(r"[a-z]{2}-(?:core|dep|ent)-(?:web|news|wiki|ud)-(?:sm|md|lg|trf)")
_VERSION = re.compile(r"(?P<minor>3\.\d+)\.\d+")
_RELEASES = "https://github.com/explosion/spacy-models/releases/download"


def place_models(items: Sequence[Item]) -> tuple[list[Item], list[Correction]]:
    """The items, with models by their addresses: of their own pin, else of the first that fits the pinned spaCy."""
    spacy = next((_VERSION.fullmatch(item.pin) for item in items if item.name == "spacy"), None)
    placed, changes = [], []
    for item in items:
        found = _VERSION.fullmatch(item.pin)
        version = found[0] if found else f"{spacy['minor']}.0" if spacy and not item.pin else ""
        if not _MODEL.fullmatch(item.name) or not version or (item.requirement is not None and item.requirement.url):
            placed.append(item)
            continue
        stem = f"{item.name.replace('-', '_')}-{version}"
        text = f"{item.name} @ {_RELEASES}/{stem}/{stem}-py3-none-any.whl"
        placed.append(replace(item, text=text, requirement=Requirement(text), hashes=()))
        because = "no index has spaCy's models, their releases do"
        if not found:
            because += f"; version {version} is for the spaCy that is pinned"
        changes.append(Correction("line", item.text, text, because, item.source))
    return placed, changes
