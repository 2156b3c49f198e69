"""A lock as JSON: what the store keeps of a resolution."""

from __future__ import annotations

from shipml.errors import UntrustedInputError
from shipml.facts.plan import Decision, LockedSource, LockedWheel
from shipml.facts.project import Lock, RefusedPython
from shipml.facts.requirements import Correction
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform

__all__ = ["lock_from_json", "lock_to_json"]


def lock_from_json(fact: object, platform: Platform, inputs: Digest) -> Lock | None:
    """The lock that `lock_to_json` wrote; None for anything else."""
    if not isinstance(fact, dict):
        return None
    try:
        return Lock(
            wheels=tuple(LockedWheel(**{**one, "digest": Digest(one["digest"])}) for one in fact["wheels"]),
            suite=str(fact["suite"]),
            python=str(fact["python"]),
            platform=platform,
            inputs=inputs,
            refused=tuple(RefusedPython(python, because) for python, because in fact["refused"]),
            sources=tuple(LockedSource(**{**one, "digest": Digest(one["digest"])}) for one in fact["sources"]),
            decisions=tuple(Decision(*one) for one in fact["decisions"]),
            changes=tuple(Correction(*one) for one in fact["changes"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, UntrustedInputError):
        return None


def lock_to_json(lock: Lock) -> dict[str, object]:
    """As the store keeps it."""
    return {
        "suite": lock.suite,
        "python": lock.python,
        "refused": [[one.python, one.because] for one in lock.refused],
        "wheels": [{**_file(one), "direct": one.direct} for one in lock.wheels],
        "sources": [{**_file(one), "uploaded_at": one.uploaded_at} for one in lock.sources],
        "decisions": [[one.what, one.value, one.because, one.kind] for one in lock.decisions],
        "changes": [[one.kind, one.before, one.after, one.because, one.source] for one in lock.changes],
    }


def _file(one: LockedWheel | LockedSource) -> dict[str, object]:
    return {
        "name": one.name,
        "version": one.version,
        "url": one.url,
        "size_bytes": one.size_bytes,
        "digest": one.digest.hex,
        "filename": one.filename,
    }
