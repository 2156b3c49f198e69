"""spaCy's models: wheels that no index has, at addresses that follow from name and version."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from packaging.version import InvalidVersion, Version

from shipml.data_files.publisher import Absent, Publisher, Sized, why
from shipml.errors import ShipmlError
from shipml.facts.data import DataUse
from shipml.facts.plan import LockedWheel
from shipml.project.data import normalised

__all__ = ["SPACY_VARIABLE", "spacy_wheel"]

SPACY_VARIABLE = "SHIPML_SPACY_MODELS_URL"
_LIST = "https://raw.githubusercontent.com/explosion/spacy-models/master/compatibility.json"
_RELEASES = "https://github.com/explosion/spacy-models/releases/download"


def spacy_wheel(use: DataUse, publisher: Publisher, versions: Mapping[str, str]) -> LockedWheel | Sized | Absent:
    """The model's package, of the version that is for the spaCy that is there."""
    spacy = versions.get("spacy", "")
    base = os.environ.get(SPACY_VARIABLE, "").rstrip("/")
    releases = base or _RELEASES
    minor = ".".join(spacy.split(".")[:2])
    stem = f"{use.name}-{minor or 'X.Y'}.0"
    command = (
        f"write {normalised(use.name)} @ {_RELEASES}/{stem}/{stem}-py3-none-any.whl in the requirements"
        " (or the path of that wheel, once it is in the project)"
    )
    try:
        known = json.loads(publisher.read(f"{base}/compatibility.json" if base else _LIST))
        version = _version(known, spacy, use.name)
        if not version:
            return Absent(f"spaCy has no {use.name} for its version {spacy}", "take another model, or another spaCy")
        stem = f"{use.name}-{version}"
        url = f"{releases}/{stem}/{stem}-py3-none-any.whl"
        if publisher.to_look:
            return Sized(0)
        digest, size_bytes = publisher.fetch(url, None, None)
    except (ShipmlError, ValueError, RecursionError) as error:
        return Absent(why(error) if isinstance(error, ShipmlError) else "its list is not readable", command)
    name = normalised(use.name)
    return LockedWheel(name, version, url, size_bytes, digest, f"{stem}-py3-none-any.whl", direct=True)


def _version(known: object, spacy: str, name: str) -> str:
    """The newest version of a model for a spaCy: {"spacy": {"3.7": {"en_core_web_sm": ["3.7.1", "3.7.0"]}}}."""
    table = known.get("spacy", {}) if isinstance(known, dict) else {}
    parts = spacy.split(".")
    for count in range(len(parts), 0, -1):
        models = table.get(".".join(parts[:count])) if isinstance(table, dict) else None
        found = models.get(name) if isinstance(models, dict) else None
        if isinstance(found, list) and found:
            return max((str(one) for one in found), key=_order)
    return ""


def _order(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")
