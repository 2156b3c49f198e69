"""Settings of a project cannot send a password, or an image, elsewhere; and tags move only where they may."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from shipml import PlanRequest, Shipml
from shipml.azure.session import AzureSession
from shipml.errors import ConfigurationError, NotAllowedError, ShipmlError
from shipml.events import Event, Notice
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.project.settings import load_settings
from shipml.publish.consent import keychain_for
from shipml.publish.destination import Destination
from shipml.publish.locations import locate
from shipml.publish.moving_tags import TagTakenError
from tests.peers.registry import Registry
from tests.peers.small_server import Asked, Reply, SmallServer, serve
from tests.publish.pushing import new_name
from tests.runtimes.images import shell_image

PASSWORD = "marked-password"


@pytest.fixture
def collector() -> Iterator[SmallServer]:
    """A server that demands a password, to see who sends one."""

    def answer(_: Asked) -> Reply:
        return Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    with serve(answer) as server:
        yield server


@pytest.fixture
def heard() -> list[Event]:
    """What sessions said."""
    return []


@pytest.fixture
def open_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[Event]
) -> Iterator[Callable[..., Shipml]]:
    """Opens sessions in a folder of its own, with the two variables set; an image is called app:1 there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("SHIPML_USERNAME", "ci")
    monkeypatch.setenv("SHIPML_PASSWORD", PASSWORD)
    opened: list[Shipml] = []

    def open_(choose: Callable[[str, Sequence[str]], int] | None = None) -> Shipml:
        session = Shipml(tmp_path / "home", heard.append, AzureSession(choose=choose))
        image = shell_image("echo one")
        session.store.keep_image(image)
        session.store.tag("app:1", image.digest)
        opened.append(session)
        return session

    yield open_
    for session in opened:
        session.__exit__(None, None, None)


def sent(server: SmallServer) -> bool:
    """Whether the server got the password."""
    headers = [asked.headers.get("authorization", "") for asked in server.asked]
    return any(PASSWORD in base64.b64decode(one.partition(" ")[2]).decode() for one in headers if one)


WORDS = ("hub", "acr")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("table", [{"host": "127.0.0.1:1"}, {"kind": "generic", "host": "127.0.0.1:1"}])
def test_reserved_names_cannot_be_redirected(word: str, table: dict[str, str]) -> None:
    """[registries.hub] and [registries.acr] that name a host are an error, whatever is pushed to."""
    settings = load_settings({"registries": {word: table}}, "shipml.toml")
    for asked in (word, "r.example.org"):
        with pytest.raises(ConfigurationError):
            locate(asked, settings, "demoint")


@pytest.mark.parametrize("word", WORDS)
def test_reserved_names_are_no_environments(word: str) -> None:
    """Nor can an environment take their place."""
    settings = load_settings({"environments": {word: {"registry": "127.0.0.1:1"}}}, "shipml.toml")
    with pytest.raises(ConfigurationError):
        locate(word, settings, "demoint")


def test_reserved_names_may_say_what_is_pushed_there() -> None:
    """Repository and user of Docker Hub may stand in the settings."""
    settings = load_settings({"registries": {"hub": {"repository": "team/app", "username": "ann"}}}, "shipml.toml")
    found = locate("hub", settings)
    assert (found.registry, found.repository, found.username, found.is_typed) == ("docker.io", "team/app", "ann", True)


SETTINGS = {
    "registry": '[registries.lab]\nhost = "{host}"\nrepository = "app"\n',
    "environment": '[environments.lab]\nregistry = "{host}"\nrepository = "app"\n',
}


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("typed", ["lab", ""])
def test_a_host_of_the_settings_gets_no_password(
    kind: str, typed: str, collector: SmallServer, open_session: Callable[..., Shipml], tmp_path: Path
) -> None:
    """Where nobody can be asked, a push to a host that only the settings name fails before anything is sent."""
    if kind == "environment" and not typed:
        pytest.skip("an environment is never the default")
    (tmp_path / "shipml.toml").write_text(SETTINGS[kind].format(host=collector.host))
    with pytest.raises(NotAllowedError) as caught:
        open_session().push("app:1", Destination(registry=typed), smoke=False)
    assert f"SHIPML_REGISTRY={collector.host}" in caught.value.hint
    assert collector.asked == []


def test_a_promotion_to_a_host_of_the_settings_sends_no_password(
    collector: SmallServer, open_session: Callable[..., Shipml], tmp_path: Path
) -> None:
    """The same holds for environments that images are promoted to."""
    (tmp_path / "shipml.toml").write_text(SETTINGS["environment"].format(host=collector.host))
    with pytest.raises(NotAllowedError):
        open_session().promote("127.0.0.1:1/a/b:1", "lab")
    assert collector.asked == []


