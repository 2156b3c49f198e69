"""The root file system that a source is built in: the base, Debian's compilers, a virtual environment with tools."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from shipml import wheels
from shipml.bases.layers import base_layers
from shipml.debian.pin import pin_base
from shipml.errors import UnavailableError
from shipml.facts.plan import (
    BasePin,
    DebianPackagePin,
    ImageBasePin,
    LockedWheel,
)
from shipml.facts.pythons import Suite, suite_named
from shipml.oci.image import LayerValue
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.source_builds.needs import compilers_for
from shipml.store.trees import layer_trees

__all__ = ["BuildRoots"]


@dataclass(slots=True)
class BuildRoots:
    """Makes root file systems for one base. Layers are shared: the compilers' by all builds on a suite.

    Packages of Debian come with its compilers, or not at all.
    """

    base: Suite | ImageBasePin
    platform: Platform
    session: Session

    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Two builds that start at once want the same layers."""

    @property
    def python(self) -> str:
        """Minor version."""
        return self.base.python if isinstance(self.base, Suite) else self.base.python.rpartition(".")[0]

    @property
    def suite(self) -> Suite:
        """Debian's, for compilers and headers.

        Raises:
            UnavailableError: the base is an image that is not Debian's.
        """
        found = self.base if isinstance(self.base, Suite) else suite_named(self.base.suite)
        if found is None:
            raise UnavailableError(
                f"{self.base.name if isinstance(self.base, Suite) else self.base.reference} is not Debian's,"
                " so Debian's compilers do not fit it",
                hint="choose a base of Debian: --base debian:bookworm, or let an engine build: --builder docker",
            )
        return found

    @property
    def library_path(self) -> str:
        """Where an image has its interpreter's library: above it Debian's table for the loader lies."""
        if isinstance(self.base, Suite):
            return ""
        return f"{self.base.interpreter.rpartition('/bin/')[0]}/lib"

    def known_packages(self, names: Sequence[str]) -> frozenset[str]:
        """Those of `names` that the suite has."""
        from shipml.debian.pin import existing_packages

        return existing_packages(
            names,
            self.suite,
            self.platform,
            session=self.session,
        )

    def trees(self, packages: frozenset[str], tools: Sequence[LockedWheel]) -> list[Path]:
        """Folders that together are the root, topmost first.

        Args:
            packages: of Debian, beyond the base.
            tools: of Python, for the virtual environment.
        """
        with self._lock:
            layers = [*self._base_layers(packages), *self._environment(tools)]
            return layer_trees(layers, self.session.store, self.session.emit)

    def _base_layers(self, packages: frozenset[str]) -> list[LayerValue]:
        image = self._layers(self.base) if isinstance(self.base, ImageBasePin) else []
        if image and not packages:
            return image
        compilers = frozenset(compilers_for(self.suite.python))
        if not packages:
            return self._layers(self._pin(frozenset()))
        pin = self._pin(compilers & packages)
        layers = [*image, *self._layers(pin)]
        if packages - compilers:
            more = self._pin(packages)
            beyond = _beyond(more.extra_packages, pin.extra_packages)
            layers += self._layers(replace(more, extra_packages=beyond))[1:]
        return layers

    def _pin(self, packages: frozenset[str]) -> BasePin:
        return pin_base(
            self.suite,
            self.platform,
            extra=dict.fromkeys(sorted(packages), "needed to build wheels"),
            session=self.session,
        )

    def _layers(self, pin: BasePin | ImageBasePin) -> list[LayerValue]:
        return base_layers(pin, session=self.session)

    def _environment(self, tools: Sequence[LockedWheel]) -> list[LayerValue]:
        """A layer for each tool, so that no other build has to unpack it again."""
        venv = None
        version = self._pin(frozenset()).python if isinstance(self.base, Suite) else self.base.python
        if isinstance(self.base, ImageBasePin):
            venv = wheels.Venv(self.base.interpreter, self.base.python)
        return wheels.layers(
            [("packages", ()), *(("wheel", (tool,)) for tool in tools)],
            python=self.python,
            interpreter=None,
            python_version=version,
            session=self.session,
            venv=venv,
        )


def _beyond(packages: Sequence[DebianPackagePin], below: Sequence[DebianPackagePin]) -> tuple[DebianPackagePin, ...]:
    there = {(one.name, one.version) for one in below}
    return tuple(one for one in packages if (one.name, one.version) not in there)
