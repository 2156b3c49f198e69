"""Login servers of the stand-in cloud: tokens, roles, faults, and what docker and skopeo make of them."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest

from tests.peers.acr_tokens import NULL_GUID
from tests.peers.asking import Asking, basic
from tests.peers.azure_cloud import AzureCloud
from tests.peers.engine import Engine, run
from tests.peers.faults import Fault
from tests.peers.marks import find_marks, marked
from tests.peers.registry_copy import put_image

REPOSITORY = "repository:ml/app:pull,push"


def _actions(token: str) -> dict[str, list[str]]:
    claims = jwt.decode(token, options={"verify_signature": False})
    return {one["name"]: one["actions"] for one in claims["access"]}


def test_marks_are_found_wherever_they_hide(azure_cloud: AzureCloud, asking: Asking) -> None:
    """Plainly, in base64 at any place, and in tokens; nothing else is a mark."""
    secret = marked("anything")
    for before in ("", "a", "ab"):
        assert find_marks(f"x{secret}")
        assert find_marks(basic(before, secret)["Authorization"])
    assert find_marks(asking.refresh_token(azure_cloud.int, "developer"))
    assert find_marks(azure_cloud.directory.access_token(azure_cloud.identity("developer"), "x"))
    assert find_marks("secret mark eyJhbGciOiJFUzI1NiJ9") == []


@pytest.mark.engine
def test_every_path_asks_for_a_token(azure_cloud: AzureCloud, asking: Asking) -> None:
    """The challenge names the token service, the login server and the scope."""
    answer = asking.ask("GET", f"{azure_cloud.int.url}/v2/ml/app/manifests/1")
    assert answer.status == 401
    assert answer.json()["errors"][0]["code"] == "UNAUTHORIZED"
    assert answer.headers["Www-Authenticate"] == (
        'Bearer realm="https://demoint.azurecr.io/oauth2/token",service="demoint.azurecr.io",'
        'scope="repository:ml/app:pull"'
    )


@pytest.mark.parametrize(
    ("identity", "abac", "granted"),
    [
        ("developer", False, ["pull", "push"]),
        ("machine", False, ["pull", "push"]),
        ("reader", False, ["pull"]),
        ("abac-writer", False, None),
        ("nobody", False, None),
        ("developer", True, None),
        ("machine", True, None),
        ("abac-writer", True, ["pull", "push"]),
    ],
)
def test_roles_decide_what_a_token_is_good_for(
    azure_cloud: AzureCloud, asking: Asking, identity: str, granted: list[str] | None, *, abac: bool
) -> None:
    """AcrPull, AcrPush and Contributor count, or the roles of repositories where the registry wants those."""
    with azure_cloud.int.settings.faults.on(*([Fault.ABAC] if abac else [])):
        answer = asking.access(azure_cloud.int, identity, REPOSITORY)
    found = _actions(answer.json()["access_token"]).get("ml/app") if answer.status == 200 else None
    assert found == granted
    assert azure_cloud.log.find("acr", "POST", "/oauth2/token")[-1].scopes == (REPOSITORY,)


def test_a_role_may_be_for_some_repositories(azure_cloud: AzureCloud, asking: Asking) -> None:
    """A writer below ml/ may do nothing elsewhere."""
    with azure_cloud.int.settings.faults.on(Fault.ABAC):
        answer = asking.access(azure_cloud.int, "abac-writer", "repository:other/app:pull")
    assert _actions(answer.json()["access_token"]) == {}


def test_tokens_live_as_long_as_azures(azure_cloud: AzureCloud, asking: Asking) -> None:
    """Refresh tokens three hours and a quarter, access tokens one hour and a quarter."""
    refresh = asking.refresh_token(azure_cloud.int, "machine")
    claims = jwt.decode(refresh, options={"verify_signature": False})
    assert claims["exp"] - claims["nbf"] == 11700
    assert (claims["grant_type"], claims["aud"]) == ("refresh_token", "demoint.azurecr.io")
    access = asking.access(azure_cloud.int, "machine", REPOSITORY).json()["access_token"]
    claims = jwt.decode(access, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 4500


def test_exchanges_that_are_refused(azure_cloud: AzureCloud, asking: Asking) -> None:
    """Another tenant's token, ARM's where it is switched off, an expired one, a GET."""
    acr, arm = azure_cloud.int, "https://management.azure.com"
    assert asking.exchange(acr, "stranger").status == 401
    assert asking.exchange(acr, "developer", arm).status == 200
    with azure_cloud.fault(Fault.ARM_AUDIENCE_OFF):
        assert asking.exchange(acr, "developer", arm).status == 401
        assert asking.exchange(acr, "developer").status == 200
    with azure_cloud.fault(Fault.WRONG_TENANT):
        assert asking.exchange(acr, "developer").status == 401
    assert asking.ask("GET", f"{acr.url}/oauth2/exchange").status == 404


def test_names_and_passwords_are_taken_as_azure_does(azure_cloud: AzureCloud, asking: Asking) -> None:
    """A refresh token under the null GUID, a service principal, the admin user, a repository's token."""
    acr = azure_cloud.int
    url = f"{acr.url}/oauth2/token?service={acr.host}&offline_token=true&scope={REPOSITORY}"
    refresh = asking.refresh_token(acr, "machine")
    answer = asking.ask("GET", url, headers=basic(NULL_GUID, refresh)).json()
    assert answer["refresh_token"] == refresh
    one = azure_cloud.identity("reader")
    answer = asking.ask("GET", url, headers=basic(one.client_id, one.secret)).json()
    assert _actions(answer["access_token"]) == {"ml/app": ["pull"]}
    admin = basic("demoint", acr.settings.admin_passwords[0])
    assert asking.ask("GET", url, headers=admin).status == 401
    acr.settings.admin_enabled = True
    assert asking.ask("GET", url, headers=admin).status == 200
    with azure_cloud.fault(Fault.ADMIN_OFF):
        assert asking.ask("GET", url, headers=admin).status == 401
    acr.settings.repository_tokens["ci"] = ("password", {"ml/app": frozenset({"pull"})})
    answer = asking.ask("GET", url, headers=basic("ci", "password")).json()
    assert _actions(answer["access_token"]) == {"ml/app": ["pull"]}


