"""Archives for `docker load`, skopeo and podman: written as a stream, read back, hostile ones refused."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from shipml.errors import UntrustedInputError, UsageError
from shipml.oci.archive import read_archive, stream_docker_archive, write_docker_archive
from shipml.oci.digest import Digest
from shipml.oci.image import ImageValue, LayerValue
from shipml.oci.reference import Reference

MakeImage = Callable[..., ImageValue]
IRIS = [Reference.parse("iris"), Reference.parse("localhost:5000/team/iris:2")]


def _content(image: ImageValue) -> list[bytes]:
    return [layer.open().read() for layer in image.layers]


def test_what_is_written_reads_back(tmp_path: Path, make_image: MakeImage) -> None:
    """Manifest, config and layers come back as they were."""
    image = make_image({"a": b"1"}, {"b": b"2" * 50_000})
    write_docker_archive(image, tmp_path / "new" / "iris.tar", IRIS)
    back = read_archive(tmp_path / "new" / "iris.tar", "iris")
    assert (back.digest, back.config) == (image.digest, image.config)
    assert [layer.open().read() for layer in back.layers] == _content(image)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["iris.tar"]


def test_one_tar_is_layout_and_docker_archive(tmp_path: Path, make_image: MakeImage) -> None:
    """manifest.json and index.json name the same blobs, and GNU tar lists every file."""
    image = make_image({"a": b"1"}, {"b": b"2"})
    write_docker_archive(image, tmp_path / "iris.tar", IRIS)
    listed = subprocess.run(["tar", "tf", tmp_path / "iris.tar"], check=True, capture_output=True, text=True).stdout
    with tarfile.open(tmp_path / "iris.tar") as archive:
        entry = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        index = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
    assert entry["RepoTags"] == ["iris:latest", "localhost:5000/team/iris:2"]
    assert entry["Config"] == f"blobs/sha256/{Digest.of(image.config).hex}"
    assert entry["Layers"] == [f"blobs/sha256/{layer.digest.hex}" for layer in image.layers]
    assert {one["digest"] for one in index["manifests"]} == {str(image.digest)}
    assert {entry["Config"], *entry["Layers"], f"blobs/sha256/{image.digest.hex}"} < set(listed.splitlines())


def test_the_first_header_is_no_pax_header(make_image: MakeImage) -> None:
    """BuildKit takes a leading PAX header for a Dockerfile: there is none, and the format is GNU's or ustar."""
    out = io.BytesIO()
    stream_docker_archive(make_image(), out, IRIS)
    assert out.getvalue()[156:157] == b"0"
    assert out.getvalue()[257:262] == b"ustar"


def test_equal_images_give_equal_archives(make_image: MakeImage) -> None:
    """The bytes depend on the image and its names alone, and the returned size is theirs."""
    outs = [io.BytesIO(), io.BytesIO()]
    sizes = [stream_docker_archive(make_image(), out, IRIS) for out in outs]
    assert outs[0].getvalue() == outs[1].getvalue()
    assert sizes == [len(out.getvalue()) for out in outs]
    assert sizes[0] % tarfile.RECORDSIZE == 0


