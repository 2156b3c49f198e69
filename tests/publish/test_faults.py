"""Each request of a push in turn meets each fault: the image is whole or absent, and a second push completes it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from shipml.errors import NotAllowedError, ShipmlError, TryAgainError
from shipml.oci.image import Image
from shipml.publish.transfer import copy_image
from shipml.registry.client import RegistryClient
from shipml.registry.keychain import DockerKeychain
from shipml.registry.transport import RetryPolicy
from tests.fault_cases import CountCases
from tests.peers.fault_proxy import Fault, FaultProxy, Seen
from tests.peers.registry import Registry, start_registry
from tests.publish.pushing import look_at, made_image, named, new_name

pytestmark = [pytest.mark.engine]

QUICK = RetryPolicy(attempts=3, first_seconds=0.001, longest_seconds=0.002, timeout_seconds=20)
SHORT = RetryPolicy(attempts=5, first_seconds=0.001, longest_seconds=0.002, timeout_seconds=0.2)
"""Gives up waiting for an answer soon: for stalls, and nothing else, since a busy machine is slow, too."""

PASSING = [
    Fault("status", 429, {"Retry-After": "0"}),
    Fault("status", 429),
    Fault("status", 500),
    Fault("status", 503, {"Retry-After": "0"}),
    Fault("reset"),
    Fault("lose-answer"),
    Fault("cut-request"),
    Fault("cut-answer"),
    Fault("stall"),
]
"""Faults that a push must survive when they happen once."""

LASTING = {
    Fault("status", 401, {"WWW-Authenticate": 'Basic realm="x"'}): NotAllowedError,
    Fault("status", 403): NotAllowedError,
    Fault("status", 429, {"Retry-After": "9999"}): TryAgainError,
    Fault("status", 503): TryAgainError,
    Fault("reset"): TryAgainError,
    Fault("lose-answer"): TryAgainError,
    Fault("cut-answer"): TryAgainError,
    Fault("stall"): TryAgainError,
}
"""What a push ends with when a fault does not pass."""

PATIENT = RetryPolicy(attempts=12, first_seconds=0.02, longest_seconds=0.2, timeout_seconds=2)
"""Outlasts the restart of a registry."""


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[FaultProxy, Registry, Image]]:
    """A registry of these tests' own, which is killed in the middle; the proxy; an image of three tiny layers."""
    with start_registry() as registry, FaultProxy(registry.host) as proxy:
        yield proxy, registry, made_image()


