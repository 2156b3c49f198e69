"""Image → SmokeResult: the image that is meant is run where it is, and what came of it is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shipml import docker_engine, runtimes
from shipml.errors import UsageError
from shipml.facts.plan import SmokeCheck
from shipml.facts.smoke_label import smoke_from_labels
from shipml.images import image_in_store, newest_on_engine
from shipml.oci.digest import Digest
from shipml.oci.image import Image, read_config
from shipml.runtimes.absent_files import absent_files
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.docker import DockerRuntime
from shipml.runtimes.variables import complete
from shipml.session import Session
from shipml.store import evidence

__all__ = ["run", "run_image"]


def run(
    session: Session, target: str | None, wanted: RunOptions, runtime: str, adjust: Callable[[SmokeCheck], SmokeCheck]
) -> SmokeResult:
    """Run an image and judge it by what its labels demand.

    Args:
        session: its store and listener.
        target: as for `images.find_image`.
        wanted: how, but for the check.
        runtime: as `--runtime` takes it.
        adjust: changes the check of the labels before it is used.
    """
    elsewhere = newest_on_engine(session.store, target)
    try:
        image = image_in_store(session, target, elsewhere)
    except UsageError:
        name = elsewhere or target or ""
        if runtime == "sandbox" or (result := _run_what_the_engine_has(session, name, wanted, adjust)) is None:
            raise
        return result
    check = adjust(_demanded(read_config(image).get("config") or {}))
    known = absent_files(session.store, image.digest)
    options = replace(
        _completed(wanted, check), left_out=known.left_out, written_by=known.written_by, settings=known.settings
    )
    chosen = runtimes.choose(runtime, image, session.store)
    return _kept(session, chosen.run(image, options, session.emit), check)


def run_image(session: Session, image: Image) -> SmokeResult:
    """Run an image from anywhere as its labels demand, and judge it; its layers are fetched as they are needed."""
    check = _demanded(read_config(image).get("config") or {})
    options = _completed(RunOptions(), check)
    chosen = runtimes.choose("auto", image, session.store)
    return _kept(session, chosen.run(image, options, session.emit), check)


def _run_what_the_engine_has(
    session: Session, target: str, wanted: RunOptions, adjust: Callable[[SmokeCheck], SmokeCheck]
) -> SmokeResult | None:
    """Run an image that is not in the store but in the user's engine; None where it is not there either."""
    engine = docker_engine.find(emit=session.emit) if target else None
    if engine is None:
        return None
    with engine:
        found = engine.find_image(target)
        if found is None:
            return None
        check = adjust(_demanded(found.config))
        runtime = DockerRuntime(engine, session.store)
        result = runtime.run_named(str(found.id), _completed(wanted, check), session.emit)
        return _kept(session, result, check, found.id)


def _kept(session: Session, result: SmokeResult, check: SmokeCheck, digest: Digest | None = None) -> SmokeResult:
    """Remember what came of the image's own command, under `digest` where that is not the result's."""
    if not check.command:
        evidence.keep(session.store, result, digest)
    return result


def _completed(wanted: RunOptions, check: SmokeCheck) -> RunOptions:
    """With the check, and with the variables that it takes from our own environment."""
    if check.requests and not check.http:  # somebody must answer before it can be asked
        check = replace(check, http="/", any_answer=True)
    return replace(wanted, check=check, environment=complete(wanted.environment, check.env))


def _demanded(config: Mapping[str, Any]) -> SmokeCheck:
    return smoke_from_labels(config.get("Labels") or {})
