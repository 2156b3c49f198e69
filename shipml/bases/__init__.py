"""What an image stands on: a Debian suite → which packages → layers, or an image of a registry, pinned by digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from shipml.errors import PlanError
from shipml.facts.plan import Base, BasePin, ImageBasePin
from shipml.facts.pythons import Suite, suite_named
from shipml.oci.image import LayerValue
from shipml.oci.manifest import Platform
from shipml.session import Session

if TYPE_CHECKING:
    from shipml.wheels.interpreter import Interpreter  # it brings compressors along

__all__ = [
    "base_layers",
    "debian_interpreter",
    "debian_version",
    "installed_interpreter",
    "layer_keys",
    "pin_base",
    "pin_image",
    "runs_debian",
]


def pin_base(
    suite: Suite,
    platform: Platform,
    *,
    session: Session,
    extra: Mapping[str, str] = MappingProxyType({}),
    with_shell: bool = False,
) -> BasePin:
    """Which packages make the base of `suite` for `platform`, with the packages `extra` beyond it: name → why.

    A pin that was made once is reused, without network, until `upgrade` is given.

    Raises:
        PlanError: a package of `extra` does not exist, or something that it needs.
        TryAgainError: the mirror cannot be reached, or its lists have expired and `allow_expired` is not given.
        UntrustedInputError: lists that Debian has not signed, or a file that is not the one they name.
    """
    from shipml.debian import pin

    return pin.pin_base(
        suite,
        platform,
        extra=extra,
        with_shell=with_shell,
        session=session,
    )


def pin_image(reference: str, platform: Platform, *, session: Session) -> ImageBasePin:
    """The image of a registry, pinned. A pin that was made once is reused, without network, until `upgrade` is given.

    Raises:
        UsageError: no image can have that name.
        PlanError: it has no Python that shipml can use.
        ShipmlError: it is not available from its registry, as the class says.
    """
    from shipml.bases import image_pin

    return image_pin.pin_image(reference, platform, session=session)


def base_layers(pin: Base, *, session: Session) -> list[LayerValue]:
    """The base's layers and, where the pin has extra packages, one more. Known layers cost nothing.

    Those of an image stay in its registry until they are opened.

    Raises:
        UntrustedInputError: a package is not the one of the pin, or is broken.
        BuildError, TryAgainError: a package is not available.
    """
    if isinstance(pin, ImageBasePin):
        from shipml.bases import image_packages, image_pin

        layers = image_pin.image_layers(pin, session.store)
        return [*layers, image_packages.packages_layer(pin, session=session)] if pin.extra_packages else layers
    from shipml.debian import assemble

    def interpreter() -> Interpreter:
        from shipml.bases.interpreter import host_platform, interpreter_of, unpacked_interpreter

        if pin.platform == host_platform():
            return unpacked_interpreter(pin, session=session)
        suite = suite_named(pin.suite)
        if suite is None:
            raise PlanError(f"shipml knows no Debian suite {pin.suite}", hint="shipml plan lists the suites")
        # The pin's own lists were accepted, old or not: this only compiles.
        return interpreter_of(suite, session=replace(session, allow_expired=True, allow_older=True))

    return assemble.base_layers(pin, interpreter=interpreter, session=session)


def layer_keys(pin: Base) -> list[tuple[str, str]]:
    """Kind and key of each layer that `base_layers` makes; those of an image have no key, but a digest in the pin."""
    if isinstance(pin, ImageBasePin):
        from shipml.bases import image_packages

        return [("system", image_packages.layer_key_of(pin))] if pin.extra_packages else []
    from shipml.debian import assemble

    return assemble.layer_keys(pin)


def debian_version(pin: Base) -> str | None:
    """Full version of Debian's Python that compiles packages for this base; None where Debian has none that fits."""
    from shipml.bases import bytecode_python

    return bytecode_python.debian_version(pin)


def runs_debian() -> bool:
    """Whether Debian's programs run on this machine."""
    from shipml.bases.interpreter import host_platform

    return host_platform() is not None


def debian_interpreter(pin: Base, *, session: Session) -> Interpreter:
    """The Python of `debian_version`, which is not None, on a machine that `runs_debian`.

    Raises:
        ShipmlError: it cannot be fetched, as the class says.
    """
    from shipml.bases import bytecode_python

    return bytecode_python.debian_interpreter(pin, session=session)


def installed_interpreter(python: str, *, untrusted: Path | None) -> Interpreter:
    """A Python of that minor version that the user has installed, none of the folder `untrusted`.

    Raises:
        UnavailableError: there is none.
    """
    from shipml.bases.own_python import installed

    return installed(python, untrusted=untrusted)
