"""A plain HTTP client that goes the way to the stand-ins: for tests of themselves, and to ask them as others would."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from tests.peers.acr import Acr
from tests.peers.azure_cloud import AzureCloud
from tests.peers.directory import ACR_AUDIENCE

__all__ = ["Asking", "basic"]


def basic(user: str, password: str) -> dict[str, str]:
    """The header that carries them."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


class Asking:
    """`with` closes its connections."""

    def __init__(self, cloud: AzureCloud) -> None:
        self._cloud = cloud
        self._http = urllib3.ProxyManager(
            cloud.way.url, ca_certs=str(cloud.authority.certificate), retries=False, timeout=urllib3.Timeout(30)
        )

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.clear()

    def ask(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """One request, redirects not followed."""
        return self._http.request(method, url, redirect=False, **options)

    def post(self, url: str, form: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """A form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.ask("POST", url, body=urlencode(form), headers=headers)

    def arm(self, method: str, path: str, identity: str = "developer", **options: Any) -> urllib3.BaseHTTPResponse:
        """A request to ARM, below the subscription."""
        token = self._cloud.directory.access_token(self._cloud.identity(identity), "https://management.azure.com")
        url = f"https://management.azure.com/subscriptions/{self._cloud.subscription}{path}"
        return self.ask(method, url, headers={"Authorization": f"Bearer {token}"}, **options)

    def exchange(self, acr: Acr, identity: str, audience: str = ACR_AUDIENCE, **more: str) -> urllib3.BaseHTTPResponse:
        """An Entra token for a refresh token of a registry."""
        token = self._cloud.directory.access_token(self._cloud.identity(identity), audience)
        form = {"grant_type": "access_token", "service": acr.host, "access_token": token} | more
        return self.post(f"{acr.url}/oauth2/exchange", form)

    def refresh_token(self, acr: Acr, identity: str) -> str:
        """Of a registry."""
        return str(self.exchange(acr, identity).json()["refresh_token"])

    def access(self, acr: Acr, identity: str, scope: str) -> urllib3.BaseHTTPResponse:
        """An access token for a scope."""
        form = {"grant_type": "refresh_token", "service": acr.host, "scope": scope}
        return self.post(f"{acr.url}/oauth2/token", form | {"refresh_token": self.refresh_token(acr, identity)})

    def bearer(self, acr: Acr, identity: str, scope: str) -> dict[str, str]:
        """The header that carries such a token."""
        return {"Authorization": f"Bearer {self.access(acr, identity, scope).json()['access_token']}"}
