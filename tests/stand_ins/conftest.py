"""What tests of the stand-ins share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.oci.layout import write_layout
from tests.image_fixtures import MakeImage
from tests.peers.asking import Asking
from tests.peers.azure_cloud import AzureCloud
from tests.peers.marks import find_marks


@pytest.fixture
def asking(azure_cloud: AzureCloud) -> Iterator[Asking]:
    """A plain HTTP client."""
    with Asking(azure_cloud) as client:
        yield client


@pytest.fixture(autouse=True)
def no_secret_in_the_log(azure_cloud: AzureCloud) -> Iterator[None]:
    """The stand-ins' own log holds no secret, whatever was asked."""
    yield
    assert [found for seen in azure_cloud.log.find() for found in find_marks(f"{seen} {seen.query}")] == []


@pytest.fixture
def in_cloud(azure_cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> AzureCloud:
    """The cloud, and an environment that leads there with no identity in it."""
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in azure_cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(azure_cloud.bin), prepend=":")
    return azure_cloud


@pytest.fixture
def small_layout(make_image: MakeImage, tmp_path: Path) -> Path:
    """An OCI layout with one small image."""
    write_layout(make_image(), tmp_path / "layout")
    return tmp_path / "layout"
