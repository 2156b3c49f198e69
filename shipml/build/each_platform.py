"""Builds an image for each platform that is asked for, and the index that names them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shipml.build.here import Built, build_here
from shipml.build.last_image import Puller
from shipml.events import Emit, Event, Notice
from shipml.facts.plan import Decision
from shipml.facts.request import PlanRequest
from shipml.oci.image import Image
from shipml.oci.index import ImageIndex, assemble_index
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.prepare import each_platform
from shipml.report import BuildReport, report_build, report_index
from shipml.session import Session

__all__ = ["BuiltPlatforms", "build_platforms"]


@dataclass(frozen=True, slots=True)
class BuiltPlatforms:
    """One image, or one for each of several platforms and their index; all of it in the store, before it has names."""

    parts: tuple[Built, ...]
    index: ImageIndex | None
    """None where one platform was asked for."""

    @property
    def image(self) -> Image | ImageIndex:
        """What the names are to mean."""
        return self.index or self.parts[0].image

    @property
    def here(self) -> Built:
        """What can run on this machine, else the first."""
        here = Platform.of_this_machine()
        return next((part for part in self.parts if part.plan.platform == here), self.parts[0])

    def report(self, references: Sequence[Reference], decision: Decision, elapsed_seconds: float) -> BuildReport:
        """What was made, for the names that it got and the builder that was chosen."""
        reports = [
            report_build(
                replace(part.plan, decisions=(decision, *part.plan.decisions)),
                part.image,
                references,
                builder=decision.value,
                known=part.known,
                elapsed_seconds=elapsed_seconds,
            )
            for part in self.parts
        ]
        return report_index(reports, self.index, elapsed_seconds) if self.index else reports[0]


def build_platforms(
    session: Session, puller: Puller, request: PlanRequest, last_of: Sequence[Reference], *, load: bool, check: bool
) -> BuiltPlatforms:
    """Build for each platform in turn; what does not depend on the platform is downloaded and made once.

    Args:
        session: its store, clients and listener.
        puller: knows the last images.
        request: what to build, and for which platforms.
        last_of: as `build_here` takes it.
        load: whether it is to go into an engine, if there is one.
        check: whether what the program imports is imported in the image.
    """
    requests = each_platform(request)
    if len(requests) == 1:
        return BuiltPlatforms((build_here(session, puller, requests[0], last_of, load=load, check=check),), None)
    session = replace(session, emit=_once(session.emit))
    parts = []
    for one in requests:
        session.emit(Notice(f"building for {one.platform}"))
        parts.append(build_here(session, puller, one, last_of, load=load, check=check))
    index = assemble_index([part.image for part in parts])
    session.store.keep_index(index)
    return BuiltPlatforms(tuple(parts), index)


def _once(emit: Emit) -> Emit:
    """A listener that hears each notice once: most are about the project, and the same for every platform."""
    heard: set[Notice] = set()

    def tell(event: Event) -> None:
        if isinstance(event, Notice):
            if event in heard:
                return
            heard.add(event)
        emit(event)

    return tell
