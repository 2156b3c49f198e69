"""Stands in for Azure Resource Manager: what the container registry client asks of it (API 2025-11-01, section 2)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.peers.acr_settings import AcrSettings
from tests.peers.directory import ARM_AUDIENCES, Directory
from tests.peers.faults import Fault, Faults
from tests.peers.identities import ARM_READERS, ARM_WRITERS, Identity
from tests.peers.request_log import RequestLog
from tests.peers.stand_in_http import Answer, Request, StandIn

__all__ = ["Arm", "ArmCall", "arm_error", "not_allowed"]

PROVIDER = "Microsoft.ContainerRegistry"
_VERSIONS = frozenset({"2025-11-01", "2023-07-01", "2022-12-01", "2016-02-01"})
TASK_VERSIONS = frozenset({"2019-04-01", "2019-06-01-preview", "2025-03-01-preview"})
_NAME = re.compile(r"[A-Za-z0-9]{5,50}")


@dataclass(frozen=True, slots=True)
class ArmCall:
    """A request of somebody who was recognised; `parts` are the groups of the route."""

    request: Request
    identity: Identity
    parts: tuple[str, ...]


Route = Callable[[ArmCall], Answer]


class Arm:
    """One subscription. Other stand-ins add routes with `route`."""

    def __init__(self, directory: Directory, faults: Faults, subscription: str, log: RequestLog) -> None:
        self.directory = directory
        self.faults = faults
        self.subscription = subscription
        self.registries: dict[str, AcrSettings] = {}
        self.create: Callable[[AcrSettings], None] = lambda _: None
        """What makes a login server for a new registry."""
        self.creation_polls = 1
        """How often a creation is still under way when asked."""
        self.provider_registered = True
        self.taken_names = {"taken"}
        """Names of other people's registries."""
        self._routes: list[tuple[str, re.Pattern[str], frozenset[str], Route]] = []
        self._add_routes()
        tls = directory.authority.server_context()
        self.server = StandIn("arm", self._answer, log=log, tls=tls)
        self.url, self.close = self.server.url, self.server.close

    def route(self, method: str, path: str, do: Route, versions: frozenset[str] = _VERSIONS) -> None:
        """Add one; `path` is a regular expression, without regard to case as in Azure."""
        self._routes.append((method, re.compile(path, re.IGNORECASE), versions, do))

    def registry_route(self, method: str, path: str, do: Route, versions: frozenset[str] = _VERSIONS) -> None:
        """Add one below a registry; the groups start with the resource group and its name."""
        base = rf"/subscriptions/{self.subscription}/resourceGroups/([^/]+)/providers/{PROVIDER}/registries/([^/]+)"
        self.route(method, base + path, do, versions)

    def registry(self, call: ArmCall, *, write: bool = False, action: str = "read") -> AcrSettings | Answer:
        """The registry that a call names, or why not."""
        group, name = call.parts[:2]
        found = self.registries.get(name.lower())
        here = found is not None and found.resource_group.lower() == group.lower()
        roles = ARM_WRITERS if write else ARM_READERS
        if self._is_blind(call.identity, name, roles):
            return not_allowed(call, f"{PROVIDER}/registries/{action}")
        if not here or found is None:
            text = f"The Resource '{PROVIDER}/registries/{name}' under resource group '{group}' was not found. "
            return arm_error(
                404, "ResourceNotFound", f"{text}For more details please go to https://aka.ms/ARMResourceNotFoundFix"
            )
        return found

    def _is_blind(self, identity: Identity, name: str, roles: frozenset[str]) -> bool:
        settings = self.registries.get(name.lower())
        blocked = Fault.NO_ARM in self.faults or (settings is not None and Fault.NO_ROLE in settings.faults)
        return blocked or not identity.may(name, roles)

    def _answer(self, request: Request) -> Answer:
        if not request.headers.get("Authorization"):
            answer = arm_error(
                401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
            answer.headers["WWW-Authenticate"] = (
                'Bearer authorization_uri="https://login.example.org/", error="invalid_token"'
            )
            return answer
        claims = self.directory.authority.verify(request.bearer)
        refused = self._refuse(claims)
        identity = self.directory.owner(claims) if claims else None
        if refused is not None or identity is None:
            answer = refused or arm_error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        else:
            answer = self._dispatch(request, identity)
        answer.identity = identity.name if identity else ""
        return answer

    def _refuse(self, claims: dict[str, Any] | None) -> Answer | None:
        if claims is None:
            return arm_error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if str(claims["aud"]).rstrip("/") not in ARM_AUDIENCES:
            text = "The access token has been obtained for wrong audience or resource"
            return arm_error(401, "InvalidAuthenticationTokenAudience", f"{text} '{claims['aud']}'.")
        if claims["exp"] <= self.directory.clock.now():
            text = "The access token expiry UTC time is earlier than current UTC time."
            return arm_error(401, "ExpiredAuthenticationToken", text)
        if claims["tid"] != self.directory.tenant:
            text = (
                f"The access token is from the wrong issuer '{claims['iss']}'. It must match the tenant"
                f" 'https://sts.windows.net/{self.directory.tenant}/' associated with this subscription."
            )
            return arm_error(401, "InvalidAuthenticationTokenTenant", text)
        return None

    def _dispatch(self, request: Request, identity: Identity) -> Answer:
        for method, path, versions, do in self._routes:
            match = path.fullmatch(request.path)
            if match is None or method != request.method:
                continue
            version = request.asked("api-version")
            if not version:
                return arm_error(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
            if version not in versions:
                supported = ",".join(sorted(versions))
                text = f"The api-version '{version}' is invalid. The supported versions are '{supported}'."
                return arm_error(400, "InvalidApiVersionParameter", text)
            return do(ArmCall(request, identity, match.groups()))
        return arm_error(404, "InvalidResourceType", f"Nothing answers to {request.method} {request.path} here")

    def _add_routes(self) -> None:
        below = f"/subscriptions/{self.subscription}"
        self.route("GET", "/subscriptions", self._subscriptions, _VERSIONS | {"2022-12-01", "2021-01-01"})
        self.route("POST", f"{below}/providers/{PROVIDER}/register", self._register)
        self.route("POST", f"{below}/providers/{PROVIDER}/checkNameAvailability", self._check_name)
        self.route("GET", f"{below}/providers/{PROVIDER}/registries", self._list)
        self.route("GET", f"{below}/resourceGroups/([^/]+)/providers/{PROVIDER}/registries", self._list)
        self.route("GET", f"{below}/operationStatuses/create-([^/]+)", self._creation)
        self.registry_route("GET", "", self._get)
        self.registry_route("PUT", "", self._put)
        self.registry_route("POST", "/listCredentials", self._credentials)

    def _subscriptions(self, _: ArmCall) -> Answer:
        one = {
            "id": f"/subscriptions/{self.subscription}",
            "subscriptionId": self.subscription,
            "displayName": "Stand-in",
            "state": "Enabled",
            "tenantId": self.directory.tenant,
        }
        return Answer.of({"value": [one]})

    def _register(self, _: ArmCall) -> Answer:
        self.provider_registered = True
        return Answer.of({"namespace": PROVIDER, "registrationState": "Registered"})

    def _check_name(self, call: ArmCall) -> Answer:
        name = str(call.request.json().get("name", ""))
        if not _NAME.fullmatch(name):
            text = "The registry name must be alpha numeric and between 5 and 50 characters."
            return Answer.of({"nameAvailable": False, "reason": "Invalid", "message": text})
        if name.lower() in self.registries or name.lower() in self.taken_names:
            text = f"The registry {name} is already in use."
            return Answer.of({"nameAvailable": False, "reason": "AlreadyExists", "message": text})
        return Answer.of({"nameAvailable": True})

    def _list(self, call: ArmCall) -> Answer:
        groups = {group.lower() for group in call.parts}
        seen = [
            one.to_json()
            for one in self.registries.values()
            if not self._is_blind(call.identity, one.name, ARM_READERS)
            and (not groups or one.resource_group.lower() in groups)
        ]
        return Answer.of({"value": seen, "nextLink": None})

    def _get(self, call: ArmCall) -> Answer:
        found = self.registry(call)
        return found if isinstance(found, Answer) else Answer.of(found.to_json())

    def _put(self, call: ArmCall) -> Answer:
        group, name = call.parts
        if Fault.NO_ARM in self.faults or not call.identity.may("*", ARM_WRITERS):
            return not_allowed(call, f"{PROVIDER}/registries/write")
        if not self.provider_registered:
            text = f"The subscription is not registered to use namespace '{PROVIDER}'."
            return arm_error(409, "MissingSubscriptionRegistration", text)
        if not _NAME.fullmatch(name):
            return arm_error(400, "InvalidResourceName", f"The resource name '{name}' is not valid.")
        if name.lower() in self.taken_names:
            return arm_error(409, "AlreadyInUse", f"The registry DNS name {name} is already in use.")
        asked = call.request.json()
        settings = self.registries.get(name.lower())
        if settings is None:
            settings = AcrSettings(name, self.subscription, Faults(), group, asked["location"])
            settings.provisioning_state, settings.polls_left = "Creating", self.creation_polls
            self.create(settings)
            self.registries[name.lower()] = settings
        settings.sku = asked["sku"]["name"]
        settings.admin_enabled = bool(asked.get("properties", {}).get("adminUserEnabled", False))
        place = f"{call.request.base}/subscriptions/{self.subscription}/operationStatuses/create-{name.lower()}"
        headers = {"Azure_AsyncOperation": f"{place}?api-version=2025-11-01", "Retry_After": "0"}
        return Answer.of(settings.to_json(), 201, **headers)

    def _creation(self, call: ArmCall) -> Answer:
        settings = self.registries.get(call.parts[0].lower())
        if settings is None:
            return arm_error(404, "NotFound", "There is no such operation.")
        if settings.polls_left > 0:
            settings.polls_left -= 1
        else:
            settings.provisioning_state = "Succeeded"
        return Answer.of({"status": settings.provisioning_state}, Retry_After="0")

    def _credentials(self, call: ArmCall) -> Answer:
        found = self.registry(call, write=True, action="listCredentials/action")
        if isinstance(found, Answer):
            return found
        if not found.admin_enabled or Fault.ADMIN_OFF in found.faults:
            text = (
                f"Cannot perform credential operations for {found.id} as admin user is disabled. Kindly enable admin"
                " user as per docs: https://docs.microsoft.com/en-us/azure/container-registry/"
                "container-registry-authentication#admin-account"
            )
            return arm_error(400, "UnAuthorizedForCredentialOperations", text)
        names = ("password", "password2")
        passwords = [{"name": name, "value": value} for name, value in zip(names, found.admin_passwords, strict=True)]
        return Answer.of({"username": found.name, "passwords": passwords})


def arm_error(status: int, code: str, message: str) -> Answer:
    """As ARM writes errors."""
    answer = Answer.of({"error": {"code": code, "message": message}}, status)
    answer.note = code
    return answer


def not_allowed(call: ArmCall, action: str) -> Answer:
    """Somebody lacks the right to do `action`."""
    who = call.identity
    text = (
        f"The client '{who.client_id}' with object id '{who.object_id}' does not have authorization to perform action"
        f" '{action}' over scope '{call.request.path}' or the scope is invalid. If access was recently granted, please"
        " refresh your credentials."
    )
    return arm_error(403, "AuthorizationFailed", text)


def new_operation() -> str:
    """A name for an operation that takes time."""
    return str(uuid.uuid4())
