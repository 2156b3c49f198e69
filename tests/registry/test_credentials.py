"""Credentials are found where docker and podman keep them, and show in nothing but what is sent."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from shipml.errors import ConfigurationError
from shipml.events import Event, Notice
from shipml.oci.reference import Reference
from shipml.registry.credential_helper import ask_helper
from shipml.registry.credentials import Credentials, find_credentials, login_command

APP = Reference.parse("r.example.org:5000/team/app")
HUB = Reference.parse("ann/app")
SECRET = "s3cret:with:colons"


def auth(username: str, password: str = SECRET) -> dict[str, str]:
    """An entry of `auths`."""
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


class Home:
    """A home folder with the files of docker and podman, and helpers on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder / "run")}

    def docker(self, **document: Any) -> Path:
        """Write docker's config.json."""
        return self._write(self.folder / ".docker" / "config.json", document)

    def podman(self, **document: Any) -> Path:
        """Write podman's auth.json."""
        return self._write(self.folder / "run" / "containers" / "auth.json", document)

    def helper(self, name: str, script: str) -> None:
        """Put a helper on PATH."""
        path = self.folder / "bin" / f"docker-credential-{name}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def find(self, reference: Reference = APP, **options: Any) -> Credentials:
        """What is found."""
        return find_credentials(reference, environment=self.environment, home=self.folder, **options)

    @staticmethod
    def _write(path: Path, document: dict[str, Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
        return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return Home(tmp_path)


def test_nothing_is_known(home: Home) -> None:
    """Without files and variables there are none, and an engine is told so."""
    found = home.find()
    assert (bool(found), str(found), found.for_engine()) == (False, "none", {})


def test_dockers_file(home: Home) -> None:
    """`auths` of config.json: name and password with colons, and the file as the source."""
    path = home.docker(auths={"r.example.org:5000": auth("ann"), "r.example.org": auth("other")})
    found = home.find()
    assert found.for_engine() == {"username": "ann", "password": SECRET}
    assert found.source == str(path)
    assert str(found) == f"those of ann from {path}"


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_has_many_names(home: Home, key: str) -> None:
    """Credentials of Docker Hub are found under each name that tools give it."""
    home.docker(auths={key: auth("ann"), "r.example.org": auth("other")})
    assert home.find(HUB).username == "ann"


def test_an_identity_token(home: Home) -> None:
    """`identitytoken` counts instead of a password, as after `docker login` at Azure."""
    home.docker(auths={"r.example.org:5000": {**auth("00000000", ""), "identitytoken": "t0ken"}})
    assert home.find().for_engine() == {"identitytoken": "t0ken"}


def test_dockers_folder_is_elsewhere(home: Home, tmp_path: Path) -> None:
    """DOCKER_CONFIG names the folder of config.json."""
    home.docker(auths={"r.example.org:5000": auth("wrong")}).rename(tmp_path / "config.json")
    home.environment["DOCKER_CONFIG"] = str(tmp_path)
    assert home.find().source == str(tmp_path / "config.json")


def test_helpers_come_first(home: Home) -> None:
    """The registry's helper is asked before the one for all, and both before the file; it gets the server on stdin."""
    answer = """read server; printf '{"Username": "%s", "Secret": "from-NAME"}' "$server" """
    for name in ("own", "all"):
        home.helper(name, answer.replace("NAME", name))
    table = {"r.example.org:5000": auth("file")}
    home.docker(credHelpers={"r.example.org:5000": "own"}, credsStore="all", auths=table)
    found = home.find()
    assert (found.username, found.password) == ("r.example.org:5000", "from-own")
    assert "docker-credential-own" in found.source
    assert home.find(HUB).for_engine() == {"username": "https://index.docker.io/v1/", "password": "from-all"}


def test_a_helper_with_a_token(home: Home) -> None:
    """The user name `<token>` says that the secret is an identity token."""
    home.helper("all", """printf '{"Username": "<token>", "Secret": "t0ken"}'""")
    home.docker(credsStore="all")
    assert home.find().for_engine() == {"identitytoken": "t0ken"}


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'credentials not found in native keychain'; exit 1", ""),
        ("echo s3cret >&2; exit 3", "exit code 3"),
        ('echo \'{"Secret": "s3cret"}\'', "printed no credentials"),
        ("echo s3cret", "printed no credentials"),
        (None, "no such program on PATH"),
    ],
)
def test_a_helper_that_has_none(home: Home, script: str | None, problem: str) -> None:
    """A helper that fails is named as the reason, without what it printed; what the file has counts all the same."""
    if script:
        home.helper("all", script)
    home.docker(credsStore="all")
    found = home.find()
    assert not found
    assert problem in found.problem
    assert bool(problem) == ("docker-credential-all" in str(found))
    assert "s3cret" not in f"{found} {found!r}"
    home.docker(credsStore="all", auths={"r.example.org:5000": auth("ann")})
    assert home.find().username == "ann"


