"""Keychains: docker's files, typed credentials, several in turn."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.oci.reference import Reference
from shipml.registry.credentials import Credentials
from shipml.registry.keychain import (
    ChainKeychain,
    DockerKeychain,
    GivenKeychain,
    Keychain,
)

_REFERENCE = Reference.parse("registry.example.org/team/app:1")


@pytest.fixture
def log_in(tmp_path: Path) -> Callable[[str], Keychain]:
    """Keep a password for registry.example.org as docker does; returns the keychain that reads it."""

    def keep(password: str) -> Keychain:
        auth = base64.b64encode(f"ana:{password}".encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {"registry.example.org": {"auth": auth}}}))
        return DockerKeychain(environment={"DOCKER_CONFIG": str(tmp_path)}, home=tmp_path)

    return keep


def test_docker_keychain_renews_only_with_other_credentials(log_in: Callable[[str], Keychain]) -> None:
    """What was refused is not offered again; what the user logged in with meanwhile is."""
    keychain = log_in("old")
    refused = keychain.credentials(_REFERENCE)
    assert refused.password == "old"
    assert keychain.renew(_REFERENCE, refused) is None
    log_in("new")
    renewed = keychain.renew(_REFERENCE, refused)
    assert renewed is not None
    assert renewed.password == "new"


def test_environment_counts_only_where_it_may(tmp_path: Path) -> None:
    """SHIPML_USERNAME and SHIPML_PASSWORD are for the registry that is pushed to, not for that of a base."""
    environment = {"SHIPML_USERNAME": "ana", "SHIPML_PASSWORD": "secret", "DOCKER_CONFIG": str(tmp_path)}
    assert DockerKeychain(environment=environment, home=tmp_path).credentials(_REFERENCE).username == "ana"
    base_keychain = DockerKeychain(with_environment=False, environment=environment, home=tmp_path)
    assert not base_keychain.credentials(_REFERENCE)


def test_given_credentials_are_for_one_registry() -> None:
    """What was typed for one host is never offered to another."""
    keychain = GivenKeychain("registry.example.org", Credentials("the prompt", "ana", "secret"))
    assert keychain.credentials(_REFERENCE).username == "ana"
    assert not keychain.credentials(Reference.parse("other.example.org/team/app"))
    assert keychain.renew(_REFERENCE, Credentials()) is None


def test_chain_asks_in_order(log_in: Callable[[str], Keychain]) -> None:
    """The first keychain that knows some is believed, and the others are asked when those were refused."""
    first = GivenKeychain("registry.example.org", Credentials("the prompt", "bea", "typed"))
    chain = ChainKeychain(first, log_in("kept"))
    found = chain.credentials(_REFERENCE)
    assert found.username == "bea"
    renewed = chain.renew(_REFERENCE, found)
    assert renewed is not None
    assert renewed.password == "kept"


def test_chain_says_why_nobody_knows(tmp_path: Path) -> None:
    """Each keychain's problem is told, once."""
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "shipml-absent"}))
    docker = DockerKeychain(environment={"DOCKER_CONFIG": str(tmp_path)}, home=tmp_path)
    found = ChainKeychain(docker, docker).credentials(_REFERENCE)
    assert not found
    assert found.problem.count("docker-credential-shipml-absent") == 1


def test_no_secret_in_the_repr_of_a_keychain() -> None:
    """A traceback that shows a keychain shows no secret."""
    keychain = GivenKeychain("registry.example.org", Credentials("the prompt", "ana", "SECRET"))
    docker = DockerKeychain(environment={"SHIPML_PASSWORD": "SECRET"})
    assert "SECRET" not in repr(keychain) + repr(docker) + repr(ChainKeychain(keychain, docker))
