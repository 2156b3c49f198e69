"""Builds that are done elsewhere, from a Dockerfile: on the user's Docker Engine, or by ACR Tasks in Azure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from shipml.build.choose import ACR, DockerOptions
from shipml.build_elsewhere.in_azure import AzureBuild
from shipml.build_elsewhere.on_engine import EngineBuild, connect_to_build
from shipml.events import Notice
from shipml.facts.plan import Decision
from shipml.facts.request import PlanRequest
from shipml.facts.smoke_label import SMOKE_LABEL, smoke_label
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.oci.source import Output, write_outputs
from shipml.plan import Plan
from shipml.plan.planner import image_name
from shipml.project import read_outline
from shipml.registry.credentials import find_credentials
from shipml.report import BuildReport
from shipml.session import Session

__all__ = ["build_elsewhere"]


MakePlan: TypeAlias = Callable[[PlanRequest], Plan]


def build_elsewhere(
    session: Session,
    make_plan: MakePlan,
    request: PlanRequest,
    *,
    names: Sequence[Reference],
    targets: Sequence[Output],
    decision: Decision,
    options: DockerOptions,
) -> BuildReport:
    """Build where `decision` says, and write the image to `targets`.

    Args:
        session: its store, clients and listener.
        make_plan: plans a folder without Dockerfile.
        request: what to build.
        names: for the image; without any, that of the project.
        targets: where it is written, too.
        decision: which builder, and why.
        options: what the user asked of the builder.
    """
    project = read_outline(request.folder)
    are_typed = bool(names)
    names = names or [Reference.parse(image_name(project, request.name)[0])]
    platform = request.platform or next(iter(project.settings.platforms), None)
    label = smoke_label(project.settings.smoke)
    options = replace(
        options,
        platform=Platform.parse(platform) if platform else None,
        labels=((SMOKE_LABEL, label),) if label else (),
    )
    if decision.value == ACR:
        work = AzureBuild(
            request.folder,
            tuple(names),
            project.settings,
            options,
            decision,
            request.no_dockerfile,
            are_typed=are_typed,
        )
        return _in_azure(session, make_plan, work, request, targets)
    return _on_engine(
        session,
        make_plan,
        EngineBuild(request.folder, tuple(names), options, decision, request.no_dockerfile, _credentials_of_bases),
        request,
        targets,
    )


def _on_engine(
    session: Session, make_plan: MakePlan, work: EngineBuild, request: PlanRequest, targets: Sequence[Output]
) -> BuildReport:
    with connect_to_build(work) as engine:
        _tell_idle(session, request, has_dockerfile=work.has_dockerfile)
        image, report = work.run(engine, session.store, session.emit, lambda: make_plan(request))
        write_outputs(image, targets, work.references, session.emit)
    return report


def _in_azure(
    session: Session, make_plan: MakePlan, work: AzureBuild, request: PlanRequest, targets: Sequence[Output]
) -> BuildReport:
    _tell_idle(session, request, has_dockerfile=work.has_dockerfile)
    report = work.run(session.azure, session.store, session.emit, lambda: make_plan(request))
    names = [Reference.parse(reference) for reference in report.references]
    write_outputs(session.store.image(report.digest), targets, names, session.emit)
    return report


def _tell_idle(session: Session, request: PlanRequest, *, has_dockerfile: bool) -> None:
    if has_dockerfile and (idle := request.for_plans):
        session.emit(Notice(f"{', '.join(idle)} changes nothing here: the Dockerfile decides", "warning"))


def _credentials_of_bases(reference: Reference) -> Mapping[str, str]:
    return find_credentials(reference, with_environment=False).for_engine()
