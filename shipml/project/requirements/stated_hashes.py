"""The hashes that another tool's lock file states, by package: what is downloaded must have one of them. Pure.

Read as uv, Poetry, PDM, Pipenv and PEP 751 write them; entries that make no sense state nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shipml.facts.requirements import FileHash

__all__ = ["hashes_by_name", "hashes_of_package", "parsed_hash"]

_ALGORITHMS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""Hexadecimal digits of each."""
_HEX = frozenset("0123456789abcdef")


def parsed_hash(text: str, size_bytes: object = None) -> FileHash | None:
    """`sha256:HEX`; bare digits are of the algorithm that has that many. None for what is not a hash."""
    algorithm, colon, digits = text.strip().rpartition(":")
    digits = digits.lower()
    if not colon:
        algorithm = next((name for name, length in _ALGORITHMS.items() if length == len(digits)), "")
    algorithm = algorithm.lower()
    if algorithm not in _ALGORITHMS or not digits or not set(digits) <= _HEX:
        return None
    is_size = isinstance(size_bytes, int) and not isinstance(size_bytes, bool) and size_bytes >= 0
    return FileHash(algorithm, digits, size_bytes if isinstance(size_bytes, int) and is_size else None)


def hashes_of_package(package: Mapping[str, Any]) -> tuple[FileHash, ...]:
    """Of one entry: `files`, `wheels`, `sdist` and `archive` (tables), or Pipfile.lock's `hashes` (strings)."""
    files = [one for key in ("files", "wheels") for one in _tables(package.get(key))]
    files += [one for key in ("sdist", "archive") if isinstance(one := package.get(key), Mapping)]
    found = [one for file in files for one in _of_file(file)]
    texts = package.get("hashes")
    found += [one for text in _strings(texts) if (one := parsed_hash(text)) is not None]
    return tuple(dict.fromkeys(found))


def hashes_by_name(document: Mapping[str, Any]) -> dict[str, tuple[FileHash, ...]]:
    """What older locks of Poetry and PDM state in one table: [metadata.files] and [metadata.hashes], by package."""
    metadata = document.get("metadata")
    found: dict[str, tuple[FileHash, ...]] = {}
    for key in ("files", "hashes"):
        table = metadata.get(key) if isinstance(metadata, Mapping) else None
        for label, entries in table.items() if isinstance(table, Mapping) else ():
            name = str(label).split(" ", maxsplit=1)[0]
            stated = [one for file in _tables(entries) for one in _of_file(file)]
            stated += [one for text in _strings(entries) if (one := parsed_hash(text)) is not None]
            found[name] = (*found.get(name, ()), *stated)
    return found


def _of_file(file: Mapping[str, Any]) -> Iterator[FileHash]:
    size_bytes = file.get("size")
    if isinstance(text := file.get("hash"), str) and (one := parsed_hash(text, size_bytes)) is not None:
        yield one
    hashes = file.get("hashes")
    for algorithm, digits in hashes.items() if isinstance(hashes, Mapping) else ():
        if (one := parsed_hash(f"{algorithm}:{digits}", size_bytes)) is not None:
            yield one


def _tables(value: object) -> Iterable[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else ()


def _strings(value: object) -> Iterable[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else ()
