"""What a run of an image showed, and what is kept of it: the evidence that decides what may be pushed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shipml.errors import UntrustedInputError
from shipml.oci.digest import Digest
from shipml.store.files import BlobStore

__all__ = ["Finding", "SmokeResult", "keep", "keep_as", "last", "passed"]

_FACT = "smoke"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at in a run."""

    what: str
    """Such as "POST /predict", or "a first visit of the Streamlit app"."""
    passed: bool | None
    """None where it could not be looked at."""
    because: str
    """Why: one clause."""
    gives_reason: bool = False
    """Whether that says what the program itself says of it."""

    def to_json(self) -> dict[str, Any]:
        """As `shipml run --json` prints it."""
        return {"what": self.what, "passed": self.passed, "because": self.because}


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """What a run showed, and whether that is enough."""

    digest: Digest
    """Of the image's manifest."""
    runtime: str
    passed: bool
    exit_code: int | None
    """None where the program was still running at the end, or was stopped by shipml."""
    measures: Mapping[str, float]
    """Last value of each `name: number` line of the output."""
    output: str
    """The last 64 KiB of stdout and stderr, in the order of arrival, undecodable bytes replaced."""
    elapsed_seconds: float
    because: str
    """Why it passed or failed: one clause."""
    hint: str = ""
    """What to do next, where it failed."""
    demanded: tuple[str, ...] = ()
    """Measures for which a least value was demanded: `because` tells of them."""
    checks: tuple[Finding, ...] = ()
    """What a server was asked beyond its first answer, in order."""

    def to_json(self) -> dict[str, Any]:
        """As `shipml run --json` prints it."""
        return {
            "digest": str(self.digest),
            "runtime": self.runtime,
            "passed": self.passed,
            "exit_code": self.exit_code,
            "measures": {name: value if math.isfinite(value) else None for name, value in self.measures.items()},
            "output": self.output,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "because": self.because,
            "hint": self.hint,
            "checks": [check.to_json() for check in self.checks],
        }

    @classmethod
    def from_json(cls, document: object) -> SmokeResult | None:
        """What `to_json` gave; None for everything else."""
        if not isinstance(document, dict) or not isinstance(document.get("passed"), bool):
            return None
        exit_code, measures = document.get("exit_code"), document.get("measures")
        try:
            return cls(
                digest=Digest.parse(str(document.get("digest"))),
                runtime=str(document.get("runtime", "")),
                passed=document["passed"],
                exit_code=None if exit_code is None else int(exit_code),
                measures={
                    str(name): math.nan if value is None else float(value)
                    for name, value in (measures if isinstance(measures, dict) else {}).items()
                },
                output=str(document.get("output", "")),
                elapsed_seconds=float(document.get("elapsed_seconds", 0.0)),
                because=str(document.get("because", "")),
                hint=str(document.get("hint", "")),
                checks=tuple(map(_finding, document.get("checks") or ())),
            )
        except (TypeError, ValueError, OverflowError, AttributeError, UntrustedInputError):
            return None


def _finding(document: Any) -> Finding:  # noqa: ANN401 - whatever was kept
    passed = document.get("passed")
    return Finding(
        str(document.get("what")), passed if isinstance(passed, bool) else None, str(document.get("because"))
    )


def keep(store: BlobStore, result: SmokeResult, digest: Digest | None = None) -> None:
    """Keep a result under the image's digest; under `digest`, where an engine knows the image by another."""
    store.keep_fact(_FACT, str(digest or result.digest), result.to_json())


def keep_as(store: BlobStore, digest: Digest, other: Digest) -> None:
    """Let what is known of `digest` be known of `other`, which is the same image."""
    known = last(store, digest)
    if known is not None and digest != other:
        keep(store, replace(known, digest=other))


def last(store: BlobStore, digest: Digest) -> SmokeResult | None:
    """The last result for an image; None where there is none, or where what was kept is damaged."""
    return SmokeResult.from_json(store.fact(_FACT, str(digest)))


def passed(store: BlobStore, digest: Digest) -> bool:
    """Whether the last run of this very digest was enough."""
    known = last(store, digest)
    return known is not None and known.passed
