"""Requirements → lock, by uv: which Python, as of when, and what goes together.

A resolution is kept in the store by the hash of all that it depends on, and reused until one of these changes: a second
build runs no uv. `attempts` is the order in which things are tried, `uv` alone runs uv.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from shipml.errors import NotAllowedError, PlanError
from shipml.events import Emit, Notice, step
from shipml.facts.plan import Decision
from shipml.facts.project import Lock, Project
from shipml.facts.pythons import PythonBase
from shipml.facts.requirements import Requirements
from shipml.http import HttpClient
from shipml.lock.kept import lock_from_json, lock_to_json
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform, canonical_json
from shipml.plan.accelerator import CPU, Accelerator
from shipml.plan.python_version import PythonCandidate
from shipml.resolver.index_logins import unset_variables
from shipml.resolver.integrity import check_statements, enforced, statements_text
from shipml.resolver.pip_settings import indexes_beside, pip_indexes
from shipml.resolver.uv import Uv, settings_of_uv
from shipml.store import Store
from shipml.text import counted

__all__ = ["inputs_digest", "resolve", "resolve_first"]

RECIPE = 8
"""Part of every cache key: raise it when the same inputs are to be resolved in another way."""
UV_CACHE = "uv"
"""uv's cache, below the store's home."""


def resolve(
    project: Project,
    *,
    suite: PythonBase,
    platform: Platform,
    store: Store,
    emit: Emit,
    upgrade: bool = False,
    locked: bool = False,
) -> Lock:
    """`resolve_first` for one suite alone."""
    candidate = PythonCandidate(suite, "")
    return resolve_first(
        project, [candidate], platform=platform, store=store, emit=emit, upgrade=upgrade, locked=locked
    )[1]


def resolve_first(
    project: Project,
    candidates: Sequence[PythonCandidate],
    *,
    platform: Platform,
    store: Store,
    emit: Emit,
    upgrade: bool = False,
    locked: bool = False,
    http: HttpClient | None = None,
    obstacle: Callable[[PythonBase], str] = lambda _: "",
    accelerator: Accelerator = CPU,
) -> tuple[PythonCandidate, Lock]:
    """The first candidate for which every package has a wheel, and the lock for it.

    Args:
        project: the facts.
        candidates: in the order of preference.
        platform: what the wheels must run on.
        store: keeps resolutions.
        emit: hears of the work.
        upgrade: ask the index again, whatever is known.
        locked: take the project's lock file or fail.
        http: downloads sources, with the logins of the session; None: a client of its own.
        obstacle: why a base is not available here, "" where it is: asked before a Python is tried that no suite has.
        accelerator: what packages are taken for that exist for several.

    Raises:
        PlanError: `locked`, and the lock file is missing or stale.
        ResolutionError: no candidate fits; says why for each.
        NotAllowedError: the index wants credentials.
        TryAgainError: the index cannot be reached.
        UnavailableError: there is no uv.
    """
    inputs = inputs_digest(project, platform, accelerator)
    if locked or (project.lock_file is not None and not upgrade):
        found = _from_lock_file(project, candidates, platform, inputs, emit, locked=locked)
        if found is not None:
            return found[0], enforced(found[1], project.requirements, store=store)
    if project.requirements is None:
        return candidates[0], _empty(candidates[0].suite, platform, inputs)
    key = _cache_key(project, candidates, inputs, accelerator)
    if not upgrade and (known := lock_from_json(store.fact("resolution", key), platform, inputs)) is not None:
        known = enforced(known, project.requirements, store=store)
        _tell(known, emit, known_before=True)
        return next(one for one in candidates if one.suite.name == known.suite), known
    from shipml.resolver.attempts import find_lock

    check_statements(project.requirements)
    _tell_indexes(project.requirements, emit)
    uv = Uv(project.folder, store.home / UV_CACHE, upgrade=upgrade)
    with step(emit, "resolve", project.requirements.path) as running:
        fresh = find_lock(
            project,
            candidates,
            platform=platform,
            inputs=inputs,
            uv=uv,
            store=store,
            emit=emit,
            http=http,
            obstacle=obstacle,
            accelerator=accelerator,
        )
        running.detail = f"{counted(len(fresh.lock.wheels), 'package')} for Python {fresh.lock.python}"
    lock = enforced(fresh.lock, project.requirements, store=store)
    store.keep_fact("resolution", key, lock_to_json(lock))
    _tell(lock, emit)
    return fresh.candidate, lock


def _tell(lock: Lock, emit: Emit, *, known_before: bool = False) -> None:
    """What was not taken as the project says it is said at each build; what was decided besides, when it is new."""
    for change in lock.changes:
        emit(Notice(change.sentence, "warning"))
    for decision in lock.decisions:
        if decision.kind == "warning":
            emit(Notice(f"{decision.what}: {decision.value}: {decision.because}", "warning"))
        elif decision.kind != "tried" and not known_before:
            emit(Notice(_sentence(decision)))


def _sentence(decision: Decision) -> str:
    if decision.kind == "index":
        return f"packages that you do not pin are taken {decision.value}: {decision.because}"
    if decision.kind == "added":
        return f"{decision.value} added: {decision.because}"
    return f"{decision.what}: {decision.value}: {decision.because}"


def _tell_indexes(declared: Requirements, emit: Emit) -> None:
    """Where a package may come from, if that is not the one index that everybody expects.

    Raises:
        NotAllowedError: an address names a variable that is not set.
    """
    if unset := unset_variables(declared):
        raise NotAllowedError(
            f"{declared.path} names ${{{unset[0]}}}, which is not set", hint=f"set it: export {unset[0]}=…"
        )
    if source := pip_indexes().source:
        emit(Notice(f"the package indexes are those that pip is told ({source})"))
    if indexes_beside(declared):
        emit(
            Notice(
                "each package comes from the first index that has its name, extra indexes first;"
                " pip would take the newest version of all indexes"
            )
        )


def inputs_digest(project: Project, platform: Platform, accelerator: Accelerator = CPU) -> Digest:
    """Of all in the project that a resolution depends on: a lock file that carries it is up to date."""
    source = project.requirements
    texts: list[list[str]] = []
    if source is not None:
        asked = [] if source.as_it_stands else [["requirements", source.text], ["constraints", source.constraints_text]]
        texts = asked + [[name, text] for name, text in source.inputs]
        texts += [["hashes", statements_text(source)]] if source.stated_hashes else []
    if project.models:
        texts.append(["models", str([one.made_with for one in project.models])])
    if (accelerator.name, accelerator.backend) != (CPU.name, CPU.backend):
        texts.append(["accelerator", f"{accelerator.name} {accelerator.backend}"])
    return Digest.of(canonical_json({"path": source and source.path, "texts": texts, "platform": str(platform)}))


def _from_lock_file(
    project: Project,
    candidates: Sequence[PythonCandidate],
    platform: Platform,
    inputs: Digest,
    emit: Emit,
    *,
    locked: bool,
) -> tuple[PythonCandidate, Lock] | None:
    """The project's own lock, if it fits."""
    if project.lock_file is None:
        raise PlanError("there is no lock: pylock.toml is missing", hint="write it: shipml plan --lock")
    from shipml.lock import load_lock

    lock = load_lock(project.lock_file.text, project.folder, project.lock_file.path)
    candidate = next((one for one in candidates if lock is not None and one.suite.name == lock.suite), None)
    if lock is None:
        stale = "was not written by shipml"
    elif lock.platform != platform:
        stale = f"is for {lock.platform}, not for {platform}"
    elif lock.inputs != inputs:
        stale = "is stale: the requirements or the accelerator have changed since it was written"
    elif candidate is None:
        stale = f"is stale: it is for Python {lock.python}, which the project does not ask for any more"
    else:
        return candidate, lock
    if locked:
        raise PlanError(f"{project.lock_file.path} {stale}", hint="write it again: shipml plan --lock")
    if project.requirements is not None and project.lock_file.path in (
        project.requirements.locked_by,
        project.requirements.path,
    ):
        return None  # another tool's lock: its versions are among what uv is asked
    emit(Notice(f"{project.lock_file.path} {stale}, so it was not used; to write it again: shipml plan --lock"))
    return None


def _empty(suite: PythonBase, platform: Platform, inputs: Digest) -> Lock:
    return Lock((), suite.name, suite.python, platform, inputs)


def _cache_key(
    project: Project, candidates: Sequence[PythonCandidate], inputs: Digest, accelerator: Accelerator
) -> str:
    suites = [[one.suite.name, one.suite.release, one.suite.glibc] for one in candidates]
    declared = project.requirements
    learned = declared.whole_text if declared and declared.learned else ""
    if declared and (declared.learned_bounds or declared.is_of_its_commit):
        committed_at = project.revision.committed_at_seconds if project.revision and declared.is_of_its_commit else ""
        learned += f"{[one.line for one in declared.learned_bounds]} {committed_at}"
    told = [learned, accelerator.because, accelerator.asked, os.environ.get("SHIPML_PYTORCH_INDEX", "")]
    asked = [RECIPE, str(inputs), suites, list(settings_of_uv(project.folder)), told]
    return str(Digest.of(canonical_json(asked)))
