"""Image → SmokeResult: the image that is meant is run where it is, and what came of it is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from shipml import docker_engine, runtimes
from shipml.errors import UsageError
from shipml.events import Emit
from shipml.facts.plan import SmokeCheck
from shipml.facts.smoke_label import smoke_from_labels
from shipml.images import Finder
from shipml.oci.digest import Digest
from shipml.oci.image import Image, read_config
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.docker import DockerRuntime
from shipml.store import Store

__all__ = ["Runner"]

_FACT = "smoke"


class Runner:
    """Runs images of a store and of the user's engine; raises ShipmlError, as its class says."""

    def __init__(self, store: Store, finder: Finder, emit: Emit) -> None:
        self._store = store
        self._finder = finder
        self._emit = emit

    def run(
        self, target: str | None, wanted: RunOptions, runtime: str, adjust: Callable[[SmokeCheck], SmokeCheck]
    ) -> SmokeResult:
        """Run an image and judge it by what its labels demand.

        Args:
            target: as for `Finder.subject`.
            wanted: how, but for the check.
            runtime: as `--runtime` takes it.
            adjust: changes the check of the labels before it is used.
        """
        elsewhere = self._finder.newest_on_engine(target)
        try:
            image = self._finder.image(target, elsewhere)
        except UsageError:
            name = elsewhere or target or ""
            if runtime == "sandbox" or (result := self._run_what_the_engine_has(name, wanted, adjust)) is None:
                raise
            return result
        check = adjust(_demanded(read_config(image).get("config") or {}))
        chosen = runtimes.choose(runtime, image, self._store)
        return self._kept(chosen.run(image, replace(wanted, check=check), self._emit), check)

    def run_image(self, image: Image) -> SmokeResult:
        """Run an image from anywhere as its labels demand, and judge it; its layers are fetched as they are needed."""
        check = _demanded(read_config(image).get("config") or {})
        chosen = runtimes.choose("auto", image, self._store)
        return self._kept(chosen.run(image, RunOptions(check), self._emit), check)

    def _run_what_the_engine_has(
        self, target: str, wanted: RunOptions, adjust: Callable[[SmokeCheck], SmokeCheck]
    ) -> SmokeResult | None:
        """Run an image that is not in the store but in the user's engine; None where it is not there either."""
        engine = docker_engine.find(emit=self._emit) if target else None
        if engine is None:
            return None
        with engine:
            found = engine.find_image(target)
            if found is None:
                return None
            check = adjust(_demanded(found.config))
            runtime = DockerRuntime(engine, self._store)
            result = runtime.run_named(str(found.id), replace(wanted, check=check), self._emit)
            return self._kept(result, check, found.id)

    def _kept(self, result: SmokeResult, check: SmokeCheck, digest: Digest | None = None) -> SmokeResult:
        """Remember what came of the image's own command, under `digest` where that is not the result's."""
        if not check.command:
            self._store.keep_fact(_FACT, str(digest or result.digest), result.to_json())
        return result


def _demanded(config: Mapping[str, Any]) -> SmokeCheck:
    return smoke_from_labels(config.get("Labels") or {})
