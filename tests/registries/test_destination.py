"""Where a push goes."""

from __future__ import annotations

import pytest

from shipml.errors import UsageError
from shipml.registries.destination import Destination


def references(destination: Destination, image: str = "iris:2", username: str = "ann") -> list[str]:
    """The references, as they print."""
    return [str(reference) for reference in destination.references(image, lambda _: username)]


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
        (Destination(registry="hub", repository="team/flowers", tags=("1",)), "iris:2", ["team/flowers:1"]),
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
        (Destination(), "", "say where"),
        (Destination(registry="acr"), "iris:2", "use hub, or a host"),
        (Destination(registry="https://r.example.org"), "iris:2", "use hub, or a host"),
        (Destination(registry="r.example.org"), "", "--repository NAME"),
        (Destination("ann/app@sha256:" + "ab" * 32), "iris:2", "REGISTRY/NAME:TAG"),
        (Destination("ann/app", tags=("-1",)), "iris:2", "write ann/app"),
    ],
)
def test_what_is_unclear_is_refused(destination: Destination, image: str, hint: str) -> None:
    """Two destinations, none, or none that can be: an error that shows how to say it."""
    with pytest.raises(UsageError) as caught:
        references(destination, image)
    assert hint in caught.value.hint


def test_hub_wants_a_namespace() -> None:
    """Nobody can push to Docker's own namespace; the user's name is taken where it is known."""
    with pytest.raises(UsageError) as caught:
        references(Destination(registry="hub"), username="")
    assert caught.value.hint == "add yours: --repository USERNAME/iris"
