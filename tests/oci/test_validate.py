"""The invariant checker: silent about good images, and one sentence for each thing that is broken."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from shipml.oci.digest import Digest
from shipml.oci.image import (
    Image,
    ImageValue,
    LayerValue,
    assemble_image,
)
from shipml.oci.manifest import canonical_json
from shipml.oci.validate import validate

MakeImage = Callable[..., ImageValue]


def _layer(image: Image, **changes: Any) -> Image:
    """The image with its first layer changed, and the manifest as it was."""
    first = replace(cast("LayerValue", image.layers[0]), **changes)
    return ImageValue(image.manifest, image.config, [first, *image.layers[1:]], image.media_type)


def _manifest(image: Image, change: Callable[[dict[str, Any]], object]) -> Image:
    document = json.loads(image.manifest)
    change(document)
    return ImageValue(canonical_json(document), image.config, image.layers, image.media_type)


def _config(image: Image, change: Callable[[dict[str, Any]], object]) -> Image:
    """The image with its config changed, and a manifest that fits it."""
    document = json.loads(image.config)
    change(document)
    return assemble_image(canonical_json(document), image.layers)


def test_good_images_have_no_problems(make_image: MakeImage) -> None:
    """One layer or many, nested folders, a file replaced by a higher layer: nothing to say."""
    assert validate(make_image()) == []
    assert validate(make_image({"a/b/c": b"1"}, {"a/b/c": b"2"}, {"a/d": b""})) == []


@dataclass(frozen=True)
class _WrongDigest(ImageValue):
    @property
    def digest(self) -> Digest:
        return Digest("0" * 64)


def test_the_images_digest_is_checked(make_image: MakeImage) -> None:
    """An image that gives another digest than its manifest's is found out."""
    image = make_image()
    (problem,) = validate(_WrongDigest(image.manifest, image.config, image.layers))
    assert "said to have the digest sha256:000" in problem


DOCUMENTS: dict[str, tuple[Callable[[Image], Image], str]] = {
    "manifest no JSON": (lambda i: ImageValue(b"{", i.config, i.layers), "manifest is not JSON"),
    "config no JSON": (lambda i: ImageValue(i.manifest, b"{", i.layers), "config is not JSON"),
    "an artifact": (
        lambda i: _manifest(i, lambda d: d["config"].update(mediaType="application/x")),
        "manifest is of an artifact",
    ),
    "manifest's own type": (
        lambda i: ImageValue(i.manifest, i.config, i.layers, "application/x"),
        "said to be application/x",
    ),
    "config digest": (
        lambda i: _manifest(i, lambda d: d["config"].update(digest="sha256:" + "1" * 64)),
        "manifest names the config sha256:111",
    ),
    "config size": (lambda i: _manifest(i, lambda d: d["config"].update(size=7)), "gives the config 7 bytes"),
    "layer missing": (
        lambda i: _manifest(i, lambda d: d["layers"].pop()),
        "has 1 layers and the image 2",
    ),
    "layer size": (lambda i: _manifest(i, lambda d: d["layers"][0].update(size=7)), "layer 0: the manifest says size"),
    "layer type": (
        lambda i: _manifest(i, lambda d: d["layers"][0].update(mediaType="x")),
        "layer 0: the manifest says media_type x",
    ),
    "annotations": (
        lambda i: _manifest(i, lambda d: d["layers"][0].update(annotations={"a": "b"})),
        "layer 0: the manifest says annotations",
    ),
    "no platform": (lambda i: _config(i, lambda d: d.pop("architecture")), "has no architecture"),
    "no system": (lambda i: _config(i, lambda d: d.update(os="")), "has no os"),
    "no command": (lambda i: _config(i, lambda d: d["config"].pop("Cmd")), "neither Cmd nor Entrypoint"),
    "settings missing": (lambda i: _config(i, lambda d: d.pop("config")), "neither Cmd nor Entrypoint"),
    "command of numbers": (lambda i: _config(i, lambda d: d["config"].update(Cmd=[1])), "list of strings"),
    "rootfs type": (lambda i: _config(i, lambda d: d["rootfs"].update(type="x")), "not of the type layers"),
    "diff ids in other order": (
        lambda i: _config(i, lambda d: d["rootfs"]["diff_ids"].reverse()),
        "names other diff ids",
    ),
    "history short": (lambda i: _config(i, lambda d: d["history"].pop()), "history has 1 entries"),
    "history empty": (
        lambda i: _config(i, lambda d: d["history"][0].update(empty_layer=True)),
        "history has 1 entries",
    ),
    "no layers": (
        lambda i: assemble_image(i.config.replace(b"x", b"x"), []),
        "has 0 layers",
    ),
    "layer digest": (lambda i: _layer(i, digest=Digest("2" * 64)), "layer 0: it is said to have the digest"),
    "layer size said": (lambda i: _layer(i, size_bytes=3), "layer 0: it is said to have 3 bytes"),
    "diff id": (lambda i: _layer(i, diff_id=Digest("3" * 64)), "layer 0: it is said to have the diff id"),
    "layer cut": (
        lambda i: _layer(i, opener=lambda: io.BytesIO(i.layers[0].open().read()[:-20])),
        "layer 0: it cannot be read",
    ),
    "layer no gzip": (lambda i: _layer(i, opener=lambda: io.BytesIO(b"x" * 99)), "layer 0: it cannot be read"),
    "layer type unknown": (lambda i: _layer(i, media_type="application/zip"), "application/zip cannot be checked"),
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_each_broken_document_is_named(make_image: MakeImage, what: str) -> None:
    """Manifest, config and layers are compared with each other and with the bytes."""
    breakage, expected = DOCUMENTS[what]
    problems = validate(breakage(make_image({"a/x": b"1"}, {"b/x": b"2"})))
    assert any(expected in problem for problem in problems), problems


def test_too_many_layers_are_named(make_image: MakeImage) -> None:
    """128 layers are one too many."""
    image = make_image({"a": b""})
    config = json.loads(image.config)
    config["rootfs"]["diff_ids"] *= 128
    config["history"] *= 128
    assert validate(assemble_image(canonical_json(config), [*image.layers] * 128)) == [
        "the image has 128 layers; engines take 1 to 127"
    ]


def _entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = 0o755
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def _image(*layers: list[tarfile.TarInfo]) -> Image:
    """An image of layers with these entries, true in everything else."""
    made = []
    for entries in layers:
        data = b"".join(entry.tobuf(tarfile.GNU_FORMAT) + bytes(entry.size + -entry.size % 512) for entry in entries)
        made.append(_raw_layer(data + bytes(1024)))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/x"]},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in made]},
        "history": [{} for _ in made],
    }
    return assemble_image(canonical_json(config), made)


