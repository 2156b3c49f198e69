"""Runs an image on the user's Docker Engine, as `docker run` would, and judges it as the sandbox does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Literal

from shipml.docker_engine.container import Container, ContainerOptions, sweep
from shipml.docker_engine.engine import Engine
from shipml.docker_engine.loading import load_image, manifests_in
from shipml.docker_engine.ports import PublishedPort
from shipml.errors import ConfigurationError, UnavailableError
from shipml.events import Emit, Notice, ignore
from shipml.oci.digest import Digest
from shipml.oci.image import Image, platform_of, read_config
from shipml.oci.manifest import Platform
from shipml.runtimes.asking.questions import questions
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.host_network import host_network
from shipml.runtimes.reach import Published, Running
from shipml.runtimes.server_probe import ServerProbe
from shipml.runtimes.smoke import is_found, validate
from shipml.runtimes.supervise import (
    attend,
    mib,
    require_free,
    server_port,
)
from shipml.store import Store

__all__ = ["DockerRuntime"]

_DOCKERS_OWN_FILES = ("etc/hosts", "etc/resolv.conf")


class DockerRuntime:
    """Implements `runtimes.base.Runtime`.

    The program has no network, unless the check asks for it or for a server, or a port is published. A server's port is
    published on 127.0.0.1; an engine without bridge network lends its machine's network instead.
    """

    name = "docker"

    def __init__(self, engine: Engine, store: Store | None = None) -> None:
        """With `store`, what the engine has of earlier images is not sent again to containerd's store."""
        self._engine = engine
        self._manifest_of = manifests_in(store) if store else lambda _: None

    def check(self, image: Image) -> None:
        """Raise UnavailableError where the engine's machine is of another kind than the image."""
        self._require_platform(platform_of(image))

    def run(self, image: Image, options: RunOptions, emit: Emit = ignore) -> SmokeResult:
        """See `runtimes.base.Runtime.run`; an image that the engine lacks is loaded, without a name.

        Raises:
            TryAgainError: the engine went away.
            UnavailableError: no GPU, or a port is taken.
            ConfigurationError: the image has no command, or the check makes no sense.
        """
        validate(options.check)
        load_image(self._engine, image, (), emit, manifest_of=self._manifest_of)
        config: dict[str, Any] = read_config(image).get("config") or {}
        return self._run(str(self._engine.id_of(image)), image.digest, config, options, emit)

    @contextmanager
    def running(self, image: Image, options: RunOptions, emit: Emit = ignore) -> Iterator[Running]:
        """See `runtimes.base.Runtime.running`; errors as of `run`, and the engine must be one of this machine."""
        if not self._engine.endpoint.is_local:
            raise UnavailableError(
                f"cannot serve the program here: the Docker Engine at {self._engine.endpoint} is another machine",
                hint="use an engine of this machine, or --runtime sandbox",
            )
        load_image(self._engine, image, (), emit, manifest_of=self._manifest_of)
        config: dict[str, Any] = read_config(image).get("config") or {}
        own = dict(variable.partition("=")[::2] for variable in config.get("Env") or ())
        wanted = server_port(options.check.port, config, {**own, **options.environment}, options.environment)
        sweep(self._engine)
        prepared, port = self._prepare(config, replace(options, ports=(PublishedPort(wanted),)), emit)
        with Container(self._engine, str(self._engine.id_of(image)), prepared) as program:
            yield Running(program, Published(program.host_port(port) if prepared.ports else port))

    def run_named(self, name: str, options: RunOptions, emit: Emit = ignore) -> SmokeResult:
        """Run an image that only the engine has, by reference or id.

        Raises:
            UsageError: it has no such image.
            ShipmlError: as `run`.
        """
        validate(options.check)
        image = self._engine.image(name)
        self._require_platform(image.platform)
        return self._run(str(image.id), image.digest, image.config, options, emit)

    def _require_platform(self, platform: Platform) -> None:
        here = self._engine.platform
        if platform != here:
            raise UnavailableError(
                f"cannot run here: the image is for {platform}, the Docker Engine runs {here}",
                hint=f"run it on a {platform} machine, or build for this one: shipml build --platform {here}",
            )

    def _run(
        self, image_id: str, digest: Digest, config: Mapping[str, Any], options: RunOptions, emit: Emit
    ) -> SmokeResult:
        if not (options.check.command or config.get("Cmd") or config.get("Entrypoint")):
            raise ConfigurationError(
                "the image has no command", hint="name one after `--`, such as: shipml run IMAGE -- python app.py"
            )
        if options.gpus and self._engine.is_podman:  # it would run the program without, and say nothing
            raise UnavailableError(
                "podman gives no GPU through its docker socket",
                hint="use a Docker Engine, or run it by hand: podman run --device nvidia.com/gpu=all IMAGE",
            )
        sweep(self._engine)
        prepared, port = self._prepare(config, options, emit)
        with ExitStack() as stack:
            program = stack.enter_context(Container(self._engine, image_id, prepared))
            self._tell_ports(program, prepared, options, emit)
            probe = None
            if options.check.http:
                reached = program.host_port(port) if prepared.ports else port
                probe = _server_probe(reached or port, options)
            return attend(program, probe, options, emit, digest=digest, runtime=self.name)

    def _prepare(self, config: Mapping[str, Any], options: RunOptions, emit: Emit) -> tuple[ContainerOptions, int]:
        check = options.check
        environment = dict(variable.partition("=")[::2] for variable in config.get("Env") or ())
        added: dict[str, str] = {}
        files: dict[str, str] = {}
        if check.network:
            access = host_network()
            files = {path: text for path, text in access.files.items() if path not in _DOCKERS_OWN_FILES}
            added.update(access.environment)
        added.update(options.environment)
        port = server_port(check.port, config, environment | added, options.environment)
        network = self._network(port, options, emit)
        if options.memory_bytes:
            emit(Notice(f"memory is limited to {mib(options.memory_bytes)}, by the Docker Engine"))
        prepared = ContainerOptions(
            command=check.command,
            without_entrypoint=options.is_whole_command,
            environment=added,
            network=network,
            memory_bytes=options.memory_bytes,
            shared_memory_bytes=options.shared_memory_bytes,
            cpus=options.cpus,
            gpus=options.gpus,
            volumes=options.volumes,
            files=files,
        )
        return (replace(prepared, ports=_all_ports(port, options)) if network == "bridge" else prepared), port

    def _network(self, port: int, options: RunOptions, emit: Emit) -> Literal["none", "bridge", "host"]:
        check = options.check
        if not (check.http or check.network or options.ports):
            return "none"
        if check.http and not self._engine.endpoint.is_local:
            raise UnavailableError(
                f"cannot ask the program's server: the Docker Engine at {self._engine.endpoint} is another machine",
                hint="use an engine of this machine, or --runtime sandbox",
            )
        if self._engine.has_bridge:
            return "bridge"
        emit(Notice("the Docker Engine has no bridge network: the program runs in the network of the engine's machine"))
        if check.http:
            require_free(port)
        return "host"

    def _tell_ports(self, program: Container, prepared: ContainerOptions, options: RunOptions, emit: Emit) -> None:
        machine = "this machine" if self._engine.endpoint.is_local else "the engine's machine"
        for port in options.ports:
            if prepared.network == "host":
                mapped = port.host_port not in {None, port.container_port}
                emit(
                    Notice(
                        f"port {port.container_port} is the same port of {machine}: without bridge network it is"
                        " neither mapped to another nor kept to 127.0.0.1",
                        "warning" if mapped else "info",
                    )
                )
            elif host_port := port.host_port or program.host_port(port.container_port):
                emit(Notice(f"port {port.container_port} of the program is 127.0.0.1:{host_port} of {machine}"))


def _server_probe(port: int, options: RunOptions) -> ServerProbe:
    check = options.check
    return ServerProbe(
        None,
        port,
        check.http,
        any_answer=check.any_answer,
        questions=questions(check, options.environment, is_found),
        timeout_seconds=check.timeout_seconds,
    )


def _all_ports(asked: int, options: RunOptions) -> tuple[PublishedPort, ...]:
    """Those that the user publishes, and the one that the check asks where it is not among them."""
    if not options.check.http or any(port.container_port == asked for port in options.ports):
        return options.ports
    return (*options.ports, PublishedPort(asked))
