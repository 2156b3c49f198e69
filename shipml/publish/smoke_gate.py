"""Nothing is pushed that was not run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from shipml.errors import SmokeTestError, UnavailableError
from shipml.facts.smoke_label import smoke_from_labels
from shipml.images import FoundImage
from shipml.oci.image import platform_of
from shipml.oci.manifest import Platform
from shipml.runtimes.base import SmokeResult
from shipml.store import Store, evidence
from shipml.text import listed

__all__ = ["require_smoke"]


def require_smoke(
    subject: FoundImage, store: Store, run: Callable[[], SmokeResult], *, verb: Literal["pushed", "promoted"] = "pushed"
) -> str:
    """Run the image, unless this very digest has passed before; returns which of both.

    An image whose settings say why it is not to be run (`[smoke] skip`) is not; what is returned says so. Of an index,
    the image for this machine is run, and the others are named as not run: it takes one that passed.

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
        return "passed before" + _not_run(subject, store)
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
    return "passed" + _not_run(subject, store)


def _not_run(subject: FoundImage, store: Store) -> str:
    """Which platforms of an index were never run, for the end of a verdict; "" for none."""
    others = [str(platform_of(one)) for one in subject.other_images if not evidence.passed(store, one.digest)]
    if not others or subject.image is None:
        return ""
    here = platform_of(subject.image)
    return f", for {here}; {listed(others)} not run, because this machine is {Platform.of_this_machine()}"
