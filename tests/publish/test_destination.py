"""Where a push goes, and under which tags."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shipml.errors import ConfigurationError, UsageError
from shipml.oci.reference import Reference, has_registry
from shipml.project.settings import load_settings
from shipml.publish.destination import Destination, default_tags, is_dirty
from shipml.publish.kinds import host_of
from shipml.publish.locations import environment, locate, only_registry

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LABELS = {"org.opencontainers.image.version": "1.4", "org.opencontainers.image.revision": COMMIT}


def references(
    destination: Destination,
    image: str = "iris:2",
    username: str = "ann",
    labels: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
) -> list[str]:
    """The references, as they print."""
    read = load_settings(settings or {}, "shipml.toml")
    location = locate(destination.registry, read, destination.name) if destination.registry else None
    found = destination.references(image, lambda _: username, location=location, labels=labels)
    return [str(reference) for reference in found]


@pytest.mark.parametrize(
    ("destination", "image", "expected"),
    [
        (Destination("ann/app"), "iris:2", ["ann/app:latest"]),
        (Destination("localhost:5000/app:3"), "", ["localhost:5000/app:3"]),
        (Destination("r.example.org/app", tags=("1", "2")), "iris:2", ["r.example.org/app:1", "r.example.org/app:2"]),
        (Destination("r.example.org/app:0", tags=("1",)), "iris:2", ["r.example.org/app:0", "r.example.org/app:1"]),
        (Destination(), "r.example.org/app:9", ["r.example.org/app:9"]),
        (Destination(), "ann/app:9", ["ann/app:9"]),
        (Destination(tags=("1",)), "ann/app", ["ann/app:1"]),
        (Destination(registry="hub"), "iris:2", ["ann/iris:2"]),
        (Destination(registry="hub", name="team"), "iris:2", ["team/iris:2"]),
        (Destination(registry="hub", repository="team/flowers", tags=("1",)), "iris:2", ["team/flowers:1"]),
        (Destination(registry="acr", name="Contoso"), "iris:2", ["contoso.azurecr.io/iris:2"]),
        (Destination(registry="acr", name="contoso.azurecr.cn"), "iris:2", ["contoso.azurecr.cn/iris:2"]),
        (Destination(registry="r.example.org"), "iris:2", ["r.example.org/iris:2"]),
        (Destination(registry="localhost", repository="x"), "", ["localhost/x:latest"]),
        (Destination(registry="r.example.org"), "other.example.org/team/app:2", ["r.example.org/team/app:2"]),
        (Destination(repository="team/b"), "r.example.org/team/a:1", ["r.example.org/team/b:1"]),
    ],
)
def test_words_become_references(destination: Destination, image: str, expected: list[str]) -> None:
    """What is said counts; the image's own name fills the rest."""
    assert references(destination, image) == expected


@pytest.mark.parametrize(
    ("destination", "image", "hint"),
    [
        (Destination("ann/app", registry="hub"), "iris:2", "either a reference"),
        (Destination(), "iris:2", "shipml push iris --registry hub --repository USERNAME/iris"),
        (Destination(), "", "--registry hub"),
        (Destination(registry="acr"), "iris:2", "--account NAME"),
        (Destination(registry="nowhere"), "iris:2", "use hub, acr, a [registries.NAME]"),
        (Destination(registry="https://r.example.org/team"), "iris:2", "use hub, acr, a [registries.NAME]"),
        (Destination(registry="r.example.org"), "", "--repository NAME"),
        (Destination("ann/app@sha256:" + "ab" * 32), "iris:2", "REGISTRY/NAME:TAG"),
        (Destination("ann/app", tags=("-1",)), "iris:2", "--tag 1"),
    ],
)
def test_what_is_unclear_is_refused(destination: Destination, image: str, hint: str) -> None:
    """Two destinations, none, or none that can be: an error that shows how to say it."""
    with pytest.raises(UsageError) as caught:
        references(destination, image)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("destination", "hint"),
    [
        (Destination("r.example.org/a/b", tags=("feature/x",)), "feature-x"),
        (Destination("r.example.org/a/b", tags=("v1.0 final",)), "v1.0-final"),
        (Destination("https://r.example.org:5000/a/b:1"), " r.example.org:5000/a/b:1"),
        (Destination("docker://r.example.org/a/b"), " r.example.org/a/b"),
    ],
)
def test_hints_name_what_would_work(destination: Destination, hint: str) -> None:
    """A branch's name as a tag, and a URL as a reference: the hint has the nearest that can be typed."""
    with pytest.raises(UsageError) as caught:
        references(destination, "iris")
    assert caught.value.hint.endswith(hint)


@pytest.mark.parametrize("name", ["ML_int", "ok", "a" * 51, "ml.-"])
def test_names_that_no_azure_registry_has(name: str) -> None:
    """They are refused with the rule, before any network is asked."""
    with pytest.raises(UsageError):
        host_of("acr", name if "." not in name else "ml_")