@pytest.mark.parametrize("way", ["typed", "variable", "asked"])
def test_a_host_that_the_user_names_gets_the_password(
    way: str,
    collector: SmallServer,
    open_session: Callable[..., Shipml],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command line, SHIPML_REGISTRY, or a person at a terminal may send it."""
    (tmp_path / "shipml.toml").write_text(SETTINGS["registry"].format(host=collector.host))
    destination = Destination(f"{collector.host}/app") if way == "typed" else Destination(registry="lab")
    if way == "variable":
        monkeypatch.setenv("SHIPML_REGISTRY", collector.host)
    session = open_session((lambda *_: 0) if way == "asked" else None)
    with pytest.raises(NotAllowedError):
        session.push("app:1", destination, smoke=False)
    assert sent(collector)


def test_a_person_may_say_no(collector: SmallServer, open_session: Callable[..., Shipml], tmp_path: Path) -> None:
    """Then nothing is sent."""
    (tmp_path / "shipml.toml").write_text(SETTINGS["registry"].format(host=collector.host))
    with pytest.raises(NotAllowedError):
        open_session(lambda *_: 1).push("app:1", Destination(registry="lab"), smoke=False)
    assert collector.asked == []


def test_the_variable_binds_the_password_to_one_host(
    collector: SmallServer, open_session: Callable[..., Shipml], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SHIPML_REGISTRY no other host gets it, not even one that was typed."""
    monkeypatch.setenv("SHIPML_REGISTRY", "r.example.org")
    with pytest.raises(NotAllowedError):
        open_session().push("app:1", Destination(f"{collector.host}/app"), smoke=False)
    assert not sent(collector)
    assert keychain_for("r.example.org", is_typed=False).environment_for == "r.example.org"


@pytest.mark.engine
def test_broken_credentials_are_told_before_anything_is_sent(
    open_session: Callable[..., Shipml], registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config.json that cannot be read ends the push, and the registry has no tag."""
    for name in ("SHIPML_USERNAME", "SHIPML_PASSWORD"):
        monkeypatch.delenv(name)
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text("{")
    session, repository = open_session(), new_name()
    with pytest.raises(ConfigurationError) as caught:
        session.push("app:1", Destination(f"{registry.host}/{repository}", tags=("1", "2")), smoke=False)
    assert caught.value.exit_code == 2
    (tmp_path / "docker/config.json").unlink()
    with pytest.raises(ShipmlError):
        session.promote(f"{registry.host}/{repository}:1", f"{registry.host}/{repository}:3", smoke=False)


@pytest.mark.engine
def test_a_tag_that_moves_is_told_or_refused(
    open_session: Callable[..., Shipml],
    registry: Registry,
    heard: list[Event],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A push that moves a tag names the digest it had; --no-overwrite and `immutable` refuse it, and promotions too."""
    for name in ("SHIPML_USERNAME", "SHIPML_PASSWORD"):
        monkeypatch.delenv(name)
    session, repository = open_session(), new_name()
    place = f"{registry.host}/{repository}:1.0"
    first = session.push("app:1", Destination(place), smoke=False)
    assert session.push("app:1", Destination(place, no_overwrite=True), smoke=False).digest == first.digest
    image = shell_image("echo two")
    session.store.keep_image(image)
    session.store.tag("app:1", image.digest)
    (tmp_path / "shipml.toml").write_text(
        f'[registries.lab]\nhost = "{registry.host}"\nrepository = "{repository}"\nimmutable = true\n'
        f'[environments.dev]\nregistry = "{registry.host}"\nrepository = "{repository}"\nimmutable = true\n'
    )
    for refused in (Destination(place, no_overwrite=True), Destination(registry="lab", tags=("1.0",))):
        with pytest.raises(TagTakenError) as caught:
            session.push("app:1", refused, smoke=False)
        assert caught.value.exit_code == 4
    session.push("app:1", Destination(f"{registry.host}/{repository}:2"), smoke=False)
    with pytest.raises(TagTakenError):
        session.promote(f"{registry.host}/{repository}:2", "dev", tags=("1.0",), smoke=False)
    with pytest.raises(TagTakenError):
        session.promote(f"{registry.host}/{repository}:2", place, no_overwrite=True, smoke=False)
    heard.clear()
    session.push("app:1", Destination(place), smoke=False)
    told = [event.message for event in heard if isinstance(event, Notice)]
    assert any(str(first.digest) in message and place in message for message in told)


def test_ship_asks_nobody_before_it_may(
    collector: SmallServer, open_session: Callable[..., Shipml], tmp_path: Path
) -> None:
    """The registry of the settings, whose last image is a cache of the build, gets no password from `ship` either."""
    (tmp_path / "shipml.toml").write_text(SETTINGS["registry"].format(host=collector.host))
    (tmp_path / "app.py").write_text("print('ok')\n")
    with pytest.raises(NotAllowedError) as caught:
        open_session().ship(PlanRequest(tmp_path), Destination())
    assert f"SHIPML_REGISTRY={collector.host}" in caught.value.hint
    assert collector.asked == []


def test_only_where_the_image_goes_gets_the_password(
    collector: SmallServer, open_session: Callable[..., Shipml]
) -> None:
    """The registry of --tag is asked with the two variables, that of --cache-from beside it without."""
    session = open_session()

    def demand(_: Asked) -> Reply:
        return Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    with serve(demand) as target:
        asked = [Reference.parse(f"{host}/team/app:1") for host in (target.host, collector.host)]
        session._puller.trust(asked)
        session._puller.last_image(asked, Platform.of_this_machine(), session.store)
        assert (sent(target), sent(collector)) == (True, False)
    assert collector.asked != []
