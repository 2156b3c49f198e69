r"""Package indexes: found by name without reading 60,000 stanzas.

An index (50 MB of text) becomes a blob of the store, and so does a table that says at which byte each name stands: one
line a name, `\\nname\\toffset offset`, searched as bytes. Only the stanzas that a closure looks at are ever parsed.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shipml.debian.release import IndexFile, Release
from shipml.debian.versions import DebianVersion
from shipml.errors import BuildError, TryAgainError, UntrustedInputError
from shipml.http import HttpClient, redacted
from shipml.oci.digest import Digest
from shipml.store import Store
from shipml.store.fact import read_fact

__all__ = [
    "Alternative",
    "Index",
    "PackageRecord",
    "PackageSource",
    "UnfinishedUpdateError",
    "fetch_file",
    "fetch_index",
    "parse_installed",
    "parse_relations",
    "parse_stanza",
]

_FACT = "debian-index-1"
_NAMES = re.compile(rb"^(Package|Provides): (.+)$", re.MULTILINE)
_PROVIDED = re.compile(rb"(?:^|,)\s*([^\s,(]+)")
_RELATION = re.compile(
    r"\s*(?P<name>[a-zA-Z0-9.+-]+)(?::[a-z0-9]+)?\s*(?:\(\s*(?P<relation><<|<=|=|>=|>>|<|>)\s*(?P<version>\S+?)\s*\))?"
    r"\s*(?:\[[^\]]*\])?\s*(?:<[^>]*>\s*)*"
)
_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)

_PIECE_BYTES = 1 << 20
_PACKED_PIECE_BYTES = 1 << 16

Archive = Literal["debian", "debian-security"]


class UnfinishedUpdateError(TryAgainError):
    """The mirror's signed release names an index that the mirror does not serve (yet, or any more)."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One `name (relation version)` of a dependency or of Provides."""

    name: str
    relation: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} {self.version})" if self.relation else self.name


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """One package of an index: what a closure and a download need."""

    name: str
    version: str
    architecture: str
    path: str
    archive: Archive
    size_bytes: int
    digest: Digest
    depends: tuple[tuple[Alternative, ...], ...] = field(default=(), repr=False)
    """Pre-Depends and Depends: each group needs one of its alternatives."""
    provides: tuple[Alternative, ...] = field(default=(), repr=False)
    conflicts: tuple[Alternative, ...] = field(default=(), repr=False)
    """What may not be installed beside it; a name that it provides itself means the others that provide it."""


class Index:
    """One index of one archive: `find` gives what carries or provides a name."""

    def __init__(self, text: Path, table: Path, *, archive: Archive) -> None:
        self._text = _mapped(text)
        self._table = _mapped(table)
        self._archive: Archive = archive

    def find(self, name: str) -> list[PackageRecord]:
        """Every package of that exact name, and every one that provides it."""
        at = self._table.find(b"\n" + name.encode() + b"\t")
        if at < 0:
            return []
        start = at + len(name.encode()) + 2
        offsets = self._table[start : self._table.find(b"\n", start)].split()
        return [self._record(int(offset)) for offset in offsets]

    def names(self) -> list[str]:
        """All names of packages, provided ones included."""
        return [line.partition("\t")[0] for line in self._table[:].decode().splitlines() if line]

    def _record(self, offset: int) -> PackageRecord:
        start = self._text.rfind(b"\n\n", 0, offset)
        end = self._text.find(b"\n\n", offset)
        stanza = self._text[0 if start < 0 else start + 2 : len(self._text) if end < 0 else end]
        return parse_stanza(stanza.decode("utf-8", "replace"), archive=self._archive)


