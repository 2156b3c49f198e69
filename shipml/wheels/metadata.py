"""What a wheel says of itself: WHEEL, METADATA, RECORD and entry points.

PyPA "Binary distribution format" (PEP 427), "Recording installed projects" (PEP 627), "Entry points specification".
"""

from __future__ import annotations

import base64
import configparser
import contextlib
import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from shipml.errors import UntrustedInputError
from shipml.facts.plan import LockedWheel
from shipml.formats import load_ini
from shipml.wheels.archive import Archive, Entry

__all__ = ["EntryPoint", "Metadata", "RecordRow", "read_metadata", "refuse"]

_METADATA_LIMIT_BYTES = 64 << 20
_MOST_DIGITS = 19
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_OBJECT_REFERENCE = re.compile(
    r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*:\s*(?P<attribute>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\s*(?:\[[^\]]*\])?\s*\Z"
)
_HASHES = ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s")


@dataclass(frozen=True, slots=True)
class RecordRow:
    """What RECORD demands of one file."""

    algorithm: str
    hash_base64: str
    """URL-safe, without padding."""
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """A program that the installer makes (PyPA "Entry points specification")."""

    name: str
    module: str
    attribute: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """What was read from a wheel's dist-info folder; all but `record` is checked."""

    dist_info: str
    """The folder's name."""
    record: Mapping[str, RecordRow]
    """By path; files may be missing, for a RECORD may be wrong."""
    entry_points: tuple[EntryPoint, ...]
    files: tuple[Entry, ...]
    """The archive's files without RECORD and its signatures, sorted by name."""

    def agrees(self, archive: Archive, entry: Entry, sha256_hex: str) -> bool:
        """Whether the content of `entry` is what RECORD lists.

        METADATA may differ: who repacks a wheel edits it and forgets RECORD (torch 1.11). So may Windows' binaries,
        which are signed after RECORD was made (debugpy 1.6). The lock's digest of the whole wheel holds all the same.
        """
        if entry.name == f"{self.dist_info}/METADATA" or entry.name.endswith((".pyd", ".dll", ".exe")):
            return True
        row = self.record.get(entry.name)
        if row is None or row.size_bytes not in (None, entry.size_bytes):
            return False
        content = bytes.fromhex(sha256_hex)
        if row.algorithm != "sha256":
            hasher = hashlib.new(row.algorithm)
            for data in archive.inflated(entry):
                hasher.update(data)
            content = hasher.digest()
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode() == row.hash_base64.rstrip("=")


def refuse(wheel: str, what: str) -> UntrustedInputError:
    """The error for a wheel that is not what a wheel must be."""
    return UntrustedInputError(
        f"the wheel {wheel} is not acceptable: {what}",
        hint="choose another version of the package, or tell its publisher",
    )


def read_metadata(archive: Archive, wheel: LockedWheel) -> Metadata:
    """Read and check what `archive` says of itself.

    Raises:
        UntrustedInputError: it is not the wheel of the lock, or its metadata is broken.
    """
    _check_filename(wheel)
    by_name = {entry.name: entry for entry in archive.entries}
    dist_info = _dist_info(by_name, wheel)
    _check_same(_headers(_text(archive, by_name, f"{dist_info}/METADATA")), wheel, "METADATA")
    version = _headers(_text(archive, by_name, f"{dist_info}/WHEEL")).get("wheel-version", "")
    if not re.match(r"1(\.\d+)*\Z", version):
        raise refuse(wheel.filename, f"it has the format version {version!r}; shipml knows 1.x")
    own = f"{dist_info}/RECORD"
    files = tuple(entry for name, entry in by_name.items() if name not in (own, *_signatures(dist_info)))
    record = _record(_content(archive, by_name, own))
    points: tuple[EntryPoint, ...] = ()
    if entry := by_name.get(f"{dist_info}/entry_points.txt"):
        text = archive.read(entry, limit_bytes=_METADATA_LIMIT_BYTES)
        points = tuple(_entry_points(_decode(text, entry.name, wheel), wheel))
    return Metadata(dist_info, record, points, files)


def _signatures(dist_info: str) -> tuple[str, ...]:
    return tuple(f"{dist_info}/{name}" for name in _SIGNATURES)


