"""Image → SmokeResult: where an image can be run, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the process inside a sandbox imports this package: it must stay light
    from shipml.oci.image import Image
    from shipml.runtimes.base import Runtime
    from shipml.store import Store

__all__ = ["RUNTIMES", "choose"]


def _sandbox(store: Store) -> Runtime:
    from shipml.runtimes.sandbox import Sandbox  # noqa: PLC0415  (light package)

    return Sandbox(store)


def _docker(store: Store) -> Runtime:
    from shipml.errors import UnavailableError  # noqa: PLC0415  (light package)

    del store
    raise UnavailableError(
        "this version of shipml does not run images on a Docker Engine yet",
        hint="use --runtime sandbox; or load the image yourself: shipml build --output docker-archive:image.tar",
    )


RUNTIMES: Mapping[str, Callable[[Store], Runtime]] = MappingProxyType({"sandbox": _sandbox, "docker": _docker})
"""Name as `--runtime` takes it → how it is made."""


def choose(name: str, image: Image, store: Store) -> Runtime:
    """The runtime called `name`; "auto" is the sandbox.

    Raises:
        UsageError: no runtime has this name.
        UnavailableError: it cannot run this image here; the hint names the way out.
    """
    make = RUNTIMES.get("sandbox" if name == "auto" else name)
    if make is None:
        from shipml.errors import UsageError  # noqa: PLC0415  (light package)

        raise UsageError(f"there is no runtime {name!r}", hint=f"use one of: auto, {', '.join(RUNTIMES)}")
    runtime = make(store)
    runtime.check(image)
    return runtime
