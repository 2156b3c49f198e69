"""Image → SmokeResult: where an image can be run, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the process inside a sandbox imports this package: it must stay light
    from shipml.errors import UnavailableError
    from shipml.oci.image import Image
    from shipml.runtimes.base import Runtime
    from shipml.store import Store

__all__ = ["RUNTIMES", "choose"]


def _sandbox(store: Store) -> Runtime:
    from shipml.runtimes.sandbox import Sandbox

    return Sandbox(store)


def _docker(store: Store) -> Runtime:
    from shipml.docker_engine import NoEngineError, connect
    from shipml.runtimes.docker import DockerRuntime

    try:
        return DockerRuntime(connect(), store)
    except NoEngineError as error:
        raise error.worded(
            hint="install or start Docker; without it, omit --runtime docker, --publish, --gpus, --cpus and --volume"
        ) from error


RUNTIMES: Mapping[str, Callable[[Store], Runtime]] = MappingProxyType({"sandbox": _sandbox, "docker": _docker})
"""Name as `--runtime` takes it → how it is made."""


def choose(name: str, image: Image, store: Store) -> Runtime:
    """The runtime called `name`; "auto" is the sandbox, and a Docker Engine where the sandbox cannot run the image.

    Raises:
        UsageError: no runtime has this name.
        UnavailableError: it cannot run this image here; the hint names the way out.
    """
    from shipml.errors import UnavailableError, UsageError

    if name == "auto":
        try:
            return choose("sandbox", image, store)
        except UnavailableError as error:
            return _docker_instead(image, store, error)
    make = RUNTIMES.get(name)
    if make is None:
        raise UsageError(f"unknown runtime {name!r}", hint=f"use one of: auto, {', '.join(RUNTIMES)}")
    runtime = make(store)
    runtime.check(image)
    return runtime


def _docker_instead(image: Image, store: Store, obstacle: UnavailableError) -> Runtime:
    """A Docker Engine, where one is there and can run the image; else the sandbox's own obstacle is the error."""
    from shipml.docker_engine import find
    from shipml.errors import UnavailableError
    from shipml.runtimes.docker import DockerRuntime

    engine = find()
    if engine is None:
        raise obstacle
    runtime = DockerRuntime(engine, store)
    try:
        runtime.check(image)
    except UnavailableError:
        raise obstacle from None
    return runtime