def _check_filename(wheel: LockedWheel) -> None:
    try:
        name, version, _, _ = parse_wheel_filename(wheel.filename)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise refuse(wheel.filename, f"{wheel.filename!r} is not the name of a wheel") from error
    if name != canonicalize_name(wheel.name) or not _same_version(str(version), wheel.version):
        raise refuse(wheel.filename, f"it is not {wheel.name} {wheel.version}")


def _same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _dist_info(by_name: Mapping[str, Entry], wheel: LockedWheel) -> str:
    tops = {name.partition("/")[0] for name in by_name if "/" in name}
    found = sorted(top for top in tops if top.endswith(".dist-info"))
    if len(found) != 1:
        raise refuse(wheel.filename, f"it has {len(found)} dist-info folders instead of one")
    name, _, version = found[0].removesuffix(".dist-info").rpartition("-")
    if canonicalize_name(name) != canonicalize_name(wheel.name) or not _same_version(version, wheel.version):
        raise refuse(wheel.filename, f"it holds {found[0]}, not {wheel.name} {wheel.version}")
    return found[0]


def _text(archive: Archive, by_name: Mapping[str, Entry], name: str) -> str:
    return _decode(_content(archive, by_name, name), name, archive)


def _content(archive: Archive, by_name: Mapping[str, Entry], name: str) -> bytes:
    entry = by_name.get(name)
    if entry is None:
        raise UntrustedInputError(
            f"the wheel {archive.name} is not acceptable: it has no {name}", hint="choose another version"
        )
    return archive.read(entry, limit_bytes=_METADATA_LIMIT_BYTES)


def _decode(data: bytes, path: str, wheel: LockedWheel | Archive) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        name = wheel.filename if isinstance(wheel, LockedWheel) else wheel.name
        raise refuse(name, f"{path} is not UTF-8") from error


def _headers(text: str) -> dict[str, str]:
    """The first value of each header line before the first empty line, by lower-case name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _check_same(headers: Mapping[str, str], wheel: LockedWheel, where: str) -> None:
    name, version = headers.get("name", ""), headers.get("version", "")
    if canonicalize_name(name) != canonicalize_name(wheel.name) or not _same_version(version, wheel.version):
        raise refuse(wheel.filename, f"its {where} is of {name} {version}, not of {wheel.name} {wheel.version}")


def _record(data: bytes) -> dict[str, RecordRow]:
    """The rows of RECORD by path, without those that list no file soundly, or one twice with different hashes.

    A RECORD that is wrong harms nobody: the lock's digest is that of the whole wheel, and a correct one is written.
    What is listed and not there is let pass, too (easyocr 1.7 lists a hundred such files): nothing of it is installed.
    """
    found: dict[str, RecordRow] = {}
    twice: set[str] = set()
    with contextlib.suppress(csv.Error):
        for row in csv.reader(data.decode(errors="replace").splitlines()):
            made = _record_row(row)
            if made is None:
                continue
            path = row[0]
            if found.setdefault(path, made) != made:
                twice.add(path)
    return {path: row for path, row in found.items() if path not in twice}


def _record_row(row: list[str]) -> RecordRow | None:
    """What a row demands; None where it has no digest of SHA-256 or better, or no fields that can be read."""
    _, hash_, size, *_ = (*row, "", "", "")
    algorithm, _, value = hash_.partition("=")
    if algorithm not in _HASHES or not value or not (size.isdecimal() or not size) or len(size) > _MOST_DIGITS:
        return None
    return RecordRow(algorithm, value, int(size) if size else None)


def _entry_points(text: str, wheel: LockedWheel) -> Iterator[EntryPoint]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        load_ini(parser, text)
    except configparser.Error as error:
        raise refuse(wheel.filename, f"its entry_points.txt is broken ({str(error).splitlines()[0]})") from error
    points = {}
    for section in ("console_scripts", "gui_scripts"):
        for name, value in parser.items(section) if parser.has_section(section) else ():
            match = _OBJECT_REFERENCE.match(value or "")
            if not match or "/" in name or name in ("", ".", "..") or not name.isprintable():
                raise refuse(wheel.filename, f"its entry point {name!r} = {value!r} is not a name and an object")
            points[name] = EntryPoint(name, match["module"], match["attribute"])
    return iter(sorted(points.values(), key=lambda point: point.name))
