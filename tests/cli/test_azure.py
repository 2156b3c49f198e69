"""`shipml login acr` and `shipml push --registry acr`, as they are typed, at the stand-in for Azure."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shipml.oci.layout import write_layout
from tests.cli.conftest import Run
from tests.image_fixtures import MakeImage
from tests.peers.azure_cloud import AzureCloud
from tests.peers.marks import find_marks

pytestmark = [pytest.mark.engine]

SHIPML = Path(sys.executable).with_name("shipml")


def _variables(cloud: AzureCloud, tmp_path: Path, identity: str = "") -> dict[str, str]:
    return cloud.environment(identity) | {"DOCKER_CONFIG": str(tmp_path / "docker"), "DOCKER_HOST": "unix:///none"}


@pytest.fixture
def layout(make_image: MakeImage, tmp_path: Path) -> str:
    """A small image, as `--output oci:DIR` would have written it."""
    write_layout(make_image(), tmp_path / "layout")
    return f"oci:{tmp_path / 'layout'}"


def test_login_keeps_a_token_and_shows_none(azure_cloud: AzureCloud, shipml: Run, tmp_path: Path) -> None:
    """What was done is told with the credential and the end of the token; it is kept where docker looks."""
    env = _variables(azure_cloud, tmp_path, "pipeline")
    done = shipml("login", "acr", "--account", "DemoInt", "--json", "-v", env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["registry"], told["source"]) == ("demoint.azurecr.io", "Azure (service principal)")
    assert told["expires_at"].endswith("Z")
    assert find_marks(done.stdout + done.stderr) == []
    kept: Any = json.loads((tmp_path / "docker" / "config.json").read_text())["auths"]["demoint.azurecr.io"]
    assert set(kept) == {"auth", "identitytoken"}
    assert azure_cloud.log.find("arm") == []


def test_a_host_of_azure_needs_no_word_more(azure_cloud: AzureCloud, shipml: Run, tmp_path: Path) -> None:
    """`shipml login HOST` sees that it is one of Azure's; a device code is shown even where quiet is wanted."""
    env = _variables(azure_cloud, tmp_path)
    azure_cloud.entra.device_interval_seconds = 0
    done = shipml("login", "demoint.azurecr.io", "--device-code", "-q", env=env)
    assert (done.returncode, done.stdout) == (0, "demoint.azurecr.io\n")
    assert "https://login.microsoftonline.com/devicelogin" in done.stderr
    assert "STANDIN42" in done.stderr


def test_a_token_is_printed_only_when_asked_for(azure_cloud: AzureCloud, shipml: Run, tmp_path: Path) -> None:
    """--expose-token puts it alone on stdout, and keeps nothing."""
    done = shipml(
        "login", "acr", "--name", "demoint", "--expose-token", env=_variables(azure_cloud, tmp_path, "reader")
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(".") == 2
    assert done.stdout.count("\n") == 1
    assert find_marks(done.stdout)
    assert find_marks(done.stderr) == []
    assert not (tmp_path / "docker").exists()


def test_nobody_logged_in_is_not_allowed(azure_cloud: AzureCloud, shipml: Run, tmp_path: Path) -> None:
    """Exit code 4, with what to do; the SDK's own logs do not show."""
    done = shipml("login", "acr", "--account", "demoint", env=_variables(azure_cloud, tmp_path))
    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr.startswith("error: nobody is logged in to Azure here (")
    assert len(done.stderr.splitlines()) == 2
    assert "shipml login acr" in done.stderr


def test_several_registries_are_listed_where_nobody_can_choose(
    azure_cloud: AzureCloud, shipml: Run, tmp_path: Path
) -> None:
    """On a pipe that is a mistake in usage which names them."""
    done = shipml("login", "acr", env=_variables(azure_cloud, tmp_path, "developer"))
    assert done.returncode == 2
    assert "several registries in Azure: demoint, demoprod" in done.stderr
    assert "--account demoint" in done.stderr


def test_on_a_terminal_one_of_several_is_chosen(
    azure_cloud: AzureCloud, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """A number that is none is asked for again."""
    ours, theirs = pty.openpty()
    env = clean_environment | _variables(azure_cloud, tmp_path, "developer")
    with subprocess.Popen(
        [SHIPML, "login", "acr"], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=env, text=True
    ) as process:
        os.close(theirs)
        os.write(ours, b"99\n2\n")
        shown = _read_all(ours)
        assert process.stdout is not None
        registry = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, shown
    assert "1  demoint.azurecr.io  (westeurope, group ml)" in shown
    assert shown.count("which registry?") == 2
    assert registry == "demoprod.azurecr.io\n"


def _read_all(descriptor: int) -> str:
    data = b""
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # Linux tells the end of a terminal so
            piece = b""
        if not piece:
            return data.decode()
        data += piece


def test_a_push_makes_the_registry_and_arrives(
    azure_cloud: AzureCloud, shipml: Run, tmp_path: Path, layout: str
) -> None:
    """--create makes it once; a second push finds it and uploads nothing."""
    env = _variables(azure_cloud, tmp_path, "developer")
    name = f"shop{len(azure_cloud.registries)}made"
    words = ["push", layout, "--registry", "acr", "--create", "--account", name, "--resource-group", "ml"]
    words += ["--location", "westeurope", "--repository", "ml/shop", "--tag", "1", "--no-smoke", "--json"]
    first, second = (shipml(*words, env=env) for _ in range(2))
    assert first.returncode == 0, first.stderr
    pushed = json.loads(first.stdout)
    assert pushed["reference"].startswith(f"{name}.azurecr.io/ml/shop@sha256:")
    assert pushed["credentials"] == "Azure (service principal)"
    assert json.loads(second.stdout)["uploaded_bytes"] == 0
    assert len(azure_cloud.log.find("arm", "PUT", f"/{name}$")) == 1
    assert find_marks(first.stdout + first.stderr + second.stdout + second.stderr) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["login", "hub", "--tenant", "x"], "are for Azure, not for docker.io"),
        (["login", "r.example.org", "--expose-token", "-u", "a", "--password-stdin"], "--expose-token is for Azure"),
        (["push", "x", "--registry", "hub", "--create"], "make a registry in Azure"),
        (["push", "x", "--registry", "acr", "--sku", "Premium"], "make a registry in Azure"),
    ],
)
def test_options_for_azure_elsewhere_are_mistakes(shipml: Run, words: list[str], said: str) -> None:
    """Nothing that was typed is silently ignored."""
    done = shipml(*words)
    assert done.returncode == 2
    assert said in done.stderr
