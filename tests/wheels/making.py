"""Makes wheels, honest, odd and hostile, and reads layers back with the standard library's tarfile."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipml.facts.plan import LockedWheel
from shipml.oci.digest import Digest
from shipml.oci.image import Layer

SITE = "opt/venv/lib/python3.11/site-packages"


@dataclass(frozen=True)
class Member:
    """One entry of a zip archive, with what its headers say instead of the truth."""

    name: str
    data: bytes = b""
    deflated: bool = True
    mode: int = 0o100644
    zip64: bool = False
    """Sizes and offset stand in ZIP64 fields."""
    descriptor: bool = False
    """Sizes and CRC follow the data; the local header has none."""
    utf8: bool = True
    stream: bytes | None = None
    """Instead of the compressed data."""
    lies: Mapping[str, int] = field(default_factory=dict)
    """Of both headers: flags, method, crc, size, compressed."""
    local_lies: Mapping[str, int] = field(default_factory=dict)
    local_name: bytes | None = None
    offset: int | None = None
    """Where the directory says that the entry begins."""
    raw_name: bytes | None = None


def make_zip(members: Sequence[Member], *, before: bytes = b"", after: bytes = b"", comment: bytes = b"") -> bytes:
    """A zip archive of `members`, in their order, with junk before and after it."""
    out, directory = bytearray(before), bytearray()
    for member in members:
        fields = _fields(member)
        name = member.raw_name or member.name.encode("utf-8" if member.utf8 else "cp437")
        offset = len(out) - len(before) if member.offset is None else member.offset
        out += _local(member, {**fields, **member.local_lies}, member.local_name or name)
        out += _stream(member)
        if member.descriptor:
            layout = "<QQ" if member.zip64 else "<LL"
            out += b"PK\x07\x08" + struct.pack("<L", fields["crc"])
            out += struct.pack(layout, fields["compressed"], fields["size"])
        directory += _central(member, fields, name, offset)
    at = len(out) - len(before)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(members), len(members), len(directory), at, len(comment))
    return bytes(out + directory + end + comment + after)


def _stream(member: Member) -> bytes:
    if member.stream is not None:
        return member.stream
    if not member.deflated:
        return member.data
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(member.data) + packer.flush()


def _fields(member: Member) -> dict[str, int]:
    name_flag = (1 << 11) if member.utf8 and not member.name.isascii() else 0
    truth = {
        "flags": name_flag | (8 if member.descriptor else 0),
        "method": 8 if member.deflated else 0,
        "crc": zlib.crc32(member.data),
        "size": len(member.data),
        "compressed": len(_stream(member)),
    }
    return {**truth, **member.lies}


def _local(member: Member, fields: Mapping[str, int], name: bytes) -> bytes:
    crc, size, compressed = fields["crc"], fields["size"], fields["compressed"]
    if member.descriptor and not member.local_lies:
        crc = size = compressed = 0
    extra = b""
    if member.zip64:
        extra = struct.pack("<HHQQ", 1, 16, size, compressed)
        size = compressed = 0xFFFFFFFF
    head = struct.pack(
        "<4s5H3L2H",
        b"PK\3\4",
        45,
        fields["flags"],
        fields["method"],
        0,
        33,
        crc,
        compressed,
        size,
        len(name),
        len(extra),
    )
    return head + name + extra


def _central(member: Member, fields: Mapping[str, int], name: bytes, offset: int) -> bytes:
    size, compressed, where = fields["size"], fields["compressed"], offset
    extra = b""
    if member.zip64 or size > 0xFFFFFFFF:
        extra = struct.pack("<HHQQQ", 1, 24, size, compressed, where)
        size = compressed = where = 0xFFFFFFFF
    versions = (45, 3, 45, 0)
    head = struct.pack("<4s4B4H", b"PK\1\2", *versions, fields["flags"], fields["method"], 0, 33)
    head += struct.pack(
        "<3L5H2L", fields["crc"], compressed, size, len(name), len(extra), 0, 0, 0, member.mode << 16, where
    )
    return head + name + extra


def record_row(name: str, data: bytes) -> tuple[str, str, str]:
    """A row of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return name, f"sha256={digest}", str(len(data))


def record_text(rows: Sequence[Sequence[str]]) -> bytes:
    """RECORD as the csv module writes it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def wheel_members(
    files: Sequence[Member],
    *,
    name: str = "demo",
    version: str = "1.0",
    entry_points: str = "",
    metadata: str | None = None,
    wheel_version: str = "1.0",
    record: bytes | None = None,
) -> list[Member]:
    """The members of a whole wheel: `files` and a dist-info folder whose RECORD lists all (or is `record`)."""
    info = f"{name}-{version}.dist-info"
    metadata = metadata or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    members = [
        *files,
        Member(f"{info}/METADATA", metadata.encode()),
        Member(f"{info}/WHEEL", f"Wheel-Version: {wheel_version}\nRoot-Is-Purelib: true\nTag: py3-none-any\n".encode()),
    ]
    if entry_points:
        members.append(Member(f"{info}/entry_points.txt", entry_points.encode()))
    if record is None:
        rows = [record_row(member.name, member.data) for member in members if member.name[-1] != "/"]
        record = record_text([*rows, (f"{info}/RECORD", "", "")])
    return [*members, Member(f"{info}/RECORD", record)]


def save_wheel(folder: Path, data: bytes, *, name: str = "demo", version: str = "1.0", **lock: object) -> LockedWheel:
    """Write a wheel into `folder` and lock it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.write_bytes(data)
    locked = LockedWheel(name.replace("_", "-"), version, path.as_uri(), len(data), Digest.of(data), path.name)
    return replace(locked, **lock)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Unpacked:
    """One entry of a layer."""

    kind: bytes
    mode: int
    data: bytes
    target: str


def contents(layer: Layer) -> dict[str, Unpacked]:
    """All entries of a layer by path, read by tarfile; owner and time must be 0, and no path may come twice."""
    found: dict[str, Unpacked] = {}
    with layer.open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
        for member in archive:
            assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
            assert member.name not in found
            source = archive.extractfile(member) if member.isfile() else None
            data = source.read() if source else b""
            found[member.name] = Unpacked(member.type, member.mode, data, member.linkname)
    return found


def files(layer: Layer) -> dict[str, Unpacked]:
    """The regular files of a layer by path."""
    return {path: entry for path, entry in contents(layer).items() if entry.kind == tarfile.REGTYPE}
