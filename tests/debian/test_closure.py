"""Which packages a closure takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.debian.closure import close
from shipml.debian.index import PackageRecord, parse_stanza
from shipml.errors import PlanError


class Shelf:
    """Packages in memory, from their stanzas."""

    def __init__(self, *stanzas: str) -> None:
        self._records = [_record(stanza) for stanza in stanzas]

    def find(self, name: str) -> list[PackageRecord]:
        found = [item for item in self._records if name in (item.name, *(one.name for one in item.provides))]
        return sorted(found, key=lambda item: (item.name != name, item.name))

    def names(self) -> set[str]:
        return {item.name for item in self._records}


def _record(stanza: str) -> PackageRecord:
    name, *fields = stanza.split("; ")
    package, _, version = name.partition(" ")
    lines = [
        f"Package: {package}",
        f"Version: {version or '1'}",
        "Architecture: all",
        "Filename: pool/x.deb",
        "Size: 1",
    ]
    return parse_stanza("\n".join([*lines, f"SHA256: {'a' * 64}", *fields]), archive="debian")


def test_closure_follows_depends_and_pre_depends() -> None:
    """What a package needs is taken, and what that needs; Recommends is not."""
    shelf = Shelf("a; Depends: b; Recommends: x", "b; Pre-Depends: c", "c", "x")
    assert list(close(shelf, ["a"])) == ["a", "b", "c"]


def test_cycles_end() -> None:
    """Packages that need each other are taken once."""
    assert list(close(Shelf("a; Depends: b", "b; Depends: a"), ["a"])) == ["a", "b"]


def test_first_alternative_that_exists_is_taken() -> None:
    """An alternative that the suite does not have is passed over."""
    assert list(close(Shelf("a; Depends: gone | b | c", "b", "c"), ["a"])) == ["a", "b"]


@pytest.mark.parametrize("roots", [["player", "devel"], ["devel", "player"]])
def test_of_two_that_conflict_the_one_goes_that_has_an_alternative(roots: list[str]) -> None:
    """Whichever was found first: what is needed by name stays, and meets the other's alternatives."""
    shelf = Shelf(
        "player; Depends: jack2 | jack-api",
        "devel; Depends: jack1",
        "jack1; Provides: jack-api; Conflicts: jack-api",
        "jack2; Provides: jack-api; Conflicts: jack-api, jack1",
    )
    assert sorted(close(shelf, roots)) == ["devel", "jack1", "player"]


def test_a_conflict_without_another_way_stays() -> None:
    """Both are needed by name: that is told where their files meet, not by a search without end."""
    shelf = Shelf("a; Depends: b, c", "b; Conflicts: c", "c; Conflicts: b")
    assert sorted(close(shelf, ["a"])) == ["a", "b", "c"]


def test_a_conflict_with_older_versions_is_none() -> None:
    """Nor is one with a name that the package provides alone."""
    shelf = Shelf("a; Depends: b | c; Conflicts: b (<< 2); Provides: d", "b 3; Conflicts: d (<< 1), b-virtual", "c")
    assert list(close(shelf, ["a"])) == ["a", "b"]


def test_chosen_alternative_is_preferred() -> None:
    """What is there already meets a group, even as its last alternative."""
    shelf = Shelf("a; Depends: c, b | c", "b", "c")
    assert list(close(shelf, ["a"])) == ["a", "c"]


def test_version_decides_between_alternatives() -> None:
    """An alternative that is too old is passed over."""
    shelf = Shelf("a; Depends: b (>= 2) | c (>= 2)", "b 1.9", "c 2.0")
    assert list(close(shelf, ["a"])) == ["a", "c"]


def test_provided_name_is_met_by_its_provider() -> None:
    """A virtual package brings the package that provides it."""
    assert list(close(Shelf("a; Depends: mta", "exim; Provides: mta"), ["a"])) == ["a", "exim"]


def test_unversioned_provides_meets_no_version() -> None:
    """A versioned relation needs a versioned Provides (Policy 7.5)."""
    wanted = "a; Depends: lib (>= 2)"
    with pytest.raises(PlanError):
        close(Shelf(wanted, "new; Provides: lib"), ["a"])
    assert list(close(Shelf(wanted, "new; Provides: lib (= 2.1)"), ["a"])) == ["a", "new"]


def test_excluded_is_left_out_with_all_that_only_it_needs() -> None:
    """Nothing below an excluded package is taken, virtual names included."""
    shelf = Shelf(
        "a; Depends: debconf | debconf-2.0, awk, b", "debconf; Depends: perl", "perl", "mawk; Provides: awk", "b"
    )
    assert list(close(shelf, ["a"], excluded={"debconf": "asks", "mawk": "scripts"})) == ["a", "b"]


def test_excluded_root_is_taken() -> None:
    """What a project names it gets."""
    assert list(close(Shelf("perl"), ["perl"], excluded={"perl": "scripts"})) == ["perl"]


def test_given_packages_are_not_repeated() -> None:
    """What the base has is not part of a project's own packages."""
    shelf = Shelf("a; Depends: b, c", "b", "c")
    assert list(close(shelf, ["a"], given={"b": shelf.find("b")[0]})) == ["a", "c"]


def test_chain_says_why() -> None:
    """Each package knows how it came in."""
    assert close(Shelf("a; Depends: b", "b; Depends: c", "c"), ["a"])["c"].chain == ("a", "b", "c")


def test_unsatisfiable_dependency_shows_the_chain() -> None:
    """The error leads from the root to what is missing."""
    with pytest.raises(PlanError, match=r"a → b needs c \(>= 2\) \| d, which"):
        close(Shelf("a; Depends: b", "b; Depends: c (>= 2) | d", "c 1"), ["a"])


def test_unknown_package_gets_a_suggestion() -> None:
    """A typing error is answered with the nearest name."""
    with pytest.raises(PlanError, match="no package ffmpg") as caught:
        close(Shelf("ffmpeg"), ["ffmpg"])
    assert caught.value.hint == "did you mean ffmpeg?"


def test_names_that_differ_by_case_are_different() -> None:
    """A name is found as it stands, never as another that only looks alike."""
    assert [item.version for item in Shelf("Lib 9", "lib 1").find("lib")] == ["1"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdef")), min_size=6))
def test_closure_is_closed(graph: dict[str, set[str]]) -> None:
    """Whatever the graph: each dependency of each chosen package is chosen, and nothing else than can be reached."""
    shelf = Shelf(*(f"{name}; Depends: {', '.join(sorted(needs))}" for name, needs in graph.items()))
    chosen = close(shelf, ["a"])
    assert all(need in chosen for name in chosen for need in graph[name])
    assert all(item.chain[0] == "a" and item.chain[-1] == name for name, item in chosen.items())
