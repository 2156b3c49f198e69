"""NLTK's data: an index in XML, and zip archives below it (github.com/nltk/nltk_data)."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from packaging.version import InvalidVersion, Version

from shipml.data_files.publisher import Absent, Publisher, Sized, why
from shipml.errors import ShipmlError, UntrustedInputError
from shipml.facts.data import NLTK_HOME, DataFile, DataPin, DataUse

__all__ = ["NLTK_VARIABLE", "nltk_pin", "nltk_uses"]

NLTK_VARIABLE = "SHIPML_NLTK_DATA_URL"
_DEFAULT = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages"
_ENTRY = re.compile(
    r"<(?P<kind>package|item)\s(?P<attributes>[^>]*?)/?>|<collection\s(?P<collection>[^>]*)>|</collection>"
)
_ATTRIBUTE = re.compile(r'([\w-]+)\s*=\s*"([^"]*)"')
_SAFE = re.compile(r"[A-Za-z0-9_][\w.-]*")
_TABLES = Version("3.8.2")
"""Since this version NLTK reads tables instead of pickles, under other names."""
_AS_TABLES = {
    "punkt": ("punkt_tab",),
    "averaged_perceptron_tagger": ("averaged_perceptron_tagger_eng",),
    "maxent_ne_chunker": ("maxent_ne_chunker_tab",),
}


def nltk_uses(uses: Iterable[DataUse], versions: Mapping[str, str]) -> Iterator[DataUse]:
    """All uses, those of NLTK by the names that its version reads.

    Args:
        uses: of any kind.
        versions: of the packages, by name.
    """
    every = tuple(uses)
    named = {use.name for use in every if use.kind == "nltk"}
    for use in every:
        tables = _AS_TABLES.get(use.name, ()) if use.kind == "nltk" and _reads_tables(versions) else ()
        yield use
        yield from (replace(use, name=name) for name in tables if name not in named)


def _reads_tables(versions: Mapping[str, str]) -> bool:
    try:
        return Version(versions.get("nltk", "9999")) >= _TABLES
    except InvalidVersion:
        return True


def nltk_pin(use: DataUse, publisher: Publisher, versions: Mapping[str, str]) -> DataPin | Sized | Absent:
    """The archives of a package, or of a collection."""
    del versions
    base = os.environ.get(NLTK_VARIABLE, "").rstrip("/") or _DEFAULT
    key = f"nltk {use.name} {base}"
    if (kept := publisher.kept(key)) is not None:
        return replace(kept, because=f"{use.source} reads it")
    command = f"python -m nltk.downloader -d nltk_data {use.name}, in the project's folder"
    try:
        entries = _entries(publisher.read(f"{base}/index.xml").decode("utf-8", "replace"), use.name)
        if not entries:
            return Absent(f"NLTK has no data of the name {use.name}", "correct the name")
        if publisher.to_look:
            return Sized(sum(int(entry.get("size", 0)) for entry in entries))
        files = tuple(_fetched(entry, base, publisher) for entry in entries)
    except ShipmlError as error:
        return Absent(why(error), command)
    return publisher.keep(key, DataPin("nltk", use.name, f"{use.source} reads it", files))


def _entries(index: str, name: str) -> list[dict[str, str]]:
    """The packages that `name` means."""
    packages: dict[str, dict[str, str]] = {}
    members: list[str] = []
    inside = False
    for match in _ENTRY.finditer(index):
        if match["kind"] is None:
            inside = match["collection"] is not None and dict(_ATTRIBUTE.findall(match["collection"])).get("id") == name
            continue
        attributes = dict(_ATTRIBUTE.findall(match["attributes"]))
        if match["kind"] == "item":
            members += [attributes.get("ref", "")] if inside else []
        elif all(_SAFE.fullmatch(attributes.get(key, "")) for key in ("id", "subdir")):
            packages[attributes["id"]] = attributes
    wanted = [name] if name in packages else members
    return [packages[one] for one in wanted if one in packages]


def _fetched(entry: Mapping[str, str], base: str, publisher: Publisher) -> DataFile:
    url = f"{base}/packages/{entry['subdir']}/{entry['id']}.zip"
    digest, size_bytes = publisher.fetch(url, None, None)
    if expected := entry.get("checksum", ""):
        with publisher.session.store.blob_path(digest).open("rb") as stream:
            found = hashlib.file_digest(stream, "md5").hexdigest()  # what the index has: against damage, no more
        if found != expected.lower():
            raise UntrustedInputError(f"{url} is not what NLTK's index says: its MD5 is {found}, not {expected}")
    path = f"{NLTK_HOME}/{entry['subdir']}/{entry['id']}"
    unpacks = entry.get("unzip", "1") == "1"
    return DataFile(path if unpacks else f"{path}.zip", url, digest, size_bytes, unpacks=unpacks)
