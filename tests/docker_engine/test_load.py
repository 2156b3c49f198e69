"""Loading: an engine gets what it lacks, and afterwards has the image under its names."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from shipml.docker_engine import Engine
from shipml.docker_engine.loading import load_image
from shipml.errors import UntrustedInputError
from shipml.events import Event, StepProgressed
from shipml.oci.digest import Digest
from shipml.oci.image import Image, ImageValue, LayerValue
from shipml.oci.reference import Reference
from tests.runtimes.images import busybox_layer, make_image, make_layer

pytestmark = [pytest.mark.engine, pytest.mark.slow]

MakeCode = Callable[[str], Image]
_HEAVY_BYTES = 8 << 20
_LITTLE_BYTES = 64 << 10
APP = Reference.parse("shipml-test-app")


def _known(*images: Image) -> Callable[[Digest], bytes | None]:
    return {image.digest: image.manifest for image in images}.get


def _holds(engine: Engine, name: str, image: Image) -> bool:
    found = engine.find_image(name)
    return found is not None and found.id == engine.id_of(image)


@pytest.mark.feature("load: under every name")
def test_an_image_is_there_under_every_name(engine: Engine, with_code: MakeCode) -> None:
    """After a load, each reference names an image with the very id of ours, and its layers."""
    image = with_code("echo names")
    other = Reference.parse("user/app:1.0")
    load_image(engine, image, [APP, other])
    for reference in (APP, other):
        assert _holds(engine, f"{reference.name}:{reference.tag}", image)
    assert engine.image("user/app:1.0").diff_ids == tuple(layer.diff_id for layer in image.layers)


@pytest.mark.feature("load: what is there is not sent again")
def test_the_same_image_is_not_sent_twice(engine: Engine, with_code: MakeCode) -> None:
    """What the engine has already costs no byte, and still gets a new name."""
    image = with_code("echo twice")
    load_image(engine, image, [APP])
    assert load_image(engine, image, [APP]) == 0
    assert load_image(engine, image, [Reference.parse("second:name")]) == 0
    assert _holds(engine, "second:name", image)


@pytest.mark.feature("load: only missing layers")
def test_one_changed_line_travels_alone(docker: Engine, with_code: MakeCode) -> None:
    """Where one layer of code changed, the heavy layer below it is not sent."""
    before, after = with_code("echo before"), with_code("echo after")
    load_image(docker, before, [APP])
    assert load_image(docker, after, [APP], manifest_of=_known(before)) < _LITTLE_BYTES
    assert _holds(docker, f"{APP.name}:latest", after)


@pytest.mark.feature("load: only missing layers")
def test_layers_are_found_under_any_name(docker: Engine, with_code: MakeCode) -> None:
    """The lower layers of an image with another name are used as well."""
    before, after = with_code("echo any name 1"), with_code("echo any name 2")
    load_image(docker, before, [Reference.parse("something:else")])
    assert load_image(docker, after, [Reference.parse("never:seen")], manifest_of=_known(before)) < _LITTLE_BYTES


def test_layers_in_another_order_are_sent_where_the_store_needs_them(
    docker: Engine, heavy_layer: LayerValue, with_code: MakeCode
) -> None:
    """The same layer upon others is another one to a graph driver's store; to containerd's it is the same blob."""
    before = with_code("echo order")
    load_image(docker, before, [APP])
    small = make_layer(lambda writer: writer.file("first", b"1"))
    after = make_image([small, heavy_layer, busybox_layer()], Cmd=["sh"])
    sent_bytes = load_image(docker, after, [APP], manifest_of=_known(before))
    assert (sent_bytes > _HEAVY_BYTES) == (docker.store_kind == "graph")
    assert _holds(docker, f"{APP.name}:latest", after)


@pytest.mark.feature("load: only missing layers")
def test_what_was_removed_in_between_is_sent(docker: Engine, with_code: MakeCode) -> None:
    """Layers of an image that the engine has no more are sent again."""
    before, after = with_code("echo removed 1"), with_code("echo removed 2")
    load_image(docker, before, [Reference.parse("removed:1")])
    for identifier in docker.image_ids():
        docker.remove_image(str(identifier))
    assert load_image(docker, after, [APP], manifest_of=_known(before)) > _HEAVY_BYTES
    assert _holds(docker, f"{APP.name}:latest", after)


def test_a_wrong_guess_ends_with_the_whole_image(docker: Engine, with_code: MakeCode) -> None:
    """If the engine lacks what it seemed to have, it refuses the part and gets the whole."""
    guess = with_code("echo guess")
    lie = make_image([busybox_layer()], Cmd=["sh"], Labels={"lie": docker.endpoint.url})
    load_image(docker, lie, [Reference.parse("lie:1")])
    fresh = make_layer(lambda writer: writer.file("fresh", docker.endpoint.url.encode() * 100))
    image = make_image([fresh, *guess.layers], Cmd=["sh"])

    def manifest_of(digest: Digest) -> bytes | None:
        return image.manifest if digest == lie.digest else None

    assert load_image(docker, image, [APP], manifest_of=manifest_of) > _LITTLE_BYTES
    assert _holds(docker, f"{APP.name}:latest", image)
    assert docker.is_complete(image.digest)


def test_an_image_without_name(engine: Engine, with_code: MakeCode) -> None:
    """An image can be loaded without any name, to be run by its id."""
    image = with_code("echo nameless")
    load_image(engine, image, [])
    assert _holds(engine, str(engine.id_of(image)), image)


def test_progress_is_told_in_bytes(engine: Engine, heavy_layer: LayerValue) -> None:
    """Progress grows up to the bytes that are sent, and never beyond."""
    mark = make_layer(lambda writer: writer.file("mark", engine.endpoint.url.encode()))
    events: list[Event] = []
    load_image(engine, make_image([mark, heavy_layer], Cmd=["sh"]), [APP], events.append)
    reached = [event for event in events if isinstance(event, StepProgressed)]
    assert reached[-1].done == reached[-1].total
    assert reached[-1].done > _HEAVY_BYTES
    assert [event.done for event in reached] == sorted(event.done for event in reached)


def test_a_broken_layer_is_our_failure(engine: Engine, with_code: MakeCode) -> None:
    """A layer whose bytes are not those of its digest is named as such, and nothing is loaded."""
    image = with_code("echo broken")
    noise = make_layer(lambda writer: writer.file("n", b"noise" * 50_000))
    broken = replace(noise, opener=lambda: io.BytesIO(b"\0" * noise.size_bytes))
    wrong = make_image([broken, *image.layers], Cmd=["sh"])
    with pytest.raises(UntrustedInputError):
        load_image(engine, wrong, [Reference.parse("broken:1")])
    assert engine.find_image("broken:1") is None


def test_layers_are_read_only_when_they_are_sent(docker: Engine, with_code: MakeCode) -> None:
    """A lazy layer that the engine has is never opened: its bytes need not exist here."""
    before, after = with_code("echo lazy 1"), with_code("echo lazy 2")
    load_image(docker, before, [APP])

    def fail() -> io.BytesIO:
        raise AssertionError("a layer that is there was opened")

    *lower, top = after.layers
    shy = [replace(layer, opener=fail) for layer in lower if isinstance(layer, LayerValue)]
    image = ImageValue(after.manifest, after.config, (*shy, top))
    load_image(docker, image, [APP], manifest_of=_known(before))
    assert json.loads(image.config)["rootfs"]["diff_ids"] == [
        str(diff_id) for diff_id in docker.image(f"{APP.name}:latest").diff_ids
    ]
