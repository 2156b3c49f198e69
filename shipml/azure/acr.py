"""Azure's registries: an Entra token becomes a refresh token, which serves as docker's identity token does.

Flow (Azure/acr, docs/AAD-OAuth.md): Entra token → POST /oauth2/exchange → refresh token (3 h) → POST /oauth2/token →
access token; the last step is every registry client's. The Azure Resource Manager is not asked: AcrPush, which is all
that a push takes, does not include the right to look a registry up there.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections.abc import Callable

from shipml.azure import AudienceRefusedError, Identity, is_acr_host
from shipml.azure.acr_explain import explain, explain_exchange
from shipml.errors import (
    NotAllowedError,
    ShipmlError,
    TryAgainError,
    UntrustedInputError,
)
from shipml.oci.reference import Reference
from shipml.registry.address import Address
from shipml.registry.credentials import Credentials
from shipml.registry.token_service import NULL_GUID, expires_at_seconds, tenant_of
from shipml.registry.transport import (
    Response,
    RetryPolicy,
    Transport,
    read_answer,
)

__all__ = ["AcrKeychain"]

_MARGIN_SECONDS = 600.0
"""So long a token must serve still, to be used for a new push."""
_OK, _UNAUTHORIZED = 200, 401


class AcrKeychain:
    """Implements `registries.keychain.Keychain` for Azure's registries. Nobody signs in before the first of them."""

    def __init__(
        self,
        sign_in: Callable[[str], Identity],
        *,
        hosts: tuple[str, ...] = (),
        required: bool = True,
        retry: RetryPolicy | None = None,
    ) -> None:
        """Sign in with `sign_in` when it is needed.

        Args:
            sign_in: who we are to Azure, given the host of a registry, which tells the cloud.
            hosts: registries that are Azure's although their names do not say so.
            required: whether it is an error that Azure gives no token; else credentials are just not there, as where
                a public image is pulled.
            retry: how patient to be with the registry; None for the usual.
        """
        self._sign_in = sign_in
        self._hosts = frozenset(host.lower() for host in hosts)
        self._required = required
        self._retry = retry or RetryPolicy()
        self._identity: Identity | None = None
        self._known: dict[str, Credentials] = {}
        self._failed: dict[str, NotAllowedError] = {}
        self._lock = threading.RLock()

    def credentials(self, reference: Reference) -> Credentials:
        """A refresh token of the registry, the same until shortly before it expires; none for other registries.

        Raises:
            NotAllowedError: nobody is logged in to Azure, or Azure refuses.
            TryAgainError: Entra or the registry does not answer.
        """
        host = reference.registry.lower()
        if not self.knows(host):
            return Credentials()
        with self._lock:
            known = self._known.get(host)
            if known and expires_at_seconds(known.identity_token) - time.time() > _MARGIN_SECONDS:
                return known
            return self._mint(host)

    def renew(self, reference: Reference, refused: Credentials) -> Credentials | None:
        """Another refresh token: one that another thread has got meanwhile, or a new one.

        Raises:
            NotAllowedError: as `credentials`.
            TryAgainError: as `credentials`.
        """
        host = reference.registry.lower()
        if not self.knows(host):
            return None
        with self._lock:
            known = self._known.get(host)
            if known and known.identity_token != refused.identity_token:
                return known
            try:
                return self._mint(host) or None
            except NotAllowedError:
                if known is None:  # what was refused is not ours: that it was says more than that we have nothing
                    return None
                raise

    def knows(self, host: str) -> bool:
        """Whether a registry is one of Azure's."""
        return host.lower() in self._hosts or is_acr_host(host)

    def _mint(self, host: str) -> Credentials:
        self._known.pop(host, None)
        try:
            if host in self._failed:
                raise self._failed[host]
            if self._identity is None:
                self._identity = self._sign_in(host)
            token = self._exchange(host, self._identity)
        except NotAllowedError as error:
            self._failed[host] = error
            if self._required:
                raise
            return Credentials(problem=error.message)
        self._known[host] = Credentials(self._identity.name, NULL_GUID, identity_token=token)
        return self._known[host]

    def _exchange(self, host: str, who: Identity) -> str:
        """The registry's refresh token for the first audience that both Entra and the registry accept."""
        refusals: list[ShipmlError] = []
        for scope in who.cloud.registry_scopes:
            try:
                entra = who.token(scope).value
            except AudienceRefusedError as error:
                refusals.append(error)
                continue
            answer = self._post(host, entra, who.tenant)
            if answer.status == _OK:
                return _refresh_token(answer, host)
            refusals.append(explain_exchange(answer, host, who, entra))
            if answer.status != _UNAUTHORIZED:  # no other audience would help
                break
        # What the registry says tells more than that Entra lacks one of the audiences.
        raise next((one for one in refusals if not isinstance(one, AudienceRefusedError)), refusals[0])

    def _post(self, host: str, entra: str, tenant: str) -> Response:
        address = Address.of(host)
        transport = Transport(address, self._retry)
        url = f"{address.url}/oauth2/exchange"
        fields = {"grant_type": "access_token", "service": host, "access_token": entra}
        if tenant:  # it may be typed as a domain, where the registry wants the id
            fields["tenant"] = tenant_of(entra) or tenant
        form = urllib.parse.urlencode(fields).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            return transport.with_retries(lambda: read_answer(transport.send("POST", url, headers, form), url))
        except TryAgainError as error:
            raise error.worded(hint=explain(error, Reference(host, ""), Credentials())) from error


def _refresh_token(answer: Response, host: str) -> str:
    try:
        token = json.loads(answer.data)["refresh_token"]
    except (ValueError, KeyError, TypeError, RecursionError):  # its text may quote the token
        token = None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise UntrustedInputError(f"{host} did not answer with a token")
    return token
