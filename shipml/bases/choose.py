"""The base of a plan: a suite's packages, or an image of a registry, pinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shipml import bases
from shipml.bases.image_pin import OpenImage
from shipml.errors import PlanError, ShipmlError, TryAgainError
from shipml.events import Emit, Notice
from shipml.facts.plan import Base, ImageBasePin
from shipml.facts.pythons import SUITES, ImagePython, PythonBase
from shipml.facts.request import PlanRequest
from shipml.http import HttpClient
from shipml.lock import locked_image
from shipml.oci.manifest import Platform
from shipml.plan import Project, PythonCandidate
from shipml.plan.python_version import base_image
from shipml.store import Store

__all__ = ["Pinner"]


class Pinner:
    """Pins bases; raises ShipmlError, as its class says."""

    def __init__(self, store: Store, http: HttpClient, emit: Emit, open_image: OpenImage) -> None:
        self._store = store
        self._http = http
        self._emit = emit
        self._open_image = open_image

    def named_image(self, request: PlanRequest, project: Project, platform: Platform) -> ImageBasePin | None:
        """The image that is asked for as base, pinned: by the project's lock where that names it."""
        reference = base_image(request.base or project.settings.base)
        if reference is None:
            return None
        kept = None if request.upgrade or project.lock_file is None else locked_image(project.lock_file.text)
        if kept is not None and (kept.reference, kept.platform) == (reference, platform):
            return kept
        return self._pin_image(reference, request, platform)

    def _pin_image(self, reference: str, request: PlanRequest, platform: Platform) -> ImageBasePin:
        return bases.pin_image(
            reference,
            platform,
            open_image=self._open_image,
            store=self._store,
            emit=self._emit,
            upgrade=request.upgrade,
        )

    def pin(
        self,
        request: PlanRequest,
        project: Project,
        candidate: PythonCandidate,
        platform: Platform,
        image: ImageBasePin | None,
        *,
        extra: Mapping[str, str],
    ) -> Base:
        """The base of a candidate.

        Args:
            request: what was asked for.
            project: whose settings may name system packages.
            candidate: whose suite or image it is.
            platform: what is built for.
            image: the base that was asked for, where that is an image.
            extra: Debian packages beyond the base: name → why.
        """
        suite = candidate.suite
        if isinstance(suite, ImagePython):
            if project.settings.system_packages:
                raise PlanError(
                    f"system-packages cannot be added to the base {suite.name} yet",
                    hint="choose a base of Debian's own, as debian:bookworm, or an image that has them",
                )
            return image or self.hub_python(suite, request, platform)
        return bases.pin_base(
            suite,
            platform,
            extra=extra,
            with_shell=request.with_shell,
            store=self._store,
            http=self._http,
            emit=self._emit,
            allow_expired=request.allow_expired,
            upgrade=request.upgrade,
        )

    def hub_python(self, wanted: ImagePython, request: PlanRequest, platform: Platform) -> ImageBasePin:
        """The image that has a Python which no suite has."""
        try:
            pin = self._pin_image(wanted.name, request, platform)
        except TryAgainError as error:
            raise TryAgainError(
                f"no suite of Debian has Python {wanted.python}, and {wanted.name} cannot be had: {error.message}",
                hint="name a mirror of Docker Hub: export SHIPML_HUB_MIRROR=HOST, an image that you can reach:"
                f" --base HOST/{wanted.name}, or another Python: --python {SUITES[1].python}",
            ) from error
        if pin.python.rpartition(".")[0] != wanted.python:
            raise PlanError(
                f"{wanted.name} has Python {pin.python}",
                hint="see which image SHIPML_HUB_MIRROR gives under that name",
            )
        return pin

    def obstacles(self, request: PlanRequest, platform: Platform) -> Callable[[PythonBase], str]:
        """Asks why a base cannot be had here, each once; "" where it can."""
        known: dict[str, str] = {}

        def obstacle(base: PythonBase) -> str:
            if isinstance(base, ImagePython) and base.name not in known:
                try:
                    self._pin_image(base.name, request, platform)
                except ShipmlError as error:
                    known[base.name] = f"{base.name} cannot be had"
                    self._emit(Notice(f"{known[base.name]}: {error.message}", "warning"))
            return known.get(base.name, "")

        return obstacle
