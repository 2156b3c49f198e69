"""Headers of tar entries (POSIX.1-2017, pax, "ustar Interchange Format"), written by ourselves.

The standard library's differ between Python versions (device fields), and ours must not: they are part of digests.
"""

from __future__ import annotations

import tarfile

__all__ = ["BLOCK_BYTES", "tar_header"]

BLOCK_BYTES = 512

_NAME_BYTES = 100
_NUMBER_LIMIT = 8**11
_ID_LIMIT = 8**7
_PAX_NAME = b"././@PaxHeader"
_AFTER_LINK = b"ustar\x0000" + bytes(247)
_CHECKSUM_AT = 148


def tar_header(
    path: str, kind: bytes, *, mode: int, owner: int, size_bytes: int, modified_at_seconds: int, link: str = ""
) -> bytes:
    """The header block of an entry, after an extended header where a field does not fit the plain one.

    `path` and `link` may carry undecodable bytes as surrogate escapes; they are written as those bytes.
    """
    if kind == tarfile.DIRTYPE:
        path += "/"
    records = b""
    name, records = _text(path, b"path", records)
    target, records = _text(link, b"linkpath", records)
    if owner >= _ID_LIMIT:
        records += _record(b"uid", b"%d" % owner) + _record(b"gid", b"%d" % owner)
        owner = 0
    if size_bytes >= _NUMBER_LIMIT:
        records += _record(b"size", b"%d" % size_bytes)
        size_bytes = 0
    plain = _block(
        name, kind, target, mode=mode, owner=owner, size_bytes=size_bytes, modified_at_seconds=modified_at_seconds
    )
    if not records:
        return plain
    extended = _block(_PAX_NAME, tarfile.XHDTYPE, size_bytes=len(records))
    return extended + records + bytes(-len(records) % BLOCK_BYTES) + plain


def _text(text: str, keyword: bytes, records: bytes) -> tuple[bytes, bytes]:
    """A text as the plain header has it, and `records` with it in full where that is not all."""
    if text.isascii() and len(text) <= _NAME_BYTES:
        return text.encode("ascii"), records
    records += _record(keyword, text.encode("utf-8", "surrogateescape"))
    return text.encode("ascii", "replace")[:_NAME_BYTES], records


def _record(keyword: bytes, value: bytes) -> bytes:
    """`<length of the whole record> <keyword>=<value>` and a line feed."""
    rest = b" " + keyword + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def _block(
    name: bytes,
    kind: bytes,
    target: bytes = b"",
    *,
    mode: int = 0,
    owner: int = 0,
    size_bytes: int = 0,
    modified_at_seconds: int = 0,
) -> bytes:
    block = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%b%b" % (
        name.ljust(_NAME_BYTES, b"\0"),
        mode & 0o7777,
        owner,
        owner,
        size_bytes,
        modified_at_seconds,
        kind,
        target.ljust(_NAME_BYTES, b"\0"),
        _AFTER_LINK,
    )
    return block[:_CHECKSUM_AT] + b"%06o\0 " % sum(block) + block[_CHECKSUM_AT + 8 :]
