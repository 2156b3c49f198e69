"""What comes out of a build's pipe, which a stranger's program can write to."""

from __future__ import annotations

import hashlib

import pytest

from shipml.source_builds.attempt import _Listener


def heard(*pieces: bytes) -> _Listener:
    listener = _Listener()
    for piece in pieces:
        listener.received("stdout", piece)
    return listener


def test_the_first_line_is_the_answer_and_the_rest_the_wheel() -> None:
    """However it is cut into pieces."""
    listener = heard(b'{"wheel": "a-1', b'.whl"}\nPK', b"34\n")
    assert listener.answer == {"wheel": "a-1.whl"}
    assert (listener.size_bytes, listener.hasher.digest()) == (5, hashlib.sha256(b"PK34\n").digest())


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b"\xff\n", b"[" * 100_000 + b"\n", b"x" * (2 << 20)])
def test_what_is_no_answer_counts_as_none(line: bytes) -> None:
    """The build has failed then, as where it says nothing; it is not collected for ever, either."""
    assert heard(line).answer == {}
