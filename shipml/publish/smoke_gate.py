"""Nothing is pushed that was not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from shipml.errors import SmokeTestError, UnavailableError
from shipml.facts.smoke_label import smoke_from_labels
from shipml.images import FoundImage
from shipml.runtimes.base import SmokeResult
from shipml.store import Store, evidence

__all__ = ["require_smoke"]


def require_smoke(
    subject: FoundImage, store: Store, run: Callable[[], SmokeResult], *, verb: Literal["pushed", "promoted"] = "pushed"
) -> str:
    """Run the image, unless this very digest has passed before; returns which of both.

    An image whose settings say why it is not to be run (`[smoke] skip`) is not; what is returned says so.

    Args:
        subject: the image.
        store: remembers what has passed.
        run: runs it.
        verb: what is not done with an image that did not pass.

    Raises:
        SmokeTestError: it failed.
        UnavailableError: it cannot be run here.
    """
    if evidence.passed(store, subject.digest):
        return "passed before"
    if reason := smoke_from_labels(subject.labels).skip:
        return f"not run, because {reason}"
    name = subject.name or subject.digest.short
    try:
        result = run()
    except UnavailableError as error:
        raise UnavailableError(
            f"{name} is not {verb}, because it was not run: {error.message}",
            hint=f"{error.hint}; to go on without having run it: --no-smoke",
        ) from error
    if not result.passed:
        raise SmokeTestError(
            f"{name} is not {verb}, because it failed its smoke test: {result.because}",
            hint=result.hint,
        )
    return "passed"
