"""Debian packages of an image's own suite on top of it: which (a pin), and the layer that they make."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace

from shipml.bases.installed import Installed, installed_in
from shipml.debian.assemble import fetch_packages
from shipml.debian.assemble_over import Below, write_over
from shipml.debian.closure import close
from shipml.debian.mirror import find_mirror
from shipml.debian.pin import extra_pin, package_source, packages_from_json, packages_to_json
from shipml.debian.recipe import RECIPE, excluded_in_extra
from shipml.errors import PlanError
from shipml.events import step
from shipml.facts.plan import ImageBasePin
from shipml.facts.pythons import Suite, suite_named
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import LayerWriter
from shipml.session import Session
from shipml.store.layers import cached_layer, layer_key
from shipml.text import counted, listed

__all__ = ["layer_key_of", "packages_layer", "suite_of", "with_packages"]

_PIN_FACT = "image-packages-1"


def suite_of(pin: ImageBasePin, installed: Installed) -> Suite | None:
    """The suite whose packages fit the image; None where it is not Debian's, or has no list of its packages."""
    return suite_named(pin.suite) if installed.packages else None


def with_packages(pin: ImageBasePin, extra: Mapping[str, str], *, session: Session) -> ImageBasePin:
    """The image with the packages `extra` (name → why) and all that these need beyond what it has.

    Raises:
        PlanError: the image cannot take packages of Debian, or the suite does not have one.
        TryAgainError, UntrustedInputError: the mirror's lists are not available, or not as Debian signed them.
    """
    if not extra:
        return replace(pin, extra_packages=())
    key = json.dumps([RECIPE, str(pin.digest), sorted(extra.items()), find_mirror().debian])
    known = None if session.upgrade else session.store.fact(_PIN_FACT, key)
    if known is not None:
        return replace(pin, extra_packages=packages_from_json(known))
    installed = installed_in(pin, session=session)
    suite = suite_of(pin, installed)
    if suite is None:
        raise PlanError(
            f"{pin.reference} takes no packages of Debian: its suite or its list of packages is not known, and"
            f" {listed(sorted(extra))} {'is' if len(extra) == 1 else 'are'} asked for",
            hint="choose a base of Debian's own: --base debian:bookworm, or an image that has them",
        )
    source = package_source(suite, pin.platform, session=session)
    wanted = [name for name in sorted(extra) if name not in installed.packages]
    chosen = close(source, wanted, given=installed.packages, excluded=excluded_in_extra(wanted), may_upgrade=True)
    packages = sorted(extra_pin(one, extra.get(one.chain[0], f"{one.chain[0]} must fit")) for one in chosen.values())
    session.store.keep_fact(_PIN_FACT, key, packages_to_json(packages))
    return replace(pin, extra_packages=tuple(packages))


def packages_layer(pin: ImageBasePin, *, session: Session) -> LayerValue:
    """The layer of the pin's packages: their files, dpkg's status and the loader's cache. A known layer costs nothing.

    Raises:
        UntrustedInputError: a package is not the one of the pin, or is broken.
        BuildError, TryAgainError: a package is not available.
    """

    def write(writer: LayerWriter) -> None:
        installed = installed_in(pin, session=session)
        debs = fetch_packages(pin.extra_packages, session=session)
        with step(session.emit, "base", f"assemble {counted(len(debs), 'package')} on {pin.reference}"):
            below = Below(installed.entries(), installed.libraries, installed.status)
            write_over(writer, pin, debs, below)

    names = [package.name for package in pin.extra_packages]
    return cached_layer(session.store, write, key=layer_key_of(pin), kind="system", source=listed(names, most=4))


@functools.lru_cache(maxsize=8)
def layer_key_of(pin: ImageBasePin) -> str:
    """The key of what `packages_layer` makes."""
    packages = [f"{package.name} {package.digest}" for package in pin.extra_packages]
    return layer_key("debian-on-image", RECIPE, str(pin.digest), packages)
