"""Logging in and out: what is kept is what docker would keep, and docker, podman and skopeo can use it."""

from __future__ import annotations

import base64
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shipml.errors import ConfigurationError, NotAllowedError, UsageError
from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.publish.login import (
    Place,
    keep,
    log_in,
    log_out,
)
from shipml.registry.credentials import Credentials, find_credentials
from shipml.registry.keychain import Keychain
from tests.peers.forked import SHIPML, run_forked
from tests.peers.registry import Registry, start_registry

HOST = "r.example.org:5000"
SECRET = "s3cret:of:ann"
ANN = Credentials("the test", "ann", SECRET)
HTPASSWD = "ann:$2b$04$3LZo0Ulrl75ffrtgAk65r.05BvPxVXrfvkukbi7obUnt64QDI.gpS\n"
HELPER = """#!/bin/sh
# What docker-credential-pass does, in clear text: one file a server; what it is started with is kept.
echo "$0 $*" >> "$HELPER_FOLDER/argv"
case "$1" in
  store) document=$(cat); server=$(echo "$document" | sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/')
         echo "$document" > "$HELPER_FOLDER/$(echo "$server" | tr '/:' '__')" ;;
  get) server=$(cat); cat "$HELPER_FOLDER/$(echo "$server" | tr '/:' '__')" 2>/dev/null ||
         { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) server=$(cat); rm "$HELPER_FOLDER/$(echo "$server" | tr '/:' '__')" 2>/dev/null ||
         { echo "credentials not found in native keychain"; exit 1; } ;;
esac
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A home with nothing in it, and a folder for helpers that is on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "kept").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("HELPER_FOLDER", str(tmp_path / "kept"))
    return Place({"DOCKER_CONFIG": str(tmp_path / "docker")}, tmp_path)


@pytest.fixture
def helper(place: Place) -> Callable[[str], Path]:
    """Puts a credential helper on PATH; returns the folder where it keeps secrets."""

    def install(name: str, script: str = HELPER) -> Path:
        path = place.home / "bin" / f"docker-credential-{name}"
        path.write_text(script)
        path.chmod(0o755)
        return place.home / "kept"

    return install


def write(place: Place, **document: Any) -> None:
    """Write docker's config.json."""
    place.file.parent.mkdir(exist_ok=True)
    place.file.write_text(json.dumps(document))


def read(place: Place) -> Any:
    """What docker's config.json holds."""
    return json.loads(place.file.read_text())


def known(place: Place, registry: str = HOST) -> Credentials:
    """What shipml finds for the registry."""
    return find_credentials(Reference(registry, ""), environment=place.environment, home=place.home)


def test_a_file_of_its_owner_alone(place: Place) -> None:
    """Without a helper the file holds name and password as docker writes them, readable by nobody else."""
    done = keep(HOST, ANN, place)
    assert read(place) == {"auths": {HOST: {"auth": base64.b64encode(f"ann:{SECRET}".encode()).decode()}}}
    assert stat.S_IMODE(place.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.file.parent.stat().st_mode) == 0o700
    assert (done.kept_in, done.in_clear_text, done.username) == (str(place.file), True, "ann")
    assert known(place).password == SECRET


def test_all_else_in_the_file_is_kept(place: Place) -> None:
    """Proxies, other logins and even unknown keys stay, in their order; a mode that let others read does not."""
    rest = {
        "proxies": {"default": {"httpProxy": "http://p.example.org"}},
        "x-ünknown": [1, None],
        "credHelpers": {"a": "b"},
    }
    write(place, auths={"other.example.org": {"auth": "eDp5"}, f"https://{HOST}": {"auth": "b2xkOm9sZA=="}}, **rest)
    place.file.chmod(0o644)
    keep(HOST, ANN, place)
    document = read(place)
    assert list(document) == ["auths", *rest]
    assert {key: document[key] for key in rest} == rest
    assert set(document["auths"]) == {"other.example.org", HOST}
    assert stat.S_IMODE(place.file.stat().st_mode) == 0o600


