"""Git's patterns (gitignore(5)), matched in time that grows with pattern times name: there is no backtracking."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Pattern"]

_ANY_FOLDERS = None
_LONGEST_BYTES = 4096
"""As long as a path can be."""
_NEVER = re.compile(rb"(?!)")
_CLASSES = {
    b"alpha": rb"a-zA-Z", b"digit": rb"0-9", b"alnum": rb"a-zA-Z0-9", b"upper": rb"A-Z", b"lower": rb"a-z",
    b"space": rb" \t-\r", b"blank": rb" \t", b"punct": rb"!-/:-@\[-`{-~", b"xdigit": rb"0-9a-fA-F",
    b"cntrl": rb"\x00-\x1f\x7f", b"print": rb" -~", b"graph": rb"!-~",
}  # fmt: skip
_CLASS = re.compile(rb"\[:([a-z]+):\]")
_Part = re.Pattern[bytes] | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of a file of patterns."""

    parts: tuple[_Part, ...]
    """One for each component of a path; None stands for any number of folders (`**`)."""
    negated: bool
    folders_only: bool

    @staticmethod
    def of(line: bytes, *, ignore_case: bool = False) -> Pattern | None:
        """The pattern of a line without its end; None of a comment, an empty line, or what can match nothing."""
        text = _without_end(line)
        if not text or text.startswith(b"#") or len(text) > _LONGEST_BYTES:
            return None
        negated = text.startswith(b"!")
        text = text[1:] if negated else text
        folders_only = text.endswith(b"/")
        text = text.removesuffix(b"/")
        anchored = b"/" in text
        words = text.removeprefix(b"/").split(b"/")
        try:
            parts = tuple(_part(word, ignore_case=ignore_case) for word in (words if anchored else words[-1:]))
        except (ValueError, re.error):
            return None
        if anchored and len(words) > 1 and words[-1] == b"**":  # `a/**` is all that is in a, not a itself
            parts = (*parts, re.compile(rb"(?s).+"))
        return Pattern(parts if anchored else (_ANY_FOLDERS, *parts), negated, folders_only) if text else None

    def matches(self, path: Sequence[bytes], *, is_folder: bool) -> bool:
        """Whether the pattern fits a path, given by its components below the folder of the pattern."""
        if self.folders_only and not is_folder:
            return False
        at = number = 0
        retry: tuple[int, int] | None = None
        while at < len(path):
            part = self.parts[number] if number < len(self.parts) else _NEVER
            if part is _ANY_FOLDERS:
                retry = (number + 1, at)
                number += 1
            elif part.match(path[at]):
                at, number = at + 1, number + 1
            elif retry is not None:  # the last `**` takes one folder more; those before it need not
                retry = (retry[0], retry[1] + 1)
                number, at = retry
            else:
                return False
        return all(part is _ANY_FOLDERS for part in self.parts[number:])


def _without_end(line: bytes) -> bytes:
    """Without the spaces at the end, unless a backslash keeps them."""
    text = line.rstrip(b" ")
    slashes = len(text) - len(text.rstrip(b"\\"))
    return text + b" " if slashes % 2 and len(text) < len(line) else text


def _part(word: bytes, *, ignore_case: bool) -> _Part:
    if word == b"**":
        return _ANY_FOLDERS
    pieces = [b"".join(piece) for piece in _pieces(word)]
    head, tail = pieces[0], pieces[-1]
    # each piece is looked for once, at the first place: what an atomic group found is kept
    middle = b"".join(b"(?>.*?%s)" % piece for piece in pieces[1:-1])
    body = head + middle + b".*" + tail if len(pieces) > 1 else head
    return re.compile(rb"(?s)" + body + rb"\Z", re.IGNORECASE if ignore_case else 0)


def _pieces(word: bytes) -> Iterator[list[bytes]]:
    """The expressions between the stars."""
    piece: list[bytes] = []
    starred = False
    for token in _tokens(word):
        if token == b"*":
            if not starred:
                yield piece
            piece, starred = [], True
        else:
            piece.append(token)
            starred = False
    yield piece


def _tokens(word: bytes) -> Iterator[bytes]:
    """A star, or the expression of one character."""
    at = 0
    while at < len(word):
        one = word[at : at + 1]
        at += 1
        if one == b"\\":
            if at == len(word):
                raise ValueError(word)
            yield re.escape(word[at : at + 1])
            at += 1
        elif one == b"[":
            expression, at = _bracket(word, at)
            yield expression
        else:
            yield {b"*": b"*", b"?": b"."}.get(one) or re.escape(one)


def _bracket(word: bytes, at: int) -> tuple[bytes, int]:
    """The expression of a set of characters whose content begins at `at`, and where it ends."""
    negated = word[at : at + 1] in (b"!", b"^")
    at += negated
    members: list[bytes] = []
    first = True
    while first or word[at : at + 1] != b"]":
        first = False
        if found := _CLASS.match(word, at):
            members.append(_CLASSES.get(found[1], b""))
            at = found.end()
            continue
        low, at = _member(word, at)
        if word[at : at + 1] == b"-" and word[at + 1 : at + 2] not in (b"]", b""):
            high, at = _member(word, at + 1)
            if low <= high:
                members.append(re.escape(low) + b"-" + re.escape(high))
        else:
            members.append(re.escape(low))
    inner = b"".join(members)
    if not inner:
        return (b"." if negated else b"(?!)"), at + 1
    return b"[" + (b"^" if negated else b"") + inner + b"]", at + 1


def _member(word: bytes, at: int) -> tuple[bytes, int]:
    if word[at : at + 1] == b"\\":
        at += 1
    if at >= len(word):
        raise ValueError(word)
    return word[at : at + 1], at + 1