class PackageSource:
    """All indexes of a suite together: the newest version of each package wins."""

    def __init__(self, indexes: Sequence[Index], *, architecture: str) -> None:
        self._indexes = indexes
        self._architectures = (architecture, "all")
        self._known: dict[str, list[PackageRecord]] = {}

    def find(self, name: str) -> list[PackageRecord]:
        """The package of that name first, then those that provide it by name; the newest version of each."""
        if name not in self._known:
            newest: dict[str, PackageRecord] = {}
            for index in self._indexes:
                for record in index.find(name):
                    best = newest.get(record.name)
                    if record.architecture in self._architectures and (
                        best is None or DebianVersion(record.version) > DebianVersion(best.version)
                    ):
                        newest[record.name] = record
            self._known[name] = sorted(newest.values(), key=lambda record: (record.name != name, record.name))
        return self._known[name]

    def names(self) -> set[str]:
        """All names, for a suggestion."""
        return {name for index in self._indexes for name in index.names()}


def fetch_index(release: Release, *, architecture: str, archive: Archive, store: Store, http: HttpClient) -> Digest:
    """Bring `main` of a release into the store; returns the digest of its text, for `open_index`.

    Raises:
        UnfinishedUpdateError: the mirror does not have the file that the release names.
        UntrustedInputError: that file unpacks to something else than the release names.
    """
    folder = f"main/binary-{architecture}/Packages"
    plain = release.files.get(folder)
    if plain is None:
        raise BuildError(f"{archive} has no packages for {architecture}", hint="choose another --base or --platform")
    if not store.has_blob(plain.digest, plain.size_bytes):
        _keep(*_download(release, folder, http), plain, store)
    return plain.digest


def fetch_file(release: Release, path: str, http: HttpClient) -> Iterator[bytes]:
    """Any other index of a release, unpacked, in pieces; `path` is without the ending of its compression.

    Raises:
        UnfinishedUpdateError: the mirror does not have the file that the release names.
        BuildError: the release names no such file.
    """
    packed, data = _download(release, path, http)
    return _unpacked(data, packed.path)


def open_index(text: Digest, *, archive: Archive, store: Store) -> Index:
    """An index whose text is in the store; its table is made with the first use."""
    known = read_fact(store, _FACT, str(text), Digest.parse)
    if known is None or not store.has_blob(known):
        known = store.put_blob(_table_of(store.blob_path(text)))
        store.keep_fact(_FACT, str(text), str(known))
    return Index(store.blob_path(text), store.blob_path(known), archive=archive)


def _download(release: Release, folder: str, http: HttpClient) -> tuple[IndexFile, bytes]:
    """An index as the mirror has it, checked: by its hash, else by its name, in each of its compressions.

    gzip first: it inflates ten times faster than xz.
    """
    files = [release.files[folder + end] for end in (".gz", ".xz") if folder + end in release.files]
    if not files and folder in release.files:
        files = [release.files[folder]]
    if not files:
        raise BuildError(f"{redacted(release.url)} has no {folder}", hint="set SHIPML_DEBIAN_MIRROR to another mirror")
    for file in files:
        for url in dict.fromkeys((release.index_url(file), f"{release.url}/{file.path}")):
            data = _read(url, file, http)
            if data is not None:
                return file, data
    raise UnfinishedUpdateError(
        f"{redacted(release.url)}/{files[0].path} is not the file that the signed release names",
        hint="the mirror may be in the middle of an update: try again later, or set SHIPML_DEBIAN_MIRROR to another",
    )


def _read(url: str, file: IndexFile, http: HttpClient) -> bytes | None:
    """The file at that address; None where there is nothing, or another file."""
    try:
        data = http.read(url, limit_bytes=file.size_bytes)
    except BuildError:  # nothing there, as on a mirror without by-hash folders; or a larger file
        return None
    return data if Digest.of(data) == file.digest else None


def _keep(packed: IndexFile, data: bytes, plain: IndexFile, store: Store) -> None:
    """Unpack an index into the store, piece by piece, and check what comes out."""
    hasher, unpacked_bytes = hashlib.sha256(), 0
    with store.draft() as draft:
        for piece in _unpacked(data, packed.path):
            unpacked_bytes += len(piece)
            hasher.update(piece)
            draft.stream.write(piece)
            if unpacked_bytes > plain.size_bytes:
                break
        if hasher.hexdigest() != plain.digest.hex:
            raise UntrustedInputError(f"{packed.path} unpacks to other bytes than the signed release names")
        store.adopt(draft, plain.digest)


