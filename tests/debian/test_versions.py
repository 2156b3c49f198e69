"""Debian versions, against dpkg."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipml.debian.versions import DebianVersion, satisfies

_PAIRS = [
    ("0", "0-0~"),
    ("1.0", "1.0-1"),
    ("1.0~rc1", "1.0"),
    ("1.0", "1.0+b1"),
    ("1:0.1", "9"),
    ("2.10", "2.9"),
    ("1.0-1~deb12u1", "1.0-1"),
    ("1.0-0", "1.0"),
    ("1.0a", "1.0+"),
    ("3.11.2-6+deb12u9", "3.11.2-6+deb12u8"),
    ("0a", "a"),
    ("1.", "1.0"),
]


@pytest.mark.parametrize(("first", "second"), _PAIRS)
def test_versions_order_as_dpkg_orders_them(first: str, second: str) -> None:
    """Comparing two versions gives what dpkg gives."""
    assert _ours(first, second) == _dpkg(first, second)


@settings(max_examples=60, deadline=None)
@given(*[st.from_regex(r"(?:[0-2]:)?[0-9][0-9a.~+]{0,5}(?:-[0-9a~+.]{1,4})?", fullmatch=True)] * 2)
def test_any_two_versions_order_as_dpkg_orders_them(first: str, second: str) -> None:
    """The same holds for versions that nobody thought of."""
    assert _ours(first, second) == _dpkg(first, second)


@pytest.mark.parametrize(
    ("relation", "expected"), [("<<", False), ("<=", True), ("=", True), (">=", True), (">>", False), ("", True)]
)
def test_relations_follow_policy(relation: str, expected: bool) -> None:
    """A version stands to itself as Policy 7.1 says."""
    assert satisfies("1:2.0-1", relation, "1:2.0-1") is expected


def test_upstream_is_without_epoch_and_revision() -> None:
    """The authors' own version is what stands between epoch and revision."""
    assert DebianVersion("1:4.4.33-2+b1").upstream == "4.4.33"


def _ours(first: str, second: str) -> str:
    left, right = DebianVersion(first), DebianVersion(second)
    return "lt" if left < right else "eq" if left == right else "gt"


def _dpkg(first: str, second: str) -> str:
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        pytest.skip("dpkg is not installed")
    return next(
        relation
        for relation in ("lt", "eq", "gt")
        if subprocess.run([dpkg, "--compare-versions", first, relation, second], check=False).returncode == 0
    )
