"""All builds of one lock: build tools first, then two at a time, each until its failures are fixed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from shipml.debian.contents import packages_with, packages_with_paths
from shipml.errors import BuildError, ResolutionError
from shipml.events import Notice, Step, step
from shipml.facts.plan import (
    Base,
    BasePin,
    LockedSource,
    LockedWheel,
)
from shipml.facts.project import Lock, Project
from shipml.facts.pythons import PythonBase
from shipml.resolver import UV_CACHE
from shipml.resolver.errors import UnsolvableError
from shipml.resolver.source_metadata import requirements_of_source
from shipml.resolver.uv import Uv
from shipml.session import Session
from shipml.source_builds.attempt import Attempt, Outcome, attempt
from shipml.source_builds.checking import checked_wheel
from shipml.source_builds.effort import available_bytes, effort_text, expected_minutes, impossible, parallel_jobs
from shipml.source_builds.kept import Built, keep, known_build
from shipml.source_builds.needs import (
    HEADERS,
    Needs,
    as_of,
    bounds,
    compilers_for,
)
from shipml.source_builds.remedies import Remedy, cause, remedies
from shipml.source_builds.roots import BuildRoots
from shipml.source_builds.source import SourceFacts, read_source
from shipml.source_builds.tools import ToolResolver, name_of
from shipml.store.logs import log_file
from shipml.text import counted

__all__ = ["Building"]

_AT_ONCE = 2
_ROUNDS = 10
_TIMEOUT_SECONDS = 3600.0
_SHARE_OF_MEMORY = 0.75
"""Of this machine's: what all processes of a build may hold together."""
_TOOLS = ("setuptools", "wheel", "cython", "numpy", "pybind11", "cffi", "scipy")
"""What others are often built with, in the order in which they need each other."""
_TAIL_LINES = 12
_SHOWN_CHARACTERS = 60