def test_a_link_stays_a_link(place: Place, tmp_path: Path) -> None:
    """Who keeps the file elsewhere and links to it finds it changed there."""
    write(place, auths={})
    elsewhere = tmp_path / "dotfiles.json"
    place.file.rename(elsewhere)
    place.file.symlink_to(elsewhere)
    keep(HOST, ANN, place)
    assert place.file.is_symlink()
    assert HOST in json.loads(elsewhere.read_text())["auths"]


def test_docker_hub_has_dockers_key(place: Place) -> None:
    """Docker Hub stands under the URL that docker looks for, and other spellings of it go."""
    write(place, auths={"docker.io": {"auth": "b2xkOm9sZA=="}})
    keep(DOCKER_HUB, ANN, place)
    assert set(read(place)["auths"]) == {"https://index.docker.io/v1/"}
    assert known(place, DOCKER_HUB).username == "ann"


def test_an_identity_token(place: Place, helper: Callable[[str], Path]) -> None:
    """A token stands as `identitytoken` in the file, and as the secret of `<token>` with a helper."""
    token = Credentials("Azure", "00000000-0000-0000-0000-000000000000", identity_token="t0ken")
    keep(HOST, token, place)
    assert read(place)["auths"][HOST]["identitytoken"] == "t0ken"
    assert known(place).for_engine() == {"identitytoken": "t0ken"}
    kept = helper("own")
    write(place, credsStore="own")
    keep(HOST, token, place)
    assert json.loads((kept / "r.example.org_5000").read_text())["Username"] == "<token>"
    assert known(place).for_engine() == {"identitytoken": "t0ken"}


@pytest.mark.parametrize("setting", [{"credsStore": "own"}, {"credHelpers": {HOST: "own"}, "credsStore": "other"}])
def test_a_helper_comes_first(place: Place, helper: Callable[[str], Path], setting: dict[str, Any]) -> None:
    """The helper that the file names gets the secret through stdin; the file has an empty entry, as docker's."""
    kept = helper("own")
    write(place, **setting)
    done = keep(HOST, ANN, place)
    assert read(place) == {**setting, "auths": {HOST: {}}}
    stored = json.loads((kept / "r.example.org_5000").read_text())
    assert stored == {"ServerURL": HOST, "Username": "ann", "Secret": SECRET}
    assert SECRET not in (kept / "argv").read_text() + place.file.read_text()
    assert (done.kept_in, done.in_clear_text) == ("docker-credential-own", False)
    assert known(place).password == SECRET
    out = log_out(HOST, place)
    assert (out.found, out.left) == (True, "")
    assert not (kept / "r.example.org_5000").exists()
    assert read(place) == {**setting, "auths": {}}


def test_the_machines_own_helper(place: Place, helper: Callable[[str], Path]) -> None:
    """Where nothing was kept yet, the helper that docker would take is taken, and remembered in the file."""
    if sys.platform != "linux":
        pytest.skip("other systems have other helpers")
    helper("secretservice")
    assert keep(HOST, ANN, place).kept_in == "docker-credential-secretservice"
    assert read(place)["credsStore"] == "secretservice"


def test_the_machines_own_helper_may_fail(place: Place, helper: Callable[[str, str], Path]) -> None:
    """A helper that nobody chose and that does not work is no reason to fail: the file is there."""
    helper("secretservice", "#!/bin/sh\nexit 1\n")
    assert keep(HOST, ANN, place).kept_in == str(place.file)
    assert "credsStore" not in read(place)


@pytest.mark.parametrize("script", [None, "#!/bin/sh\ncat >&2\nexit 3\n"])
def test_a_chosen_helper_must_work(place: Place, helper: Callable[[str, str], Path], script: str | None) -> None:
    """A helper that the file names and that fails is an error that quotes nothing, and the file stays as it was."""
    if script:
        helper("own", script)
    write(place, credsStore="own")
    before = place.file.read_bytes()
    with pytest.raises(ConfigurationError, match="docker-credential-own") as caught:
        keep(HOST, ANN, place)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert place.file.read_bytes() == before


