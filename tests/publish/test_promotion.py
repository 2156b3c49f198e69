"""What is promoted, and where to: the words of a command line and the settings become references."""

from __future__ import annotations

import pytest

from shipml.errors import UsageError
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference
from shipml.project.settings import load_settings
from shipml.publish.locations import Location, environment
from shipml.publish.promotion import Promotions, find_source, find_target
from shipml.store import Store

DIGEST = "sha256:" + "ab" * 32
INT = Location("r.example.org", repository="team/iris", tag="int")
BARE = Location("r.example.org")
SETTINGS = load_settings(
    {
        "registries": {"lab": {"host": "r.example.org", "repository": "lab/iris"}},
        "environments": {
            "int": {"registry": "r.example.org", "repository": "team/iris", "tag": "int"},
            "prod": {"registry": "p.example.org"},
        },
    },
    "shipml.toml",
)


@pytest.mark.parametrize(
    ("text", "origin", "expected"),
    [
        ("q.example.org/x/y:1", None, "q.example.org/x/y:1"),
        ("q.example.org/x/y:1", INT, "q.example.org/x/y:1"),
        (f"localhost/x@{DIGEST}", INT, f"localhost/x@{DIGEST}"),
        ("ann/iris:2", None, "ann/iris:2"),
        ("", INT, "r.example.org/team/iris:int"),
        ("1.4", INT, "r.example.org/team/iris:1.4"),
        (DIGEST, INT, f"r.example.org/team/iris@{DIGEST}"),
        ("iris", INT, "r.example.org/team/iris:int"),
        ("iris:1.4", INT, "r.example.org/team/iris:1.4"),
        ("team/iris:1.4", INT, "r.example.org/team/iris:1.4"),
        (f"iris@{DIGEST}", INT, f"r.example.org/team/iris@{DIGEST}"),
        ("other/app:1.4", INT, "r.example.org/other/app:1.4"),
        ("iris", BARE, "r.example.org/iris:latest"),
        ("iris:1.4", BARE, "r.example.org/iris:1.4"),
    ],
)
def test_what_is_promoted(text: str, origin: Location | None, expected: str) -> None:
    """A full reference says all; within an environment a tag, a name or a digest suffices, or nothing."""
    assert str(find_source(text, origin)) == expected


@pytest.mark.parametrize(
    ("word", "source", "tags", "expected"),
    [
        ("prod", "r.example.org/team/iris:1.4", (), ["p.example.org/team/iris:1.4"]),
        ("prod", "r.example.org/team/iris:1.4", ("a", "b"), ["p.example.org/team/iris:a", "p.example.org/team/iris:b"]),
        ("int", "q.example.org/x/y:1", (), ["r.example.org/team/iris:int"]),
        ("lab", "q.example.org/x/y:1", (), ["r.example.org/lab/iris:1"]),
        ("q.example.org/x/y", "r.example.org/team/iris:1.4", (), ["q.example.org/x/y:1.4"]),
        ("q.example.org:5000/x/y", "r.example.org/team/iris:1.4", (), ["q.example.org:5000/x/y:1.4"]),
        ("q.example.org/x/y:2", "r.example.org/team/iris:1.4", ("3",), ["q.example.org/x/y:2", "q.example.org/x/y:3"]),
        ("localhost:5000", "r.example.org/team/iris:1.4", (), ["localhost:5000/team/iris:1.4"]),
        ("prod", "python:3.11", (), ["p.example.org/python:3.11"]),
        ("prod", "r.example.org/my-library/iris:1.4", (), ["p.example.org/my-library/iris:1.4"]),
    ],
)
def test_where_it_goes(word: str, source: str, tags: tuple[str, ...], expected: list[str]) -> None:
    """An environment gives what its settings say; repository and tag are otherwise those of the source."""
    assert [str(one) for one in find_target(word, SETTINGS, Reference.parse(source), tags)] == expected


@pytest.mark.parametrize(
    ("word", "source", "hint"),
    [
        ("prod", f"r.example.org/team/iris@{DIGEST}", "--tag TAG"),
        (f"q.example.org/x@{DIGEST}", "r.example.org/team/iris:1", "--to q.example.org/x:TAG"),
        ("nowhere", "r.example.org/team/iris:1", "environments.nowhere = {"),
    ],
)
def test_what_cannot_be_meant(word: str, source: str, hint: str) -> None:
    """A target without a tag, with a digest, or that nobody knows is an error that shows how to say it."""
    with pytest.raises(UsageError) as caught:
        find_target(word, SETTINGS, Reference.parse(source))
    assert hint in caught.value.hint


def test_nothing_is_guessed() -> None:
    """Without a name and an environment there is nothing to promote, and settings without environments say so."""
    with pytest.raises(UsageError, match="not said what"):
        find_source("", None)
    with pytest.raises(UsageError, match="which repository"):
        find_source("", BARE)
    with pytest.raises(UsageError, match=r"environments\.int"):
        environment("int", load_settings({}, "shipml.toml"))


def test_promotions_are_undone_one_by_one(store: Store) -> None:
    """Each undoing goes one promotion further back; what was not promoted from here is not known."""
    promotions = Promotions(store)
    target = Reference.parse("p.example.org/iris:stable")
    one, two, three = (Digest.of(name) for name in (b"1", b"2", b"3"))
    promotions.keep(target, one, None, target)
    promotions.keep(target, two, one, target)
    promotions.keep(target, three, two, target)
    assert promotions.before(target, three) == two
    promotions.undo(target, three)
    assert promotions.before(target, two) == one
    promotions.undo(target, two)
    assert promotions.before(target, one) is None
    assert promotions.before(target, three) is None
    assert [entry["digest"] for entry in promotions.of(target)] == [str(one)]


def test_promotions_outlive_the_cache(store: Store) -> None:
    """What registries had is nothing that could be found out again: emptying the store does not forget it."""
    target = Reference.parse("p.example.org/iris:stable")
    Promotions(store).keep(target, Digest.of(b"2"), Digest.of(b"1"), target)
    store.prune(all=True)
    assert Promotions(store).before(target, Digest.of(b"2")) == Digest.of(b"1")
