"""Broken input out of good: bytes that are flipped, cut, doubled, spliced; numbers and nodes that make no sense."""

from __future__ import annotations

import json
import random
from typing import Any

__all__ = ["mutated"]

_ODD_BYTES = (
    *(b"", b"\0", b"\xff", b"\n", b"\r\n", b'"', b"'", b"{", b"[", b"]", b"/", b"..", b"../" * 20, b"\\"),
    *(
        b"-1",
        b"0",
        b"9" * 400,
        b"9" * 5000,
        b"1e999",
        b"NaN",
        b"null",
        b"true",
        b"%00",
        b"\xed\xa0\x80",
        b"\xe2\x80\xae",
    ),
    *(b"[" * 3000, b'{"a":' * 2000, b"a/" * 3000, b"*" * 200, b"(" * 200, b"x" * 70_000, b"\0" * 512),
)
_ODD_NODES: tuple[Any, ...] = (
    *(None, True, 0, -1, 5, 1.5, float("nan"), 10**400, "", "x", "\0", "\ud800", [], {}, [[]], [1, "x"], {"": None}),
    *("sha256:x", "sha256:" + "0" * 64, ["x" * 5000], {"a": {"b": {"c": []}}}),
)


def mutated(seeds: list[bytes], dice: random.Random) -> bytes:
    """One seed, changed in one to four places."""
    data = dice.choice(seeds)
    for _ in range(dice.randint(1, 4)):
        data = _structured(data, dice) if dice.random() < 0.4 else _changed(data, seeds, dice)
    return data


def _changed(data: bytes, seeds: list[bytes], dice: random.Random) -> bytes:
    start = dice.randint(0, len(data))
    end = min(len(data), start + dice.choice((0, 1, 1, 2, 4, 16, 300)))
    kind = dice.randrange(6)
    if kind == 0 and data:
        flipped = bytearray(data)
        flipped[min(start, len(data) - 1)] ^= 1 << dice.randrange(8)
        return bytes(flipped)
    if kind == 1:
        return data[:start]
    if kind == 2:
        return data[:start] + data[start:end] * dice.choice((2, 3, 100)) + data[end:]
    if kind == 3:
        other = dice.choice(seeds)
        return data[:start] + other[dice.randint(0, len(other)) :]
    if kind == 4:
        return data[:start] + dice.randbytes(end - start) + data[end:]
    return data[:start] + dice.choice(_ODD_BYTES) + data[end:]


def _structured(data: bytes, dice: random.Random) -> bytes:
    """A JSON document with another node somewhere; what is none, unchanged."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        node = waiting.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            waiting.append(node[key])
    if not places:
        return json.dumps(dice.choice(_ODD_NODES)).encode()
    node, key = dice.choice(places)
    if isinstance(node, dict) and dice.random() < 0.2:
        del node[key]
    else:
        node[key] = dice.choice(_ODD_NODES)
    return json.dumps(document).encode()
