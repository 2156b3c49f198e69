"""The base of a plan: a suite's packages, or an image of a registry, pinned."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from shipml.bases.allowed import require_allowed
from shipml.bases.image_pin import pin_image
from shipml.errors import PlanError, ShipmlError, TryAgainError
from shipml.events import Notice
from shipml.facts.plan import Base, ImageBasePin
from shipml.facts.pythons import SUITES, ImagePython, PythonBase
from shipml.facts.request import PlanRequest
from shipml.lock import locked_image
from shipml.oci.manifest import Platform
from shipml.plan import Project, PythonCandidate
from shipml.plan.python_version import base_image
from shipml.session import Session

__all__ = ["hub_python", "named_image", "obstacles", "pin", "with_available_base"]

_PYTHON = re.compile(r"python:")
"""The official images: of them the Python counts most."""


def with_available_base(session: Session, request: PlanRequest, project: Project, platform: Platform) -> Project:
    """The project; on any Debian with the same Python where the registry does not have the one that FROM means.

    Raises:
        ShipmlError: it is not available, and it is more than a Python, or `strict` is asked for.
    """
    followed = project.followed
    wanted = followed.image if followed is not None else ""
    is_meant = followed is not None and wanted == project.settings.base and request.base is None
    if not is_meant or followed is None or not _PYTHON.match(wanted):
        return project
    try:
        require_allowed(wanted, project.settings)
        pin_image(wanted, platform, session=session)
    except ShipmlError as error:
        if request.strict or "@" in wanted:
            raise
        because = f"{followed.file} starts from {followed.base}, and {wanted} is not available ({error.message})"
        session.emit(Notice(f"{because}: another base with Python {followed.python} takes its place", "warning"))
        return replace(project, settings=replace(project.settings, base=None))
    return project


def named_image(session: Session, request: PlanRequest, project: Project, platform: Platform) -> ImageBasePin | None:
    """The image that is asked for as base, pinned: by the project's lock where that names it."""
    reference = base_image(request.base or project.settings.base)
    if reference is None:
        return None
    require_allowed(reference, project.settings)
    kept = None if request.upgrade or project.lock_file is None else locked_image(project.lock_file.text)
    if kept is not None and (kept.reference, kept.platform) == (reference, platform):
        return kept
    return pin_image(reference, platform, session=session)


def pin(
    session: Session,
    candidate: PythonCandidate,
    platform: Platform,
    *,
    image: ImageBasePin | None,
    extra: Mapping[str, str],
    with_shell: bool,
) -> Base:
    """The base of a candidate.

    Args:
        session: its store, clients and listener.
        candidate: whose suite or image it is.
        platform: what is built for.
        image: the base that was asked for, where that is an image.
        extra: Debian packages beyond the base: name → why.
        with_shell: whether a shell is among them.
    """
    suite = candidate.suite
    if isinstance(suite, ImagePython):
        from shipml.bases.image_packages import with_packages

        return with_packages(image or hub_python(session, suite, platform), extra, session=session)
    from shipml.debian.pin import pin_base

    return pin_base(suite, platform, extra=extra, with_shell=with_shell, session=session)


def hub_python(session: Session, wanted: ImagePython, platform: Platform) -> ImageBasePin:
    """The image that has a Python which no suite has."""
    try:
        pin = pin_image(wanted.name, platform, session=session)
    except TryAgainError as error:
        raise TryAgainError(
            f"no suite of Debian has Python {wanted.python}, and {wanted.name} is not available: {error.message}",
            hint="name a mirror of Docker Hub: export SHIPML_HUB_MIRROR=HOST, an image that you can reach:"
            f" --base HOST/{wanted.name}, or another Python: --python {SUITES[1].python}",
        ) from error
    if pin.python.rpartition(".")[0] != wanted.python:
        raise PlanError(
            f"{wanted.name} has Python {pin.python}",
            hint="see which image SHIPML_HUB_MIRROR gives under that name",
        )
    return pin


def obstacles(session: Session, platform: Platform) -> Callable[[PythonBase], str]:
    """Asks why a base is not available here, each once; "" where it is."""
    known: dict[str, str] = {}

    def obstacle(base: PythonBase) -> str:
        if isinstance(base, ImagePython) and base.name not in known:
            try:
                pin_image(base.name, platform, session=session)
            except ShipmlError as error:
                known[base.name] = f"{base.name} is not available"
                session.emit(Notice(f"{known[base.name]}: {error.message}", "warning"))
        return known.get(base.name, "")

    return obstacle
