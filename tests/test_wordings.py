"""What shipml says: every sentence in one snapshot, in plain English."""

from __future__ import annotations

import re

from tests.wordings import SNAPSHOT, catalogue

_NOT_PLAIN = re.compile(
    r"(?<!here )\b(?:is|are) no (?!longer\b|such\b|more\b|less\b)[a-z]|cannot be had|\banew\b|\bmend(?:s|ed|ing)?\b"
    r"|\bwhom\b|leaves? (?:it |them )?a(?:way|side)"
)


def test_the_snapshot_is_fresh() -> None:
    """Each sentence of the source is in tests/wordings.txt, so that a change of one is seen by whoever reviews."""
    assert SNAPSHOT.read_text(encoding="utf-8") == catalogue(), "run: python tests/wordings.py"


def test_plain_english() -> None:
    """No sentence has a turn that nobody says today."""
    assert [line for line in catalogue().splitlines() if _NOT_PLAIN.search(line)] == []


def test_sentences_are_found() -> None:
    """The catalogue has what users read: messages, hints, help texts."""
    text = catalogue()
    assert text.count("\n") > 1000
    assert "run the same command again later" in text
