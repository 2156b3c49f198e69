"""Which files a .dockerignore leaves out, by the rules of Docker (docs: "Build context", ".dockerignore files").

Patterns are Go's filepath.Match with `**` for any number of folders; they match from the project folder, also when
they do not start with a slash; a pattern that matches a folder matches what is in it; the last pattern that matches
a path decides, and one that begins with `!` takes the path in again.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from shipml.dockerfile.glob import compile_glob
from shipml.errors import ConfigurationError

__all__ = ["IgnorePatterns", "numbered_patterns", "parse_dockerignore"]

_LONGEST = 16 << 10
"""Characters of a pattern."""
_BLANKS = " \t\n\v\f\r\x85\xa0"


@dataclass(frozen=True, slots=True)
class _Pattern:
    text: str
    """Cleaned, without `!`."""
    negated: bool
    matches: Callable[[str], bool] = field(repr=False)
    """Whether it matches all of a path."""
    place: str = ""
    """Where it stands: ".dockerignore:3"."""

    def may_match_below(self, folder: str) -> bool:
        """Whether the leading components without wildcards agree with `folder`."""
        for part, name in zip(self.text.split("/"), folder.split("/"), strict=False):
            if re.search(r"[*?\[\\]", part):
                return True
            if part != name:
                return False
        return True


class IgnorePatterns:
    """Patterns in order; the later ones win."""

    def __init__(
        self, patterns: Iterable[str], source: str = ".dockerignore", places: Sequence[str] | None = None
    ) -> None:
        """Compile `patterns` (as in the lines of the file, `!` included); `places` says where each stands.

        Raises:
            ConfigurationError: a pattern that Docker refuses too; `source` is named.
        """
        patterns = list(patterns)
        self._patterns = tuple(
            replace(_compile(text, source), place=place)
            for text, place in zip(map(_clean, patterns), places or [source] * len(patterns), strict=True)
            if text
        )

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def excludes(self, path: str) -> bool:
        """Whether the file or folder `path` (relative, with `/`) is left out."""
        return self.verdict(path) is True

    def verdict(self, path: str) -> bool | None:
        """True: left out; False: taken in again by a `!` pattern; None: no pattern says anything."""
        decides = self._deciding(path)
        return None if decides is None else not decides.negated

    def place(self, path: str) -> str:
        """Where the pattern stands that decides about `path`; "" where none does."""
        decides = self._deciding(path)
        return decides.place if decides else ""

    def _deciding(self, path: str) -> _Pattern | None:
        parts = path.split("/")
        ancestors = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        for pattern in reversed(self._patterns):
            if any(pattern.matches(ancestor) for ancestor in ancestors):
                return pattern
        return None

    def may_take_in_below(self, folder: str) -> bool:
        """Whether a `!` pattern could match something in an excluded `folder`."""
        return any(pattern.negated and pattern.may_match_below(folder) for pattern in self._patterns)

    def names(self, path: str) -> bool:
        """Whether a pattern matches `path` itself, with more than wildcards for its last component."""
        return any(
            pattern.matches(path) and re.search(r"[^*?]", posixpath.basename(pattern.text)) is not None
            for pattern in self._patterns
        )

    def names_below(self, folder: str) -> bool:
        """Whether a pattern begins with the very name of `folder` and goes on below it."""
        return any(pattern.text.startswith(f"{folder}/") for pattern in self._patterns)


def parse_dockerignore(text: str) -> list[str]:
    """The patterns in the text of a .dockerignore: comments, blank lines and surrounding blanks are dropped."""
    return [pattern for _, pattern in numbered_patterns(text)]


def numbered_patterns(text: str) -> list[tuple[int, str]]:
    """The same with the numbers of their lines, from 1."""
    lines = enumerate(text.removeprefix("\ufeff").split("\n"), start=1)
    return [
        (number, pattern) for number, line in lines if not line.startswith("#") and (pattern := line.strip(_BLANKS))
    ]


def _clean(pattern: str) -> str:
    """The pattern in its shortest form: Go's filepath.Clean, and no leading slash."""
    negated = pattern.startswith("!")
    body = pattern.removeprefix("!").strip(_BLANKS)
    if body:
        body = posixpath.normpath(body)
        body = body.lstrip("/") or "/"
    return f"!{body}" if negated else body


def _compile(pattern: str, source: str) -> _Pattern:
    body = pattern.removeprefix("!")
    if not body:
        raise ConfigurationError(
            f'{source}: "!" alone is not a pattern', hint="write what is to be taken in again after it"
        )
    if len(body) > _LONGEST:
        raise ConfigurationError(f"{source}: a pattern has {len(body)} characters", hint="no path is as long")
    try:
        return _Pattern(body, pattern.startswith("!"), compile_glob(body))
    except (re.error, IndexError) as error:
        raise ConfigurationError(
            f"{source}: {body!r} is not a valid pattern", hint="close the bracket, or write \\[ for the character"
        ) from error
