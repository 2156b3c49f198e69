"""Images listed, removed and pulled, as typed; they are put into the store by hand, so that nothing is built."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipml.api import Shipml
from shipml.oci.image import Image
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
    image = make_image(command="/nothing")
    name = _pushed(registry, image, tmp_path)
    with contextlib.closing(Store(tmp_path / "store")) as store:
        store.note_remote(image.layers[0].digest, f"{registry.host}/elsewhere")  # who pulls wants it here all the same
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


def test_prune_says_what_all_would_free(shipml: Run, tmp_path: Path, put: Put) -> None:
    """What a plain prune leaves is told, and --all then frees just that; words are plain."""
    put("1", "a:1")
    with contextlib.closing(Store(tmp_path / "store")) as store:
        store.put_blob(b"PK\x03\x04" + b"w" * 5000)
    assert "Python packages" in shipml("cache", "info").stdout
    done = document(shipml("cache", "prune", "--json"))
    assert (done["freed_bytes"], done["all_would_free_bytes"]) == (0, 5004)
    assert "shipml cache prune --all" in shipml("cache", "prune").stderr
    assert document(shipml("cache", "prune", "--all", "--json"))["freed_bytes"] == 5004
    assert listed(shipml) == ["a:1"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("build", "--push"), "shipml ship"),
        (("build", ".", "-f", "Dockerfile"), "--file"),
        (("run", "img", "ls", "here"), "shipml run img -- ls here"),
        (("run", "--rm", "img"), "omit it"),
    ],
)
def test_hints_of_what_docker_would_take(shipml: Run, tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    """What docker takes and shipml does not is an error that names the way here, and says nothing false."""
    (tmp_path / "work" / "app.py").write_text("print(1)\n")
    done = shipml(*words)
    assert done.returncode == 2
    assert hint in done.stderr
    assert "has a Dockerfile" not in done.stderr


def test_publish_without_engine(shipml: Run, put: Put) -> None:
    """Options of the engine without one: the remedy names no option that run does not have."""
    put("1", "a:1")
    for option in (("-p", "80"), ("--gpus", "all")):
        done = shipml("run", "a:1", *option, env={"DOCKER_HOST": "", "DOCKER_CONTEXT": "default"})
        if "no Docker Engine" in done.stderr:
            assert "--builder" not in done.stderr
        assert done.returncode == 2


def test_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong SOURCE_DATE_EPOCH is corrected to a time that stays the same."""
    from shipml.errors import ConfigurationError
    from shipml.prepare import _source_date_epoch_seconds

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ConfigurationError) as caught:
        _source_date_epoch_seconds()
    assert "git log -1 --format=%ct" in caught.value.hint


@pytest.mark.network
@pytest.mark.slow
def test_build_bounds_the_store_and_tags_its_own_name(shipml: Run, tmp_path: Path, put: Put) -> None:
    """A bare version is a tag of the image's own name; after the build old downloads are gone, images are whole."""
    folder = tmp_path / "work" / "tiny"
    folder.mkdir()
    (folder / "app.py").write_text("print(1)\n")
    (folder / "requirements.txt").touch()
    put("1", "kept:1")
    with contextlib.closing(Store(tmp_path / "store")) as store:
        wheel = store.put_blob(b"PK\x03\x04" + b"w" * 5000)
    (folder / "shipml.toml").write_text('cache = { max-size = "1 kB" }\n')
    done = shipml("build", "tiny", "-t", "1.4", "-t", "latest", "-t", "other", "--no-check")
    assert done.returncode == 0, done.stderr
    assert listed(shipml) == ["kept:1", "other:latest", "tiny:1.4", "tiny:latest"]
    assert not (tmp_path / "store" / "blobs" / "sha256" / wheel.hex).exists()
    assert "shipml rm" in done.stderr, "images alone need more"
    assert document(shipml("cache", "info", "--verify", "--json"))["whole"]
    soft = shipml("build", "tiny", "--no-check", env={"SHIPML_CACHE_MAX_SIZE": "much"})
    assert (soft.returncode, "SHIPML_CACHE_MAX_SIZE" in soft.stderr) == (0, True)


@pytest.mark.engine
def test_tags_of_a_push(shipml: Run, put: Put, registry: Registry) -> None:
    """Full references by --tag say where to, bare ones are tags there; two places are refused."""
    put("1", "a:1")
    name = f"{registry.host}/{new_name()}"
    done = shipml("push", "a:1", "--tag", f"{name}:1.4", "--tag", "stable", "--no-smoke", "--json")
    assert done.returncode == 0, done.stderr
    assert document(done)["references"] == [f"{name}:1.4", f"{name}:stable"]
    other = shipml("push", "a:1", "elsewhere.example.org/x", "--tag", f"{name}:1.4", "--no-smoke")
    assert other.returncode == 2
