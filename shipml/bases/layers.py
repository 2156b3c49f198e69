"""The layers of a base, of a Debian suite or an image of a registry: made or fetched only when they are opened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shipml.errors import PlanError
from shipml.facts.plan import Base, ImageBasePin
from shipml.facts.pythons import suite_named
from shipml.oci.image import LayerValue
from shipml.session import Session

if TYPE_CHECKING:
    from shipml.wheels.interpreter import Interpreter  # it brings compressors along

__all__ = ["base_layers", "layer_keys"]


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
        from shipml.bases.interpreter import interpreter_of, unpacked_interpreter
        from shipml.bases.own_python import host_platform

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
