"""The stand-in cloud's tenant: identities, and the tokens that Entra gives out for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.peers.clock import Clock
from tests.peers.faults import Fault, Faults
from tests.peers.identities import Identity
from tests.peers.stand_in_tls import Authority

__all__ = ["ACR_AUDIENCE", "ARM_AUDIENCES", "Directory"]

ACR_AUDIENCE = "https://containerregistry.azure.net"
ARM_AUDIENCES = frozenset(
    f"https://{host}"
    for host in (
        "management.azure.com",
        "management.core.windows.net",
        "management.chinacloudapi.cn",
        "management.core.usgovcloudapi.net",
    )
)
_STRANGER = "99999999-9999-4999-8999-999999999999"


@dataclass
class Directory:
    """Knows everybody; `tenant` is the only one that the registries trust."""

    authority: Authority
    clock: Clock
    faults: Faults
    tenant: str
    identities: list[Identity]
    token_seconds: int = 3600

    def audiences(self) -> Iterable[str]:
        """For whom Entra gives out tokens."""
        return ARM_AUDIENCES if Fault.ACR_AUDIENCE_OFF in self.faults else ARM_AUDIENCES | {ACR_AUDIENCE}

    def by_client(self, client_id: str) -> Identity | None:
        """The identity with this application id."""
        return next((one for one in self.identities if one.client_id == client_id), None)

    def named(self, name: str) -> Identity:
        """The identity that a test calls so."""
        return next(one for one in self.identities if one.name == name)

    def access_token(self, identity: Identity, audience: str) -> str:
        """What Entra gives out: a JSON Web Token with the claims that Azure's services look at."""
        tenant = _STRANGER if Fault.WRONG_TENANT in self.faults else identity.tenant
        now = self.clock.now()
        return self.authority.sign(
            {
                "aud": audience,
                "iss": f"https://sts.windows.net/{tenant}/",
                "iat": now,
                "nbf": now - 300,
                "exp": now + self.token_seconds,
                "appid": identity.client_id,
                "oid": identity.object_id,
                "sub": identity.object_id,
                "tid": tenant,
                "uti": uuid.uuid4().hex,
                "ver": "1.0",
            }
        )

    def read(self, token: str) -> dict[str, Any] | None:
        """The claims of a token of ours that has not expired."""
        claims = self.authority.verify(token)
        return claims if claims and claims.get("exp", 0) > self.clock.now() else None

    def owner(self, claims: dict[str, Any]) -> Identity | None:
        """Whose token it is."""
        return next((one for one in self.identities if one.object_id == claims.get("oid")), None)