def test_anybody_may_pull_where_the_registry_says_so(azure_cloud: AzureCloud, asking: Asking) -> None:
    """Anonymous pull, off by default."""
    acr = azure_cloud.int
    url = f"{acr.url}/oauth2/token?service={acr.host}&scope={REPOSITORY}"
    assert asking.ask("GET", url).status == 401
    acr.settings.anonymous_pull = True
    assert _actions(asking.ask("GET", url).json()["access_token"]) == {"ml/app": ["pull"]}


@pytest.mark.engine
def test_tags_want_a_scope_of_their_own(azure_cloud: AzureCloud, asking: Asking) -> None:
    """`metadata_read`; a token to pull does not list."""
    acr = azure_cloud.int
    put_image(acr.place("ml/tags"), "1.0")
    url = f"{acr.url}/v2/ml/tags/tags/list"
    refused = asking.ask("GET", url, headers=asking.bearer(acr, "reader", "repository:ml/tags:pull"))
    assert 'scope="repository:ml/tags:metadata_read",error="insufficient_scope"' in refused.headers["Www-Authenticate"]
    allowed = asking.ask("GET", url, headers=asking.bearer(acr, "reader", "repository:ml/tags:metadata_read"))
    assert allowed.json() == {"name": "ml/tags", "tags": ["1.0"]}


