"""`importImage` of the stand-in for ARM: manifest and blobs really move from one registry to another."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.peers.acr import Acr
from tests.peers.acr_settings import AcrSettings
from tests.peers.arm import PROVIDER, Arm, ArmCall, arm_error
from tests.peers.faults import Fault
from tests.peers.identities import ARM_READERS
from tests.peers.registry_copy import NotThereError, Place, copy
from tests.peers.stand_in_http import Answer

__all__ = ["ArmImport"]


class _RefusedError(Exception):
    """What the operation says in the end."""


@dataclass(slots=True)
class _Operation:
    polls_left: int
    work: threading.Thread | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Source:
    registry: Acr
    repository: str
    reference: str
    """A tag or a digest."""


class ArmImport:
    """Adds its routes to `arm`."""

    def __init__(self, arm: Arm, registries: Mapping[str, Acr]) -> None:
        self._arm, self._registries = arm, registries
        self._operations: dict[str, _Operation] = {}
        self.polls = 1
        """How often an import is still under way when asked, at least."""
        self.before_copy: Callable[[], None] = lambda: None
        """Called in the middle of each import."""
        arm.registry_route("POST", "/importImage", self._start)
        place = f"/subscriptions/{arm.subscription}/providers/{PROVIDER}/locations/[^/]+/operationResults/(.+)"
        arm.route("GET", place, self._poll)

    def _start(self, call: ArmCall) -> Answer:
        target = self._arm.registry(call, write=True, action="importImage/action")
        if isinstance(target, Answer):
            return target
        asked = call.request.json()
        source = self._source(call, target, asked["source"])
        if isinstance(source, Answer):
            return source
        name = f"registries-{uuid.uuid4()}"
        operation = self._operations[name] = _Operation(self.polls)
        operation.work = threading.Thread(target=self._run, args=(name, operation, source, target, asked), daemon=True)
        operation.work.start()
        return self._still(call, name, target.location)

    def _source(self, call: ArmCall, target: AcrSettings, asked: Mapping[str, Any]) -> _Source | Answer:
        image = str(asked["sourceImage"])
        repository, at, reference = image.partition("@")
        if not at:
            repository, _, reference = image.partition(":")
        if resource := asked.get("resourceId"):
            settings = next((one for one in self._arm.registries.values() if one.id.lower() == resource.lower()), None)
            known = settings is not None and call.identity.may(settings.name, ARM_READERS)
            if settings is None or not known or Fault.IMPORT_FORBIDDEN in target.faults:
                return _linked_scope(call, target, resource)
            return _Source(self._registries[settings.name.lower()], repository, reference or "latest")
        host = str(asked.get("registryUri", "")).removeprefix("https://").rstrip("/")
        registry = self._registries.get(host.partition(".")[0])
        given = asked.get("credentials") or {}
        if registry is None or not registry.tokens.lets_pull(
            given.get("username", ""), given.get("password", ""), repository
        ):
            text = f"Error copying blobs. Error: Get https://{host}/v2/{repository}: unauthorized"
            return arm_error(400, "InvalidParameters", text)
        return _Source(registry, repository, reference or "latest")

    def _run(
        self, name: str, operation: _Operation, source: _Source, target: AcrSettings, asked: Mapping[str, Any]
    ) -> None:
        try:
            self._copy(source, target, asked)
        except _RefusedError as error:
            operation.problem = f"Operation {name} failed. Resource {target.id} {error}"

    def _copy(self, source: _Source, target: AcrSettings, asked: Mapping[str, Any]) -> None:
        there = self._registries[target.name.lower()]
        for side in (source.registry, there):
            if Fault.FIREWALL in side.settings.faults:  # Azure names the target, whichever of the two it is
                text = f"client with IP '20.0.0.1' is not allowed access to {target.login_server}."
                body = f'{{"errors":[{{"code":"DENIED","message":"{text}"}}]}}'
                raise _RefusedError(f"Invalid message Forbidden Forbidden {body}")
        for tag in asked.get("targetTags") or []:
            repository, _, name = str(tag).partition(":")
            place = there.place(repository)
            force = asked.get("mode") == "Force"
            if Fault.TAG_EXISTS in target.faults or (not force and place.digest(name)):
                raise _RefusedError(f"Tag {tag} already exists in target registry.")
            self.before_copy()
            self._copy_one(source, place, [name])
        for repository in asked.get("untaggedTargetRepositories") or []:
            self._copy_one(source, there.place(str(repository)), [])

    def _copy_one(self, source: _Source, target: Place, tags: list[str]) -> None:
        try:
            copy(source.registry.place(source.repository), source.reference, target, tags)
        except NotThereError as error:
            raise _RefusedError(f"Manifest {error} was not found in {source.registry.host}.") from error

    def _poll(self, call: ArmCall) -> Answer:
        operation = self._operations.get(call.parts[0])
        if operation is None or operation.work is None:
            return arm_error(404, "NotFound", "There is no such operation.")
        if operation.polls_left > 0 or operation.work.is_alive():
            operation.polls_left -= 1
            return self._still(call, call.parts[0], "westeurope")
        if operation.problem:
            return arm_error(400, "InvalidParameters", operation.problem)
        return Answer(200)

    def _still(self, call: ArmCall, name: str, location: str) -> Answer:
        provider = f"/subscriptions/{self._arm.subscription}/providers/{PROVIDER}"
        place = f"{provider}/locations/{location}/operationResults/{name}"
        return Answer(
            202,
            headers={
                "Location": f"{call.request.base}{place}?api-version={call.request.asked('api-version')}",
                "Retry-After": "0",
            },
        )


def _linked_scope(call: ArmCall, target: AcrSettings, resource: str) -> Answer:
    who = call.identity
    text = (
        f"The client '{who.client_id}' with object id '{who.object_id}' has permission to perform action"
        f" '{PROVIDER}/registries/importImage/action' on scope '{target.id}'; however, it does not have permission to"
        f" perform action 'read' on the linked scope(s) '{resource}' or the linked scope(s) are invalid."
    )
    return arm_error(403, "LinkedAuthorizationFailed", text)