@pytest.fixture
def scene(made: tuple[FaultProxy, Registry, Image]) -> Scene:
    """Nobody is hurt yet."""
    made[0].heal()
    return Scene(*made)


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, the registry that it is pushed to, and the proxy between."""

    proxy: FaultProxy
    registry: Registry
    image: Image

    def push(self, repository: str, *, at_once: int = 1, retry: RetryPolicy = QUICK) -> None:
        """With a client of its own, as a command does; one request after the other unless told otherwise."""
        keychain = DockerKeychain(environment={"DOCKER_CONFIG": "/nonexistent"}, home=Path("/nonexistent"))
        client = RegistryClient(self.proxy.host, keychain, retry=retry)
        copy_image(self.image, named(self.proxy.host, repository), client, at_once=at_once)

    def push_through(self, fault: Fault, repository: str) -> None:
        """Push while a fault waits somewhere."""
        self.push(repository, retry=SHORT if fault.kind == "stall" else QUICK)

    def outcome(self, repository: str) -> ShipmlError | None:
        """How a push ends."""
        try:
            self.push(repository)
        except ShipmlError as error:
            return error
        return None

    def look(self, repository: str) -> str:
        """Whether the image is "whole" or "absent" there; the proxy has no part in it."""
        return look_at(self.registry, repository, "1", self.image)

    def complete(self, repository: str) -> None:
        """A second push, which meets nothing, makes the image whole."""
        self.proxy.heal()
        self.push(repository)
        assert self.look(repository) == "whole"

    def asked(self) -> list[Seen]:
        """The requests of a push that meets no fault."""
        self.push(new_name())
        seen = self.proxy.seen
        self.proxy.heal()
        return seen


class Crash:
    """Kills the registry at the n-th request of a push, and starts it again."""

    def __init__(self, proxy: FaultProxy, registry: Registry, number: int) -> None:
        self._registry = registry
        self._number = number
        self._reached = threading.Event()
        proxy.on_request = self._on_request

    def _on_request(self, seen: Seen) -> None:
        if seen.number == self._number:
            self._registry.kill()
            self._reached.set()

    def during(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread, while the crash is mended in this one: only the main thread may start peers."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(work)
            assert self._reached.wait(20)
            self._registry.start()
            done.result(30)


@pytest.mark.parametrize("fault", PASSING, ids=str)
def test_what_passes_is_survived(fault: Fault, scene: Scene, count_cases: CountCases) -> None:
    """A fault that one request meets once costs another request, never the push."""
    asked = scene.asked()
    numbers = range(1, len(asked) + 1, 3 if fault.kind == "stall" else 1)  # each costs all patience
    for number in numbers:
        repository = new_name()
        scene.proxy.hurt(fault, number=number)
        scene.push_through(fault, repository)
        assert scene.look(repository) == "whole", asked[number - 1]
        scene.proxy.heal()
    count_cases(len(numbers))


@pytest.mark.parametrize(("fault", "error"), LASTING.items(), ids=[f"{fault}-{n}" for n, fault in enumerate(LASTING)])
def test_what_lasts_ends_the_push(
    fault: Fault, error: type[ShipmlError], scene: Scene, count_cases: CountCases
) -> None:
    """A fault that stays ends with the exit code for it and leaves nothing half-visible; a second push completes it."""
    asked = scene.asked()
    numbers = range(1, len(asked) + 1, 5 if fault.kind == "stall" else 1)  # each costs all patience, five times
    for number in numbers:
        repository = new_name()
        scene.proxy.hurt(fault, since=number, times=math.inf)
        with pytest.raises(error) as caught:
            scene.push_through(fault, repository)
        assert type(caught.value).exit_code == error.exit_code
        assert caught.value.hint
        if fault.kind not in ("lose-answer", "cut-answer"):  # there the manifest may have arrived
            assert scene.look(repository) == "absent"
        scene.complete(repository)
    count_cases(len(numbers))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}'),
        Fault("status", 404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}'),
        Fault("status", 401),
        Fault("status", 403, body=b'{"errors":[{"code":"DENIED"}]}'),
        Fault("status", 400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}'),
        Fault("status", 416),
        Fault("wrong-digest"),
        Fault("damage"),
        Fault("status", 200, body=b"<html>a hotel's login page</html>"),
    ],
    ids=["404-name", "404-upload", "401", "403", "400", "416", "wrong-digest", "damage", "login-page"],
)
def test_what_is_wrong_once(fault: Fault, scene: Scene, count_cases: CountCases) -> None:
    """A wrong answer to one request ends in an error that says what to do, or in a whole image; never in between."""
    asked = scene.asked()
    for number in range(1, len(asked) + 1):
        repository = new_name()
        scene.proxy.hurt(fault, number=number)
        error = scene.outcome(repository)
        found = scene.look(repository)
        assert error or found == "whole", asked[number - 1]
        assert error is None or error.hint
        if error and fault.status in (401, 403):
            assert isinstance(error, NotAllowedError)
        if error:
            scene.complete(repository)
        scene.proxy.heal()
    count_cases(len(asked))


@pytest.mark.parametrize("fault", [fault for fault in PASSING if fault.kind != "stall"], ids=str)
def test_lanes_meet_faults_together(fault: Fault, scene: Scene, count_cases: CountCases) -> None:
    """With four lanes at work every fifth request meets a fault, and the image still arrives whole."""
    for first in (1, 2, 3):
        repository = new_name()
        for number in range(first, 100, 5):
            scene.proxy.hurt(fault, number=number)
        scene.push(repository, at_once=4, retry=replace(QUICK, attempts=8))
        assert scene.look(repository) == "whole"
        scene.proxy.heal()
    count_cases(3)


def test_tokens_expire_in_the_middle(scene: Scene, count_cases: CountCases) -> None:
    """However few requests a token is good for, the push gets new ones and ends well."""
    for uses in range(1, 12):
        repository = new_name()
        scene.proxy.token_uses = uses
        scene.push(repository)
        assert scene.look(repository) == "whole"
        scene.proxy.heal()
    count_cases(11)


def test_the_token_service_fails(scene: Scene, count_cases: CountCases) -> None:
    """What passes is survived by the requests for tokens too; a service that stays away means "try again"."""
    for fault in PASSING:
        repository = new_name()
        scene.proxy.token_uses = 1000
        scene.proxy.hurt(fault, path="^/token")
        scene.push_through(fault, repository)
        assert scene.look(repository) == "whole"
        scene.proxy.heal()
    scene.proxy.token_uses = 1000
    scene.proxy.hurt(Fault("status", 503), path="^/token", times=math.inf)
    with pytest.raises(TryAgainError):
        scene.push(new_name())
    count_cases(len(PASSING) + 1)


def test_the_registry_crashes(scene: Scene, count_cases: CountCases) -> None:
    """A registry that is killed at any request and comes back forgets its upload sessions; the push goes on."""
    asked = scene.asked()
    chosen = [seen.number for seen in asked if seen.method in ("POST", "PATCH", "PUT")]
    for number in chosen[1::3] + chosen[-1:]:
        repository = new_name()
        crash = Crash(scene.proxy, scene.registry, number)
        crash.during(lambda name=repository: scene.push(name, retry=PATIENT))  # type: ignore[misc]
        assert scene.look(repository) == "whole", asked[number - 1]
        scene.proxy.heal()
    count_cases(len(chosen[1::3]) + 1)
