"""The flow on one screen: folder → Project → Plan → Image → SmokeResult. The command line and Python callers use it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shipml import docker_engine
from shipml.azure.session import AzureSession
from shipml.build.choose import EMBEDDED, DockerOptions, decide_builder
from shipml.build.here import Here
from shipml.build.last_image import Puller
from shipml.docker_engine.loading import load_image
from shipml.docker_engine.ports import PublishedPort
from shipml.errors import ShipmlError, StoreError, UnavailableError
from shipml.events import Emit, Notice, ignore
from shipml.facts.plan import SmokeCheck
from shipml.facts.request import PlanRequest
from shipml.http import HttpClient
from shipml.images import Finder
from shipml.lock import dump_lock
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.reference import Reference, has_registry
from shipml.oci.source import Output, write_outputs
from shipml.plan import Plan
from shipml.plan.planner import image_name
from shipml.prepare import Planner
from shipml.project import read_outline
from shipml.publish.destination import Destination
from shipml.publish.locations import Location, locate
from shipml.publish.login import (
    LoggedIn,
    LoggedOut,
    log_in,
    log_out,
)
from shipml.publish.promote import Promoter
from shipml.publish.promotion import Promoted
from shipml.publish.push import Publisher, Via
from shipml.publish.pushed import Pushed
from shipml.registry.credentials import Credentials
from shipml.report import (
    BuildReport,
    ImageSummary,
    Outcome,
    describe_image,
    report_build,
    summarise_image,
)
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.run import Runner
from shipml.store import Store, default_home
from shipml.store.built_files import keep_built_files

__all__ = ["PlanRequest", "Shipml"]


class Shipml:
    """One session: a store, an HTTP client and a listener. Every method raises ShipmlError, as its class says."""

    def __init__(self, home: Path | None = None, emit: Emit = ignore, azure: AzureSession | None = None) -> None:
        """`azure` is who we are to Azure, if that is asked, and closed with this; None is whom azure-identity finds."""
        self._azure = azure or AzureSession(emit=emit)
        self.store = Store(home or default_home())
        self.emit = emit
        self._http = HttpClient()
        self._puller = Puller(emit, self._azure)
        self.store.open_remote = self._puller.open_blob
        self._planner = Planner(self.store, self._http, emit, self._puller.open_image)
        self._finder = Finder(self.store, emit)
        self._runner = Runner(self.store, self._finder, emit)
        self._publisher = Publisher(self.store, self._finder, emit, self.run, self._azure)

    def __enter__(self) -> Shipml:
        return self

    def __exit__(self, *ended_by: object) -> None:
        self.store.close()
        self._azure.close()

    def plan(self, request: PlanRequest) -> Plan:
        """What would be built, and why; nothing is built."""
        return self._planner.plan(request, self._planner.prepare(request))

    def lock(self, request: PlanRequest) -> Path:
        """Write the resolution and the base's packages to the project's pylock.toml; returns its path."""
        prepared = self._planner.prepare(replace(request, locked=False))
        path = request.folder / "pylock.toml"
        _write_atomically(path, dump_lock(prepared.resolved, prepared.base))
        return path

    def dockerfile(self, request: PlanRequest) -> str:
        """An equivalent Dockerfile."""
        from shipml.build.dockerfile import dockerfile

        request = replace(request, no_dockerfile=True)
        prepared = self._planner.prepare(request)
        if prepared.resolved.sources:
            names = ", ".join(f"{one.name}=={one.version}" for one in prepared.resolved.sources)
            raise UnavailableError(
                f"a Dockerfile cannot have what is built from source on this machine: {names}",
                hint="build it with: shipml build --builder embedded; or choose versions that have wheels",
            )
        return dockerfile(
            self._planner.plan(request, prepared), ignored=[path for path, _ in prepared.project.left_out]
        )

    def build(
        self,
        request: PlanRequest,
        *,
        references: Sequence[str] = (),
        builder: str = "auto",
        outputs: Sequence[str] = (),
        load: bool | None = None,
        docker: DockerOptions | None = None,
        check: bool = True,
        cache_from: Sequence[str] = (),
    ) -> BuildReport:
        """Build the image of a folder, keep it in the store under its names, and write it to `outputs`.

        What the docker builder makes is kept in the user's engine instead; its `digest` is the engine's id for it.

        Args:
            request: what to build.
            references: names for it (`name`, `name:tag`, `registry/name:tag`); without any, the plan's name.
            builder: as `--builder` takes it.
            outputs: each `oci:DIR` or `docker-archive:FILE`.
            load: put it into the user's Docker Engine too; None: where there is one that works.
            docker: what only the docker builder understands.
            check: whether what the program imports is imported in the image before it counts as built.
            cache_from: images of repositories, beside those of `references`, whose layers are taken where they fit.
        """
        started_at = time.monotonic()
        targets = [Output.parse(text) for text in outputs]
        names = [Reference.parse(text) for text in references]
        decision = decide_builder(
            builder,
            request.folder,
            docker or DockerOptions(),
            no_dockerfile=request.no_dockerfile,
            engine_is_there=self._has_engine,
        )
        if decision.value != EMBEDDED:
            from shipml.build_elsewhere.build import Elsewhere

            elsewhere = Elsewhere(self.store, self.emit, self._azure, self.plan)
            return elsewhere.build(request, names, targets, decision, docker or DockerOptions())
        here = Here(self.store, self._http, self._planner, self._puller, self.emit)
        asked = [*filter(has_registry, names), *map(Reference.parse, cache_from)]
        built = here.build(request, asked, load=load is None, check=check)
        plan, image, names = built.plan, built.image, names or [Reference.parse(built.plan.name)]
        write_outputs(image, targets, names, self.emit)
        self._name(image, names, request.folder)
        files = {file.path: (file.size_bytes, file.digest) for file in plan.application if file.digest}
        keep_built_files(self.store, request.folder, image.digest, files)
        if load or (load is None and built.is_here):
            self._load(image, names, must=load is True)
        elapsed_seconds = time.monotonic() - started_at
        plan = replace(plan, decisions=(decision, *plan.decisions))
        return report_build(plan, image, names, builder=EMBEDDED, known=built.known, elapsed_seconds=elapsed_seconds)

    def run(
        self,
        target: str | None = None,
        *,
        runtime: str = "auto",
        adjust: Callable[[SmokeCheck], SmokeCheck] = lambda check: check,
        environment: Mapping[str, str] | None = None,
        memory_bytes: int | None = None,
        cpus: float | None = None,
        gpus: str = "",
        volumes: Sequence[str] = (),
        ports: Sequence[PublishedPort] = (),
    ) -> SmokeResult:
        """Run an image and judge it by what its labels demand.

        Args:
            target: a name, digest or folder; None is the last image built from the current folder.
            runtime: as `--runtime` takes it.
            adjust: changes the check before it is used.
            environment: variables added to the image's own.
            memory_bytes: limit; None for none.
            cpus: limit of CPU time; as what follows, a matter of Docker Engines.
            gpus: as `docker run --gpus` takes it.
            volumes: as `docker run --volume` takes them.
            ports: published on 127.0.0.1.
        """
        wanted = RunOptions(SmokeCheck(), environment or {}, memory_bytes, cpus, gpus, tuple(volumes), tuple(ports))
        if runtime == "auto" and (cpus or gpus or volumes or ports):
            runtime = "docker"
        return self._runner.run(target, wanted, runtime, adjust)

    def run_image(self, image: Image) -> SmokeResult:
        """Run an image from anywhere as its labels demand, and judge it; its layers are fetched as they are needed."""
        return self._runner.run_image(image)

    def tag(self, target: str | None, reference: str) -> tuple[Reference, Digest]:
        """Give an image one more name, in the store and in the user's engine; returns the name, and what has it."""
        name = Destination(reference).references("", lambda _: "")[0]
        subject = self._finder.subject(target)
        if subject.image is None:
            with docker_engine.connect() as engine:
                engine.tag(str(subject.digest), name)
            self.store.untag(str(name))  # the name now means what the engine has
        else:
            self.store.tag(str(name), subject.digest)
            self._load(subject.image, [name], must=False)
        return name, subject.digest

    def push(
        self,
        target: str | None = None,
        destination: Destination | None = None,
        *,
        smoke: bool = True,
        via: Via = "auto",
    ) -> Pushed:
        """Push an image that has passed its smoke test; see `publishing.Publisher.push`."""
        if target and Path(target).is_dir() and not self._finder.newest_on_engine(target):
            self._finder.require_current(target)
        return self._publisher.push(target, destination or Destination(), smoke=smoke, via=via)

    def promote(
        self,
        image: str,
        target: str,
        *,
        origin: str = "",
        tags: Sequence[str] = (),
        smoke: bool = True,
        rollback: bool = False,
        folder: Path = Path(),
    ) -> Promoted:
        """Let an environment have the very image of another one, or, with `rollback`, what it had before.

        Args:
            image: what to promote; "" for what the settings of `origin` name.
            target: an environment, or `REGISTRY/NAME[:TAG]`.
            origin: the environment that it comes from; "" where `image` says all.
            tags: as `--tag` names them.
            smoke: False promotes what was never run.
            rollback: whether the last promotion is undone.
            folder: whose settings name environments.
        """
        promoter = Promoter(self.store, self.emit, self.run_image, self._azure)
        if rollback:
            return promoter.roll_back(target, text=image, tags=tags, folder=folder)
        return promoter.promote(image, origin=origin, target=target, tags=tags, smoke=smoke, folder=folder)

    def ship(
        self,
        request: PlanRequest,
        destination: Destination | None = None,
        *,
        smoke: bool = True,
        builder: str = "auto",
        docker: DockerOptions | None = None,
    ) -> Outcome:
        """Build, run, push: the first that fails ends it, and what came before stays as it is.

        A destination that is unclear is an error before anything is built; the last image there is a cache.

        Args:
            request: what to build.
            destination: where to; its names may stand in the settings of the folder.
            smoke: False pushes without a smoke test.
            builder: as `--builder` takes it.
            docker: what only the docker builder understands.
        """
        started_at = time.monotonic()
        name = image_name(read_outline(request.folder), request.name)[0]
        aim = self._publisher.aim(destination or Destination(), name, request.folder)
        last = aim.references(name, {})[0]
        built = self.build(request, builder=builder, docker=docker, cache_from=[str(last)])
        target = built.references[0] if built.builder == EMBEDDED else str(built.digest)
        pushed = self._publisher.push(target, aim.destination, smoke=smoke, aim=aim)
        return Outcome(built, self.last_run(built.digest), pushed, time.monotonic() - started_at)

    def last_run(self, digest: Digest) -> Mapping[str, Any] | None:
        """The last smoke test of an image, as `SmokeResult.to_json` has it."""
        known = self.store.fact("smoke", str(digest))
        return known if isinstance(known, dict) else None

    def locate(self, word: str, name: str = "", folder: Path = Path()) -> Location:
        """The registry that a word means: see `registries.named.locate`; settings are those of `folder`."""
        return locate(word, read_outline(folder).settings, name)

    def login(self, registry: str, credentials: Credentials) -> LoggedIn:
        """Keep credentials that the registry accepts where docker keeps its own."""
        return log_in(registry, credentials)

    def logout(self, registry: str) -> LoggedOut:
        """Forget the credentials that docker's files or helpers keep for a registry."""
        return log_out(registry)

    def images(self) -> list[ImageSummary]:
        """The images in the store, newest first; those that were pruned half away by hand are left out."""
        found = []
        for stored in self.store.images():
            try:
                found.append(summarise_image(stored, self.store.image(stored.digest)))
            except StoreError:
                continue
        return found

    def inspect(self, target: str | None = None) -> dict[str, Any]:
        """An image's digest, names, layers, config, and its last smoke test."""
        stored = self._finder.stored(target)
        names = [other.reference for other in self.store.images() if other.digest == stored.digest]
        smoke = self.store.fact("smoke", str(stored.digest))
        return describe_image(self.store.image(stored.digest), names, smoke=smoke)

    def cache_info(self, *, verify: bool = False) -> dict[str, Any]:
        """What the store holds; with `verify` every blob is read and compared with its digest."""
        return self.store.info(verify=verify).to_json()

    def prune(
        self, *, everything: bool = False, older_than_seconds: float | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """Remove what no named image needs; `everything` includes downloads and facts that would be used again."""
        return self.store.prune(all=everything, older_than_seconds=older_than_seconds, dry_run=dry_run).to_json()

    def _name(self, image: Image, names: Sequence[Reference], folder: Path) -> None:
        """Give the image its names; one that another folder's image had is said."""
        source = str(folder.resolve())
        before = {stored.reference: stored.source for stored in self.store.images()}
        for name in map(str, names):
            if (other := before.get(name)) and other != source:
                self.emit(Notice(f"{name} now names this image; it was the image of {other}", "warning"))
            self.store.tag(name, image.digest, source=source)

    def _has_engine(self) -> bool:
        engine = docker_engine.find(emit=self.emit)
        if engine is not None:
            engine.close()
        return engine is not None

    def _load(self, image: Image, names: Sequence[Reference], *, must: bool) -> None:
        """Put the image into the user's engine; unless it `must` be there, the build is well without."""
        engine = docker_engine.connect() if must else docker_engine.find(emit=self.emit)
        if engine is None:
            return
        try:
            with engine:
                load_image(engine, image, names, self.emit, manifest_of=docker_engine.manifests_in(self.store))
        except ShipmlError as error:
            if must:
                raise
            self.emit(Notice(f"the image is built, but not in the Docker Engine: {error.message}", "warning"))


def _write_atomically(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
