"""A fixture for tests of our side of Azure: an environment that leads to the stand-ins, as somebody or nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.peers.azure_cloud import AzureCloud

__all__ = ["ActAs", "act_as"]

ActAs = Callable[[str], None]
"""Be the identity of this name in the stand-in cloud, by a client secret in the environment; "" is nobody."""


@pytest.fixture
def act_as(azure_cloud: AzureCloud, monkeypatch: pytest.MonkeyPatch) -> ActAs:
    """Lead what runs in this process to the stand-in cloud."""

    def be(name: str) -> None:
        for variable in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_TOKEN_CREDENTIALS"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in azure_cloud.environment(name).items():
            monkeypatch.setenv(variable, value)

    be("")
    return be
