"""Deltas of packs (gitformat-pack(5), "Deltified representation"), with a limit for what they make."""

from __future__ import annotations

from shipml.project.git.bounded import GitError

__all__ = ["apply_delta", "read_size"]

_COPY = 0x80
_LEAST_COPY_BYTES = 0x10000


def apply_delta(base: bytes, delta: bytes, limit_bytes: int) -> bytes:
    """What `delta` makes of `base`.

    Raises:
        GitError: it does not fit, or makes more than `limit_bytes`.
    """
    try:
        base_bytes, at = read_size(delta, 0)
        whole_bytes, at = read_size(delta, at)
        if base_bytes != len(base) or whole_bytes > limit_bytes:
            raise GitError("an object in its repository is too large, or damaged")
        made = bytearray()
        while at < len(delta) and len(made) <= whole_bytes:
            operation = delta[at]
            at += 1
            if operation & _COPY:
                start, size, at = _copy(delta, at, operation)
                made += base[start : start + size]
            else:
                made += delta[at : at + operation]
                at += operation or len(delta)
    except IndexError as error:
        raise GitError("an object in its repository is damaged") from error
    if len(made) != whole_bytes:
        raise GitError("an object in its repository is damaged")
    return bytes(made)


def read_size(data: bytes, at: int) -> tuple[int, int]:
    """The number of 7-bit groups that begins at `at`, least first, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
        if shift > 63:  # noqa: PLR2004  (bits: no size is longer)
            raise GitError("an object in its repository is damaged")


def _copy(delta: bytes, at: int, operation: int) -> tuple[int, int, int]:
    """(offset, size, where the operation ends) of a copy from the base."""
    values = []
    for bits in (range(4), range(4, 7)):
        value = 0
        for shift, bit in enumerate(bits):
            if operation & (1 << bit):
                value |= delta[at] << (8 * shift)
                at += 1
        values.append(value)
    return values[0], values[1] or _LEAST_COPY_BYTES, at