def test_nothing_is_left_half_written(place: Place) -> None:
    """A file that cannot be read as JSON is not replaced, and no draft stays behind."""
    write(place)
    place.file.write_text('{"auths": ')
    with pytest.raises(ConfigurationError, match="JSON"):
        keep(HOST, ANN, place)
    assert [path.name for path in place.file.parent.iterdir()] == ["config.json"]
    assert place.file.read_text() == '{"auths": '


def test_refused_credentials_are_not_kept(place: Place) -> None:
    """What the registry does not accept never reaches the file."""

    def refuse(registry: str, keychain: Keychain) -> None:
        assert keychain.credentials(Reference(registry, "")).password == SECRET
        raise NotAllowedError(f"{registry} refuses: unauthorized", hint="")

    with pytest.raises(NotAllowedError, match="unauthorized"):
        log_in(HOST, ANN, refuse, place)
    assert not place.file.exists()


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("unauthorized: incorrect username or password", "access token"),
        ("unauthorized: your account must log in with a Personal Access Token (PAT)", "make a token with Read & Write"),
    ],
)
def test_docker_hub_explains_a_refusal(place: Place, said: str, hint: str) -> None:
    """A refusal by Docker Hub says that it wants the Docker ID and a token."""

    def refuse(registry: str, keychain: Keychain) -> None:
        raise NotAllowedError("refused", hint="log in", said=said)

    with pytest.raises(NotAllowedError) as caught:
        log_in(DOCKER_HUB, ANN, refuse, place)
    assert hint in caught.value.hint


def test_docker_hub_wants_no_mail_address(place: Place) -> None:
    """An e-mail address is refused before anybody is asked: Docker Hub lets it in, and refuses each push."""
    with pytest.raises(UsageError, match="Docker ID"):
        log_in(DOCKER_HUB, Credentials("", "ann@example.org", SECRET), lambda *_: None, place)


def test_logging_out_says_what_is_left(place: Place) -> None:
    """Podman's own file is not docker's: who logs out hears that it still has a login."""
    keep(HOST, ANN, place)
    podman = place.home / "podman.json"
    podman.write_text(json.dumps({"auths": {HOST: {"auth": "eDp5"}}}))
    done = log_out(HOST, Place({**place.environment, "REGISTRY_AUTH_FILE": str(podman)}, place.home))
    assert (done.found, done.left) == (True, str(podman))
    assert read(place) == {"auths": {}}


def test_logging_out_of_nothing(place: Place) -> None:
    """Where nothing was kept, nothing is written."""
    done = log_out(HOST, place)
    assert (done.found, done.left) == (False, "")
    assert not place.file.exists()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Registry]:
    """A real registry that lets ann in."""
    with start_registry(HTPASSWD) as started:
        yield started


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHIPML_")}
    return {**kept, "HOME": str(tmp_path), "SHIPML_HOME": str(tmp_path / "store"), "PYTHONWARNINGS": "error"}


def shipml(*words: str, stdin: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return run_forked([SHIPML, *words], stdin=stdin, environment=env, folder=Path(env["HOME"]))


def can_log_in(tool: str, host: str, env: dict[str, str]) -> bool:
    """Whether another program reads a guarded registry with what was kept."""
    words = {
        "skopeo": ["skopeo", "inspect", "--tls-verify=false", f"docker://{host}/nothing/here"],
        "podman": ["podman", "login", "--get-login", host],
        "docker": ["docker", "login", host],
    }[tool]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env, stdin=subprocess.DEVNULL)
    said = done.stdout + done.stderr
    return {
        "skopeo": "manifest unknown" in said,
        "podman": said.strip() == "ann",
        "docker": "Login Succeeded" in said,
    }[tool]


