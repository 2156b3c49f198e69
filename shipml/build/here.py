"""Builds by the embedded builder: plan, layers, import check; what a failed check teaches is heeded at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from shipml.build.builder import BuildContext
from shipml.build.import_check import check_imports
from shipml.build.last_image import LastImage, Puller
from shipml.errors import ImportCheckError
from shipml.events import Notice, step
from shipml.facts.request import PlanRequest
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.plan import Plan
from shipml.prepare import learn, plan_of, prepare
from shipml.runtimes.absent_files import keep_absent_files
from shipml.secrets.evidence import keep_secrets
from shipml.session import Session
from shipml.store.borrowed import keep_borrowed_layers
from shipml.text import counted

__all__ = ["Built", "build_here"]

_ATTEMPTS = 6
"""The first, and one for each lesson that there can be: another Python, another package, three times other versions."""


@dataclass(frozen=True, slots=True)
class Built:
    """An image in the store, before it has names."""

    plan: Plan
    image: Image
    known: frozenset[Digest]
    """What the store, or the last image, had before."""
    is_here: bool
    """Whether all its layers can be read without a registry."""


def build_here(
    session: Session, puller: Puller, request: PlanRequest, last_of: Sequence[Reference], *, load: bool, check: bool
) -> Built:
    """Plan, build, and try the imports.

    Args:
        session: its store, clients and listener.
        puller: knows the last images.
        request: what to build.
        last_of: the repositories that the image goes to, and those that the user names: what their last images
            have is not made again.
        load: whether it is to go into an engine, if there is one.
        check: whether what the program imports is imported in the image.
    """

    @functools.cache
    def ask(platform: Platform) -> LastImage:
        puller.trust(last_of)
        return puller.last_image(last_of, platform, session.store)

    request = replace(request, must_follow=True)
    for attempts_left in reversed(range(_ATTEMPTS)):
        built = _attempt(session, request, ask, load=load, check=check, is_last=attempts_left == 0)
        if built is not None:
            return built
    raise AssertionError("the last attempt gives an image or raises")


def _attempt(
    session: Session,
    request: PlanRequest,
    ask: Callable[[Platform], LastImage],
    *,
    load: bool,
    check: bool,
    is_last: bool,
) -> Built | None:
    """One build; None where its failure taught something that another one can heed."""
    from shipml.build.embedded import EmbeddedBuilder

    prepared = prepare(session, request, lambda platform: ask(platform).facts)
    plan = plan_of(request, prepared)
    builder = EmbeddedBuilder(replace(session.asked(request), upgrade=session.upgrade), request.folder)
    builder.check(plan)
    known = session.store.blob_digests()
    last = LastImage() if builder.knows(plan) else ask(plan.platform).bound_by(prepared.lock, session.emit)
    with session.store.borrowing(last.facts), step(session.emit, "layers") as running:
        image = builder.build(plan, BuildContext(request.folder, session.emit))
        running.detail = _counted_layers(image, known | last.digests)
    session.store.keep_image(image)
    keep_borrowed_layers(session.store, image, str(last.reference or ""), last.digests)
    keep_secrets(session.store, image.digest, prepared.project.secrets)
    keep_absent_files(session.store, image.digest, prepared.project)
    is_here = last.is_here(image, session.store)
    if not is_here:
        session.emit(Notice(last.advice(load=load, check=check)))
    elif check:
        try:
            project = prepared.project
            check_imports(
                image,
                project.required_imports,
                standard=project.standard_imports,
                store=session.store,
                emit=session.emit,
            )
        except ImportCheckError as error:
            if is_last or not learn(session, request, prepared, error):
                raise
            return None
    return Built(plan, image, known | last.digests, is_here=is_here)


def _counted_layers(image: Image, known: Collection[Digest]) -> str:
    """`7 layers`, and how many of them were there before."""
    reused = sum(layer.digest in known for layer in image.layers)
    count = counted(len(image.layers), "layer")
    return f"{count}, all reused" if reused == len(image.layers) else f"{count}, {reused} reused" if reused else count
