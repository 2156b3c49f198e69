"""A whole build on the user's engine: from a folder to a tagged image there, and what is told and kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shipml.build.builder import BuildContext
from shipml.build.choose import has_dockerfile
from shipml.build_elsewhere.base_images import Credentials
from shipml.build_elsewhere.built_image import BuiltImage
from shipml.build_elsewhere.docker import DockerBuilder, DockerOptions
from shipml.docker_engine import Engine, NoEngineError, connect
from shipml.dockerfile.names import find_dockerfile
from shipml.dockerfile.understand import understand_dockerfile
from shipml.errors import NotAllowedError, UnavailableError
from shipml.events import Emit
from shipml.facts.dockerfile import UnsupportedInstruction
from shipml.facts.plan import Decision, Plan
from shipml.images import keep_built_on_engine
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference
from shipml.report import BuildReport, LayerReport
from shipml.store import Store
from shipml.text import listed

__all__ = ["EngineBuild", "connect_to_build"]

_SOURCE_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """What is built, and under which names."""

    folder: Path
    references: tuple[Reference, ...]
    options: DockerOptions
    decision: Decision
    """Why the docker builder."""
    no_dockerfile: bool = False
    """Whether the folder's Dockerfile is ignored."""
    credentials: Credentials | None = None
    """For the registries of bases; None takes what docker's own configuration has."""

    @property
    def has_dockerfile(self) -> bool:
        """Whether the user's own Dockerfile is built."""
        return has_dockerfile(self.folder, self.options, no_dockerfile=self.no_dockerfile)

    def run(
        self, engine: Engine, store: Store, emit: Emit, make_plan: Callable[[], Plan]
    ) -> tuple[BuiltImage, BuildReport]:
        """Build; the image is in the engine, under its names.

        Args:
            engine: where.
            store: keeps the log, and that this folder was built there.
            emit: hears of progress.
            make_plan: gives the plan of a folder without Dockerfile.
        """
        started_at = time.monotonic()
        before = _layers_under(engine, self.references)
        builder = DockerBuilder(
            store, engine, replace(self.options, references=self.references), credentials=self.credentials
        )
        context = BuildContext(self.folder, emit)
        decisions: tuple[Decision, ...] = (self.decision,)
        if self.has_dockerfile:
            image = builder.build_folder(context)
        else:
            plan = make_plan()
            builder.check(plan)
            image = builder.build(plan, context)
            decisions += plan.decisions
        self._keep(image, store)
        return image, self._report(image, before, decisions, time.monotonic() - started_at)

    def _keep(self, image: BuiltImage, store: Store) -> None:
        for reference in self.references:
            store.untag(str(reference))  # the name now means what the engine has
        keep_built_on_engine(store, self.folder, image.id)

    def _report(
        self, image: BuiltImage, before: frozenset[Digest], decisions: Sequence[Decision], elapsed_seconds: float
    ) -> BuildReport:
        layers = [
            LayerReport(
                digest=layer.diff_id,
                diff_id=layer.diff_id,
                size_bytes=layer.size_bytes,
                kind="layer",
                source=layer.created_by[:_SOURCE_CHARACTERS],
                reused=layer.diff_id in before,
            )
            for layer in image.layer_facts
        ]
        return BuildReport(
            digest=image.id,
            references=tuple(str(reference) for reference in self.references),
            size_bytes=image.facts.size_bytes,
            builder=DockerBuilder.name,
            base=image.base,
            python=image.python,
            platform=str(image.facts.platform),
            layers=tuple(layers),
            decisions=tuple(decisions),
            elapsed_seconds=elapsed_seconds,
        )


def connect_to_build(work: EngineBuild) -> Engine:
    """The user's engine.

    Raises:
        UnavailableError: there is none; the error says what needs it, and the hint names both ways out.
        NotAllowedError: this user may not use it.
    """
    try:
        return connect()
    except (UnavailableError, NotAllowedError) as error:
        hint = "install or start Docker" if isinstance(error, NoEngineError) else error.hint
        reason, without = _without_engine(work)
        raise type(error)(f"{reason}; but {error.message}", hint=f"{hint}; or {without}") from error


def _without_engine(work: EngineBuild) -> tuple[str, str]:
    """Why an engine is needed, and how to build without one: two clauses."""
    chosen = f"the docker builder was chosen, because {work.decision.because}"
    given = f"without {listed(work.options.given)} and " if work.options.given else ""
    way = f"build {given}without Docker: --builder embedded"
    path = (work.options.file or find_dockerfile(work.folder)) if work.has_dockerfile else None
    if path is None or not path.is_file():
        return chosen, way
    arguments = dict(work.options.build_arguments)
    found = understand_dockerfile(path.read_text(encoding="utf-8", errors="replace"), arguments, file=path.name)
    if not isinstance(found, UnsupportedInstruction):
        return chosen, way
    reason = f"only a Docker Engine can build this Dockerfile, because of {found.sentence}"
    return reason, f"build {given}without Docker and without the Dockerfile: --builder embedded --no-dockerfile"


def _layers_under(engine: Engine, references: Sequence[Reference]) -> frozenset[Digest]:
    found = [engine.find_image(str(reference)) for reference in references]
    return frozenset(diff_id for image in found if image for diff_id in image.diff_ids)
