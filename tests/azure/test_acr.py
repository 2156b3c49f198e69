"""Azure's registries: tokens by the real azure-identity at the stand-in's services, before the real CNCF registry."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.azure import (
    Manager,
    SignIn,
    find_cloud,
    sign_in,
)
from shipml.azure.acr import AcrKeychain
from shipml.azure.acr_explain import explain
from shipml.azure.session import AzureOptions, AzureSession
from shipml.errors import (
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UsageError,
)
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference
from shipml.publish.kinds import explained
from shipml.publish.login import Place, log_in
from shipml.publish.transfer import copy_image
from shipml.registry.client import RegistryClient
from shipml.registry.credentials import Credentials
from shipml.registry.errors import RefusedCredentialsError
from shipml.registry.keychain import ChainKeychain, GivenKeychain, Keychain
from shipml.registry.token_service import (
    NULL_GUID,
    expires_at_seconds,
    owner_of,
    tenant_of,
)
from shipml.registry.transport import InterruptedRequestError, NoSuchHostError, RetryPolicy
from tests.azure_fixtures import ActAs
from tests.image_fixtures import MakeImage
from tests.peers.azure_cloud import AzureCloud
from tests.peers.faults import Fault
from tests.peers.marks import find_marks

pytestmark = [pytest.mark.engine]

INT = Reference("demoint.azurecr.io", "ml/app", "1")
HASTY = RetryPolicy(attempts=2, first_seconds=0)


@pytest.fixture
def azure(azure_cloud: AzureCloud) -> Iterator[AzureSession]:
    """A session as whoever `act_as` makes us."""
    del azure_cloud
    with AzureSession(AzureOptions(cloud="public")) as session:
        yield session


def _keychain(azure: AzureSession, *, required: bool = True) -> AcrKeychain:
    return AcrKeychain(azure.identity, required=required, retry=HASTY)


def _push(keychain: Keychain, make_image: MakeImage, text: str, *, layers: int = 2) -> Digest:
    image = make_image(*({f"app/{text}{number}": text.encode()} for number in range(layers)))
    with explained(INT, keychain):
        client = RegistryClient(INT.registry, keychain, retry=HASTY)
        return copy_image(image, [INT], client).digest


def _refusal(keychain: Keychain, make_image: MakeImage) -> ShipmlError:
    with pytest.raises(ShipmlError) as caught:
        _push(keychain, make_image, "refused")
    assert find_marks(f"{caught.value.message} {caught.value.hint}") == []
    return caught.value


def test_a_push_takes_no_right_but_acrpush_and_never_asks_arm(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage
) -> None:
    """One Entra token for the registries' own audience, one exchange; the resource manager is not asked."""
    act_as("pipeline")
    keychain = _keychain(azure)
    digest = _push(keychain, make_image, "plain")
    assert RegistryClient(INT.registry, keychain).head_manifest("ml/app", "1") == digest
    assert azure_cloud.log.find("arm") == []
    assert [seen.scopes for seen in azure_cloud.log.find("entra", "POST", "token")] == [
        ("https://containerregistry.azure.net",)
    ]
    assert len(azure_cloud.log.find("acr demoint", path="exchange")) == 1
    found = keychain.credentials(INT)
    assert (found.source, found.username) == ("Azure (service principal)", NULL_GUID)
    assert str(found) == "a token from Azure (service principal)"
    assert find_marks(repr(found)) == []


@pytest.mark.parametrize("fault", [Fault.ACR_AUDIENCE_OFF, Fault.ARM_AUDIENCE_OFF])
def test_either_audience_may_be_missing(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage, fault: Fault
) -> None:
    """Where Entra lacks the registries' audience ARM's does; a registry that refuses ARM's never sees it."""
    act_as("pipeline")
    with azure_cloud.fault(fault):
        assert _push(_keychain(azure), make_image, fault.name)
    asked = [seen.scopes for seen in azure_cloud.log.find("entra", "POST", status=200) if seen.scopes]
    arm = fault is Fault.ACR_AUDIENCE_OFF
    assert asked == [("https://management.azure.com" if arm else "https://containerregistry.azure.net",)]


def test_both_audiences_missing_is_told_by_what_the_registry_says(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage
) -> None:
    """The registry's refusal tells more than that Entra lacks the other."""
    act_as("pipeline")
    with azure_cloud.fault(Fault.ACR_AUDIENCE_OFF, Fault.ARM_AUDIENCE_OFF):
        error = _refusal(_keychain(azure), make_image)
    assert error.message.startswith("demoint.azurecr.io gives Azure (service principal) no token (UNAUTHORIZED")


@pytest.mark.parametrize("fault", [Fault.EXPIRED, Fault.REFRESH_EXPIRED])
def test_tokens_that_end_in_the_middle_are_minted_again(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage, fault: Fault
) -> None:
    """An access token by the refresh token; a refresh token by a new exchange; the push is whole."""
    act_as("pipeline")
    azure_cloud.int.settings.faults.expire_every = 6
    with azure_cloud.fault(fault):
        digest = _push(_keychain(azure), make_image, fault.name, layers=1)
    assert RegistryClient(INT.registry, _keychain(azure)).head_manifest("ml/app", "1") == digest
    exchanges = len(azure_cloud.log.find("acr demoint", path="exchange", status=200)) - 1  # one is this test's own
    assert exchanges == 1 if fault is Fault.EXPIRED else exchanges > 1
    assert azure_cloud.log.find("acr demoint", status=401)


