"""Who we are to Azure: a credential of azure-identity that is known by its name, and the tokens that it gets."""

from __future__ import annotations

import os
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from shipml.azure.clouds import Cloud
from shipml.azure.explain_sign_in import credential_name, explain_sign_in, explain_unreachable
from shipml.azure.sdk import azure_errors, make_session, make_transport
from shipml.errors import ConfigurationError, NotAllowedError

if TYPE_CHECKING:
    import requests

__all__ = ["DeviceCode", "EntraToken", "Identity", "SignIn", "sign_in"]

_AZ_SECONDS = 30
"""az takes seconds to start; the SDK would give up after 10."""
_GITHUB_SECONDS = 30.0
_GITHUB_AUDIENCE = "api://AzureADTokenExchange"


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person is asked to do on a device with a browser."""

    url: str
    code: str
    message: str
    """Both in one sentence, as Entra puts it."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """How to sign in; the defaults take what azure-identity finds."""

    device_code: Callable[[DeviceCode], None] | None = None
    """Shows a person what to do; None takes no device code."""
    tenant: str = ""
    """Of the registry where it is not the identity's own: an id or a domain."""
    retries: int = 3
    """How often Entra is asked again where it gives no answer."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


@dataclass(frozen=True, slots=True)
class EntraToken:
    """An access token of Entra."""

    value: str = field(repr=False)
    expires_at_seconds: int
    """POSIX time."""


class Identity:
    """A credential that the SDKs take as one of theirs. Threads may share it."""

    def __init__(self, credential: Any, session: requests.Session, cloud: Cloud, tenant: str = "") -> None:  # noqa: ANN401  (the SDK's credentials have no common type)
        self.cloud = cloud
        self.session = session
        self.tenant = tenant
        self._credential = credential
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended_by: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    @property
    def name(self) -> str:
        """Which credential it is, as "Azure (az CLI)"; which of several is known once one has got a token."""
        # The chain has no public word for it; without, the name is just less telling.
        used = getattr(self._credential, "_successful_credential", None) or self._credential
        return credential_name(type(used).__name__)

    def token(self, scope: str) -> EntraToken:
        """A token for `scope`, which ends in `/.default`; the SDK keeps and renews those that it can.

        Raises:
            AudienceRefusedError: it is not given for this scope; another may do.
            NotAllowedError: nobody is logged in, or Entra refuses.
            TryAgainError: Entra does not answer.
        """
        from azure.core.exceptions import ClientAuthenticationError

        try:
            found = self.get_token(scope)
        except ClientAuthenticationError as error:
            raise explain_sign_in(error.message or str(error), name=self.name, tenant=self.tenant) from None
        except azure_errors() as error:
            raise explain_unreachable(str(error), urllib.parse.urlsplit(self.cloud.authority).netloc) from None
        return EntraToken(found.token, int(found.expires_on))

    def get_token(self, *scopes: str, **options: Any) -> Any:  # noqa: ANN401  (azure.core.credentials.TokenCredential)
        """As the SDKs ask for it."""
        if self.tenant:
            options["tenant_id"] = self.tenant
        with self._lock:
            return self._credential.get_token(*scopes, **options)


def sign_in(cloud: Cloud, how: SignIn) -> Identity:
    """An identity; nothing is asked yet, nobody is bothered before the first token.

    Raises:
        ConfigurationError: a variable of the environment is wrong.
    """
    session = make_session()
    shared: dict[str, Any] = {
        "authority": cloud.authority,
        "disable_instance_discovery": not cloud.well_known,
        "transport": make_transport(session),
        "retry_connect": how.retries,
    }
    try:
        credential = _credential(how, session, shared)
    except ValueError as error:  # by azure-identity: what it says names the variable
        session.close()
        raise ConfigurationError(f"{error}".rstrip("."), hint="correct the variable, or unset it") from error
    return Identity(credential, session, cloud, how.tenant)


def _credential(how: SignIn, session: requests.Session, shared: dict[str, Any]) -> Any:  # noqa: ANN401  (as above)
    import azure.identity

    environment = how.environment
    if how.device_code is not None:
        show = how.device_code
        return azure.identity.DeviceCodeCredential(
            tenant_id=how.tenant or environment.get("AZURE_TENANT_ID") or "organizations",
            prompt_callback=lambda url, code, _: show(
                DeviceCode(url, code, f"open {url} in a browser and type the code {code}")
            ),
            **shared,
        )
    if _is_github(environment):
        return azure.identity.ClientAssertionCredential(
            environment["AZURE_TENANT_ID"],
            environment["AZURE_CLIENT_ID"],
            lambda: _github_assertion(environment, session),
            **shared,
        )
    allowed = {"additionally_allowed_tenants": [how.tenant]} if how.tenant else {}
    return azure.identity.DefaultAzureCredential(process_timeout=_AZ_SECONDS, **allowed, **shared)


def _is_github(environment: Mapping[str, str]) -> bool:
    """Whether a workflow may ask for tokens of its own, and names nothing that would rather be used."""
    needed = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AZURE_TENANT_ID", "AZURE_CLIENT_ID")
    rather = ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE")
    others = (*rather, "AZURE_TOKEN_CREDENTIALS")
    return all(map(environment.get, needed)) and not any(map(environment.get, others))


def _github_assertion(environment: Mapping[str, str], session: requests.Session) -> str:
    """What GitHub says about this workflow; it is good for minutes, so every acquisition asks again.

    Raises:
        NotAllowedError: GitHub gives none.
        TryAgainError: it does not answer.
    """
    url = environment["ACTIONS_ID_TOKEN_REQUEST_URL"]
    try:
        answer = session.get(
            url + ("&" if "?" in url else "?") + urllib.parse.urlencode({"audience": _GITHUB_AUDIENCE}),
            headers={"Authorization": f"Bearer {environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
            timeout=_GITHUB_SECONDS,
        )
        if answer.ok:
            return str(answer.json()["value"])
    except azure_errors() as error:
        raise explain_unreachable(str(error), "GitHub's token service") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise NotAllowedError(
        f"GitHub gives this workflow no token: it answered {answer.status_code}",
        hint="let the job ask for one: permissions: { id-token: write, contents: read }",
    )
