"""The session that the Azure SDKs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.azure.sdk import make_session
from tests.peers.small_server import Reply, serve


def test_tokens_of_azure_are_not_replaced_by_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a host's entry nor the default of ~/.netrc goes to Azure: what the SDK sends is what arrives."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\ndefault login me password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serve(lambda _: Reply(200)) as server, make_session() as session:
        session.get(server.url, headers={"Authorization": "Bearer token"})
        session.get(server.url)
    assert [asked.headers.get("authorization") for asked in server.asked] == ["Bearer token", None]