def test_blobs_can_be_left_out(tmp_path: Path, make_image: MakeImage) -> None:
    """What an engine has already is named and not carried, nor opened."""

    def refuse() -> io.BytesIO:
        raise AssertionError

    image = make_image({"a": b"1"}, {"b": b"2"})
    base = replace(cast("LayerValue", image.layers[0]), opener=refuse)
    write_docker_archive(
        replace(image, layers=[base, image.layers[1]]), tmp_path / "x.tar", IRIS, without={base.digest}
    )
    with tarfile.open(tmp_path / "x.tar") as archive:
        assert f"blobs/sha256/{base.digest.hex}" not in archive.getnames()
        entry = json.load(archive.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
    assert entry["Layers"] == [f"blobs/sha256/{layer.digest.hex}" for layer in image.layers]
    with pytest.raises(UntrustedInputError, match="lacks blobs"):
        read_archive(tmp_path / "x.tar").layers[0].open()


def test_equal_layers_are_carried_once(tmp_path: Path, make_image: MakeImage) -> None:
    """Two layers with the same bytes are one file of the archive."""
    image = make_image({"a": b"1"}, {"a": b"1"})
    write_docker_archive(image, tmp_path / "x.tar")
    assert [layer.open().read() for layer in read_archive(tmp_path / "x.tar").layers] == _content(image)


def test_a_layer_that_lies_leaves_the_old_archive(tmp_path: Path, make_image: MakeImage) -> None:
    """Where a layer's bytes are not those of its digest, the file that was there stays."""
    image = make_image()
    liar = replace(image, layers=[replace(cast("LayerValue", image.layers[0]), opener=lambda: io.BytesIO(b"short"))])
    (tmp_path / "x.tar").write_bytes(b"old")
    with pytest.raises(UntrustedInputError, match="damaged"):
        write_docker_archive(liar, tmp_path / "x.tar")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.tar", b"old")]


def test_a_folder_is_no_archive(tmp_path: Path, make_image: MakeImage) -> None:
    """Naming a folder is a mistake of usage, with a name that would do."""
    with pytest.raises(UsageError, match="is a folder") as caught:
        write_docker_archive(make_image(), tmp_path)
    assert str(tmp_path / "image.tar") in caught.value.hint


def _tar(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return path


def test_reads_what_older_engines_saved(tmp_path: Path, make_image: MakeImage) -> None:
    """`docker save` before 25: folders with layer.tar uncompressed, equal layers as links to each other."""
    image = make_image({"a": b"1"}, {"a": b"1"})
    inner = gzip.decompress(image.layers[0].open().read())
    manifest = [{"Config": "c.json", "RepoTags": ["iris:latest"], "Layers": ["x/layer.tar", "y/layer.tar"]}]
    files = {"x/layer.tar": inner, "c.json": image.config, "manifest.json": json.dumps(manifest).encode()}
    back = read_archive(_tar(tmp_path / "x.tar", files, {"y/layer.tar": "../x/layer.tar"}), "iris")
    assert [layer.digest for layer in back.layers] == [layer.diff_id for layer in image.layers]
    assert [layer.open().read() for layer in back.layers] == [inner, inner]
    assert back.layers[0].media_type.endswith(".tar")
    with pytest.raises(UsageError, match="no image 'other'"):
        read_archive(tmp_path / "x.tar", "other")


@pytest.mark.parametrize(
    ("files", "because"),
    [
        ({"a": b""}, "not an image archive"),
        ({"manifest.json": b"{"}, "not JSON"),
        ({"manifest.json": b"3"}, "not a list of images"),
        ({"manifest.json": b'[{"Config":"../../etc/passwd","Layers":[]}]'}, "lacks"),
        ({"manifest.json": b'[{"Config":"c","Layers":["x"]}]', "c": b"{}"}, "disagree"),
        ({"manifest.json": b'[{"Config":"c","Layers":[]}]', "c": b" " * (5 << 20)}, "larger"),
        ({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}, "lacks index.json"),
    ],
)
def test_broken_archives_are_refused(tmp_path: Path, files: dict[str, bytes], because: str) -> None:
    """Each kind of damage is named."""
    with pytest.raises(UntrustedInputError, match=because):
        read_archive(_tar(tmp_path / "x.tar", files))


def test_links_never_lead_out_of_an_archive(tmp_path: Path) -> None:
    """A link to a file of the machine is not followed."""
    manifest = b'[{"Config":"c","Layers":[]}]'
    with pytest.raises(UntrustedInputError, match="lacks c"):
        read_archive(_tar(tmp_path / "x.tar", {"manifest.json": manifest}, {"c": "/etc/hostname"}))


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    """Text is not a tar; a compressed archive gets the command that unpacks it; a name twice is refused."""
    (tmp_path / "x").write_bytes(b"hello" * 1000)
    with pytest.raises(UntrustedInputError, match="is not a tar"):
        read_archive(tmp_path / "x")
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(UsageError, match="is compressed") as caught:
        read_archive(tmp_path / "x.gz")
    assert caught.value.hint == f"unpack it first: gunzip {tmp_path / 'x.gz'}"
    with tarfile.open(tmp_path / "twice.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("oci-layout"))
    with pytest.raises(UntrustedInputError, match="twice"):
        read_archive(tmp_path / "twice.tar")
