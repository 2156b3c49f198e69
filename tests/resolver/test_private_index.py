"""Private indexes: whatever lets uv in lets our own downloads in, and no password is left anywhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.errors import NotAllowedError, ShipmlError
from shipml.facts.project import Lock
from shipml.facts.requirements import Requirements
from shipml.http import HttpClient
from shipml.http.logins import Login, Logins
from shipml.lock import dump_lock
from shipml.project import read_project
from shipml.project.credentials import files_with_credentials
from shipml.resolver.index_logins import asked_keyring, index_logins
from shipml.session import Session
from shipml.wheels.fetch import fetch
from tests.package_index import PackageIndex, serve_index
from tests.peers.stand_in_tls import Authority
from tests.resolver.conftest import Resolving

PASSWORD = "marked-s3cret"
Ways = dict[str, Callable[[PackageIndex, Path, pytest.MonkeyPatch], str]]


def _variable(index: PackageIndex, _: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://joe:{PASSWORD}@{index.host}/simple")
    return "alpha\n"


def _named_variable(index: PackageIndex, _: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"my-corp={index.url}")
    monkeypatch.setenv("UV_INDEX_MY_CORP_USERNAME", "joe")
    monkeypatch.setenv("UV_INDEX_MY_CORP_PASSWORD", PASSWORD)
    return "alpha\n"


def _uv_toml(index: PackageIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    (folder / "uv.toml").write_text(f'[[index]]\nname = "corp"\nurl = "{index.url}"\ndefault = true\n')
    monkeypatch.setenv("UV_INDEX_CORP_USERNAME", "joe")
    monkeypatch.setenv("UV_INDEX_CORP_PASSWORD", PASSWORD)
    return "alpha\n"


def _option(index: PackageIndex, _: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    return f"--index-url http://joe:{PASSWORD}@{index.host}/simple\nalpha\n"


def _option_with_a_variable(index: PackageIndex, _: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("CORP_TOKEN", PASSWORD)
    return f"--index-url http://joe:${{CORP_TOKEN}}@{index.host}/simple\nalpha\n"


def _direct(index: PackageIndex, _: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    del monkeypatch
    return f"alpha @ http://joe:{PASSWORD}@{index.host}/files/alpha-1.0-py3-none-any.whl\n"


def _netrc(index: PackageIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = folder.parent / "netrc"
    path.write_text(f"machine 127.0.0.1 login joe password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(path))
    return "alpha\n"


def _keyring(index: PackageIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    programs = folder.parent / "bin"
    programs.mkdir()
    program = programs / "keyring"
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "get {index.url} joe" ] && echo {PASSWORD}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://joe@{index.host}/simple")
    return "alpha\n"


WAYS: Ways = {
    "variable": _variable,
    "named variable": _named_variable,
    "uv.toml": _uv_toml,
    "option": _option,
    "option with a variable": _option_with_a_variable,
    "direct": _direct,
    "netrc": _netrc,
    "keyring": _keyring,
}


def download(resolving: Resolving, lock: Lock) -> None:
    """As a build does it."""
    http = HttpClient(first_pause_seconds=0)
    project = read_project(resolving.folder, resolving.store)
    http.logins.learn(index_logins(project.requirements, project.folder), keyring=asked_keyring())
    fetch(lock.wheels, session=Session(resolving.store, http, resolving.heard.append))


def holds_password(folder: Path) -> list[Path]:
    """The files below a folder that hold it."""
    return [path for path in folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("way", WAYS)
def test_what_lets_uv_in_lets_downloads_in(
    way: str, index: PackageIndex, resolving: Resolving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolved and downloaded; lock, store, uv's cache, events and files of the image hold no password."""
    index.add("alpha", "1.0")
    index.credentials = ("joe", PASSWORD)
    lock = resolving(WAYS[way](index, resolving.folder, monkeypatch))[1]
    download(resolving, lock)
    assert resolving.store.has_blob(lock.wheels[0].digest, lock.wheels[0].size_bytes)
    assert PASSWORD not in dump_lock(lock, None) + repr(lock) + str(resolving.heard)
    assert holds_password(resolving.store.home) == []
    assert holds_password(tmp_path / "uv") == []
    sent = [resolving.folder / file.path for file in read_project(resolving.folder, None).files if file.kind == "file"]
    assert [path for path in sent if PASSWORD.encode() in path.read_bytes()] == []


