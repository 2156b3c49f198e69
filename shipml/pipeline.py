"""The flow on one screen: folder → Project → Plan → Image → SmokeResult → registry. `api.py` gives it to users."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from shipml import docker_engine, library
from shipml.build.choose import EMBEDDED, decide_builder
from shipml.build.each_platform import BuiltPlatforms, build_platforms
from shipml.build.last_image import Puller
from shipml.facts.plan import Decision
from shipml.facts.request import BuildOptions, PlanRequest
from shipml.images import name_image, typed_names
from shipml.oci.reference import Reference, has_registry
from shipml.oci.source import Output, write_outputs
from shipml.outcome import Outcome
from shipml.plan import Plan
from shipml.plan.planner import image_name
from shipml.prepare import plan_of, prepare
from shipml.project import read_outline, read_secrets, reading_once
from shipml.publish.destination import Destination
from shipml.publish.push import agree, push_image, resolve
from shipml.report import BuildReport
from shipml.runtimes.base import SmokeResult
from shipml.secrets.evidence import keep_secrets
from shipml.session import Session
from shipml.store import evidence
from shipml.store.built_files import keep_built_files

__all__ = ["build", "plan", "ship"]


@reading_once()
def plan(session: Session, request: PlanRequest) -> Plan:
    """Folder → plan, for one platform: nothing is built, and little is downloaded."""
    return plan_of(request, prepare(session, request, to_look=True))


@reading_once()
def build(session: Session, puller: Puller, request: PlanRequest, options: BuildOptions) -> BuildReport:
    """Folder → image: in the store or the engine that built it, under its names, and wherever else it was asked for."""
    started_at = time.monotonic()
    outputs = [Output.parse(text) for text in options.outputs]
    names = typed_names(options.references, lambda: image_name(read_outline(request.folder), request.name)[0])
    decision = decide_builder(
        options.builder,
        request.folder,
        options.docker,
        no_dockerfile=request.no_dockerfile,
        engine_is_there=lambda: docker_engine.is_there(session.emit),
    )
    if decision.value != EMBEDDED:
        return _build_elsewhere(session, request, options, names=names, outputs=outputs, decision=decision)
    last_of = [*filter(has_registry, names), *map(Reference.parse, options.cache_from)] if options.trust_last else []
    built = build_platforms(session, puller, request, last_of, load=options.load is None, check=options.check)
    names = names or [Reference.parse(built.here.plan.name)]
    with session.store.damage_explained(built.here.image):
        write_outputs(built.image, outputs, names, session.emit)
    _keep(session, request, built, names)
    if options.load or (options.load is None and built.here.is_here):
        library.load(session, built.here.image, names, must=options.load is True)
    library.keep_bounded(session, read_outline(request.folder).settings.max_store_bytes)
    return built.report(names, decision, time.monotonic() - started_at)


def _build_elsewhere(
    session: Session,
    request: PlanRequest,
    options: BuildOptions,
    *,
    names: list[Reference],
    outputs: list[Output],
    decision: Decision,
) -> BuildReport:
    from shipml.build_elsewhere.build import build_elsewhere

    report = build_elsewhere(
        session,
        lambda request: plan(session, request),
        request,
        names=names,
        targets=outputs,
        decision=decision,
        options=options.docker,
    )
    keep_secrets(session.store, report.digest, read_secrets(request.folder, session.store), session.emit)
    return report


def _keep(session: Session, request: PlanRequest, built: BuiltPlatforms, names: list[Reference]) -> None:
    """Give the image its names; what it was made of is noted, so that `run` and `push` see when it is stale."""
    name_image(session, built.image.digest, names, request.folder)
    files = {file.path: (file.size_bytes, file.digest) for file in built.here.plan.application if file.digest}
    keep_built_files(session.store, request.folder, built.image.digest, files)


@reading_once()
def ship(
    session: Session,
    puller: Puller,
    request: PlanRequest,
    destination: Destination,
    options: BuildOptions,
    *,
    run: Callable[[str], SmokeResult],
    smoke: bool = True,
) -> Outcome:
    """Folder → registry: build, run, push. The first that fails ends it, and what came before stays as it is.

    A destination that is unclear is an error before anything is built; the last image there is a cache.
    """
    started_at = time.monotonic()
    name = image_name(read_outline(request.folder), request.name)[0]
    resolved = resolve(session, destination, name, request.folder)
    last = resolved.references(name, {})[0]
    resolved = agree(session, resolved, last)
    built = build(session, puller, request, replace(options, cache_from=(*options.cache_from, str(last))))
    image = built.references[0] if built.builder == EMBEDDED else str(built.digest)
    pushed = push_image(session, image, resolved.destination, run=run, smoke=smoke, resolved=resolved)
    shown = evidence.last(session.store, pushed.digest) or evidence.last(session.store, built.digest)
    return Outcome(built, shown.to_json() if shown else None, pushed, time.monotonic() - started_at)