def test_threads_share_what_one_of_them_has_minted(azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession) -> None:
    """Eight that are refused the same token make one exchange more, not eight."""
    act_as("pipeline")
    keychain = _keychain(azure)
    first = keychain.credentials(INT)
    found: list[Credentials | None] = []
    threads = [threading.Thread(target=lambda: found.append(keychain.renew(INT, first))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.identity_token for one in found if one}) == 1
    assert len(found) == 8
    assert len(azure_cloud.log.find("acr demoint", path="exchange")) == 2


def test_a_token_that_ends_soon_is_not_begun_with(azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession) -> None:
    """A push may take minutes: what serves for less than ten is minted anew."""
    act_as("pipeline")
    azure_cloud.int.tokens.refresh_seconds = 900 + 300
    try:
        keychain = _keychain(azure)
        assert keychain.credentials(INT) != keychain.credentials(INT)
    finally:
        azure_cloud.int.tokens.refresh_seconds = 11700
    assert keychain.credentials(INT) == keychain.credentials(INT)


def test_other_registries_get_nothing_of_azure(azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession) -> None:
    """No token of Azure goes to a host that is not Azure's, unless the user says that it is; nobody signs in."""
    act_as("pipeline")
    keychain = _keychain(azure)
    for host in ("docker.io", "r.example.org", "demoint.azurecr.io.example.org"):
        assert not keychain.credentials(Reference(host, "ml/app"))
        assert keychain.renew(Reference(host, "ml/app"), Credentials()) is None
    assert azure_cloud.log.find() == []
    assert AcrKeychain(azure.identity, hosts=("r.example.org",)).knows("R.example.org")


