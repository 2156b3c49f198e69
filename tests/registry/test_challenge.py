"""WWW-Authenticate as registries write it, and as they should not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.registry.scopes import Access, merge_scopes
from shipml.registry.token_service import Challenge, parse_challenges

HUB = (
    'Bearer realm="https://auth.example.org/token",service="registry.example.org",'
    'scope="repository:library/python:pull,push repository:a/b:pull"'
)


def _parse(*headers: str) -> list[tuple[str, dict[str, str]]]:
    return [(challenge.scheme, dict(challenge.parameters)) for challenge in parse_challenges(headers)]


def test_commas_inside_quotes() -> None:
    """A scope with commas is one value, and its words are the scopes."""
    (challenge,) = parse_challenges([HUB])
    assert challenge.parameters["realm"] == "https://auth.example.org/token"
    assert challenge.parameters["service"] == "registry.example.org"
    assert challenge.scopes == ("repository:library/python:pull,push", "repository:a/b:pull")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Basic realm="x", Bearer realm="y",service=z',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "service": "z"})],
        ),
        ("Bearer realm=https://r/t?a=b,service=r", [("bearer", {"realm": "https://r/t?a=b", "service": "r"})]),
        (
            'bearer  Realm = "a \\"quoted\\" one" , SERVICE="s"',
            [("bearer", {"realm": 'a "quoted" one', "service": "s"})],
        ),
        ('Negotiate, Basic realm="r"', [("negotiate", {}), ("basic", {"realm": "r"})]),
        ("Basic", [("basic", {})]),
        ('Bearer realm="a",realm="b"', [("bearer", {"realm": "a"})]),
        ('Bearer realm="a" service="b"', [("bearer", {"realm": "a", "service": "b"})]),
        ('Bearer realm="never closed', [("bearer", {})]),
        ("", []),
        (",, ,", []),
    ],
)
def test_forms(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    """Several challenges in one header, values without quotes, odd spaces, doubled and broken parameters."""
    assert _parse(header) == expected


def test_several_headers() -> None:
    """Challenges in headers of their own are read in turn."""
    assert [scheme for scheme, _ in _parse('Basic realm="a"', 'Bearer realm="b"')] == ["basic", "bearer"]


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=300))
def test_nonsense_is_survived(header: str) -> None:
    """Whatever stands in the header, it is read or left out, never an error."""
    for challenge in parse_challenges([header]):
        assert isinstance(challenge, Challenge)


def test_what_is_newly_demanded_stands_first() -> None:
    """Scopes that were not asked for come before those that were, and widen those of the same repository."""
    wanted = Access.push("a/b", "c/d").scopes
    assert merge_scopes(("repository:a/b:pull",), wanted) == wanted
    assert merge_scopes(("repository:x:pull",), wanted) == ("repository:x:pull", *wanted)
    assert merge_scopes(("repository:a/b:delete",), wanted) == ("repository:a/b:delete,pull,push", wanted[1])
