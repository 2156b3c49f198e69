"""Which layer holds what."""

from __future__ import annotations

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from shipml.facts.plan import (
    ApplicationFile,
    BaseLayerPin,
    BasePin,
    DebianPackagePin,
    ImageBasePin,
    LockedWheel,
)
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan.layering import MOST_LAYERS, plan_layers, size_class

MIB = 1 << 20
LIBGOMP = DebianPackagePin("libgomp1", "12", "amd64", "pool/main/g/libgomp1.deb", "debian", 1, Digest("0" * 64))
BASE = BasePin("bookworm", "3.11.2", Platform("linux", "amd64"), (LIBGOMP,))


def wheel(name: str, size_bytes: int | None, tag: str = "cp311-cp311-manylinux_2_28_x86_64") -> LockedWheel:
    digest = Digest(hashlib.sha256(name.encode()).hexdigest())
    return LockedWheel(name, "1.0", f"https://example.org/{name}.whl", size_bytes, digest, f"{name}-1.0-{tag}.whl")


def file(path: str, size_bytes: int) -> ApplicationFile:
    return ApplicationFile(path, "file", size_bytes, digest=Digest.of(path.encode()))


def kinds(wheels: list[LockedWheel], files: list[ApplicationFile], base: BasePin = BASE) -> list[tuple[str, ...]]:
    return [(layer.kind, *layer.members) for layer in plan_layers(base, wheels, files)]


def test_layers_stand_in_the_one_canonical_order() -> None:
    """Base, system, large wheels by class then name, small wheels, weights, code."""
    base = BasePin("bookworm", "3.11.2", BASE.platform, (LIBGOMP,), (LIBGOMP,))
    wheels = [wheel("b", 20 * MIB), wheel("a", 5 * MIB), wheel("c", 40 * MIB), wheel("s", 10), wheel("t", 4 * MIB - 1)]
    files = [file("app.py", 10), file("model.pt", 2 * MIB), file("z.csv", 5 * MIB), file("y.csv", 2 * MIB)]
    assert kinds(wheels, files, base) == [
        ("base", "libgomp1=12"),
        ("system", "libgomp1=12"),
        ("wheel", "b==1.0"),
        ("wheel", "c==1.0"),
        ("wheel", "a==1.0"),
        ("packages", "s==1.0", "t==1.0"),
        ("weights", "model.pt"),
        ("weights", "z.csv"),
        ("application", "app.py", "y.csv"),
    ]


def test_wheels_of_unknown_size_get_a_layer_when_they_hold_compiled_code() -> None:
    """Indexes without sizes hold the largest wheels; pure ones go with the rest."""
    wheels = [wheel("torch", None), wheel("pure", None, "py3-none-any")]
    assert kinds(wheels, []) == [("base", "libgomp1=12"), ("wheel", "torch==1.0"), ("packages", "pure==1.0")]


def test_size_classes_grow_by_four() -> None:
    """A wheel keeps its class over releases that differ by a few percent."""
    sizes_mib = [0, 4, 15, 16, 63, 64, 255, 256, 1023, 1024, 5000]
    assert [size_class(size * MIB) for size in sizes_mib] == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@given(
    st.lists(st.integers(0, 200), max_size=70, unique=True),
    st.lists(st.integers(0, 200), max_size=70, unique=True),
    st.randoms(),
)
def test_every_part_lies_in_exactly_one_of_at_most_sixty_layers(
    wheel_sizes: list[int], file_sizes: list[int], order: random.Random
) -> None:
    """However many large parts there are, nothing is lost or doubled, and the order of the input does not matter."""
    wheels = [wheel(f"w{size}", size * MIB) for size in wheel_sizes]
    files = [file(f"f{size}", size * MIB) for size in file_sizes]
    layers = kinds(sorted(wheels), sorted(files))
    assert len(layers) <= MOST_LAYERS
    members = [member for layer in layers for member in layer[1:]]
    assert sorted(members) == sorted(["libgomp1=12", *(f"{w.name}==1.0" for w in wheels), *(f.path for f in files)])
    order.shuffle(wheels)
    assert kinds(wheels, sorted(files)) == layers


def test_of_too_many_large_parts_the_smallest_join_the_rest() -> None:
    """The largest keep a layer of their own."""
    wheels = [wheel(f"w{number:03}", (5 + number) * MIB) for number in range(60)]
    files = [file(f"f{number:03}", (100 + number) * MIB) for number in range(20)]
    layers = kinds(wheels, files)
    assert len(layers) == MOST_LAYERS - 1 - 1  # no system layer, and all files have layers of their own
    assert ("packages", *(f"w{number:03}==1.0" for number in range(24))) in layers


def test_an_image_as_base_takes_its_layers_from_the_sixty() -> None:
    """Each of its layers is one of the image's; fewer wheels have one of their own then."""
    layers = tuple(BaseLayerPin("", Digest.of(bytes([number])), Digest.of(b""), 1) for number in range(20))
    base = ImageBasePin("x:1", Digest.of(b""), "3.12.1", "2.36", "/python3.12", Platform("linux", "amd64"), layers)
    wheels = [wheel(f"w{number:03}", (5 + number) * MIB) for number in range(60)]
    found = plan_layers(base, wheels, [file("app.py", 10)])
    assert [layer.members for layer in found[:20]] == [(str(layer.digest),) for layer in layers]
    assert len(found) == MOST_LAYERS - 1  # no system layer
    assert {layer.kind for layer in found[20:]} == {"wheel", "packages", "application"}


def test_the_layer_that_makes_the_virtual_environment_is_always_there() -> None:
    """Without small wheels, or without any, `python` must still be on PATH: an empty packages layer makes it."""
    assert kinds([], [file("app.py", 10)])[1:] == [("packages",), ("application", "app.py")]
    assert kinds([wheel("torch", 20 * MIB)], [])[1:] == [("wheel", "torch==1.0"), ("packages",)]
