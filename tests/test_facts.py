"""Typed facts: what is kept comes back, and what has another shape counts as absent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from shipml.images import built_on_engine
from shipml.oci.digest import Digest
from shipml.oci.layer_writer import LayerWriter
from shipml.store import Store, evidence
from shipml.store.fact import Fact
from shipml.store.layers import LAYER_FACT, cached_layer

DAMAGED: tuple[object, ...] = (
    [],
    {},
    5,
    "x",
    True,
    None,
    [[]],
    {"digest": 5},
    {"digest": "sha256:no", "diff_id": "", "size_bytes": 1},
)


@dataclass(frozen=True, slots=True)
class _Inner:
    name: str


@dataclass(frozen=True, slots=True)
class _Sample:
    digest: Digest
    count: int
    seconds: float
    inner: tuple[_Inner, ...] = ()
    note: str | None = None


SAMPLE = Fact("sample-1", _Sample)


@pytest.mark.parametrize(
    "value",
    [
        _Sample(Digest.of(b"a"), 1, 0.5, (_Inner("x"), _Inner("y")), "note"),
        _Sample(Digest.of(b"b"), -1, 2.0),
    ],
)
def test_what_was_kept_comes_back(store: Store, value: _Sample) -> None:
    """A dataclass is the same after the store had it, under its own key alone."""
    SAMPLE.keep(store, "key", value)
    assert SAMPLE.last(store, "key") == value
    assert SAMPLE.last(store, "other") is None


@pytest.mark.parametrize("damaged", [*DAMAGED, {"digest": str(Digest.of(b"a")), "count": True, "seconds": 1}])
def test_another_shape_is_absent(store: Store, damaged: object) -> None:
    """Whatever stands in the file, reading it raises nothing."""
    store.keep_fact("sample-1", "key", damaged)
    assert SAMPLE.last(store, "key") is None


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_fact_of_a_layer_is_made_again(store: Store, damaged: object) -> None:
    """A layer whose fact is damaged is written as if it had never been."""
    store.keep_fact(LAYER_FACT, "key", damaged)

    def write(writer: LayerWriter) -> None:
        writer.file("a", b"content")

    layer = cached_layer(store, write, key="key", kind="application", source="a")
    assert store.has_blob(layer.digest, layer.size_bytes)


@pytest.mark.parametrize("damaged", [*DAMAGED, {"id": "sha256:1", "built_at_seconds": "now"}])
def test_damaged_facts_of_the_hall_are_absent(store: Store, tmp_path: Path, damaged: object) -> None:
    """What is kept of engines' builds and of smoke tests counts for nothing where it is damaged."""
    digest = Digest.of(b"image")
    store.keep_fact("built-on-engine", str(tmp_path.resolve()), damaged)
    store.keep_fact("smoke", str(digest), damaged)
    assert built_on_engine(store, tmp_path) == ""
    assert evidence.last(store, digest) is None
    assert not evidence.passed(store, digest)
