"""Patterns as Docker reads them: the examples of Docker's documentation, and what Go's filepath.Match says."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.dockerfile import glob
from shipml.dockerfile.ignore import IgnorePatterns, parse_dockerignore
from shipml.errors import ConfigurationError

TABLE = [
    # (lines, left out, taken)
    (["*/temp*"], ["somedir/temporary.txt", "somedir/temp"], ["temp", "a/b/temp", "somedir/atemp"]),
    (["*/*/temp*"], ["somedir/subdir/temporary.txt"], ["somedir/temp", "a/b/c/temp"]),
    (["temp?"], ["tempa", "tempb", "tempa/inside"], ["temp", "tempab", "x/tempa", "temp/"]),
    (["**/*.go"], ["a.go", "x/y/z.go"], ["a.got"]),
    (["*.md", "!README.md"], ["other.md"], ["README.md", "docs/other.md"]),
    (["*.md", "!README*.md", "README-secret.md"], ["README-secret.md", "a.md"], ["README.md", "README-x.md"]),
    (["*.md", "README-secret.md", "!README*.md"], ["a.md"], ["README.md", "README-secret.md"]),
    (["docs", "!docs/README.md"], ["docs", "docs/a", "docs/sub/b"], ["docs/README.md"]),
    (["!docs/README.md", "docs"], ["docs/README.md"], []),
    (["docs", "!docs/api"], ["docs/x"], ["docs/api", "docs/api/deep/x"]),
    (["/foo/bar"], ["foo/bar", "foo/bar/x"], ["x/foo/bar", "foo/barn"]),
    (["foo/"], ["foo", "foo/x"], ["food"]),
    (["./foo//bar/../baz"], ["foo/baz"], ["foo/bar"]),
    (["foo/bar"], ["foo/bar"], ["a/foo/bar"]),
    (["  spaced  "], ["spaced"], ["  spaced  "]),
    (["# comment", " # no comment"], ["# no comment"], ["# comment"]),
    (["\\#hash"], ["#hash"], ["\\#hash"]),
    (["**"], ["a", "a/b", ".hidden"], []),
    (["**", "!app.py", "!src/**"], ["x", "y/z"], ["app.py", "src/a", "src/b/c"]),
    (["*"], ["a", "a/b", ".hidden/x"], []),
    (["abc/**"], ["abc/x", "abc/x/y"], ["abc", "xabc/x"]),
    (["a/**/b"], ["a/b", "a/x/b", "a/x/y/b", "a/b/below"], ["ab", "a/xb"]),
    (["**/foo"], ["foo", "x/foo", "x/y/foo"], ["xfoo"]),
    (["**foo"], ["foo", "xfoo", "x/yfoo"], ["foox"]),
    (["**/foo/bar"], ["foo/bar", "x/foo/bar"], ["foo/x/bar"]),
    (["[a-c].txt"], ["a.txt", "c.txt"], ["d.txt", "-.txt"]),
    (["[^a-c].txt"], ["d.txt"], ["a.txt"]),
    (["[\\]x]"], ["]", "x"], ["\\"]),
    (["a.c"], ["a.c"], ["abc"]),
    (["a+b(c)|$^{}"], ["a+b(c)|$^{}"], ["aab"]),
    (["a\\*b"], ["a*b"], ["axb"]),
    (["Case"], ["Case"], ["case"]),
    (["line\nbreak"], [], ["line\nbreak x"]),
    (["./"], [], ["a"]),
]


@pytest.mark.parametrize(("lines", "left_out", "taken"), TABLE, ids=[" ".join(row[0]) for row in TABLE])
def test_patterns_leave_out_what_docker_leaves_out(lines: list[str], left_out: list[str], taken: list[str]) -> None:
    """Each pattern list leaves out exactly what Docker's documentation and its matcher say."""
    patterns = IgnorePatterns(parse_dockerignore("\n".join(lines)))
    assert [path for path in left_out if not patterns.excludes(path)] == []
    assert [path for path in taken if patterns.excludes(path)] == []


@pytest.mark.parametrize("line", ["[", "[]", "[a", "a\\", "!", "! "])
def test_a_pattern_that_docker_refuses_is_an_error_that_names_the_file(line: str) -> None:
    """Broken patterns are refused with the file's name, instead of leaving out nothing."""
    with pytest.raises(ConfigurationError, match=r"\.dockerignore"):
        IgnorePatterns(parse_dockerignore(line))


def test_byte_order_mark_and_windows_line_ends_are_no_part_of_a_pattern() -> None:
    """A file saved by a Windows editor means the same."""
    patterns = IgnorePatterns(parse_dockerignore("\ufeff*.log\r\n\r\ndata\r\n"))
    assert patterns.excludes("a.log")
    assert patterns.excludes("data/x")


@given(
    st.lists(st.text("ab*?/!.", min_size=1, max_size=6), max_size=4),
    st.lists(st.text("ab.", min_size=1, max_size=3), min_size=2, max_size=4),
)
def test_a_folder_that_is_not_walked_holds_nothing_that_would_be_taken(lines: list[str], parts: list[str]) -> None:
    """Where nothing may be taken in below an excluded folder, everything below it is excluded."""
    try:
        patterns = IgnorePatterns(parse_dockerignore("\n".join(lines)))
    except ConfigurationError:
        return
    folder, path = parts[0], "/".join(parts)
    if patterns.excludes(folder) and not patterns.may_take_in_below(folder):
        assert patterns.excludes(path)


def test_naming_takes_more_than_wildcards() -> None:
    """A pattern names a path when its last component says something about it."""
    patterns = IgnorePatterns(["data/**", "*", ".env", "certs/*.pem"])
    assert patterns.names(".env")
    assert patterns.names("certs/a.pem")
    assert not patterns.names("data/.env")
    assert not patterns.names(".git")
    assert patterns.names_below("certs")
    assert not patterns.names_below("cert")


def test_no_pattern_takes_long() -> None:
    """Many wildcards on a path that almost matches are settled at once, and mean what they mean elsewhere."""
    started_at = time.perf_counter()
    patterns = IgnorePatterns(["**/" * 60 + "a" + "*a" * 40 + "b"] * 5 + ["*a" * 500 + "b", "**a" * 300 + "b"])
    assert not patterns.excludes("/".join(["a" * 60] * 60))
    assert time.perf_counter() - started_at < 2
    assert IgnorePatterns(["**/" * 20 + "*a*b*[c-e]"]).excludes("x/y/zazbzd")


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "?", "**/", "[ab]", "[^a]"]), min_size=1, max_size=8).map("".join),
    st.text("ab/", min_size=1, max_size=8),
)
def test_both_ways_of_matching_agree(pattern: str, path: str) -> None:
    """The automaton that is taken for many wildcards, and the regular expression for few."""
    parts = glob._parts(pattern)
    regex = re.compile("".join(part.regex for part in parts) + r"\Z", re.DOTALL)
    assert glob._Automaton(parts).matches(path) == (regex.match(path) is not None)