def _raw_layer(tar: bytes) -> LayerValue:
    packed = gzip.compress(tar, mtime=0)
    return LayerValue(Digest.of(packed), Digest.of(tar), len(packed), lambda: io.BytesIO(packed))


FOLDER = _entry("lib", tarfile.DIRTYPE)


def test_good_entries_have_no_problems() -> None:
    """Links, second names, whiteouts of what lower layers have, and files below a linked folder are fine."""
    base = [FOLDER, _entry("lib/x", size=3), _entry("lib/y", tarfile.LNKTYPE, linkname="lib/x")]
    base += [_entry("lib64", tarfile.SYMTYPE, linkname="lib")]
    top = [_entry("lib/.wh.x"), _entry("lib64/z"), _entry("./lib/", tarfile.DIRTYPE)]
    assert validate(_image(base, top)) == []


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([_entry("a"), _entry("./a")], "stands twice"),
        ([_entry("/etc")], "is absolute"),
        ([_entry("../etc")], r"leads out with \.\."),
        ([FOLDER, _entry("lib/../../x")], r"leads out with \.\."),
        ([_entry("a/b"), _entry("a", tarfile.DIRTYPE)], "comes without or before its parent"),
        ([_entry("a"), _entry("a/b")], "comes without or before its parent"),
        ([_entry(".wh.a")], "hides what no lower layer has"),
        ([FOLDER, _entry(".wh.lib", size=1)], "is a whiteout and not an empty file"),
        ([_entry("a", tarfile.CHRTYPE)], "is not a file, folder or link"),
        ([_entry("a", tarfile.FIFOTYPE)], "is not a file, folder or link"),
        ([_entry("a", tarfile.LNKTYPE, linkname="b")], "is a second name for 'b'"),
        ([_entry("a", tarfile.SYMTYPE)], "is a link to nothing"),
        ([_entry("a", uid=(1 << 32) - 1)], "belongs to 4294967295:0"),
        ([_entry("a", gid=-2)], "belongs to 0:-2"),
        ([_entry("a", mtime=1 << 34)], "was modified at"),
        ([_entry("a", mtime=-5)], "was modified at -5"),
    ],
)
def test_each_broken_entry_is_named(entries: list[tarfile.TarInfo], expected: str) -> None:
    """The sentence names the layer and the entry."""
    problems = validate(_image(entries))
    assert any(re.search(f"layer 0: '.*' {expected}", problem) for problem in problems), problems


def test_a_folder_in_place_of_a_link_is_named() -> None:
    """A folder entry over a lower layer's link would make overlay hide the link."""
    problems = validate(_image([FOLDER, _entry("lib64", tarfile.SYMTYPE, linkname="lib")], [_entry("lib64", b"5")]))
    assert problems == ["layer 1: 'lib64' is a folder in place of a lower layer's link"]


def test_a_broken_tar_is_named() -> None:
    """Whole gzip around what is not a tar is found out."""
    image = _image([FOLDER])
    layer = _raw_layer(b"no tar" * 1000)
    config = json.loads(image.config)
    config["rootfs"]["diff_ids"] = [str(layer.diff_id)]
    (problem,) = validate(assemble_image(canonical_json(config), [layer]))
    assert problem.startswith("layer 0: it is not a complete tar")


def test_all_problems_are_listed(make_image: MakeImage) -> None:
    """Several broken things give several sentences, in documents and layers alike."""
    image = _config(make_image({"a": b""}), lambda d: (d.pop("os"), d["config"].pop("Cmd"), d["history"].clear()))
    problems = validate(_layer(image, digest=Digest("4" * 64)))
    assert len(problems) == 5, problems