@pytest.mark.engine
def test_other_programs_use_what_was_kept(guarded: Registry, environment: dict[str, str]) -> None:
    """After `shipml login` skopeo and podman are let in, after `logout` not; wrong credentials are not kept."""
    wrong = shipml("login", guarded.host, "-u", "ann", "--password-stdin", stdin="wrong-s3cret", env=environment)
    assert wrong.returncode == 4, wrong.stderr
    assert "wrong-s3cret" not in wrong.stdout + wrong.stderr
    assert not (Path(environment["HOME"]) / ".docker").exists()
    done = shipml("login", guarded.host, "-u", "ann", "--password-stdin", stdin=f"{SECRET}\n", env=environment)
    assert (done.returncode, done.stdout) == (0, f"{guarded.host}\n"), done.stderr
    assert SECRET not in done.stderr
    assert can_log_in("skopeo", guarded.host, environment)
    assert can_log_in("podman", guarded.host, environment)
    out = shipml("logout", guarded.host, "--json", stdin="", env=environment)
    assert json.loads(out.stdout) == {"registry": guarded.host, "found": True, "left": ""}
    assert not can_log_in("skopeo", guarded.host, environment)


@pytest.mark.engine
def test_a_registry_of_the_settings(guarded: Registry, environment: dict[str, str]) -> None:
    """A [registries.NAME] says which host is meant and who logs in; logging out takes the same name."""
    settings = Path(environment["HOME"]) / "shipml.toml"
    settings.write_text(f'[registries.lab]\nhost = "{guarded.host}"\nusername = "ann"\n')
    done = shipml("login", "lab", "--password-stdin", stdin=SECRET, env=environment)
    assert (done.returncode, done.stdout) == (0, f"{guarded.host}\n"), done.stderr
    out = shipml("logout", "lab", "--json", stdin="", env=environment)
    assert json.loads(out.stdout)["found"] is True


@pytest.mark.engine
def test_docker_reads_what_was_kept(guarded: Registry, environment: dict[str, str], docker_20: Any) -> None:
    """`docker login HOST` finds the credentials that shipml kept, and the registry takes them."""
    done = shipml("login", guarded.host, "-u", "ann", "--password-stdin", stdin=SECRET, env=environment)
    assert done.returncode == 0, done.stderr
    assert can_log_in("docker", guarded.host, {**environment, "DOCKER_HOST": docker_20.host})


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        (["login", "r.example.org", "--password-stdin"], "x", "needs --username"),
        (["login", "r.example.org", "-u", "ann", "--password-stdin"], "", "no password"),
        (["login", "r.example.org", "-u", "ann", "--password-stdin"], "a\nb\n", "no password"),
        (["login", "r.example.org", "-u", "ann"], "x", "no terminal"),
        (["login", "nowhere", "-u", "ann"], "x", "nowhere"),
        (["login", "acr", "-u", "ann", "--password-stdin"], "x", "which of Azure's registries"),
        (["login", "hub", "-u", "ann@example.org", "--password-stdin"], "x", "e-mail address"),
    ],
)
def test_what_cannot_be_meant(words: list[str], stdin: str, message: str, environment: dict[str, str]) -> None:
    """Missing names, passwords and terminals end with exit code 2 before anybody is asked."""
    done = shipml(*words, stdin=stdin, env=environment)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr


@pytest.mark.engine
def test_a_hidden_prompt(guarded: Registry, environment: dict[str, str]) -> None:
    """On a terminal the name and the password are asked for, and the password is not shown."""
    program = str(Path(sys.executable).with_name("shipml"))
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover  (another process)
        os.chdir(environment["HOME"])
        os.execve(program, [program, "login", guarded.host], environment)  # noqa: S606
    shown = _type(terminal, [(b"user name at", b"ann\n"), (b"(not shown): ", f"{SECRET}\n".encode())])
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert SECRET.encode() not in shown
    assert (Path(environment["HOME"]) / ".docker" / "config.json").exists()


def _type(terminal: int, dialogue: list[tuple[bytes, bytes]]) -> bytes:
    """Answer each question once it is there; returns all that was shown."""
    shown = b""
    try:
        while data := os.read(terminal, 4096):
            shown += data
            if dialogue and dialogue[0][0] in shown:
                os.write(terminal, dialogue.pop(0)[1])
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    return shown
