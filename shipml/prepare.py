"""Folder → Project → Plan: looks up all that a plan is made from."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from shipml.bases.allowed import allowed, require_allowed
from shipml.bases.choose import hub_python, named_image, obstacles, pin, with_available_base
from shipml.data_files import find_data, with_wheels
from shipml.doubts import read_with_answers, require_content, say_doubt, say_skipped
from shipml.errors import ConfigurationError, ImportCheckError, UsageError
from shipml.events import Notice
from shipml.facts.data import DataOutcome
from shipml.facts.plan import Base, Decision, ImageBasePin
from shipml.facts.project import Settings
from shipml.facts.pythons import ImagePython, Suite
from shipml.facts.request import PlanRequest
from shipml.facts.requirements import Correction
from shipml.oci.manifest import Platform
from shipml.plan import (
    Lock,
    Plan,
    PlanOptions,
    Project,
    PythonCandidate,
    lessons,
    make_plan,
    python_candidates,
)
from shipml.plan.accelerator import choose_accelerator, gpu_hint, without_gpu
from shipml.plan.command import choose_command, needs_shell
from shipml.plan.completing import complete
from shipml.plan.lessons import (
    Lesson,
    heed,
)
from shipml.project import read_outline
from shipml.project.folder import require_project_folder
from shipml.resolver import UV_CACHE, inputs_digest, resolve_first
from shipml.resolver.index_logins import asked_keyring, index_logins
from shipml.session import Session
from shipml.text import counted
from shipml.wheels.facts import are_known

__all__ = ["PlanRequest", "Prepared", "each_platform", "learn", "plan_of", "platforms_of", "prepare"]

_READ_TO_LOOK_BYTES = 128 << 20
"""What a plan downloads at most to see which libraries wheels need; a build reads all."""
_LESSON_FACT = "lesson-2"


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a plan is made from."""

    project: Project
    platform: Platform
    candidate: PythonCandidate
    lock: Lock
    """All of it wheels: what had only source is built."""
    base: Base
    resolved: Lock
    """As a lock file has it: with sources."""
    data: DataOutcome = DataOutcome()
    """That the code reads and no package brings."""
    lesson_key: str = ""
    """Under which it is kept what earlier builds taught."""


LastFacts: TypeAlias = Callable[[Platform], Mapping[tuple[str, str], Any]]
"""What the last image for a platform says, by kind and key of fact (see `Store.borrowing`)."""


def _no_facts(_: Platform) -> Mapping[tuple[str, str], Any]:
    return {}


def plan_of(request: PlanRequest, prepared: Prepared) -> Plan:
    """The plan; nothing is looked up any more."""
    options = PlanOptions(request.name, _source_date_epoch_seconds(), with_shell=request.with_shell)
    return make_plan(
        prepared.project,
        lock=prepared.lock,
        base=prepared.base,
        candidate=prepared.candidate,
        platform=prepared.platform,
        options=options,
        data=prepared.data,
    )


