"""Decodes BuildKit's progress: the protobuf message StatusResponse (moby/buildkit, api/services/control/control.proto).

Engines send it in base64, in messages of the id `moby.buildkit.trace`. Only the fields that are shown are read; unknown
ones are skipped, as protobuf demands of readers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from shipml.errors import BuildError

__all__ = ["LogLine", "Trace", "Transfer", "Vertex", "decode_trace"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_CONTINUED = 0x80
_LONGEST_VARINT_BITS = 63
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Vertex:
    """One step of the build, as it stands."""

    digest: str
    """`sha256:…`: which step."""
    name: str
    """`[stage-0 2/4] RUN pip install …`, or `[internal] load build context`."""
    cached: bool = False
    started_at: float | None = None
    """POSIX time, by the engine's clock."""
    completed_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far a part of a step has come."""

    vertex: str
    """Digest of its step."""
    id: str
    """`extracting sha256:…`, `sending tarball`."""
    current: int
    """Mostly bytes."""
    total: int
    """0 while unknown."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A piece of what the program of a step wrote; not always a whole line."""

    vertex: str
    stream: int
    """1 is stdout, 2 is stderr."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """One message."""

    vertices: tuple[Vertex, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    logs: tuple[LogLine, ...] = ()
    warnings: tuple[str, ...] = ()


def decode_trace(text: str) -> Trace:
    """The message in `text` (base64).

    Raises:
        BuildError: it is none.
    """
    try:
        fields = _fields(base64.b64decode(text, validate=True))
        return Trace(
            _each(fields, 1, _vertex), _each(fields, 2, _transfer), _each(fields, 3, _log), _each(fields, 4, _warning)
        )
    except (ValueError, IndexError, binascii.Error) as error:
        raise BuildError(
            f"the Docker Engine's report of progress cannot be read: {error}", hint="update shipml, or the engine"
        ) from error


@dataclass(slots=True)
class _Fields:
    """A message's fields by number."""

    numbers: dict[int, list[int]] = field(default_factory=dict)
    pieces: dict[int, list[bytes]] = field(default_factory=dict)

    def number(self, key: int) -> int:
        return self.numbers.get(key, [0])[-1]

    def text(self, key: int) -> str:
        return self.piece(key).decode("utf-8", "replace")

    def piece(self, key: int) -> bytes:
        return self.pieces.get(key, [b""])[-1]


def _each(fields: _Fields, key: int, make: Callable[[_Fields], _T]) -> tuple[_T, ...]:
    return tuple(make(_fields(piece)) for piece in fields.pieces.get(key, ()))


def _vertex(fields: _Fields) -> Vertex:
    return Vertex(
        fields.text(1),
        fields.text(3),
        bool(fields.number(4)),
        _time(fields.pieces.get(5)),
        _time(fields.pieces.get(6)),
        fields.text(7),
    )


def _transfer(fields: _Fields) -> Transfer:
    return Transfer(fields.text(2), fields.text(1), _signed(fields.number(4)), _signed(fields.number(5)))


def _log(fields: _Fields) -> LogLine:
    return LogLine(fields.text(1), fields.number(3), fields.piece(4))


def _warning(fields: _Fields) -> str:
    return fields.text(3)


def _time(pieces: list[bytes] | None) -> float | None:
    if not pieces:
        return None
    stamp = _fields(pieces[-1])
    return _signed(stamp.number(1)) + _signed(stamp.number(2)) / 1e9


def _signed(number: int) -> int:
    """An int64: protobuf writes negative ones as their two's complement."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _fields(data: bytes) -> _Fields:
    found = _Fields()
    for key, value in _walk(data):
        if isinstance(value, int):
            found.numbers.setdefault(key, []).append(value)
        else:
            found.pieces.setdefault(key, []).append(value)
    return found


def _walk(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size_bytes, at = _varint(data, at)
        elif kind in _FIXED_BYTES:
            size_bytes = _FIXED_BYTES[kind]
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if at + size_bytes > len(data):
            raise ValueError("it ends in the middle of a field")
        yield tag >> 3, data[at : at + size_bytes]
        at += size_bytes


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _LONGEST_VARINT_BITS + 1, 7):
        value |= (data[at] & (_CONTINUED - 1)) << shift
        at += 1
        if not data[at - 1] & _CONTINUED:
            return value, at
    raise ValueError("a number without end")
