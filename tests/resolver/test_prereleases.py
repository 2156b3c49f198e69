"""Pre-releases: where they are taken, and where not, with the real uv."""

from __future__ import annotations

import pytest

from shipml.errors import ResolutionError
from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving

OLD_BINARY = "cp39-cp39-manylinux_2_17_x86_64"
NEW_BINARY = "cp313-cp313-manylinux_2_17_x86_64"


def versions(resolving: Resolving, requirements: str) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in resolving(requirements)[1].wheels}


def test_a_candidate_with_wheels_for_a_newer_python_is_not_taken(index: PackageIndex, resolving: Resolving) -> None:
    """The older Python for which the stable release has a wheel is better than a release candidate."""
    index.add("tensors", "2.21.0", OLD_BINARY)
    index.add("tensors", "2.22.0rc0", NEW_BINARY)
    candidate, lock = resolving("tensors\n")
    assert (candidate.suite.python, lock.wheels[0].version) == ("3.9", "2.21.0")


def test_a_pin_on_a_prerelease_holds(index: PackageIndex, resolving: Resolving) -> None:
    """Whoever writes it gets it."""
    index.add("tensors", "2.21.0")
    index.add("tensors", "2.22.0rc0")
    assert versions(resolving, "tensors==2.22.0rc0\n") == {"tensors": "2.22.0rc0"}


def test_what_packages_ask_for_or_have_alone_is_taken(index: PackageIndex, resolving: Resolving) -> None:
    """A beta that a package names, and packages that never had a stable release, directly or not."""
    index.add("mark", "1.0")
    index.add("mark", "2.0b3")
    index.add("beta", "0.40b0")
    index.add("parent", "1.0", requires=["mark>=2.0b1", "beta"])
    index.add("other", "0.1a1")
    expected = {"mark": "2.0b3", "beta": "0.40b0", "parent": "1.0", "other": "0.1a1"}
    assert versions(resolving, "parent\nother\n") == expected


def test_a_stable_release_that_does_not_fit_does_not_open_the_way(index: PackageIndex, resolving: Resolving) -> None:
    """Another package's range that only a pre-release meets is a conflict, not a pre-release."""
    index.add("mark", "1.0")
    index.add("mark", "2.0b3")
    index.add("parent", "1.0", requires=["mark>1.5"])
    with pytest.raises(ResolutionError):
        resolving("parent\n")


def test_the_users_own_choice_of_uv_stands(
    index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UV_PRERELEASE is the user's word."""
    monkeypatch.setenv("UV_PRERELEASE", "allow")
    index.add("tensors", "2.21.0")
    index.add("tensors", "2.22.0rc0")
    assert versions(resolving, "tensors\n") == {"tensors": "2.22.0rc0"}
