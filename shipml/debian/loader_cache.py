"""/etc/ld.so.cache: which shared libraries there are, as ldconfig writes it, without running ldconfig.

The image's own ldconfig prints it (`ldconfig -p`), which is how ctypes.util.find_library finds libraries.
Format: glibc, sysdeps/generic/dl-cache.h ("glibc-ld.so.cache1.1"), little-endian.
"""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Mapping

__all__ = ["MULTIARCH", "cache_bytes", "is_library", "read_cache"]

MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
"""Debian's name of the folder of libraries, by architecture."""

_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_MOST_PATH_BYTES = 4096
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_FLAGS = {"amd64": 0x0303, "arm64": 0x0A03}
"""FLAG_ELF_LIBC6 with FLAG_X8664_LIB64 or FLAG_AARCH64_LIB64."""
_NAME = re.compile(r"(?:lib|ld-)[^/]*\.so(?:\.[^/]*)?\Z")


def is_library(path: str, architecture: str) -> bool:
    """Whether ldconfig would look at `path` (relative to the root)."""
    folder, _, name = path.rpartition("/")
    return folder in (f"usr/lib/{MULTIARCH[architecture]}", "usr/lib", "usr/lib64") and bool(_NAME.match(name))


def cache_bytes(libraries: Mapping[str, str], architecture: str) -> bytes:
    """The cache for libraries given as name → absolute path."""
    entries = sorted(libraries.items(), key=lambda item: functools.cmp_to_key(_compare)(item[0]), reverse=True)
    strings = bytearray()
    table = bytearray()
    start = _HEADER.size + _ENTRY.size * len(entries)
    for name, path in entries:
        places = []
        for text in (name, path):
            places.append(start + len(strings))
            strings += text.encode() + b"\0"
        table += _ENTRY.pack(_FLAGS[architecture], places[0], places[1], 0, 0)
    return _HEADER.pack(_MAGIC, len(entries), len(strings), _LITTLE_ENDIAN, 0) + bytes(table + strings)


def read_cache(data: bytes, architecture: str) -> dict[str, str]:
    """The libraries of a cache that are for every CPU of the architecture: name → path; {} where it is none.

    In caches of glibc before 2.32 the table lies behind one of an older format.
    """
    start = data.find(_MAGIC)
    found: dict[str, str] = {}
    if start < 0 or len(data) < start + _HEADER.size:
        return found
    count = _HEADER.unpack_from(data, start)[1]
    for number in range(min(count, (len(data) - start - _HEADER.size) // _ENTRY.size)):
        flags, name_at, path_at, _, capabilities = _ENTRY.unpack_from(data, start + _HEADER.size + number * _ENTRY.size)
        if flags == _FLAGS[architecture] and not capabilities:
            name, path = (_text_at(data, start + at) for at in (name_at, path_at))
            if name and path.startswith("/"):
                found.setdefault(name, path)
    return found


def _text_at(data: bytes, start: int) -> str:
    end = data.find(b"\0", start, start + _MOST_PATH_BYTES)
    return data[start:end].decode("utf-8", "replace") if end > start else ""


def _compare(first: str, second: str) -> int:
    """As _dl_cache_libcmp: the loader searches by halves in this order."""
    parts = [re.findall(r"[0-9]+|[^0-9]", text) for text in (first, second)]
    for left, right in zip(*parts, strict=False):
        numbers = left.isdigit(), right.isdigit()
        if all(numbers):
            difference = int(left) - int(right)
        elif any(numbers):
            return 1 if numbers[0] else -1
        else:
            difference = ord(left) - ord(right)
        if difference:
            return difference
    return len(parts[0]) - len(parts[1])
