"""One container of an engine, which is always removed: at the end, on Ctrl-C, and when this process is killed."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import queue
import re
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from shipml.docker_engine.engine import Engine
from shipml.docker_engine.explain import engine_gone
from shipml.docker_engine.guard import Guard
from shipml.docker_engine.ports import PublishedPort
from shipml.errors import ConfigurationError, ShipmlError

if TYPE_CHECKING:  # brings the SDK
    from shipml.docker_engine.sdk import Attached

__all__ = ["Container", "ContainerOptions", "sweep"]

_LABEL = "shipml.run-by"
_NANO = 1_000_000_000
_STDOUT = 1
_PUT_SECONDS = 0.2
_JOIN_SECONDS = 2.0
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_NOT_STARTED = re.compile(
    r"exec: .*|executable file .*not found.*|exec(?:ve)? .*(?:no such file|permission denied|format error).*",
    re.IGNORECASE,
)
_TAIL = re.compile(r"(?:: unknown|: OCI .*)?[) ]*$")

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """What a container is made with."""

    command: tuple[str, ...] = ()
    """Instead of the image's own; () runs that."""
    without_entrypoint: bool = False
    """Whether `command` is all that runs."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    network: Literal["none", "bridge", "host"] = "none"
    ports: tuple[PublishedPort, ...] = ()
    """Published on 127.0.0.1 of the engine's machine; only with the network "bridge"."""
    memory_bytes: int | None = None
    shared_memory_bytes: int = 64 << 20
    """Size of /dev/shm."""
    cpus: float | None = None
    gpus: str = ""
    """"all", a number, or "device=0,1", as `docker run --gpus` takes it; "" for none."""
    volumes: tuple[str, ...] = ()
    """`/on/the/engine:/in/the/container[:ro]`, or a volume's name instead of the first path."""
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Path below the root → content: they are in the container, never in the image."""


class Container:
    """Implements `runtimes.program.Program`. Leaving the `with` block removes it."""

    def __init__(self, engine: Engine, image: str, options: ContainerOptions) -> None:
        self.started_at: float | None = None
        self.exit_code: int | None = None
        self.out_of_memory = False
        self.too_many_processes = False
        self.cause = ""
        self._engine = engine
        self._image = image
        self._options = options
        self._shown = image.removeprefix("sha256:")[:12] if image.startswith("sha256:") else image
        self._name = f"shipml-run-{os.urandom(6).hex()}"
        self._output: queue.Queue[tuple[Stream, bytes] | None] = queue.Queue(maxsize=256)
        self._attached: Attached | None = None
        self._reader: threading.Thread | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self._guard = Guard(self._engine.endpoint, self._name)
        try:
            self._create()
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._remove()

    def _remove(self) -> None:
        removed = False
        try:
            with contextlib.suppress(ShipmlError):  # the engine has gone: the guard tries on, the next run sweeps
                self._engine.remove_container(self._name)
                removed = True
            self._detach()
        finally:
            self._guard.release(done=removed)

    def _detach(self) -> None:
        self._closed.set()
        if self._reader:
            self._reader.join(_JOIN_SECONDS)  # the container is gone, so its output has an end
        if self._attached:
            self._attached.close()

    def _create(self) -> None:
        sdk, options = self._engine.sdk, self._options
        bindings = _bindings(options.ports)
        with sdk.doing(f"make a container of {self._shown}"):
            host = sdk.api.create_host_config(
                network_mode=options.network,
                port_bindings=bindings or None,
                mem_limit=options.memory_bytes,
                memswap_limit=options.memory_bytes,  # no swap on top
                shm_size=options.shared_memory_bytes,
                nano_cpus=round(options.cpus * _NANO) if options.cpus else None,
                device_requests=[_gpu_request(options.gpus)] if options.gpus else None,
                binds=list(options.volumes) or None,
            )
            sdk.api.create_container(
                self._image,
                command=list(options.command) or None,
                entrypoint=[""] if options.without_entrypoint else None,  # the API's word for none
                name=self._name,
                environment=dict(options.environment),
                labels={_LABEL: f"{platform.node()}/{os.getpid()}"},
                ports=list(bindings) or None,
                host_config=host,
            )
            if options.files:
                sdk.api.put_archive(self._name, "/", _tar(options.files))

    def _start(self) -> None:
        sdk = self._engine.sdk
        try:
            with sdk.doing(f"run {self._shown}"):  # podman makes the process already when someone attaches
                self._attached = sdk.attach(self._name)
                self.started_at = time.monotonic()
                sdk.api.start(self._name)
        except ShipmlError as error:
            if not (found := _NOT_STARTED.search(error.said)):
                raise
            self.cause = _TAIL.sub("", found[0], count=1)
            self.exit_code = _NOT_EXECUTABLE if "permission denied" in self.cause.lower() else _NOT_FOUND
            self._hand_on(None)
            return
        self._reader = threading.Thread(target=self._read, args=(self._attached,), name="container-output", daemon=True)
        self._reader.start()

    def _read(self, output: Attached) -> None:
        try:
            with self._engine.sdk.doing("send the container's output"):
                for number, data in output:
                    self._hand_on("stdout" if number == _STDOUT else "stderr", data)
        except ShipmlError:
            pass  # the engine has gone: whoever asks for the ending is told
        finally:
            self._hand_on(None)

    def _hand_on(self, stream: Stream | None, data: bytes = b"") -> None:
        """Put into the queue, unless nobody listens any more."""
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._output.put((stream, data) if stream else None, timeout=_PUT_SECONDS)
                return

    def host_port(self, container_port: int) -> int:
        """The port of 127.0.0.1 that leads to a published one; 0 where the program has ended.

        Raises:
            ShipmlError: the engine went away.
        """
        with self._engine.sdk.doing("say where a port is published"):
            bindings = self._engine.sdk.api.port(self._name, container_port) or ()
        return next((int(binding["HostPort"]) for binding in bindings), 0)

    def listen(self, timeout_seconds: float | None, received: Callable[[Stream, bytes], None]) -> bool:
        """Hand on output until the program and its output have ended (True) or the time is over (False).

        Raises:
            TryAgainError: the engine went away.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            try:
                item = self._output.get(timeout=left)
            except queue.Empty:
                return False
            if item is None:
                self._output.put(None)  # who listens again is told again
                self._learn_ending()
                return True
            received(*item)

    def _learn_ending(self) -> None:
        if self.exit_code is not None:
            return
        sdk = self._engine.sdk
        with sdk.doing("say how the program ended"):
            status = sdk.stream.wait(self._name)["StatusCode"]
            state: dict[str, Any] = sdk.api.inspect_container(self._name)["State"]
        self.exit_code = int(status)
        self.out_of_memory = bool(state.get("OOMKilled"))

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the program itself; one that has ended is left in peace."""
        with contextlib.suppress(ShipmlError), self._engine.sdk.doing("signal the program"):
            self._engine.sdk.api.kill(self._name, signal=number.name)

    def require_ending(self) -> None:
        """Raise TryAgainError where the engine could not say how the program ended."""
        if self.exit_code is None:
            raise engine_gone("say how the program ended", self._engine.endpoint)


def sweep(engine: Engine) -> None:
    """Remove what runs of this machine left that were killed together with their guards."""
    with engine.sdk.doing("list its containers"):
        found = engine.sdk.api.containers(all=True, filters={"label": _LABEL})
    for container in found:
        machine, _, process = str((container.get("Labels") or {}).get(_LABEL, "")).rpartition("/")
        if machine == platform.node() and process.isdecimal() and not _is_alive(int(process)):
            engine.remove_container(container["Id"])


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _bindings(ports: tuple[PublishedPort, ...]) -> dict[int, list[tuple[str, int | None]]]:
    bindings: dict[int, list[tuple[str, int | None]]] = {}
    for port in ports:
        bindings.setdefault(port.container_port, []).append(("127.0.0.1", port.host_port))
    return bindings


def _gpu_request(gpus: str) -> dict[str, Any]:
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]]}
    if gpus == "all":
        return request | {"Count": -1}
    if gpus.isdecimal() and int(gpus) > 0:
        return request | {"Count": int(gpus)}
    if gpus.startswith("device="):
        return request | {"DeviceIDs": gpus.removeprefix("device=").split(",")}
    raise ConfigurationError(f"{gpus!r} does not name GPUs", hint="use --gpus all, --gpus 2 or --gpus device=0,1")


def _tar(files: Mapping[str, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, text in sorted(files.items()):
            data = text.encode(errors="surrogateescape")
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()