def test_a_project_cannot_switch_the_keyring_on(
    index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither uv nor our downloads start `keyring` on the word of a project's settings; the user's own count."""
    asked = tmp_path / "asked"
    requirements = _keyring(index, resolving.folder, monkeypatch)
    program = resolving.folder.parent / "bin" / "keyring"
    program.write_text(f"#!/bin/sh\ntouch {asked}\necho {PASSWORD}\n")
    monkeypatch.delenv("UV_KEYRING_PROVIDER")
    (resolving.folder / "uv.toml").write_text('keyring-provider = "subprocess"\n')
    index.add("alpha", "1.0")
    index.credentials = ("joe", PASSWORD)
    with pytest.raises(ShipmlError):
        resolving(requirements)
    assert asked_keyring() is None
    assert not asked.exists()
    monkeypatch.setenv("UV_CONFIG_FILE", str(resolving.folder / "uv.toml"))
    assert asked_keyring() is not None


def test_without_them_the_download_says_what_is_missing(
    index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that is no longer set is a matter of rights, not of the network."""
    index.add("alpha", "1.0")
    index.credentials = ("joe", PASSWORD)
    lock = resolving(_variable(index, resolving.folder, monkeypatch))[1]
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    with pytest.raises(NotAllowedError, match=r"127\.0\.0\.1"):
        download(resolving, lock)


def test_an_index_behind_a_private_authority_is_used_like_any_other(
    resolving: Resolving, index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names it, to uv and to our downloads."""
    authority = Authority(tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with serve_index(authority.server_context()) as private:
        private.add("alpha", "1.0")
        private.credentials = ("joe", PASSWORD)
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"https://joe:{PASSWORD}@{private.host}/simple")
        lock = resolving("alpha\n")[1]
        download(resolving, lock)
        assert lock.wheels[0].url.startswith(f"https://{private.host}/")


def test_logins_are_for_their_server_alone() -> None:
    """Scheme, host and port count; of several on one server the nearest path counts, and one with a password first."""
    logins = Logins([Login("https://a:1@example.org/one/simple"), Login("https://b:2@example.org/two/simple")])
    logins.learn([Login("https://c@example.org/two/simple")])
    assert logins.authorization("https://example.org/two/files/x.whl") == Logins(
        [Login("https://example.org", "b", "2")]
    ).authorization("https://example.org:443/x")
    for other in (
        "http://example.org/one/x",
        "https://example.org:444/one/x",
        "https://example.com/one/x",
        "file:///x",
    ):
        assert logins.authorization(other) == ""
    assert "1@" not in repr(logins) + repr(Login("https://a:1@example.org"))


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("--index-url https://joe:pw@example.org/simple", True),
        ("--index-url https://0123456789abcdef0123@example.org/simple", True),
        ("--index-url https://joe:${TOKEN}@example.org/simple", False),
        ("--index-url https://${A_LONG_NAME_OF_A_TOKEN}@example.org/simple", False),
        ("x @ git+ssh://git@example.org/x.git", False),
        ("https://example.org/simple#joe:pw@x", False),
    ],
)
def test_files_with_credentials_are_known(text: str, *, is_secret: bool, tmp_path: Path) -> None:
    """Passwords and tokens in URLs; variables stand for them, and user names alone are none."""
    (tmp_path / "uv.toml").write_text(text)
    assert files_with_credentials(tmp_path, [("r.txt", text)]) == ({"r.txt", "uv.toml"} if is_secret else set())


def test_an_address_that_is_none_gives_no_login(folder: Path) -> None:
    """A password with a bracket that is not quoted is uv's to complain about: it is no crash."""
    declared = Requirements("requirements.txt", options=("--index-url https://user:pa[ss@example.org/simple",))
    assert index_logins(declared, folder, {}) == []
    assert Logins([Login("https://user:pa[ss@example.org/simple")]).authorization("https://example.org/x") == ""


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_password_with_a_raw_slash_is_never_shown(
    way: str, index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a URL is wrong, and uv says so with all of it; we do not."""
    url = f"http://bob:1marked/77secret@{index.host}/simple"
    if way == "variable":
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)
    with pytest.raises(ShipmlError) as caught:
        resolving("alpha\n" if way == "variable" else f"--index-url {url}\nalpha\n")
    assert "77secret" not in f"{caught.value.to_json()}{resolving.heard}"
    assert "1marked" not in f"{caught.value.to_json()}{resolving.heard}"


def _pip_variable(index: PackageIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del folder
    monkeypatch.setenv("PIP_INDEX_URL", f"http://joe:{PASSWORD}@{index.host}/simple")


def _pip_extra_variable(index: PackageIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del folder
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://joe:{PASSWORD}@{index.host}/simple")


def _pip_config_file(index: PackageIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.parent / "other.conf"
    path.write_text(f"[global]\nindex-url = http://joe:{PASSWORD}@{index.host}/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))


def _pip_user_file(index: PackageIndex, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.parent / "config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True)
    path.write_text(f"[install]\nindex_url = http://joe:{PASSWORD}@{index.host}/simple\n")
    del monkeypatch


@pytest.mark.parametrize("tell", [_pip_variable, _pip_extra_variable, _pip_config_file, _pip_user_file])
def test_what_pip_is_told_counts(
    tell: Callable[[PackageIndex, Path, pytest.MonkeyPatch], None],
    index: PackageIndex,
    folder: Path,
    resolving: Resolving,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Variables and files of pip's lead uv and our downloads to the index, and no password is told."""
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    index.add("alpha", "1.0")
    index.credentials = ("joe", PASSWORD)
    tell(index, folder, monkeypatch)
    lock = resolving("alpha\n")[1]
    assert [one.version for one in lock.wheels] == ["1.0"]
    http = HttpClient()
    http.logins.learn(index_logins(None, folder))
    http.fetch_blob(lock.wheels[0].url, lock.wheels[0].digest, resolving.store)
    assert PASSWORD not in f"{resolving.heard}{lock}"


@pytest.mark.parametrize("requirement", ["alpha\n", "alpha==1.0\n"])
def test_an_index_that_refuses_is_no_missing_package(
    requirement: str, index: PackageIndex, resolving: Resolving
) -> None:
    """A wrong token of an extra index is exit code 4, with the index named."""
    with serve_index() as private:
        private.credentials = ("joe", "another")
        with pytest.raises(NotAllowedError) as caught:
            resolving(f"--extra-index-url http://joe:{PASSWORD}@{private.host}/simple\n{requirement}")
    assert private.host in caught.value.message
    assert PASSWORD not in f"{caught.value.to_json()}{resolving.heard}"


def test_a_variable_that_is_not_set_is_named(index: PackageIndex, resolving: Resolving) -> None:
    """The address of an index without its token cannot work."""
    with pytest.raises(NotAllowedError) as caught:
        resolving(f"--extra-index-url http://joe:${{FEED_TOKEN_X}}@{index.host}/simple\nalpha\n")
    assert "FEED_TOKEN_X" in caught.value.message


def test_a_name_that_nobody_knows_is_one_error(index: PackageIndex, resolving: Resolving) -> None:
    """No other Python is tried for it, and a name that is near is suggested."""
    index.add("numpy", "1.0")
    with pytest.raises(ShipmlError) as caught:
        resolving("numpyy\n")
    assert "numpy?" in caught.value.hint
    assert not resolving.notices
