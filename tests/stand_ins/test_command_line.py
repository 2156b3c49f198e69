"""shipml as typed, from login to production, against the stand-ins: as all whom azure-identity knows, and no leak."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.azure_cloud import AzureCloud
from tests.peers.faults import Fault
from tests.peers.forked import SHIPML, run_forked
from tests.peers.marks import find_marks

pytestmark = pytest.mark.engine

SETTINGS = """
[environments.int]
registry = "demoint.azurecr.io"
repository = "ml/small"
[environments.prod]
registry = "demoprod.azurecr.io"
repository = "ml/small"
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


Shipml = Callable[..., Done]


@pytest.fixture
def shipml(in_cloud: AzureCloud, small_layout: Path, tmp_path: Path) -> Shipml:
    """Runs a command in a folder with settings and a layout; nothing that it prints or keeps itself has a secret."""
    (tmp_path / "shipml.toml").write_text(SETTINGS)
    docker = tmp_path / "docker"
    own = {"SHIPML_HOME": str(tmp_path / "home"), "DOCKER_CONFIG": str(docker), "HOME": str(tmp_path)}

    def run(*arguments: str, **variables: str) -> Done:
        environment: Mapping[str, str] = os.environ | own | variables
        done = run_forked([SHIPML, *arguments], environment=environment, folder=tmp_path)
        assert find_marks(done.stdout + done.stderr) == []
        for path in (tmp_path / "home").rglob("*"):
            assert not path.is_file() or find_marks(path.read_bytes()) == [], path
        return Done(done.returncode, done.stdout, done.stderr)

    return run


PUSH = ("push", "oci:layout", "--registry", "acr", "--name", "demoint", "--repository", "ml/small", "--no-smoke", "-v")


def test_from_login_to_production(in_cloud: AzureCloud, shipml: Shipml, tmp_path: Path) -> None:
    """Login keeps a token where docker does; what is pushed to INT gets into PROD inside Azure, under its digest."""
    assert shipml("login", "acr", "--name", "demoint", "-v").exit_code == 0
    assert find_marks((tmp_path / "docker" / "config.json").read_bytes())
    pushed = shipml(*PUSH, "--tag", "1.0")
    digest = in_cloud.int.place("ml/small").digest("1.0")
    assert pushed.stdout == f"demoint.azurecr.io/ml/small@{digest}\n", pushed
    promoted = shipml("promote", "1.0", "--from", "int", "--to", "prod", "--no-smoke", "-v")
    assert promoted.exit_code == 0, promoted
    assert in_cloud.prod.place("ml/small").digest("1.0") == digest
    assert in_cloud.log.find("arm", "POST", "importImage", 202)
    assert not in_cloud.log.find("acr demoprod", "PUT", "/blobs/")


@pytest.mark.parametrize(
    ("who", "source"),
    [
        ("secret", "service principal"),
        ("machine", "managed identity"),
        ("github", "GitHub Actions"),
        ("pod", "workload identity"),
    ],
)
def test_everybody_can_push(in_cloud: AzureCloud, shipml: Shipml, tmp_path: Path, *, who: str, source: str) -> None:
    """Without a login, with AcrPush alone and no right in ARM; the output names the source."""
    environment: dict[str, str] = {}
    if who == "github":
        environment = in_cloud.github_environment()
    if who == "secret":
        environment = in_cloud.environment("pipeline")
    if who == "machine":
        in_cloud.imds.identity = in_cloud.identity("machine")
    if who == "pod":
        (tmp_path / "token").write_text(in_cloud.github.assertion())
        one = in_cloud.identity("pipeline")
        environment = {"AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"), "AZURE_CLIENT_ID": one.client_id}
        environment["AZURE_TENANT_ID"] = one.tenant
    done = shipml(*PUSH, "--tag", who, "--json", **environment)
    assert (done.exit_code, f'"Azure ({source})"' in done.stdout) == (0, True), done
    assert in_cloud.int.place("ml/small").digest(who)
    assert not in_cloud.log.find("arm")


def test_tokens_that_expire_in_the_middle_are_renewed(in_cloud: AzureCloud, shipml: Shipml) -> None:
    """Access and refresh tokens die every few requests: the push signs in anew, and ends well."""
    in_cloud.int.settings.faults.expire_every = 3
    with in_cloud.fault(Fault.REFRESH_EXPIRED):
        done = shipml(*PUSH, "--tag", "expired")
    assert done.exit_code == 0, done
    assert in_cloud.int.place("ml/small").digest("expired")
    assert len(in_cloud.log.find("acr demoint", "POST", "/oauth2/exchange")) > 1


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        (Fault.PULL_ONLY, "AcrPush"),
        (Fault.FIREWALL, "az acr network-rule add"),
    ],
)
def test_what_azure_refuses_is_explained(in_cloud: AzureCloud, shipml: Shipml, fault: Fault, hint: str) -> None:
    """The exit code says that it is not allowed, the hint what mends it."""
    with in_cloud.fault(fault):
        done = shipml(*PUSH, "--tag", "refused")
    assert (done.exit_code, hint in done.stderr) == (4, True), done


def test_the_hub_takes_a_personal_access_token(in_cloud: AzureCloud, shipml: Shipml) -> None:
    """From the environment; into another's namespace it may not, and says so."""
    account = {"SHIPML_USERNAME": "demo", "SHIPML_PASSWORD": in_cloud.hub.read_write}
    done = shipml("push", "oci:layout", "demo/small:1", "--no-smoke", "-v", **account)
    assert done.stdout == f"demo/small@{in_cloud.hub.place('demo/small').digest('1')}\n", done
    refused = shipml("push", "oci:layout", "other/small:1", "--no-smoke", "-v", **account)
    assert (refused.exit_code, "demo/small" in refused.stderr) == (4, True), refused


def test_a_registry_of_china_is_asked_as_chinas(in_cloud: AzureCloud, shipml: Shipml) -> None:
    """The host's suffix tells the cloud, and with it who signs one in."""
    done = shipml(
        "push", "oci:layout", "demochina.azurecr.cn/ml/small:1", "--no-smoke", "-v", **in_cloud.environment("pipeline")
    )
    china = in_cloud.registries["demochina"]
    assert done.stdout == f"demochina.azurecr.cn/ml/small@{china.place('ml/small').digest('1')}\n", done
    assert {seen.host for seen in in_cloud.log.find("entra")} == {"login.chinacloudapi.cn"}
