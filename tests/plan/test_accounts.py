"""The user that the image runs as."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import PlanError
from shipml.facts.plan import BasePin, ImageBasePin
from shipml.facts.project import Project, Settings
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan.accounts import choose_account

AMD64 = Platform("linux", "amd64")
DEBIAN = BasePin("trixie", "3.13.5", AMD64, ())
IMAGE = ImageBasePin("python:3.12-slim", Digest.of(b""), "3.12.1", "2.41", "/usr/local/bin/python3.12", AMD64, ())


def project(user: str | None) -> Project:
    return Project(Path("project"), settings=Settings(user=user, source="shipml.toml"))


@pytest.mark.parametrize(
    ("user", "expected", "home", "line"),
    [
        (None, "65532", "", ""),
        ("root", "root", "", ""),
        ("65534", "65534", "", ""),
        ("1000", "1000", "/home/app", "app:x:1000:0:"),
        ("1000650000:0", "1000650000:0", "/home/app", "app:x:1000650000:0:"),
        ("1001:2001", "1001:2001", "/home/app", "app:x:1001:2001:"),
        ("ann", "1000", "/home/ann", "ann:x:1000:0:"),
    ],
)
def test_any_user_has_an_account_and_a_home(user: str | None, expected: str, home: str, line: str) -> None:
    """What Debian's base does not have gets a line in its /etc/passwd and a home that is named to programs."""
    account = choose_account(project(user), DEBIAN)
    assert (account.user, account.home) == (expected, home)
    assert account.environment.get("HOME", "") == home
    assert line in "".join(file.text for file in account.files)
    assert bool(account.files) is bool(line)


def test_an_image_as_base_takes_numbers_alone() -> None:
    """Its accounts are not known: a number gets a home, a name is refused with one that works."""
    assert choose_account(project("1000"), IMAGE).home == "/home/app"
    with pytest.raises(PlanError) as caught:
        choose_account(project("ann"), IMAGE)
    assert choose_account(project(caught.value.hint.split('"')[1]), IMAGE).user == "1000"
    with pytest.raises(PlanError):
        choose_account(project("99999999999"), DEBIAN)