REFUSED = {
    "firewall": ("pipeline", Fault.FIREWALL, NotAllowedError, "az acr network-rule add --name demoint --ip-address"),
    "no role": ("nobody", None, NotAllowedError, "--role AcrPush --scope $(az acr show --name demoint"),
    "pull only": ("reader", None, NotAllowedError, "--role AcrPush"),
    "roles of repositories": ("pipeline", Fault.ABAC, NotAllowedError, '"Container Registry Repository Writer"'),
    "wrong tenant": ("stranger", None, NotAllowedError, "az login --tenant"),
    "throttled": ("pipeline", Fault.THROTTLE, TryAgainError, "your login is fine"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_told_with_the_command_that_mends_it(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage, name: str
) -> None:
    """And with the identity that lacks the role, where the token tells it."""
    who, fault, kind, hint = REFUSED[name]
    act_as(who)
    with azure_cloud.fault(*([fault] if fault else [])):
        error = _refusal(_keychain(azure), make_image)
    assert isinstance(error, kind)
    assert hint in error.hint
    if "role assignment" in error.hint:
        assert f"--assignee {azure_cloud.identity(who).object_id}" in error.hint


def test_roles_of_repositories_suffice_where_they_are_given(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage
) -> None:
    """A Repository Writer below `ml/` pushes there."""
    act_as("abac-writer")
    with azure_cloud.fault(Fault.ABAC):
        assert _push(_keychain(azure), make_image, "abac")


def test_nobody_logged_in_is_an_error_or_just_no_credentials(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession
) -> None:
    """A push needs somebody; a public image is pulled without, and why nobody was there is told if that fails."""
    act_as("")
    with pytest.raises(NotAllowedError, match="nobody is logged in to Azure here"):
        _keychain(azure).credentials(INT)
    found = _keychain(azure, required=False).credentials(INT)
    assert not found
    assert "nobody is logged in to Azure here" in str(found)
    azure_cloud.int.settings.anonymous_pull = True
    try:
        client = RegistryClient(INT.registry, _keychain(azure, required=False), retry=HASTY)
        assert client.head_manifest("ml/never-pushed", "1") is None
    finally:
        azure_cloud.int.settings.anonymous_pull = False


def test_what_login_keeps_is_what_docker_would_keep(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage, tmp_path: Path
) -> None:
    """The null GUID and an identity token, with which a push needs Azure's login no more."""
    act_as("pipeline")
    credentials = _keychain(azure).credentials(INT)
    log_in(INT.registry, credentials, place=Place({"DOCKER_CONFIG": str(tmp_path)}, tmp_path))
    entry = json.loads((tmp_path / "config.json").read_text())["auths"][INT.registry]
    assert entry["auth"] == "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg=="
    assert expires_at_seconds(entry["identitytoken"]) - time.time() > 3 * 3600 - 60
    azure_cloud.log.clear()
    stored = Credentials("a file", NULL_GUID, identity_token=entry["identitytoken"])
    assert _push(GivenKeychain(INT.registry, stored), make_image, "stored")
    assert azure_cloud.log.find("entra") == []


def test_a_kept_login_that_has_ended_is_renewed_by_azure_or_told(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage
) -> None:
    """Who is logged in to Azure does not notice; who is not hears that the login has ended, not that there is none."""
    act_as("pipeline")
    old = _token(exp=time.time() - 60, oid="42")
    kept = GivenKeychain(INT.registry, Credentials("a file", NULL_GUID, identity_token=old))
    assert _push(ChainKeychain(kept, _keychain(azure)), make_image, "renewed")
    act_as("")
    with AzureSession(AzureOptions(cloud="public")) as nobody:
        error = _refusal(ChainKeychain(kept, _keychain(nobody)), make_image)
    assert "credentials used for demoint.azurecr.io: a token from a file" in error.message
    assert error.hint == "the login has expired (they serve three hours): shipml login acr --account demoint"
    assert azure_cloud.log.mistakes == []


def test_an_image_is_imported_inside_azure_by_digest(
    azure_cloud: AzureCloud, act_as: ActAs, azure: AzureSession, make_image: MakeImage
) -> None:
    """What PROD has afterwards is what INT has, under its own tag; a tag that is there stays unless forced."""
    act_as("developer")
    digest = _push(_keychain(azure), make_image, "import")
    with sign_in(find_cloud("public"), SignIn()) as identity:
        manager = Manager(identity, poll_seconds=0)
        source, target = manager.find("demoint"), manager.find("demoprod")
        names = (f"ml/{digest.short}:1.2",)
        manager.import_image(target, source, f"ml/app@{digest}", names)
        with azure_cloud.fault(Fault.TAG_EXISTS), pytest.raises(UsageError, match="already") as caught:
            manager.import_image(target, source, f"ml/app@{digest}", names)
        with azure_cloud.fault(Fault.IMPORT_FORBIDDEN), pytest.raises(NotAllowedError, match="may not read") as refused:
            manager.import_image(target, source, f"ml/app@{digest}", names, force=True)
    assert "az acr repository untag --name demoprod" in caught.value.hint
    assert "az role assignment create" in refused.value.hint
    client = RegistryClient(target.login_server, _keychain(azure))
    assert client.head_manifest(f"ml/{digest.short}", "1.2") == digest


def _token(**claims: object) -> str:
    import base64

    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


EXPLAINED = {
    "no credentials": (Credentials(), "shipml login acr --account demoint"),
    "expired": (Credentials("f", NULL_GUID, identity_token=_token(exp=1)), "the login has expired"),
    "expired as a password": (Credentials("f", NULL_GUID, _token(exp=1)), "the login has expired"),
    "admin user": (Credentials("f", "demoint", "x"), "az acr update --name demoint --admin-enabled true"),
    "service principal's password": (Credentials("f", "some-client", "x"), "--assignee some-client --role AcrPush"),
    "no role": (Credentials("f", "", identity_token=_token(exp=9e9, oid="42")), "--assignee 42 --role AcrPush"),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_stored_credentials_that_are_refused_are_told_apart(name: str) -> None:
    """Azure's text is the same for all; the token's own end and owner, and the user's name, tell which it is."""
    credentials, hint = EXPLAINED[name]
    refused = NotAllowedError(
        "demoint.azurecr.io does not let you upload to ml/app (UNAUTHORIZED: authentication required)"
    )
    assert hint in explain(refused, INT, credentials)


def test_digits_and_names_in_a_url_are_no_reasons() -> None:
    """A digest may have 429 in it, a repository may be called resolver: neither says what went wrong."""
    url = f"https://demoint.azurecr.io/v2/ml/resolver/blobs/sha256:429{'0' * 61}"
    assert explain(TryAgainError(f"{url} answered 500"), INT, Credentials()) == ""
    assert explain(InterruptedRequestError(url, status=429), INT, Credentials())
    assert "az acr show --name demoint" in explain(NoSuchHostError("away"), INT, Credentials())


def test_a_pull_wants_the_readers_role() -> None:
    """Who only pulls is not told to ask for the right to push."""
    refused = RefusedCredentialsError("no", reads=True)
    hint = explain(refused, INT, Credentials("f", identity_token=_token(exp=9e9, oid="42")))
    assert "--role AcrPull" in hint
    assert '"Container Registry Repository Reader"' in hint


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.!!!.c", f"e30.{'e30'}.x", "e30.W10.x", "a.b.c.d"])
def test_tokens_that_cannot_be_read_tell_nothing(token: str) -> None:
    """A token is another's document: whatever stands in it, reading it does not fail."""
    assert expires_at_seconds(token) == 0.0
    assert (owner_of(token), tenant_of(token)) == ("", "")


def test_a_tenant_that_was_named_is_told_to_the_registry(azure_cloud: AzureCloud, act_as: ActAs) -> None:
    """As its id, which stands in the token; a registry of another tenant refuses."""
    act_as("pipeline")
    with AzureSession(AzureOptions(cloud="public", tenant=azure_cloud.directory.tenant)) as session:
        assert _keychain(session).credentials(INT)
