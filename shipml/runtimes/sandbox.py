"""Runs an image on this machine's own kernel: Linux namespaces over an overlay of the layers. No engine, no root."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError, UnavailableError
from shipml.events import Emit, Notice, ignore
from shipml.oci.image import Image, platform_of, read_config
from shipml.oci.manifest import Platform
from shipml.runtimes.accounts import resolve_user
from shipml.runtimes.asking.questions import questions
from shipml.runtimes.base import RunOptions, SmokeResult, command_of
from shipml.runtimes.host_network import HOSTS, host_network
from shipml.runtimes.identity import identity_for
from shipml.runtimes.inside.protocol import DEFAULT_PATH, Spec
from shipml.runtimes.memory import limit_memory
from shipml.runtimes.mount_point import mount_point
from shipml.runtimes.reach import InSandbox, Running
from shipml.runtimes.sandbox_errors import WAY_OUT
from shipml.runtimes.sandbox_network import SandboxNetwork
from shipml.runtimes.sandbox_process import Confined
from shipml.runtimes.server_probe import ServerProbe
from shipml.runtimes.smoke import is_found, validate
from shipml.runtimes.supervise import (
    attend,
    mib,
    require_free,
    server_port,
)
from shipml.store import Store
from shipml.store.trees import layer_trees, read_small_file

__all__ = ["Sandbox", "require_sandbox"]

_ONE_USER = (
    "in this sandbox the program's user owns root's files too, so it may write where Docker would not let it; "
    "to make them two users, install newuidmap (Debian: uidmap) and give yours ranges in /etc/subuid and /etc/subgid"
)


class Sandbox:
    """Implements `runtimes.base.Runtime`."""

    name = "sandbox"

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, image: Image) -> None:
        """Raise UnavailableError where this machine cannot run the image; tries a sandbox once after each boot."""
        _require_linux()
        platform, here = platform_of(image), Platform.of_this_machine()
        if platform != here:
            raise UnavailableError(
                f"cannot run here: the image is for {platform}, this machine is {here}",
                hint=f"run it on a {platform} machine, or build for this one: shipml build --platform {here}",
            )
        require_sandbox(self._store)

    def run(self, image: Image, options: RunOptions, emit: Emit = ignore) -> SmokeResult:
        """See `runtimes.base.Runtime.run`.

        Raises:
            UnavailableError: sandboxes do not work here.
            ConfigurationError: the image's user is unknown, it has no command, or the check makes no sense.
            UntrustedInputError: a layer is broken or hostile.
        """
        validate(options.check)
        with self._started(image, options, emit) as (program, port, ran_out):
            probe = _server_probe(program, port, options)
            return attend(
                program,
                probe,
                options,
                emit,
                digest=image.digest,
                runtime=self.name,
                command=command_of(read_config(image).get("config") or {}, options),
                ran_out=ran_out,
                listening=lambda: _listening(program),
            )

    @contextlib.contextmanager
    def running(self, image: Image, options: RunOptions, emit: Emit = ignore) -> Iterator[Running]:
        """See `runtimes.base.Runtime.running`; errors as of `run`."""
        with self._started(image, options, emit) as (program, port, _):
            network = SandboxNetwork(program.probe)
            try:
                yield Running(program, InSandbox(network, port))
            finally:
                network.close()

    @contextlib.contextmanager
    def _started(
        self, image: Image, options: RunOptions, emit: Emit
    ) -> Iterator[tuple[Confined, int, Callable[[], bool]]]:
        """The program, where its server is expected, and whether its memory limit was reached."""
        if options.cpus or options.gpus or options.volumes or options.ports:
            raise UnavailableError(
                "the sandbox has no GPUs, no volumes, no published ports and no limit of CPU time",
                hint="run it with --runtime docker",
            )
        spec, port = self.prepare(image, options, emit)
        group = None
        if options.memory_bytes:
            group = limit_memory(options.memory_bytes)
            spec = (
                replace(spec, cgroup=str(group.folder)) if group else replace(spec, memory_bytes=options.memory_bytes)
            )
            keeper = (
                f"enforced by the kernel (cgroup v{group.version})" if group else "checked by shipml 20 times a second"
            )
            emit(Notice(f"memory limit: {mib(options.memory_bytes)}, {keeper}"))
        try:
            with Confined(spec) as program:
                yield program, port, group.ran_out if group else lambda: False
        finally:
            if group:
                group.close()

    def prepare(self, image: Image, options: RunOptions, emit: Emit) -> tuple[Spec, int]:
        """What is run, and where its server is expected; errors as of `run`."""
        config: dict[str, Any] = read_config(image).get("config") or {}
        check = options.check
        command = command_of(config, options)
        if not command:
            raise ConfigurationError(
                "the image has no command", hint="name one after `--`, such as: shipml run IMAGE -- python app.py"
            )
        with self._store.damage_explained(image):
            trees = layer_trees(image.layers, self._store, emit)
        account = resolve_user(
            str(config.get("User") or ""), read_small_file(trees, "etc/passwd"), read_small_file(trees, "etc/group")
        )
        identity = identity_for(account.user_id, account.group_id)
        if identity.mapper == "self":
            emit(Notice(_ONE_USER))
        environment = {"PATH": DEFAULT_PATH, "HOME": ""}
        environment.update(variable.partition("=")[::2] for variable in config.get("Env") or ())
        files: Mapping[str, str] = {"etc/hosts": HOSTS}
        if check.network:
            access = host_network()
            files = access.files
            environment.update(access.environment)
        environment.update(options.environment)
        environment["HOME"] = environment["HOME"] or account.home
        port = server_port(check.port, config, environment, options.environment)
        if check.http and check.network:
            require_free(port)
        spec = Spec(
            layers=tuple(str(tree.resolve()) for tree in trees),
            mount_point=mount_point(self._store.home),
            command=command,
            environment=environment,
            working_dir=str(config.get("WorkingDir") or "/"),
            user_id=account.user_id,
            group_id=account.group_id,
            groups=account.groups,
            uid_map=identity.uid_map,
            gid_map=identity.gid_map,
            mapper=identity.mapper,
            network=check.network,
            files=files,
            shared_memory_bytes=options.shared_memory_bytes,
            scratch_bytes=options.memory_bytes,
        )
        return spec, port


def require_sandbox(store: Store) -> None:
    """Raise UnavailableError where no sandbox works on this machine; tries one once after each boot."""
    _require_linux()
    spaces = [str(Path("/proc/self/ns", kind).readlink()) for kind in ("user", "pid")]  # a container may forbid it
    key = " ".join((_boot_id(), os.uname().release, str(os.geteuid()), *spaces))
    if store.fact("sandbox-works", key) is None:
        identity = identity_for(0, 0)
        spec = Spec(uid_map=identity.uid_map, gid_map=identity.gid_map, mapper=identity.mapper)
        with Confined(spec) as probe:
            probe.listen(None, lambda *_: None)
        store.keep_fact("sandbox-works", key, value=True)


def _require_linux() -> None:
    if sys.platform != "linux":
        raise UnavailableError(
            "cannot run here: the sandbox needs Linux", hint=f"on this machine {WAY_OUT} && docker run IMAGE"
        )


def _server_probe(program: Confined, port: int, options: RunOptions) -> ServerProbe | None:
    check = options.check
    if not check.http:
        return None
    return ServerProbe(
        SandboxNetwork(program.probe),
        port,
        check.http,
        is_port_fixed=check.port is not None,
        any_answer=check.any_answer,
        questions=questions(check, options.environment, is_found),
        timeout_seconds=check.timeout_seconds,
    )


def _listening(program: Confined) -> tuple[str, ...]:
    """Where a program listens that nobody took for a server."""
    network = SandboxNetwork(program.probe)
    try:
        return tuple(str(one) for one in network.listeners())
    except OSError:
        return ()
    finally:
        network.close()


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