def prepare(
    session: Session, request: PlanRequest, last_facts: LastFacts = _no_facts, *, to_look: bool = False
) -> Prepared:
    """Look up what a plan needs: the base is pinned while uv resolves, for the suite that is most likely.

    Args:
        session: where, and who hears of it.
        request: what is asked for.
        last_facts: what the last image says of its wheels; asked for only where one would have to be downloaded.
        to_look: nobody builds it now: sources stay sources, and large wheels are not downloaded to be read.
    """
    session = session.asked(request)
    require_project_folder(request.folder)
    project = read_with_answers(session, request)
    require_content(session, project, request)
    request = replace(request, strict=_is_strict(request, project))
    say_skipped(session, project, request)
    project, all_added = complete(project)
    for added in all_added:
        session.emit(Notice(added.sentence, "warning"))
    logins = index_logins(project.requirements, project.folder)
    session.http.logins.learn(logins, keyring=asked_keyring())
    accelerator = choose_accelerator(project, request.accelerator)
    project = without_gpu(project, accelerator)
    if hint := gpu_hint(project, accelerator.name):
        session.emit(Notice(f"{hint.what}: {hint.value}: {hint.because}"))
    if request.strict and project.requirements is not None:
        _refuse_changes(project.requirements.changes, project.settings)
    request = replace(request, with_shell=request.with_shell or needs_shell(project))
    say_doubt(session, choose_command(project, with_shell=request.with_shell), request)
    platform = _only_platform(request, project.settings)
    project = with_available_base(session, request, project, platform)
    image = named_image(session, request, project, platform)
    candidates = python_candidates(project, request.python, request.base, ImagePython.of(image) if image else None)
    candidates = allowed(candidates, project.settings)
    lesson_key = str(inputs_digest(project, platform, accelerator))
    if not (request.strict or request.upgrade):
        lesson = Lesson.from_json(session.store.fact(_LESSON_FACT, lesson_key))
        project, candidates = heed(project, candidates, lesson)
    pin_for = functools.partial(pin, session, platform=platform, image=image, with_shell=request.with_shell)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pin") as pool:
        # A lock that fits pins the base, too: then no list of packages is asked for.
        likely = None
        if project.lock_file is None or request.upgrade:
            likely = pool.submit(pin_for, candidates[0], extra=_named(project))
        resolve = functools.partial(
            resolve_first,
            project,
            candidates,
            platform=platform,
            store=session.store,
            http=session.http,
            emit=session.emit,
            locked=request.locked,
            obstacle=obstacles(session, platform) if len(candidates) > 1 else lambda _: "",
            accelerator=accelerator,
        )
        candidate, resolved, lock = _resolved(session, resolve, request, project, image, to_look=to_look)
        data = find_data(project, lock, session=session, to_look=to_look)
        lock = with_wheels(lock, data.wheels)
        if _pins_base(lock, project, request):
            base = lock.base
        else:
            known = are_known(lock.wheels, session.store) or lock.layers
            with session.store.borrowing({} if known else last_facts(platform)):
                extra = _system_packages(session, project, candidate, lock, image, to_look=to_look)
            base = likely.result() if likely and candidate is candidates[0] else None
            if base is None or extra != _named(project):
                base = pin_for(candidate, extra=extra)
    if base is None:
        raise ConfigurationError("the lock names no base", hint="write it again: shipml plan --lock")
    require_allowed(base.reference, project.settings)
    return Prepared(project, platform, candidate, lock, base, resolved, data.outcome, lesson_key)


def platforms_of(request: PlanRequest, settings: Settings) -> tuple[Platform, ...]:
    """The platforms that are asked for, each once: of the request, else of the settings, else this machine's.

    Raises:
        UsageError: shipml does not build for one of them.
    """
    words = request.platform.split(",") if request.platform else settings.platforms
    return tuple(dict.fromkeys(Platform.parse(word.strip()) for word in words)) or (Platform.of_this_machine(),)


def _only_platform(request: PlanRequest, settings: Settings) -> Platform:
    first, *others = platforms_of(request, settings)
    if others:
        raise UsageError(
            f"this is made for one platform, and {counted(1 + len(others), 'platform')} are asked for",
            hint=f"name one: --platform {first}",
        )
    return first


def each_platform(request: PlanRequest) -> tuple[PlanRequest, ...]:
    """The request as one for each platform that it asks for.

    Raises:
        UsageError: shipml does not build for one of them.
    """
    require_project_folder(request.folder)
    platforms = platforms_of(request, read_outline(request.folder).settings)
    return tuple(replace(request, platform=str(platform)) for platform in platforms)


def learn(session: Session, request: PlanRequest, prepared: Prepared, error: ImportCheckError) -> bool:
    """Whether a failed import check teaches how the next attempt goes otherwise; what it teaches is kept."""
    project = prepared.project
    if _is_strict(request, project) or request.upgrade or prepared.lock.source:
        return False
    known = Lesson.from_json(session.store.fact(_LESSON_FACT, prepared.lesson_key))
    lesson = lessons.learn(error.failures, known, is_open=prepared.candidate.open)
    if lesson is None:
        # Late: builds whose imports work do not pay for it.
        from shipml.resolver.teaching import teach
        from shipml.resolver.uv import Uv

        uv = Uv(project.folder, session.store.home / UV_CACHE)
        lesson = teach(error.failures, known, project=project, lock=prepared.lock, uv=uv)
    if lesson is None:
        return False
    session.store.keep_fact(_LESSON_FACT, prepared.lesson_key, lesson.to_json())
    for source, because in lesson.news(known):
        session.emit(Notice(f"{source}: {because}; the image is built again with a change", "warning"))
    return True


