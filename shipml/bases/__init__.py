"""The Debian base: a suite → which packages → layers, distroless style, without apt, root or maintainer scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shipml.errors import PlanError
from shipml.events import Emit
from shipml.http import HttpClient
from shipml.oci.image import LayerValue
from shipml.oci.manifest import Platform
from shipml.plan.model import BasePin
from shipml.plan.suites import Suite, suite_named
from shipml.store import Store

if TYPE_CHECKING:
    from shipml.wheels.bytecode import Interpreter  # it brings compressors along

__all__ = ["base_layers", "interpreter_of", "pin_base"]


def pin_base(
    suite: Suite,
    platform: Platform,
    *,
    extra: Sequence[str] = (),
    with_shell: bool = False,
    store: Store,
    http: HttpClient,
    emit: Emit,
    allow_expired: bool = False,
    upgrade: bool = False,
) -> BasePin:
    """Which packages make the base of `suite` for `platform`, with the packages `extra` (names) beyond it.

    A pin that was made once is reused, without network, until `upgrade` is given.

    Raises:
        PlanError: a package of `extra` does not exist, or something that it needs.
        TryAgainError: the mirror cannot be reached, or its lists have expired and `allow_expired` is not given.
        UntrustedInputError: lists that Debian has not signed, or a file that is not the one they name.
    """
    from shipml.bases import pin  # noqa: PLC0415  (late: `--help` does not pay for it; so below)

    return pin.pin_base(
        suite,
        platform,
        extra=extra,
        with_shell=with_shell,
        store=store,
        http=http,
        emit=emit,
        allow_expired=allow_expired,
        upgrade=upgrade,
    )


def base_layers(pin: BasePin, *, store: Store, http: HttpClient, emit: Emit) -> list[LayerValue]:
    """The base layer and, where the pin has extra packages, a second one. Known layers cost nothing.

    Raises:
        UntrustedInputError: a package is not the one of the pin, or is broken.
        BuildError, TryAgainError: a package cannot be had.
    """
    from shipml.bases import assemble  # noqa: PLC0415

    def interpreter() -> Interpreter:
        from shipml.bases.interpreter import host_platform, unpacked_interpreter  # noqa: PLC0415

        if pin.platform == host_platform():
            return unpacked_interpreter(pin, store=store, http=http, emit=emit)
        suite = suite_named(pin.suite)
        if suite is None:
            raise PlanError(f"shipml knows no Debian suite {pin.suite}", hint="shipml plan lists the suites")
        # The pin's own lists were accepted, expired or not: this only compiles.
        return interpreter_of(suite, store=store, http=http, emit=emit, allow_expired=True)

    return assemble.base_layers(pin, interpreter=interpreter, store=store, http=http, emit=emit)


def interpreter_of(
    suite: Suite, *, store: Store, http: HttpClient, emit: Emit, allow_expired: bool = False
) -> Interpreter:
    """A Python of the suite's minor version that runs on this machine: on Linux the suite's own, else one on PATH.

    Raises:
        UnavailableError: not Linux, and no such Python is installed.
        Others: as `pin_base` and `base_layers`.
    """
    from shipml.bases import interpreter  # noqa: PLC0415

    return interpreter.interpreter_of(suite, store=store, http=http, emit=emit, allow_expired=allow_expired)
