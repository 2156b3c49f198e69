"""An image as a base: what its config says, what only its files say, and what makes it unfit."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shipml.bases.image_facts import facts_of_config
from shipml.bases.image_pin import pin_image
from shipml.bases.layers import base_layers
from shipml.errors import PlanError, ShipmlError, UntrustedInputError
from shipml.events import ignore
from shipml.facts.plan import ImageBasePin
from shipml.oci.image import (
    Image,
    ImageValue,
    LayerValue,
    assemble_image,
)
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import Platform, canonical_json
from shipml.oci.reference import Reference
from shipml.session import Session
from shipml.store import Store
from tests.image_fixtures import MakeImage

AMD64 = Platform("linux", "amd64")
DEBIAN = {"created_by": "# debian.sh --arch 'amd64' out/ 'bookworm' '@1762202650'"}
OFFICIAL = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "PYTHON_VERSION=3.12.12"]
LIBC = b"...GNU C Library (Debian GLIBC 2.36-9+deb12u13) stable release version 2.36.\n..."


def with_config(image: ImageValue, environment: list[str], history: list[dict[str, Any]], **more: Any) -> ImageValue:
    """`image` with another config; what it says of layers stays."""
    config = json.loads(image.config)
    config["config"]["Env"] = environment
    config["history"] = history
    return dataclasses.replace(image, config=canonical_json(config | more))


def relabelled(image: ImageValue, **changes: Any) -> ImageValue:
    """`image` whose layers have other facts."""
    layers = [layer for layer in image.layers if isinstance(layer, LayerValue)]
    return dataclasses.replace(image, layers=[dataclasses.replace(layer, **changes) for layer in layers])


def written(write: Callable[[LayerWriter], None]) -> LayerValue:
    """A layer in memory."""
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        write(writer)
        layer = writer.close()
    data = out.getvalue()
    return LayerValue(layer.digest, layer.diff_id, layer.size_bytes, lambda: io.BytesIO(data))


def pin(image: Image, store: Store, reference: str = "python:3.12-slim", **options: Any) -> ImageBasePin:
    """The pin of an image that a registry has under `reference`."""

    def open_image(asked: Reference, platform: Platform) -> Image:
        assert (asked, platform) == (Reference.parse(reference), AMD64)
        return image

    return pin_image(reference, AMD64, session=Session(store, open_image=open_image, **options))


def test_the_config_of_an_official_image_says_all(make_image: MakeImage, store: Store) -> None:
    """Python, C library, suite, environment and layers are known, and no layer was opened."""
    image = with_config(make_image({"a": b"1"}, {"b": b"2"}), OFFICIAL, [DEBIAN, {}])
    found = pin(relabelled(image, opener=_forbidden), store)
    assert (found.python, found.interpreter) == ("3.12.12", "/usr/local/bin/python3.12")
    assert (found.glibc, found.suite) == ("2.36", "bookworm")
    assert found.digest == image.digest
    assert dict(found.environment)["LANG"] == "C.UTF-8"
    assert [(one.digest, one.diff_id, one.size_bytes) for one in found.layers] == [
        (one.digest, one.diff_id, one.size_bytes) for one in image.layers
    ]


def _forbidden() -> Any:
    raise AssertionError("the layer was opened")


@pytest.mark.parametrize(
    ("config", "tag", "expected"),
    [
        ({"config": {"Env": OFFICIAL}, "history": [DEBIAN]}, "3", ("3.12.12", "2.36", "bookworm")),
        ({"config": {"Env": OFFICIAL}}, "3.12-slim-trixie", ("3.12.12", "2.41", "trixie")),
        ({"config": {"Env": OFFICIAL}}, "3.12-slim", None),
        ({"config": {"Env": OFFICIAL}}, "3.12-alpine", None),
        ({"config": {"Env": ["PYTHON_VERSION=3.12.12"]}, "history": [DEBIAN]}, "3", None),
        ({"config": {"Env": ["PATH=/usr/local/bin", "PYTHON_VERSION=../../x"]}, "history": [DEBIAN]}, "3", None),
        ({"config": None, "history": "x"}, "", None),
        ({}, "", None),
    ],
)
def test_a_config_that_says_too_little_is_not_believed(
    config: Mapping[str, Any], tag: str, expected: tuple[str, str, str] | None
) -> None:
    """Version, suite and place must all be there; the suite from the history, else from the tag."""
    found = facts_of_config(config, tag)
    assert (found and (found.python, found.glibc, found.suite)) == expected


def debian_layer(layer: LayerWriter) -> None:
    """A merged /usr, Python of Debian's and another one on the PATH before it, links as images have them."""
    layer.directory("usr/lib/x86_64-linux-gnu")
    layer.symlink("lib", "usr/lib")
    layer.file("usr/lib/x86_64-linux-gnu/libc-2.36.so", LIBC)
    layer.symlink("usr/lib/x86_64-linux-gnu/libc.so.6", "libc-2.36.so")
    layer.file("usr/lib/os-release", b'ID=debian\nVERSION_CODENAME="bookworm"\n')
    layer.symlink("etc/os-release", "../usr/lib/os-release")
    layer.file("usr/bin/python3.11", b"\x7fELF 1.3.11.2\0 3.11.9\0", mode=0o755)
    layer.symlink("usr/bin/python3", "/etc/alternatives/python3")
    layer.symlink("etc/alternatives/python3", "/usr/bin/python3.11")


