"""Folder → Project → Plan: looks up all that a plan is made from."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from shipml import bases
from shipml.errors import ConfigurationError
from shipml.events import Emit
from shipml.http import HttpClient
from shipml.oci.manifest import Platform
from shipml.plan import Lock, Plan, PlanOptions, Project, PythonCandidate, make_plan, python_candidates
from shipml.plan.command import choose_command
from shipml.plan.model import BasePin
from shipml.project import read_project
from shipml.resolver import resolve_first
from shipml.store import Store

__all__ = ["PlanRequest", "Planner", "Prepared"]


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user asked for, beyond what the project's settings say. None: not said."""

    folder: Path
    name: str | None = None
    python: str | None = None
    base: str | None = None
    platform: str | None = None
    accelerator: str | None = None
    locked: bool = False
    upgrade: bool = False
    with_shell: bool = False
    allow_expired: bool = False

    @property
    def for_plans(self) -> tuple[str, ...]:
        """The options that were given and mean nothing to a Dockerfile of the user's own, as they are typed."""
        given = {
            "--python": self.python,
            "--base": self.base,
            "--accelerator": self.accelerator,
            "--locked": self.locked,
            "--upgrade": self.upgrade,
            "--with-shell": self.with_shell,
        }
        return tuple(name for name, value in given.items() if value)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a plan is made from."""

    project: Project
    platform: Platform
    candidate: PythonCandidate
    lock: Lock
    base: BasePin


class Planner:
    """Plans with a store, an HTTP client and a listener; raises ShipmlError, as its class says."""

    def __init__(self, store: Store, http: HttpClient, emit: Emit) -> None:
        self._store = store
        self._http = http
        self._emit = emit

    def plan(self, request: PlanRequest, prepared: Prepared) -> Plan:
        """The plan; nothing is looked up any more."""
        options = PlanOptions(request.name, _source_date_epoch_seconds(), with_shell=request.with_shell)
        return make_plan(
            prepared.project,
            lock=prepared.lock,
            base=prepared.base,
            candidate=prepared.candidate,
            platform=prepared.platform,
            options=options,
        )

    def prepare(self, request: PlanRequest) -> Prepared:
        """Look up what a plan needs: the base is pinned while uv resolves, for the suite that is most likely."""
        project = read_project(request.folder, self._store, self._emit)
        choose_command(project, with_shell=request.with_shell)  # nothing to run: say so before anything is looked up
        platform = _platform(request, project)
        candidates = python_candidates(project, request.python, request.base)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="pin") as pool:
            likely = pool.submit(self._pin, request, project, candidates[0], platform)
            candidate, lock = resolve_first(
                project,
                candidates,
                platform=platform,
                store=self._store,
                emit=self._emit,
                upgrade=request.upgrade,
                locked=request.locked,
            )
            if _pins_base(lock, project, request):
                base = lock.base
            elif candidate is candidates[0]:
                base = likely.result()
            else:
                base = self._pin(request, project, candidate, platform)
        if base is None:
            raise ConfigurationError("the lock names no base", hint="write it anew: shipml plan --lock")
        return Prepared(project, platform, candidate, lock, base)

    def _pin(self, request: PlanRequest, project: Project, candidate: PythonCandidate, platform: Platform) -> BasePin:
        return bases.pin_base(
            candidate.suite,
            platform,
            extra=dict.fromkeys(project.settings.system_packages, "named in system-packages"),
            with_shell=request.with_shell,
            store=self._store,
            http=self._http,
            emit=self._emit,
            allow_expired=request.allow_expired,
            upgrade=request.upgrade,
        )


def _platform(request: PlanRequest, project: Project) -> Platform:
    if request.platform:
        return Platform.parse(request.platform)
    if project.settings.platforms:
        return Platform.parse(project.settings.platforms[0])
    return Platform.of_this_machine()


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
            f"SOURCE_DATE_EPOCH is {text!r}, not a whole number of seconds", hint="export SOURCE_DATE_EPOCH=$(date +%s)"
        )
    return int(text)
