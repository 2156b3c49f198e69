"""Which bases the organisation allows (`allowed-bases`). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from shipml.errors import PlanError, ShipmlError
from shipml.facts.project import Settings
from shipml.facts.pythons import PythonBase, Suite
from shipml.oci.reference import Reference
from shipml.plan.python_version import PythonCandidate

__all__ = ["allowed", "require_allowed"]


def allowed(candidates: Sequence[PythonCandidate], settings: Settings) -> list[PythonCandidate]:
    """The candidates whose base is allowed, in their order.

    Raises:
        PlanError: none is.
    """
    fitting = [one for one in candidates if _is_allowed(_reference(one.suite), settings)]
    if candidates and not fitting:
        require_allowed(_reference(candidates[0].suite), settings)
    return fitting


def require_allowed(reference: str, settings: Settings) -> None:
    """Raise PlanError where the base is not allowed."""
    if not _is_allowed(reference, settings):
        patterns = ", ".join(settings.allowed_bases)
        raise PlanError(
            f"the base {reference} is not allowed by {settings.allowed_by}",
            hint=f"choose another with --base; allowed: {patterns}",
        )


def _is_allowed(reference: str, settings: Settings) -> bool:
    names = {reference, _canonical(reference)}
    return not settings.allowed_bases or any(
        fnmatchcase(name, pattern) for name in names for pattern in settings.allowed_bases
    )


def _canonical(reference: str) -> str:
    try:
        return Reference.parse(reference).canonical
    except ShipmlError:
        return reference


def _reference(base: PythonBase) -> str:
    return f"debian:{base.name}" if isinstance(base, Suite) else base.name
