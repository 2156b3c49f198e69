"""Nothing is pushed that was not run."""

from __future__ import annotations

from collections.abc import Callable

from shipml.errors import SmokeTestError, UnavailableError
from shipml.registries.base import Subject
from shipml.runtimes.base import SmokeResult
from shipml.store import Store

__all__ = ["require_smoke"]


def require_smoke(subject: Subject, store: Store, run: Callable[[], SmokeResult]) -> str:
    """Run the image, unless this very digest has passed before; returns which of both.

    Raises:
        SmokeTestError: it failed.
        UnavailableError: it cannot be run here.
    """
    known = store.fact("smoke", str(subject.digest))
    if isinstance(known, dict) and known.get("passed") is True:
        return "passed before"
    name = subject.name or subject.digest.short
    try:
        result = run()
    except UnavailableError as error:
        raise UnavailableError(
            f"{name} is not pushed, because it was not run: {error.message}",
            hint=f"{error.hint}; to push it without having run it: --no-smoke",
        ) from error
    if not result.passed:
        raise SmokeTestError(
            f"{name} is not pushed, because it failed its smoke test: {result.because}",
            hint="fix the program and build again, or change what [smoke] in the settings demands",
        )
    return "passed"