def test_hub_wants_a_namespace() -> None:
    """Nobody can push to Docker's own namespace; the user's name is taken where it is known."""
    with pytest.raises(UsageError) as caught:
        references(Destination(registry="hub"), username="")
    assert caught.value.hint == "add yours: --repository USERNAME/iris"


@pytest.mark.parametrize(
    ("destination", "image", "expected"),
    [
        (Destination("ann/app"), "iris:latest", ["ann/app:1.4", f"ann/app:{COMMIT[:12]}"]),
        (Destination(), "ann/app:latest", ["ann/app:1.4", f"ann/app:{COMMIT[:12]}"]),
        (Destination(registry="hub"), "iris:latest", ["ann/iris:1.4", f"ann/iris:{COMMIT[:12]}"]),
        (Destination("ann/app:latest"), "iris:latest", ["ann/app:latest"]),
        (Destination("ann/app", tags=("latest",)), "iris:latest", ["ann/app:latest"]),
        (Destination(), "ann/app:9", ["ann/app:9"]),
        (Destination(registry="hub"), "iris:9", ["ann/iris:9"]),
    ],
)
def test_tags_that_nobody_named(destination: Destination, image: str, expected: list[str]) -> None:
    """The version and the revision count where no tag was chosen; `latest` is pushed only when asked for."""
    assert references(destination, image, labels=LABELS) == expected


@pytest.mark.parametrize(
    ("version", "revision", "tags"),
    [
        ("1.4", COMMIT, ("1.4", COMMIT[:12])),
        ("1.4+cpu.1", f"{COMMIT}-dirty", ("1.4-cpu.1", f"{COMMIT[:12]}-dirty")),
        ("", COMMIT, (COMMIT[:12],)),
        ("2", "", ("2",)),
        ("", "", ()),
    ],
)
def test_tags_from_labels(version: str, revision: str, tags: tuple[str, ...]) -> None:
    """Every version has a tag, whatever signs it is written with, and what was not committed says so."""
    labels = {"org.opencontainers.image.version": version, "org.opencontainers.image.revision": revision}
    assert default_tags(labels) == tags
    assert is_dirty(labels) == ("-dirty" in revision)


SETTINGS = {
    "registries": {
        "company": {"kind": "acr", "name": "contoso", "repository": "team/iris"},
        "public": {"kind": "hub", "name": "team"},
        "lab": {"host": "r.example.org:5000", "username": "ann"},
    },
    "environments": {
        "int": {"registry": "company", "tag": "int"},
        "prod": {"registry": "acr", "name": "contosoprod", "repository": "iris", "tag": "stable"},
    },
}


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("company", "contoso.azurecr.io/team/iris:2"),
        ("public", "team/iris:2"),
        ("lab", "r.example.org:5000/iris:2"),
        ("int", "contoso.azurecr.io/team/iris:int"),
        ("prod", "contosoprod.azurecr.io/iris:stable"),
    ],
)
def test_names_of_the_settings(registry: str, expected: str) -> None:
    """`--registry` takes the registries and environments of the settings, with all that they say."""
    assert references(Destination(registry=registry), settings=SETTINGS) == [expected]


def test_typed_words_win_over_settings() -> None:
    """--name, --repository and --tag replace what a table says."""
    typed = Destination(registry="company", name="other", repository="x", tags=("1",))
    assert references(typed, settings=SETTINGS) == ["other.azurecr.io/x:1"]


def test_one_registry_needs_no_name() -> None:
    """A single [registries.NAME] is where pushes go; of several one must be chosen."""
    one = load_settings({"registries": {"lab": {"host": "r.example.org"}}}, "shipml.toml")
    found = only_registry(one)
    assert found is not None
    assert found.registry == "r.example.org"
    assert only_registry(load_settings(SETTINGS, "shipml.toml")) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"environments\.prod"),
        ({"environments": {"prod": {"repository": "x"}}}, r"environments\.prod names no registry"),
        ({"environments": {"prod": {"registry": "int"}, "int": {"registry": "prod"}}}, "which is an environment"),
        (
            {"environments": {"prod": {"registry": "a"}}, "registries": {"a": {"username": "ann"}}},
            "a names no registry",
        ),
    ],
)
def test_settings_that_name_no_place(settings: Mapping[str, object], message: str) -> None:
    """An environment without a registry is an error that names the key to add."""
    with pytest.raises(UsageError, match=message) as caught:
        environment("prod", load_settings(settings, "shipml.toml"))
    assert isinstance(caught.value, ConfigurationError) == bool(settings)
    assert caught.value.hint


def test_names_that_say_where() -> None:
    """Docker's own names are no place to push to."""
    names = ("iris", "ann/iris", "r.example.org/iris")
    assert [has_registry(Reference.parse(name)) for name in names] == [False, True, True]