def _resolved(
    session: Session,
    resolve: Callable[..., tuple[PythonCandidate, Lock]],
    request: PlanRequest,
    project: Project,
    image: ImageBasePin | None,
    *,
    to_look: bool,
) -> tuple[PythonCandidate, Lock, Lock]:
    """The lock, and the same with its sources built; resolved again where a build shows what else it needs."""
    upgrade = request.upgrade
    while True:
        candidate, resolved = resolve(upgrade=upgrade)
        if request.strict:
            _refuse_changes(resolved.changes, project.settings)
        if to_look:
            return candidate, resolved, _with_sources_named(resolved)
        lock = _built(session, project, candidate, resolved, image)
        if lock is resolved or resolved.source:
            return candidate, resolved, lock
        from shipml.source_builds.requirements import unmet_requirements

        unmet = unmet_requirements(resolved, lock, candidate.suite, session.store)
        if not unmet:
            return candidate, resolved, lock
        session.emit(Notice(f"{'; '.join(unmet)}: found while building it, so everything is resolved again"))
        upgrade = True


def _built(
    session: Session,
    project: Project,
    candidate: PythonCandidate,
    lock: Lock,
    image: ImageBasePin | None,
) -> Lock:
    """The lock with its sources built into wheels."""
    if not lock.sources:
        return lock
    from shipml.source_builds import build_wheels

    if isinstance(candidate.suite, ImagePython):
        image = image or hub_python(session, candidate.suite, lock.platform)
    return build_wheels(lock, project, suite=candidate.suite, image=image, session=session)


def _with_sources_named(lock: Lock) -> Lock:
    """The lock with a decision for each source, which a build makes a wheel of."""
    named = (Decision("source", f"{source.name}=={source.version}", _how_built(source.name)) for source in lock.sources)
    return replace(lock, decisions=(*lock.decisions, *named))


def _how_built(name: str) -> str:
    from shipml.source_builds.effort import effort_text, expected_minutes, impossible

    if why := impossible(name):
        return f"it has no wheel, and `shipml build` cannot build it: {why}"
    text = effort_text(expected_minutes(name, jobs=os.cpu_count() or 1))
    return f"it has no wheel: `shipml build` builds it{f', {text}' if text else ''}"


def _system_packages(
    session: Session,
    project: Project,
    candidate: PythonCandidate,
    lock: Lock,
    image: ImageBasePin | None,
    *,
    to_look: bool,
) -> Mapping[str, str]:
    """What is needed beyond the base: name → why."""
    from shipml.bases.system_packages import find_system_packages

    suite = candidate.suite
    base = suite if isinstance(suite, Suite) else image or hub_python(session, suite, lock.platform)
    most_bytes = _READ_TO_LOOK_BYTES if to_look else None
    return find_system_packages(project, lock, base, session=session, most_bytes=most_bytes).wanted


def _is_strict(request: PlanRequest, project: Project) -> bool:
    return request.strict or bool(project.settings.strict_by)


def _refuse_changes(changes: Sequence[Correction], settings: Settings) -> None:
    """What `--strict` is for: nothing is taken otherwise than it is written.

    Raises:
        ConfigurationError: there are changes; names them all.
    """
    if changes:
        listed = "; ".join(change.sentence for change in changes)
        by = settings.strict_by and f" ({settings.strict_by})"
        way = "or do without --strict"
        if by:
            is_own = settings.strict_by == settings.source
            way = f"or set strict = false in {settings.source}" if is_own else "no project can end this rule"
        raise ConfigurationError(
            f"--strict{by} refuses {counted(len(changes), 'change')} of what the project asks for: {listed}",
            hint=f"make the changes in the files that are named; {way}",
        )


def _named(project: Project) -> Mapping[str, str]:
    return dict.fromkeys(project.settings.system_packages, "named in system-packages")


def _pins_base(lock: Lock, project: Project, request: PlanRequest) -> bool:
    """Whether the lock file's own base is the one to take: it has every system package that is asked for."""
    if lock.base is None or request.with_shell:
        return False
    return set(project.settings.system_packages) <= {package.name for package in lock.base.extra_packages}


def _source_date_epoch_seconds() -> int | None:
    """SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch)."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise ConfigurationError(
            f"SOURCE_DATE_EPOCH is {text!r}, not a whole number of seconds",
            hint="export SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)",
        )
    return int(text)
