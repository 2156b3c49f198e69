"""Images listed, removed and pulled, as typed; they are put into the store by hand, so that nothing is built."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipml.oci.image import Image
from shipml.pipeline import Shipml
from shipml.publish.destination import Destination
from shipml.store import Store
from tests.cli.conftest import Run
from tests.image_fixtures import MakeImage
from tests.peers.registry import Registry
from tests.publish.pushing import new_name

Put = Callable[..., str]


@pytest.fixture
def put(tmp_path: Path, make_image: MakeImage) -> Put:
    """Puts an image with one file of this text into the store of `shipml`, under these names; returns its digest."""

    def put(text: str, *names: str, source: str = "") -> str:
        with contextlib.closing(Store(tmp_path / "store")) as store:  # prune waits for nobody
            digest = store.keep_image(make_image({"app/common.py": b"same"}, {"app/app.py": text.encode() * 2000}))
            for name in names:
                store.tag(name, digest, source=source)
        return str(digest)

    return put


def listed(shipml: Run) -> list[str]:
    """The names of the images in the store."""
    return sorted(shipml("images", "-q").stdout.split())


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """The one document on stdout."""
    return json.loads(done.stdout)


def test_images_say_how_old_they_are_and_from_where(shipml: Run, put: Put, tmp_path: Path) -> None:
    """The table has age and folder, the folder as one would type it; JSON has the exact values."""
    here, home = tmp_path / "work" / "churn", tmp_path / "elsewhere"
    put("1", "near:1", source=str(here))
    put("2", "far:1", "far:2", source=str(home))
    lines = {line.split()[0]: line for line in shipml("images").stdout.splitlines()[1:]}
    assert "just now" in lines["near:1"]
    assert lines["near:1"].endswith("  ./churn")
    assert lines["far:1"].endswith("  ~/elsewhere")
    one = next(one for one in document(shipml("images", "--json")) if one["reference"] == "far:1")
    assert (one["layers"], one["passed"], one["source"]) == (2, None, str(home))
    assert 0 < one["unique_bytes"] < one["size_bytes"], "its two names share it, the first layer is in both images"


def test_remove_by_name(shipml: Run, put: Put) -> None:
    """A name without tag is its latest; other names of the image stay, and prune frees what nobody needs any more."""
    put("1", "a:latest", "a:1")
    put("2", "b:latest")
    done = shipml("rm", "a", "b:latest")
    assert (done.returncode, done.stdout.split()) == (0, ["a:latest", "b:latest"])
    assert listed(shipml) == ["a:1"]
    assert document(shipml("cache", "prune", "--json"))["freed_bytes"] > 0
    assert document(shipml("cache", "info", "--json"))["whole"]


def test_remove_by_digest(shipml: Run, put: Put) -> None:
    """An image of several names goes by its digest with --all only; one of one name goes at once."""
    two, one = put("1", "a:1", "a:2"), put("2", "b:1")
    refused = shipml("rm", two[:19])
    assert refused.returncode == 1
    assert f"shipml rm --all {two[:19]}" in refused.stderr
    assert len(listed(shipml)) == 3
    assert shipml("rm", "--all", two[:19]).returncode == 0
    assert document(shipml("rm", one, "--json"))["removed"] == [{"reference": "b:1", "digest": one}]
    assert listed(shipml) == []


def test_remove_what_is_not_there(shipml: Run, put: Put, tmp_path: Path) -> None:
    """Each unknown name is told, the known ones are removed all the same; a folder names no image to remove."""
    put("1", "a:1", source=str(tmp_path / "work" / "folder"))
    put("2", "b:1")
    (tmp_path / "work" / "folder").mkdir()
    done = shipml("rm", "nosuch", "b:1", "./folder", "--json")
    assert done.returncode == 1
    found = document(done)
    assert [one["reference"] for one in found["removed"]] == ["b:1"]
    assert found["error"]["kind"] == "store"
    assert "nosuch" in found["error"]["message"]
    assert "./folder" in found["error"]["message"]
    assert listed(shipml) == ["a:1"]
    assert shipml("rm").returncode == 2


@pytest.mark.engine
def test_pull_and_fetch_on_demand(shipml: Run, make_image: MakeImage, registry: Registry, tmp_path: Path) -> None:
    """Pull fetches every layer, so that the registry may then go; inspect and run fetch what is not here themselves."""
    name = _pushed(registry, make_image(command="/nothing"), tmp_path)
    pulled = shipml("pull", name, "--json")
    assert pulled.returncode == 0, pulled.stderr
    found = document(pulled)
    assert found["reference"] == name
    assert document(shipml("cache", "info", "--verify", "--json"))["missing"] == []
    layer = document(shipml("inspect", name))["layers"][0]["digest"].removeprefix("sha256:")
    assert (tmp_path / "store" / "blobs" / "sha256" / layer).is_file()
    assert shipml("pull", name, "-q").stdout.strip() == found["digest"], "again"

    for command in ("inspect", "run"):
        assert shipml("rm", name).returncode == 0
        assert shipml("cache", "prune", "--all").returncode == 0
        assert listed(shipml) == []
        shipml(command, name)
        assert listed(shipml) == [name], command


@pytest.mark.engine
def test_pull_what_is_not_there(shipml: Run, registry: Registry) -> None:
    """An image that the registry does not have, or a name that nobody can have, is a usage error that names it."""
    for command in ("pull", "inspect", "run"):
        done = shipml(command, f"{registry.host}/{new_name()}:nosuch", "--json")
        assert (done.returncode, document(done)["error"]["kind"]) == (2, "usage"), command
        assert "nosuch" in document(done)["error"]["message"]
    assert shipml("pull", "No/Such").returncode == 2


def _pushed(registry: Registry, image: Image, tmp_path: Path) -> str:
    """Push an image to the registry by shipml itself; returns its name there."""
    with Shipml(tmp_path / "other-store") as session:
        session.store.tag("pushed:1", session.store.keep_image(image))
        done = session.push("pushed:1", Destination(f"{registry.host}/{new_name()}:1"), smoke=False)
    return str(done.references[0])
