"""Every image that a test leaves in a store is checked: a broken one fails the test that made it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.oci.validate import validate
from shipml.store import Store

_checked: set[str] = set()
"""Digests found whole before in this session: the same image is made by many tests."""


@pytest.fixture(autouse=True)
def images_are_valid(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test, `oci/validate` lists nothing for any image in a store below its tmp_path."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None and request.node.get_closest_marker("broken_images") is None:
        problems = problems_below(folder)
        assert not problems, "\n".join(problems)


def problems_below(folder: Path) -> list[str]:
    """What is wrong with the named images of all stores in `folder`."""
    found = {path.parent for pattern in ("images", "*/images", "*/*/images") for path in folder.glob(pattern)}
    homes = {home for home in found if home.resolve() == folder.resolve() / home.relative_to(folder)}  # not by links
    return [problem for home in sorted(homes) if (home / "blobs" / "sha256").is_dir() for problem in _problems(home)]


def _problems(home: Path) -> list[str]:
    store = Store(home)
    try:
        problems = []
        for stored in store.images():
            image = store.image(stored.digest)
            in_registry = [
                one for one in image.layers if store.remote_homes(one.digest) and not store.has_blob(one.digest)
            ]
            if str(stored.digest) not in _checked and not in_registry:
                found = validate(image)
                problems += [f"{stored.reference} in {home}: {problem}" for problem in found]
                if not found:
                    _checked.add(str(stored.digest))
        return problems
    finally:
        store.close()
