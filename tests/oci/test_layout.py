"""OCI layout folders: what is written reads back, nothing half-written is seen, broken ones are refused."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest

from shipml.errors import BuildError, UntrustedInputError, UsageError
from shipml.oci.digest import Digest
from shipml.oci.image import ImageValue, LayerValue
from shipml.oci.layout import read_layout, write_layout
from shipml.oci.manifest import Platform, canonical_json
from shipml.oci.reference import Reference

MakeImage = Callable[..., ImageValue]


def test_what_is_written_reads_back(tmp_path: Path, make_image: MakeImage) -> None:
    """Manifest, config and every layer's bytes come back as they were."""
    image = make_image({"a": b"1"}, {"b/c": b"2" * 100_000})
    write_layout(image, tmp_path / "new" / "out")
    back = read_layout(tmp_path / "new" / "out")
    assert (back.digest, back.manifest, back.config) == (image.digest, image.manifest, image.config)
    for before, after in zip(image.layers, back.layers, strict=True):
        assert (before.digest, before.diff_id, before.size_bytes) == (after.digest, after.diff_id, after.size_bytes)
        with before.open() as one, after.open() as other:
            assert one.read() == other.read()


def test_entries_carry_tag_full_name_and_platform(tmp_path: Path, make_image: MakeImage) -> None:
    """Each reference is one entry with the annotations that skopeo and containerd look for."""
    image = make_image(architecture="arm64")
    write_layout(image, tmp_path / "out", [Reference.parse("iris"), Reference.parse("localhost:5000/iris:2")])
    entries = json.loads((tmp_path / "out" / "index.json").read_bytes())["manifests"]
    assert [entry["annotations"] for entry in entries] == [
        {
            "io.containerd.image.name": "docker.io/library/iris:latest",
            "org.opencontainers.image.ref.name": "latest",
        },
        {"io.containerd.image.name": "localhost:5000/iris:2", "org.opencontainers.image.ref.name": "2"},
    ]
    assert {str(image.digest)} == {entry["digest"] for entry in entries}
    assert entries[0]["platform"] == {"architecture": "arm64", "os": "linux"}
    assert json.loads((tmp_path / "out" / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


def test_a_second_image_leaves_the_first(tmp_path: Path, make_image: MakeImage) -> None:
    """Adding keeps other entries and replaces the one of the same name."""
    one, two, three = (make_image({"a": data}) for data in (b"1", b"2", b"3"))
    folder = tmp_path / "out"
    write_layout(one, folder, [Reference.parse("one")])
    write_layout(two, folder, [Reference.parse("two:2")])
    write_layout(three, folder, [Reference.parse("two:2")])
    assert read_layout(folder, "one").digest == one.digest
    assert read_layout(folder, "2").digest == read_layout(folder, "two:2").digest == three.digest
    assert read_layout(folder, str(one.digest)).config == one.config
    with pytest.raises(UsageError, match="several images") as caught:
        read_layout(folder)
    assert caught.value.hint == "say which: 2, latest"
    with pytest.raises(UsageError, match="no image 'four'"):
        read_layout(folder, "four")


def test_writing_again_adds_no_entry(tmp_path: Path, make_image: MakeImage) -> None:
    """The same image without a name is one entry however often it is written."""
    image = make_image()
    for _ in range(2):
        write_layout(image, tmp_path / "out")
    assert len(json.loads((tmp_path / "out" / "index.json").read_bytes())["manifests"]) == 1


def test_writers_at_once_lose_no_entry(tmp_path: Path, make_image: MakeImage) -> None:
    """Writers of one layout wait for each other: four that add ten images each add forty."""
    images = {f"image{number}": make_image({"a": bytes([number])}) for number in range(40)}
    names = list(images)
    folder = tmp_path / "out"
    write_layout(make_image(), folder)

    def work(start: int) -> None:
        for name in names[start::4]:
            write_layout(images[name], folder, [Reference.parse(name)])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: read_layout(folder, name).digest for name in names} == {
        n: image.digest for n, image in images.items()
    }


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_modes_follow_the_umask(tmp_path: Path, make_image: MakeImage, umask: int) -> None:
    """Folder and files are as readable as the user's umask lets them be."""
    before = os.umask(umask)
    try:
        write_layout(make_image(), tmp_path / "out")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert modes == {0o666 & ~umask}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~umask


def test_foreign_folders_are_left_alone(tmp_path: Path, make_image: MakeImage) -> None:
    """A folder with something else in it, and a file, are refused before anything is written."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an OCI layout"):
        write_layout(make_image(), tmp_path / "full")
    with pytest.raises(UsageError, match="is a file"):
        write_layout(make_image(), tmp_path / "full" / "thesis.txt")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    write_layout(make_image(), tmp_path / "empty")
    assert read_layout(tmp_path / "empty")


@pytest.mark.parametrize("into_old", [False, True])
def test_a_layer_that_lies_leaves_nothing(tmp_path: Path, make_image: MakeImage, *, into_old: bool) -> None:
    """Where a layer's bytes are not those of its digest, no layout appears and an old one is as before."""
    image = make_image()
    liar = replace(
        image,
        layers=[
            replace(cast("LayerValue", image.layers[0]), opener=lambda: BytesIO(b"x" * image.layers[0].size_bytes))
        ],
    )
    other = make_image({"other": b""})
    if into_old:
        write_layout(other, tmp_path / "out")
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(UntrustedInputError, match="damaged"):
        write_layout(liar, tmp_path / "out")
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_the_platform_is_chosen_from_an_index(tmp_path: Path, make_image: MakeImage) -> None:
    """A nested index gives the image for the platform asked for; attestations are passed over."""
    images = {name: make_image(architecture=name) for name in ("amd64", "arm64")}
    folder = tmp_path / "out"
    for image in images.values():
        write_layout(image, folder)
    document: dict[str, Any] = json.loads((folder / "index.json").read_bytes())
    attestation = document["manifests"][0] | {"platform": {"os": "unknown", "architecture": "unknown"}}
    document["manifests"].insert(0, attestation)
    data = canonical_json(document)
    (folder / "blobs" / "sha256" / Digest.of(data).hex).write_bytes(data)
    entry = {"mediaType": document["mediaType"], "digest": str(Digest.of(data)), "size": len(data)}
    (folder / "index.json").write_bytes(canonical_json({"schemaVersion": 2, "manifests": [entry]}))
    for name, image in images.items():
        assert read_layout(folder, platform=Platform("linux", name)).digest == image.digest
    with pytest.raises(UsageError, match="no image for linux/riscv64") as caught:
        read_layout(folder, platform=Platform("linux", "riscv64"))
    assert caught.value.hint == "it has linux/amd64, linux/arm64"


def _change(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def _become_link(path: Path) -> None:
    moved = path.rename(path.parents[2] / "moved")
    path.symlink_to(moved)


def _become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


BREAKAGES: dict[str, Callable[[Path, ImageValue], object]] = {
    "marker missing": lambda folder, _: (folder / "oci-layout").unlink(),
    "marker of a later version": lambda folder, _: _change(folder / "oci-layout", b'{"imageLayoutVersion":"9"}'),
    "index no JSON": lambda folder, _: _change(folder / "index.json", b"{"),
    "index a list": lambda folder, _: _change(folder / "index.json", b"[]"),
    "index without manifests": lambda folder, _: _change(folder / "index.json", b"{}"),
    "index deeply nested": lambda folder, _: _change(folder / "index.json", b'{"a":' + b"[" * 1_000_000),
    "index huge": lambda folder, _: _change(folder / "index.json", b" " * (5 << 20)),
    "descriptor a string": lambda folder, _: _change(folder / "index.json", b'{"manifests":["x"]}'),
    "descriptor leads outside": lambda folder, _: _change(
        folder / "index.json",
        b'{"manifests":[{"mediaType":"x","digest":"sha256:../../../../etc/passwd","size":1}]}',
    ),
    "manifest changed": lambda folder, image: _change(
        folder / "blobs" / "sha256" / image.digest.hex, image.manifest.replace(b"2", b"3")
    ),
    "manifest missing": lambda folder, image: (folder / "blobs" / "sha256" / image.digest.hex).unlink(),
    "config cut short": lambda folder, image: _change(
        folder / "blobs" / "sha256" / Digest.of(image.config).hex, image.config[:-1]
    ),
    "config a link": lambda folder, image: _become_link(folder / "blobs" / "sha256" / Digest.of(image.config).hex),
    "manifest a pipe": lambda folder, image: _become_pipe(folder / "blobs" / "sha256" / image.digest.hex),
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_broken_layouts_are_refused(tmp_path: Path, make_image: MakeImage, what: str) -> None:
    """Each kind of damage is an error of its own class, never a crash, and nothing waits for ever."""
    image = make_image()
    write_layout(image, tmp_path / "out")
    BREAKAGES[what](tmp_path / "out", image)
    with pytest.raises(UntrustedInputError):
        read_layout(tmp_path / "out")


def test_config_and_manifest_must_agree(tmp_path: Path, make_image: MakeImage) -> None:
    """An image whose config names another number of layers than its manifest is refused."""
    image = make_image({"a": b""}, {"b": b""})
    document = json.loads(image.manifest)
    document["layers"].pop()
    write_layout(replace(image, manifest=canonical_json(document)), tmp_path / "out")
    with pytest.raises(UntrustedInputError, match="names 2 layers and the manifest 1"):
        read_layout(tmp_path / "out")


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    """Reading what is not there names the file that was looked for."""
    with pytest.raises(BuildError, match="oci-layout cannot be read: No such file"):
        read_layout(tmp_path / "none")