@pytest.mark.engine
def test_faults_of_a_login_server(azure_cloud: AzureCloud, asking: Asking) -> None:
    """Firewall, throttling, a missing role, a token without push: each as Azure says it."""
    acr = azure_cloud.int
    header = asking.bearer(acr, "developer", REPOSITORY)
    with azure_cloud.fault(Fault.FIREWALL):
        answer = asking.ask("GET", f"{acr.url}/v2/")
        assert (answer.status, answer.json()["errors"][0]["code"]) == (403, "DENIED")
        assert asking.exchange(acr, "developer").status == 403
    acr.settings.faults.set(Fault.THROTTLE, times=1)
    answer = asking.ask("GET", f"{acr.url}/v2/", headers=header)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "0")
    assert asking.ask("GET", f"{acr.url}/v2/", headers=header).status == 200
    with azure_cloud.fault(Fault.NO_ROLE):
        assert "aka.ms/acr/authorization" in asking.access(acr, "developer", REPOSITORY).data.decode()
    with azure_cloud.fault(Fault.PULL_ONLY):
        pull = asking.bearer(acr, "developer", REPOSITORY)
    answer = asking.ask("POST", f"{acr.url}/v2/ml/app/blobs/uploads/", headers=pull)
    assert (answer.status, "insufficient_scope" in answer.headers["Www-Authenticate"]) == (401, True)


@pytest.mark.engine
def test_tokens_expire(azure_cloud: AzureCloud, asking: Asking) -> None:
    """By the clock, and by the fault that ends all that were given out; new ones are good."""
    acr = azure_cloud.int
    header = asking.bearer(acr, "developer", REPOSITORY)
    assert asking.ask("GET", f"{acr.url}/v2/", headers=header).status == 200
    azure_cloud.clock.advance(4501)
    answer = asking.ask("GET", f"{acr.url}/v2/", headers=header)
    assert (answer.status, 'error="invalid_token"' in answer.headers["Www-Authenticate"]) == (401, True)
    header = asking.bearer(acr, "developer", REPOSITORY)
    acr.settings.faults.expire_every = 2
    with acr.settings.faults.on(Fault.EXPIRED):
        assert [asking.ask("GET", f"{acr.url}/v2/", headers=header).status for _ in range(3)] == [200, 401, 401]
    assert asking.ask("GET", f"{acr.url}/v2/", headers=asking.bearer(acr, "machine", REPOSITORY)).status == 200


@pytest.mark.engine
def test_skopeo_logs_in_and_copies(in_cloud: AzureCloud, asking: Asking, small_layout: Path, tmp_path: Path) -> None:
    """With the null GUID and a refresh token; what comes back is what was sent."""
    login = ["--authfile", str(tmp_path / "auth.json")]
    refresh = asking.refresh_token(in_cloud.int, "machine")
    run(["skopeo", "login", *login, "--username", NULL_GUID, "--password", refresh, in_cloud.int.host])
    remote = f"docker://{in_cloud.int.host}/ml/skopeo:1"
    run(["skopeo", "copy", "--quiet", *login, f"oci:{small_layout}", remote])
    shown = json.loads(run(["skopeo", "inspect", *login, remote]).stdout)
    assert shown["Digest"] == in_cloud.int.place("ml/skopeo").digest("1")
    assert {seen.identity for seen in in_cloud.log.find("acr", "PUT")} == {"machine"}
    assert "repository:ml/skopeo:pull,push" in in_cloud.log.scopes()


@pytest.mark.engine
@pytest.mark.slow
def test_docker_logs_in_and_pushes(in_cloud: AzureCloud, asking: Asking, small_layout: Path) -> None:
    """The real engine and its client: the login is kept as an identity token, the push uses it."""
    refresh = asking.refresh_token(in_cloud.int, "machine")
    with Engine("acr") as engine:  # its proxy and authorities are the environment's
        engine.docker("login", "--username", NULL_GUID, "--password", refresh, in_cloud.int.host)
        kept = json.loads((engine.folder / "client" / "config.json").read_text())["auths"][in_cloud.int.host]
        assert kept["identitytoken"] == refresh
        name = f"{in_cloud.int.host}/ml/docker:1"
        archive = engine.folder / "small.tar"
        run(["skopeo", "copy", "--quiet", f"oci:{small_layout}", f"docker-archive:{archive}:{name}"])
        engine.docker("load", "--input", str(archive))
        engine.docker("push", name)
        assert in_cloud.int.place("ml/docker").digest("1")
        other = name.replace("ml/docker", "ml/other")
        engine.docker("tag", name, other)
        with in_cloud.fault(Fault.PULL_ONLY), pytest.raises(AssertionError, match="denied: requested access"):
            engine.docker("push", other)
