"""Reads the wire format of Protocol Buffers without their definitions: fields by number."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["MalformedError", "field", "fields", "texts"]

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_MOST_SHIFT = 63


class MalformedError(ValueError):
    """These bytes are not a message."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field, in their order; raises MalformedError."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED_64, _FIXED_32):
            size = 8 if kind == _FIXED_64 else 4
        else:
            raise MalformedError
        if at + size > len(message):
            raise MalformedError
        yield number, message[at : at + size]
        at += size


def field(message: bytes, *path: int) -> int | bytes | None:
    """The last value at a path of field numbers; None where there is none; raises MalformedError."""
    value: int | bytes | None = message
    for number in path:
        if not isinstance(value, bytes):
            return None
        found = [inner for at, inner in fields(value) if at == number]
        value = found[-1] if found else None
    return value


def texts(message: bytes, number: int) -> list[str]:
    """All texts of a field; raises MalformedError."""
    return [
        value.decode(errors="replace") for at, value in fields(message) if at == number and isinstance(value, bytes)
    ]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift <= _MOST_SHIFT:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
    raise MalformedError
