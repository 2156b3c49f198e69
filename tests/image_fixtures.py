"""Fixtures that make small valid images and an empty store, for every area's tests."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from shipml.oci.image import ImageValue, LayerValue, assemble_image
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import canonical_json
from shipml.store import Store

MakeLayer: TypeAlias = Callable[[Mapping[str, bytes]], LayerValue]
MakeImage: TypeAlias = Callable[..., ImageValue]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = Store(tmp_path / "shipml-home")
    yield store
    store.close()


@pytest.fixture
def make_layer() -> MakeLayer:
    """Makes a layer in memory from names and contents of files."""

    def make(files: Mapping[str, bytes]) -> LayerValue:
        out = io.BytesIO()
        with LayerWriter(out) as writer:
            for name, data in files.items():
                writer.file(name, data)
            written = writer.close()
        data = out.getvalue()
        return LayerValue(written.digest, written.diff_id, written.size_bytes, lambda: io.BytesIO(data))

    return make


@pytest.fixture
def make_image(make_layer: MakeLayer) -> MakeImage:
    """Makes a valid image in memory, one layer for each mapping of names to contents."""

    def make(*layers: Mapping[str, bytes], architecture: str = "amd64", command: str = "/bin/true") -> ImageValue:
        made = [make_layer(files) for files in layers or ({"app/app.py": b"print(1)\n"},)]
        config = {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Cmd": [command], "User": "65532", "WorkingDir": "/app"},
            "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in made]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "shipml"} for _ in made],
        }
        return assemble_image(canonical_json(config), made)

    return make