def test_a_helper_that_hangs(home: Home) -> None:
    """A helper gets a time limit, and its children cannot prolong it to the limit of this test."""
    home.helper("slow", "sleep 1000")
    assert "within 0.2 s" in ask_helper("slow", "r.example.org", timeout_seconds=0.2).problem


def test_a_helper_that_is_waited_for_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while a notice says which program it is; a quick one is not worth a word."""
    monkeypatch.setattr("shipml.registry.credential_helper._SILENT_SECONDS", 0.1)
    heard: list[Event] = []
    home.docker(credsStore="slow")
    home.helper("slow", """cat > /dev/null; sleep 0.5; printf '{"Username": "ann", "Secret": "x"}'""")
    assert home.find(emit=heard.append).username == "ann"
    assert ["docker-credential-slow" in event.message for event in heard if isinstance(event, Notice)] == [True]
    home.helper("slow", """cat > /dev/null; printf '{"Username": "ann", "Secret": "x"}'""")
    monkeypatch.setattr("shipml.registry.credential_helper._SILENT_SECONDS", 5)
    assert home.find(emit=heard.append).username == "ann"
    assert len(heard) == 1


def test_a_helpers_name_is_no_path(home: Home) -> None:
    """A name from a file cannot start programs elsewhere."""
    assert ask_helper("x/../../sh", "r.example.org").problem == "there is no such program on PATH"
    assert home.folder.exists()


def test_podmans_file(home: Home) -> None:
    """Podman's auth.json comes after docker's; an entry for the repository counts before that of the registry."""
    table = {"r.example.org:5000": auth("registry"), "r.example.org:5000/team": auth("team")}
    path = home.podman(auths=table)
    assert (home.find().username, home.find().source) == ("team", str(path))
    assert home.find(Reference.parse("r.example.org:5000/mine/app")).username == "registry"
    home.docker(auths={"r.example.org:5000": auth("docker")})
    assert home.find().username == "docker"


def test_the_environment_comes_first(home: Home) -> None:
    """SHIPML_USERNAME and SHIPML_PASSWORD count before files, both or neither, and never for bases."""
    home.docker(auths={"r.example.org:5000": auth("file")})
    home.environment |= {"SHIPML_USERNAME": "ann", "SHIPML_PASSWORD": SECRET}
    assert home.find().for_engine() == {"username": "ann", "password": SECRET}
    assert home.find(with_environment=False).username == "file"
    del home.environment["SHIPML_USERNAME"]
    with pytest.raises(ConfigurationError, match="SHIPML_USERNAME is not") as caught:
        home.find()
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "text",
    [
        '{"auths": {"r.example.org:5000": {"auth": "s3cret!"}}}',
        '{"auths": "s3cret"',
        '["s3cret"]',
        '{"auths": {"r.example.org:5000": {"auth": "s3cretß"}}}',
    ],
)
def test_a_broken_file_is_named(home: Home, text: str) -> None:
    """A file that cannot be read is an error that names it and quotes nothing of it."""
    path = home.docker()
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"config\.json") as caught:
        home.find()
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None


def test_printing_shows_no_secret() -> None:
    """Neither form of credentials prints a secret."""
    found = Credentials("somewhere", "ann", SECRET, "t0ken")
    assert SECRET not in f"{found} {found!r}"
    assert "t0ken" not in f"{found} {found!r}"


def test_the_way_to_log_in() -> None:
    """Docker Hub needs no host."""
    assert login_command("docker.io") == "shipml login hub"
    assert login_command("localhost:5000") == "shipml login localhost:5000"