class Building:
    """Builds the sources of one lock."""

    def __init__(
        self,
        lock: Lock,
        project: Project,
        suite: PythonBase,
        image: Base | None,
        *,
        session: Session,
    ) -> None:
        self._lock, self._project, self._suite = lock, project, suite
        self._store, self._http, self._emit = session.store, session.http, session.emit
        self._session = replace(session, upgrade=False)
        base = image if image is not None and not isinstance(image, BasePin) else suite
        self._roots = BuildRoots(base, lock.platform, self._session)  # type: ignore[arg-type]
        declared = project.requirements
        self._pins = {one.name: one.version for one in lock.wheels} | {one.name: one.version for one in lock.sources}
        self._tools = ToolResolver(
            Uv(project.folder, session.store.home / UV_CACHE, upgrade=session.upgrade),
            suite,
            lock.platform,
            declared.options if declared is not None else (),
            project.folder,
            self._pins,
            session.store,
        )
        self._sources = {one.name: one for one in lock.sources}
        self._built: dict[str, Built] = {}
        self._jobs: dict[str, Future[Built]] = {}
        self._waiting: dict[str, str] = {}
        self._lock_of_jobs = threading.Lock()
        self._cancelled = threading.Event()

    def run(self) -> list[Built]:
        """Build all; returns them in the order of the lock. The first failure ends it."""
        first = [name for name in _TOOLS if name in self._sources]
        for name in first:
            self._once(self._sources[name], ())
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="build") as pool:
            jobs = [pool.submit(self._once, one, ()) for one in self._lock.sources]
            try:
                for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                    job.result()
                return [job.result() for job in jobs]
            except BaseException:  # Ctrl+C, too: else leaving the pool would wait for builds that nobody wants
                self._cancelled.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _once(self, source: LockedSource, stack: tuple[str, ...]) -> Built:
        """The wheel of a source, built by whoever wants it first; the others wait.

        Raises:
            ResolutionError: two sources need each other.
        """
        with self._lock_of_jobs:
            job = self._jobs.get(source.name)
            if stack:  # who builds it himself gets no further before it is there, either
                self._waiting[stack[-1]] = source.name
            if job is None:
                mine = self._jobs[source.name] = Future()
            elif stack:
                self._refuse_circle(source.name, stack)
        if job is not None:
            return job.result()
        try:
            built = known_build(source, self._suite, self._lock, self._pins, self._store) or self._step(source, stack)
        except BaseException as error:  # whatever it is: those who wait for this build must hear of its end
            mine.set_exception(error)
            raise
        self._built[source.name] = built
        mine.set_result(built)
        return built

    def _refuse_circle(self, wanted: str, stack: tuple[str, ...]) -> None:
        """Follow who waits for whom from `wanted`: a circle would never end."""
        seen = {wanted}
        while (following := self._waiting.get(wanted)) is not None and following not in seen:
            seen.add(following)
            wanted = following
        if not seen.isdisjoint(stack):
            raise ResolutionError(
                f"the sources of {', '.join(sorted(seen))} need each other to be built",
                hint="choose versions that have wheels, or another Python: --python",
            )

    def _step(self, source: LockedSource, stack: tuple[str, ...]) -> Built:
        self._http.fetch_blob(source.url, source.digest, self._store, size_bytes=source.size_bytes)
        with step(self._emit, f"build {source.name}", source.version) as running:
            built = self._build(source, (*stack, source.name), running)
            running.detail = f"{source.version}, {(built.wheel.size_bytes or 0) / 1e3:,.0f} kB"
        return built

    def _build(self, source: LockedSource, stack: tuple[str, ...], running: Step) -> Built:
        facts = read_source(self._store.blob_path(source.digest), source.filename)
        jobs = parallel_jobs(os.cpu_count() or 1, available_bytes(), min(_AT_ONCE, len(self._sources)))
        self._say_effort(source, facts, jobs)
        if facts.needs_rust and not source.filename.endswith(".whl"):
            self._refuse_rust(source)
        needs = self._first_needs(source, facts)
        for _ in range(_ROUNDS):
            tools = self._resolved(source, needs, stack)
            trees = self._roots.trees(needs.packages, tools)
            work = Attempt(
                source,
                facts,
                needs.requirements,
                trees,
                _TIMEOUT_SECONDS,
                int(_SHARE_OF_MEMORY * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
                jobs,
                lambda line: running.progress(0, None, "items", f"{source.version}: {line[:_SHOWN_CHARACTERS]}"),
                self._roots.library_path,
                self._cancelled,
            )
            outcome = attempt(work, self._store)
            if outcome.digest is not None:
                wheel = checked_wheel(source, outcome, self._suite, self._lock.platform, self._store)
                because = self._because(needs)
                keep(source, self._suite, self._lock, wheel, because, tools, self._pins, self._store)
                return Built(wheel, because)
            following = self._corrected(source, needs, outcome)
            if following == needs:
                raise self._failed(source, outcome)
            needs = following
        raise self._failed(source, outcome)

    def _say_effort(self, source: LockedSource, facts: SourceFacts, jobs: int) -> None:
        """Say before it starts how long compiling takes, where that is worth a word.

        Raises:
            BuildError: it cannot be done in the sandbox within its time.
        """
        if not facts.is_native:
            return
        minutes = expected_minutes(source.name, facts.compiled_bytes, jobs=jobs)
        limit = f"the limit of {_TIMEOUT_SECONDS / 60:.0f} min"
        why = impossible(source.name)
        if not why and expected_minutes(source.name, jobs=jobs) * 60 > _TIMEOUT_SECONDS:
            why = f"compiling it takes {effort_text(minutes)} here, and {limit} ends it"
        if why:
            raise BuildError(
                f"{source.name}=={source.version} has no wheel for Python {self._roots.python}, and {why}",
                hint=f"choose a version of {source.name} that has a wheel, or another Python: --python",
            )
        if text := effort_text(minutes):
            doubt = f"; {limit} may end it" if minutes * 60 > _TIMEOUT_SECONDS else ""
            self._emit(
                Notice(f"{source.name} {source.version} is compiled: {text}, {counted(jobs, 'job')} at once{doubt}")
            )

    def _first_needs(self, source: LockedSource, facts: SourceFacts) -> Needs:
        packages: frozenset[str] = frozenset()
        if facts.is_native:
            wanted = {*HEADERS.get(source.name, ()), *facts.tools, *self._named_headers()}
            packages = frozenset((*compilers_for(self._roots.suite.python), *self._roots.known_packages(tuple(wanted))))
        python = self._roots.python
        constraints = tuple(bounds(source.uploaded_at, python, facts.text))
        return Needs(facts.requires, constraints, packages)

    def _named_headers(self) -> Iterator[str]:
        """Headers that the project names for its own builds elsewhere."""
        yield from (one.name for one in self._project.system_packages if one.name.endswith("-dev"))
        yield from (name for name in self._project.settings.system_packages if name.endswith("-dev"))

    def _resolved(self, source: LockedSource, needs: Needs, stack: tuple[str, ...]) -> tuple[LockedWheel, ...]:
        """The tools; those of which there is only source are built first."""
        moment = as_of(source.uploaded_at, self._roots.python)
        wanted = [name for line in needs.requirements if (name := name_of(line)) in self._sources]
        for _ in range(_ROUNDS):
            for name in dict.fromkeys(wanted):
                if name not in stack:
                    self._once(self._sources[name], stack)
            built = [one.wheel for name, one in dict(self._built).items() if name != source.name]
            buildable = self._sources.keys() - self._built.keys() - set(stack)
            try:
                return self._tools.resolve(
                    needs.requirements,
                    needs.constraints,
                    as_of=moment,
                    built=built,
                    buildable=buildable,
                    name=source.name,
                )
            except UnsolvableError as error:
                more = [name for line in error.lacking if (name := name_of(line)) in self._sources]
                if set(more) <= {*wanted, *stack}:
                    raise ResolutionError(
                        f"{source.name}=={source.version} has no wheel, and what builds it is not available:"
                        f" {error.message}",
                        hint=f"choose another version of {source.name}, one that has a wheel",
                    ) from error
                wanted += more
        raise ResolutionError(f"what builds {source.name} needs too much that must be built first")

    def _corrected(self, source: LockedSource, needs: Needs, outcome: Outcome) -> Needs:
        """What to try next; the same where nothing is known to help."""
        if outcome.requires:
            return needs.plus(requirements=outcome.requires)
        if outcome.ending:
            return needs
        for remedy in remedies(outcome.log):
            following = self._with(source, needs, remedy)
            if following != needs:
                self._emit(Notice(f"{source.name} {source.version}: {remedy.because}: it is built again with that"))
                return following
        return needs

    def _tools_of(self, source: LockedSource, remedy: Remedy) -> tuple[str, ...]:
        """What the remedy adds; all that the package needs at run time, where its build imports one of these."""
        path = self._store.blob_path(source.digest)
        own = [line for line in requirements_of_source(path, source.filename) if "extra ==" not in line]
        if {name_of(line) for line in remedy.requirements} & {name_of(line) for line in own}:
            return (*remedy.requirements, *own)
        return remedy.requirements

    def _with(self, source: LockedSource, needs: Needs, remedy: Remedy) -> Needs:
        wanted, packages = self._tools_of(source, remedy), set(remedy.packages)
        if remedy.path:
            packages.update(self._owners(remedy.path)[:1])
            if not packages:
                return needs
        if packages or remedy.compilers:
            packages.update(compilers_for(self._roots.suite.python))
        there = {name_of(line) for line in needs.requirements}
        return needs.plus(
            requirements=tuple(line for line in wanted if name_of(line) not in there),
            constraints=remedy.constraints,
            packages=frozenset(packages),
            because=remedy.because,
        )

    def _owners(self, path: str) -> tuple[str, ...]:
        suite, platform = self._roots.suite, self._lock.platform
        if path.endswith(".so"):
            name = path.rpartition("/")[2]
            found: Mapping[str, tuple[str, ...]] = packages_with(
                [name],
                suite,
                platform,
                session=self._session,
            )
            return tuple(sorted(found[name], key=lambda one: not one.endswith("-dev")))
        return packages_with_paths(
            [path],
            suite,
            platform,
            session=self._session,
        )[path]

    def _because(self, needs: Needs) -> str:
        how = "with Debian's compilers" if needs.packages else "without a compiler"
        more = f"; {'; '.join(needs.reasons)}" if needs.reasons else ""
        return f"no wheel exists for Python {self._roots.python}: it was built from source {how}{more}"

    def _refuse_rust(self, source: LockedSource) -> None:
        raise BuildError(
            f"{source.name}=={source.version} has no wheel for Python {self._roots.python}, and its source is in Rust,"
            " whose crates a build without network cannot fetch",
            hint=f"choose a version of {source.name} that has a wheel, or another Python: --python",
        )

    def _failed(self, source: LockedSource, outcome: Outcome) -> BuildError:
        path = log_file(self._store.home, f"{source.name}-{source.version}")
        path.touch(mode=0o600)
        path.write_text(outcome.log, encoding="utf-8")
        lines = [f"  {line.rstrip()[:200]}" for line in outcome.log.splitlines() if line.strip()][-_TAIL_LINES:]
        shown = "\n" + "\n".join(lines) if lines and not outcome.ending else ""
        wanted = next((one for one in remedies(outcome.log)), None)
        lacks = f" ({wanted.because})" if wanted and not outcome.ending else ""
        return BuildError(
            f"{source.name}=={source.version} has no wheel for Python {self._roots.python}, and building it failed:"
            f" {cause(outcome.log, outcome.ending)}{lacks}{shown}",
            hint=f"choose a version of {source.name} that has a wheel, or another Python: --python; the whole log:"
            f" {path}",
        )
