"""Fixtures that more than one area needs. Real peers are started only when a test asks, once a session."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.azure_fixtures import act_as
from tests.engines_table import note_features, pytest_addoption, pytest_configure
from tests.fault_cases import count_cases, pytest_terminal_summary
from tests.image_fixtures import make_image, make_layer, store
from tests.long_first import long_files_first
from tests.peers.azure_cloud import AzureCloud, start_azure_cloud
from tests.peers.engine import Engine, engine_28, engine_2010
from tests.peers.hub import Hub
from tests.peers.podman import Podman, start_podman
from tests.peers.podman_service import PodmanService, start_podman_service
from tests.peers.registry import Registry, push_python_base, start_registry
from tests.peers.registry_behind import need_registry
from tests.validity import images_are_valid

__all__ = [  # found by pytest here
    "act_as",
    "count_cases",
    "images_are_valid",
    "make_image",
    "make_layer",
    "pytest_addoption",
    "pytest_configure",
    "pytest_terminal_summary",
    "store",
]

# Who starts the tests in the background (nohup, &) lets them ignore Ctrl-C, and so every program that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def signals_mean_what_they_meant() -> Iterator[None]:
    """A command that a test runs in this process takes Ctrl-C over, and ends the process two seconds after one."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What tests report, and their order."""
    note_features(items)
    long_files_first(items)


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One SHIPML_HOME for the session, of all its processes: a base is made once for those to whom it is no matter.

    Images and facts of other tests are in there, too. Whoever shows what an empty home does has one of their own.
    """
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if folder.name.startswith("popen-") else folder) / "shared-home"  # xdist's are popen-gw0, …


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """The CNCF registry on a loopback port, empty but for what other tests of the session pushed."""
    with start_registry() as started:
        yield started


@pytest.fixture(scope="session")
def hub(registry: Registry) -> Registry:
    """The registry, with a stand-in for python:3.11-slim, as a mirror of Docker Hub."""
    push_python_base(registry)
    return registry


@pytest.fixture(scope="session")
def docker_20(registry: Registry) -> Iterator[Engine]:
    """Docker Engine 20.10, which takes `registry` for Docker Hub."""
    with engine_2010(registry.url) as engine:
        yield engine


@pytest.fixture(scope="session")
def docker_28_overlay2(registry: Registry) -> Iterator[Engine]:
    """Docker Engine 28.5 with the graph driver's store, which takes `registry` for Docker Hub."""
    with engine_28("overlay2", registry.url) as engine:
        yield engine


@pytest.fixture(scope="session")
def docker_28_containerd(registry: Registry) -> Iterator[Engine]:
    """Docker Engine 28.5 with containerd's store, which takes `registry` for Docker Hub."""
    with engine_28("containerd", registry.url) as engine:
        yield engine


@pytest.fixture(params=["docker_20", "docker_28_overlay2", "docker_28_containerd"])
def docker_engine(request: pytest.FixtureRequest) -> Engine:
    """Each of the engines in turn."""
    engine: Engine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture(scope="session")
def running_azure_cloud() -> Iterator[AzureCloud]:
    """The stand-in for Azure; its registries start when they are first asked."""
    with start_azure_cloud() as cloud:
        yield cloud


@pytest.fixture
def azure_cloud(running_azure_cloud: AzureCloud, request: pytest.FixtureRequest) -> Iterator[AzureCloud]:
    """The stand-in for Azure without faults, its log empty; what was pushed stays for the session.

    Tests whose registries are asked are marked `engine`: a real one is behind them.
    """
    if request.node.get_closest_marker("engine"):
        need_registry()
    running_azure_cloud.reset()
    yield running_azure_cloud
    running_azure_cloud.reset()


@pytest.fixture
def hub_service(azure_cloud: AzureCloud) -> Hub:
    """The stand-in for Docker Hub, which shares log, clock and CA with the one for Azure."""
    return azure_cloud.hub


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """Podman and buildah with storage of their own."""
    with start_podman() as started:
        yield started


@pytest.fixture(scope="session")
def podman_service(registry: Registry) -> Iterator[PodmanService]:
    """Podman behind a socket that speaks Docker's API."""
    with start_podman_service(registry.host) as service:
        yield service
