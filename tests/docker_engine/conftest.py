"""Engines as shipml sees them, and images that are quick to load."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from shipml.docker_engine import Engine, connect
from shipml.oci.image import Image, LayerValue
from tests.peers.registry import Registry, start_registry
from tests.runtimes.images import busybox_layer, make_image, make_layer

MakeCode: TypeAlias = Callable[[str], Image]

_HTPASSWD = "ann:$2y$05$abcdefghijklmnopqrstuuOcxJew.7PcUcLTkSpIxDnA.SkQFXjFm\n"
ENGINES = ["docker_20", "docker_28_overlay2", "docker_28_containerd", "podman_service"]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn, connected."""
    with connect(
        environment={"DOCKER_HOST": request.getfixturevalue(request.param).host}, timeout_seconds=10
    ) as connected:
        yield connected


@pytest.fixture(params=ENGINES[:3])
def docker(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each Docker Engine in turn, connected."""
    with connect(
        environment={"DOCKER_HOST": request.getfixturevalue(request.param).host}, timeout_seconds=10
    ) as connected:
        yield connected


@pytest.fixture(scope="session")
def heavy_layer() -> LayerValue:
    """8 MiB that do not compress: whether it was sent is plain from the bytes."""
    noise = os.urandom(8 << 20)
    return make_layer(lambda writer: writer.file("opt/heavy", noise))


@pytest.fixture
def with_code(heavy_layer: LayerValue) -> MakeCode:
    """Makes images that differ in one line of code, above busybox and a heavy layer."""
    base = busybox_layer()

    def make(code: str) -> Image:
        layer = make_layer(lambda writer: writer.file("app/app.sh", code.encode()))
        return make_image([base, heavy_layer, layer], Cmd=["sh", "/app/app.sh"], User="65532", WorkingDir="/app")

    return make


@pytest.fixture(scope="session")
def locked_registry() -> Iterator[Registry]:
    """A registry that only lets ann in, with "a-good-password"."""
    with start_registry(_HTPASSWD) as started:
        yield started
