"""Figures and lists as people read them."""

from __future__ import annotations

import pytest

from shipml.text import counted, listed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (counted(1, "package"), "1 package"),
        (counted(0, "package"), "0 packages"),
        (counted(12345, "file"), "12,345 files"),
        (counted(2, "library", "libraries"), "2 libraries"),
        (listed([]), ""),
        (listed(["a"]), "a"),
        (listed(["a", "b"]), "a and b"),
        (listed("abc"), "a, b and c"),
        (listed("abcdef", most=3), "a, b and 4 more"),
        (listed("abcdef", most=1), "6 more"),
    ],
)
def test_counts_and_lists(text: str, expected: str) -> None:
    """Plurals agree with their number, and long lists say how much they leave out."""
    assert text == expected