def test_files_say_what_the_config_does_not(store: Store, make_image: MakeImage) -> None:
    """Python is found on the PATH through links, its version in the program, the C library by what it says itself."""
    image = with_config(assemble_image(make_image().config, [written(debian_layer)]), ["PATH=/usr/sbin:/usr/bin"], [])
    found = pin(image, store, "team/python:1")
    assert (found.python, found.interpreter) == ("3.11.9", "/usr/bin/python3.11")
    assert (found.glibc, found.suite) == ("2.36", "bookworm")
    shutil.rmtree(store.home / "roots")
    assert pin(image, store, "team/python:same") == dataclasses.replace(found, reference="team/python:same")
    assert list((store.home / "roots").glob("*")) == []


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({"lib/ld-musl-x86_64.so.1": b"musl"}, "app:1 has no GNU C library", "python:3.12-slim"),
        ({"lib/x86_64-linux-gnu/libc.so.6": LIBC}, "app:1 has no Python 3 on its PATH", "python:3.12-slim"),
        (
            {"lib64/libc.so.6": LIBC, "usr/local/bin/python3.7": b"3.7.17\0", "usr/local/bin/python3": b""},
            "app:1 has no Python 3 on its PATH",
            "",
        ),
    ],
)
def test_an_unfit_image_is_told_apart(
    files: Mapping[str, bytes], message: str, hint: str, make_image: MakeImage, store: Store
) -> None:
    """No GNU C library or no Python: an error that says which, and what to take instead."""
    with pytest.raises(PlanError) as caught:
        pin(with_config(make_image(files), ["PATH=/usr/local/bin"], []), store, "app:1")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_pin_is_kept_until_it_is_upgraded(make_image: MakeImage, store: Store) -> None:
    """A tag that moved changes nothing until --upgrade: then the new image is pinned."""
    first = with_config(make_image(), OFFICIAL, [DEBIAN])
    moved = with_config(make_image({"b": b"2"}), [*OFFICIAL[:2], "PYTHON_VERSION=3.12.13"], [DEBIAN])
    assert pin(first, store) == pin(moved, store)
    assert pin(moved, store, upgrade=True).python == "3.12.13"
    assert pin(first, store).python == "3.12.13"


@pytest.mark.parametrize(
    ("docker", "oci"),
    [
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"),
        ("application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ],
)
def test_layers_get_the_names_of_one_family(docker: str, oci: str, make_image: MakeImage, store: Store) -> None:
    """Docker's media types become OCI's, which mean the same bytes: no manifest mixes both."""
    found = pin(relabelled(with_config(make_image(), OFFICIAL, [DEBIAN]), media_type=docker), store)
    assert [layer.media_type for layer in found.layers] == [oci]
    layers = base_layers(found, session=Session(store, None, ignore))  # type: ignore[arg-type]
    assert [layer.media_type for layer in layers] == [oci]
    assert store.remote_homes(layers[0].digest) == ["docker.io/library/python"]


def test_a_layer_that_may_not_be_copied_is_refused(make_image: MakeImage, store: Store) -> None:
    """Foreign layers stay with their owner."""
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    image = relabelled(with_config(make_image(), OFFICIAL, [DEBIAN]), media_type=foreign)
    with pytest.raises(UntrustedInputError) as caught:
        pin(image, store)
    assert foreign in caught.value.message


def test_an_image_with_packages_of_its_own_in_our_place_is_refused(make_image: MakeImage, store: Store) -> None:
    """What shipml built is no base: its packages would show through."""
    image = with_config(make_image(), [*OFFICIAL, "VIRTUAL_ENV=/opt/venv"], [DEBIAN])
    with pytest.raises(PlanError) as caught:
        pin(image, store)
    assert "/opt/venv" in caught.value.message


def test_another_platform_is_refused(make_image: MakeImage, store: Store) -> None:
    """An image without index may be for another machine."""
    with pytest.raises(ShipmlError) as caught:
        pin(with_config(make_image(architecture="arm64"), OFFICIAL, [DEBIAN]), store)
    assert "linux/arm64, not for linux/amd64" in caught.value.message


def test_an_old_python_is_refused(make_image: MakeImage, store: Store) -> None:
    """What no current package supports is said at once."""
    image = with_config(make_image(), [*OFFICIAL[:2], "PYTHON_VERSION=3.7.17"], [DEBIAN])
    with pytest.raises(PlanError) as caught:
        pin(image, store, "python:3.7-slim")
    assert "3.7.17" in caught.value.message
