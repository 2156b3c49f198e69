"""The stand-in for Docker Hub: its tokens, its rights, its limits, and what skopeo makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from tests.peers.asking import Asking, basic
from tests.peers.azure_cloud import AzureCloud
from tests.peers.engine import run
from tests.peers.faults import Fault
from tests.peers.hub import Hub
from tests.peers.registry_copy import put_image

AUTH = "https://auth.docker.io/token?service=registry.docker.io"
REGISTRY = "https://registry-1.docker.io"


def _granted(asking: Asking, scope: str, headers: dict[str, str] | None = None) -> list[str]:
    token = asking.ask("GET", f"{AUTH}&scope={scope}", headers=headers).json()["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    return [action for one in claims["access"] for action in one["actions"]]


def _bearer(asking: Asking, scope: str, headers: dict[str, str] | None = None) -> dict[str, str]:
    token = asking.ask("GET", f"{AUTH}&scope={scope}", headers=headers).json()["token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.engine
def test_the_registry_sends_to_a_host_of_its_own_for_tokens(hub_service: Hub, asking: Asking) -> None:
    """The realm is on auth.docker.io, the service registry.docker.io."""
    answer = asking.ask("GET", f"{REGISTRY}/v2/demo/app/manifests/1")
    assert answer.headers["Www-Authenticate"] == (
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:demo/app:pull"'
    )


def test_what_tokens_are_good_for(hub_service: Hub, asking: Asking) -> None:
    """One's own namespace with a token or password; everybody's images to pull; nothing of others."""
    own, wanted = basic("demo", hub_service.read_write), "repository:demo/app:pull,push"
    assert _granted(asking, wanted, own) == ["pull", "push"]
    assert _granted(asking, wanted, basic("demo", hub_service.accounts[0].password)) == ["pull", "push"]
    assert _granted(asking, wanted, basic("demo", hub_service.read_only)) == ["pull"]
    assert _granted(asking, wanted) == []
    assert _granted(asking, "repository:library/python:pull,push", own) == ["pull"]
    assert _granted(asking, "repository:library/python:pull") == ["pull"]
    assert _granted(asking, "repository:other/app:pull,push", own) == []


def test_whom_the_hub_refuses(hub_service: Hub, asking: Asking) -> None:
    """A wrong password, an e-mail address, a password where a token is demanded."""
    strict = hub_service.accounts[1]
    for header, said in (
        (basic("demo", "wrong"), "incorrect username or password"),
        (basic("demo@example.org", hub_service.read_write), "incorrect username or password"),
        (basic("strict", strict.password), "Personal Access Token (PAT)"),
    ):
        answer = asking.ask("GET", AUTH, headers=header)
        assert (answer.status, said in answer.json()["details"]) == (401, True)


@pytest.mark.engine
def test_pulls_are_counted(hub_service: Hub, asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GET of a manifest counts, a HEAD does not; who has used up the limit hears 429 and how to raise it."""
    put_image(hub_service.place("library/tiny"), "1")
    monkeypatch.setitem(hub_service.limits, "", 2)
    header = _bearer(asking, "repository:library/tiny:pull")
    url = f"{REGISTRY}/v2/library/tiny/manifests/1"
    header["Accept"] = "application/vnd.oci.image.manifest.v1+json"
    seen = [asking.ask(method, url, headers=header) for method in ("HEAD", "GET", "GET", "HEAD", "GET")]
    assert [one.status for one in seen] == [200, 200, 200, 200, 429]
    assert [one.headers["ratelimit-remaining"] for one in seen[:3]] == ["2;w=21600", "1;w=21600", "0;w=21600"]
    assert seen[-1].json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert hub_service.log.find("hub registry", "GET", status=429)[0].note == "rate limit"


@pytest.mark.engine
def test_the_limit_can_be_used_up_at_will(hub_service: Hub, asking: Asking) -> None:
    """A fault of as many requests as a test wants."""
    put_image(hub_service.place("library/tiny"), "1")
    header = _bearer(asking, "repository:library/tiny:pull")
    hub_service.faults.set(Fault.RATE_LIMIT, times=1)
    url = f"{REGISTRY}/v2/library/tiny/manifests/1"
    assert [asking.ask("HEAD", url, headers=header).status for _ in range(2)] == [429, 404]


@pytest.mark.engine
def test_tokens_of_the_hub_expire(hub_service: Hub, asking: Asking, azure_cloud: AzureCloud) -> None:
    """After five minutes, with a challenge that says so."""
    header = _bearer(asking, "repository:demo/app:pull", basic("demo", hub_service.read_write))
    assert asking.ask("GET", f"{REGISTRY}/v2/", headers=header).status == 200
    azure_cloud.clock.advance(301)
    answer = asking.ask("GET", f"{REGISTRY}/v2/", headers=header)
    assert (answer.status, "invalid_token" in answer.headers["Www-Authenticate"]) == (401, True)


@pytest.mark.engine
def test_skopeo_pushes_to_docker_io(in_cloud: AzureCloud, hub_service: Hub, small_layout: Path, tmp_path: Path) -> None:
    """Under the real name, through the proxy; into another's namespace it may not."""
    login = ["--authfile", str(tmp_path / "auth.json")]
    run(["skopeo", "login", *login, "--username", "demo", "--password", hub_service.read_write, "docker.io"])
    remote = "docker://docker.io/demo/app:1"
    run(["skopeo", "copy", "--quiet", *login, f"oci:{small_layout}", remote])
    shown = json.loads(run(["skopeo", "inspect", *login, remote]).stdout)
    assert shown["Digest"] == hub_service.place("demo/app").digest("1")
    with pytest.raises(AssertionError, match="requested access to the resource is denied"):
        run(["skopeo", "copy", "--quiet", *login, f"oci:{small_layout}", "docker://docker.io/other/app:1"])