def _unpacked(data: bytes, path: str) -> Iterator[bytes]:
    import lzma

    from isal import isal_zlib

    try:
        if path.endswith(".xz"):
            with lzma.LZMAFile(io.BytesIO(data)) as file:
                yield from iter(lambda: file.read(_PIECE_BYTES), b"")
        elif path.endswith(".gz"):
            gzip = isal_zlib.decompressobj(31)
            for start in range(0, len(data), _PACKED_PIECE_BYTES):
                yield gzip.decompress(data[start : start + _PACKED_PIECE_BYTES])
        else:
            yield data
    except (lzma.LZMAError, EOFError, isal_zlib.error) as error:  # type: ignore[misc]  # as in layer_writer
        raise UntrustedInputError(f"{path} is damaged: {error}") from error


def _table_of(path: Path) -> bytes:
    """Where each name stands in the index at `path`."""
    offsets: dict[bytes, list[int]] = {}
    for match in _NAMES.finditer(_mapped(path)):
        names = (match[2].strip(),) if match[1] == b"Package" else _PROVIDED.findall(match[2])
        for name in names:
            offsets.setdefault(name, []).append(match.start())
    lines = [b"\n%s\t%s" % (name, b" ".join(b"%d" % at for at in found)) for name, found in sorted(offsets.items())]
    return b"".join(lines) + b"\n"


def parse_stanza(text: str, *, archive: Archive) -> PackageRecord:
    """One stanza of a Packages file.

    Raises:
        UntrustedInputError: a field that must be there is not.
    """
    fields = dict(_FIELD.findall(text))
    try:
        return PackageRecord(
            name=fields["Package"],
            version=fields["Version"],
            architecture=fields["Architecture"],
            path=fields["Filename"],
            archive=archive,
            size_bytes=int(fields["Size"]),
            digest=Digest(fields["SHA256"]),
            depends=parse_relations(fields.get("Pre-Depends", "")) + parse_relations(fields.get("Depends", "")),
            provides=_singles(fields, "Provides"),
            conflicts=_singles(fields, "Conflicts"),
        )
    except (KeyError, ValueError) as error:
        raise UntrustedInputError(f"the package index has a broken entry ({error}): {text[:60]!r}") from error


def parse_installed(text: str) -> PackageRecord | None:
    """One stanza of dpkg's status (dpkg(1)); None where the package is not installed, or the stanza is broken.

    The record has no file of its own: the package is there already.
    """
    fields = dict(_FIELD.findall(text))
    if not fields.get("Status", "ok installed").endswith("ok installed") or not {"Package", "Version"} <= fields.keys():
        return None
    try:
        depends = parse_relations(fields.get("Pre-Depends", "")) + parse_relations(fields.get("Depends", ""))
        provides, conflicts = _singles(fields, "Provides"), _singles(fields, "Conflicts")
    except UntrustedInputError:
        return None
    architecture = fields.get("Architecture", "all")
    nothing = Digest.of(b"")
    return PackageRecord(
        fields["Package"],
        fields["Version"],
        architecture,
        "",
        "debian",
        0,
        nothing,
        depends=depends,
        provides=provides,
        conflicts=conflicts,
    )


def _singles(fields: Mapping[str, str], name: str) -> tuple[Alternative, ...]:
    """A field whose groups have one alternative each."""
    return tuple(group[0] for group in parse_relations(fields.get(name, "")))


def parse_relations(text: str) -> tuple[tuple[Alternative, ...], ...]:
    """A relationship field (Debian Policy 7.1): groups, separated by commas, of alternatives, separated by `|`."""
    groups = []
    for group in filter(str.strip, text.split(",")):
        alternatives = []
        for alternative in group.split("|"):
            match = _RELATION.fullmatch(alternative.replace("\n", " "))
            if match is None:
                raise UntrustedInputError(f"{alternative.strip()[:80]!r} is not a dependency as Debian writes it")
            alternatives.append(Alternative(match["name"], match["relation"] or "", match["version"] or ""))
        groups.append(tuple(alternatives))
    return tuple(groups)


def _mapped(path: Path) -> bytes | mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
