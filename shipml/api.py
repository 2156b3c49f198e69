"""What a session can do: the flow, and the life of images. The command line and Python callers use it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from shipml import pipeline
from shipml.azure.session import AzureSession
from shipml.build.last_image import Puller
from shipml.build.locking import write_lock
from shipml.docker_engine.ports import PublishedPort
from shipml.errors import UnavailableError
from shipml.events import Emit, ignore
from shipml.facts.plan import SmokeCheck
from shipml.facts.request import BuildOptions, DockerOptions, PlanRequest
from shipml.http import HttpClient
from shipml.images import newest_on_engine, require_current
from shipml.inspection import ImageDescription, ImageSummary
from shipml.library import Removal, add_name, describe, fetch_if_remote, list_images, pull, remove
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.outcome import Outcome
from shipml.plan import Plan
from shipml.prepare import each_platform, plan_of, prepare
from shipml.project import read_outline, reading_once
from shipml.publish.destination import Destination
from shipml.publish.locations import Location, locate
from shipml.publish.login import LoggedIn, LoggedOut, log_in, log_out
from shipml.publish.promote import promote, roll_back
from shipml.publish.promotion import Promoted
from shipml.publish.push import Via, push_image
from shipml.publish.pushed import Pushed
from shipml.registry.credentials import Credentials
from shipml.report import BuildReport
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.run import run, run_image
from shipml.session import Choose, Session
from shipml.store import PruneReport, Store, StoreInfo, default_home, evidence

__all__ = ["PlanRequest", "Shipml"]

Folder: TypeAlias = str | os.PathLike[str]
Request: TypeAlias = PlanRequest | Folder
"""What to build; a folder alone is a request that leaves all else open."""


class Shipml:
    """One session: a store, an HTTP client and a listener. Every method raises ShipmlError, as its class says."""

    def __init__(
        self,
        home: Folder | None = None,
        emit: Emit = ignore,
        azure: AzureSession | None = None,
        choose: Choose | None = None,
    ) -> None:
        """A session.

        Args:
            home: of the store; None is what SHIPML_HOME says, else the user's cache folder.
            emit: hears what happens.
            azure: who we are to Azure, if that is asked, and closed with this; None is what azure-identity finds.
            choose: asks which of several programs is run, each question once; None takes the likeliest.
        """
        azure = azure or AzureSession(emit=emit)
        self._puller = Puller(emit, azure)
        self.store = Store(Path(home) if home else default_home(), self._puller.open_blob)
        ask = functools.cache(choose) if choose is not None else None
        self.session = Session(self.store, HttpClient(), emit, azure, self._puller.open_image, choose=ask)

    def __enter__(self) -> Shipml:
        return self

    def __exit__(self, *ended_by: object) -> None:
        self.store.close()
        self.session.azure.close()

    def plan(self, request: Request) -> Plan:
        """What would be built for one platform, and why; nothing is built, and little is downloaded."""
        return pipeline.plan(self.session, _request(request))

    @reading_once()
    def plans(self, request: Request) -> tuple[Plan, ...]:
        """As `plan`, for each platform that the request or the settings name."""
        return tuple(map(self.plan, each_platform(_request(request))))

    def lock(self, request: Request) -> Path:
        """Write resolution, base and layers made here to the project's pylock.toml; returns its path."""
        return write_lock(self.session, _request(request))

    def dockerfile(self, request: Request) -> str:
        """An equivalent Dockerfile."""
        from shipml.build.dockerfile import dockerfile

        request = replace(_request(request), no_dockerfile=True)
        prepared = prepare(self.session, request)
        if prepared.resolved.sources:
            names = ", ".join(f"{one.name}=={one.version}" for one in prepared.resolved.sources)
            raise UnavailableError(
                f"a Dockerfile cannot have what is built from source on this machine: {names}",
                hint="build it with: shipml build --builder embedded; or choose versions that have wheels",
            )
        return dockerfile(plan_of(request, prepared), ignored=[path for path, _ in prepared.project.left_out])

    def build(
        self,
        request: Request,
        *,
        references: Sequence[str] = (),
        builder: str = "auto",
        outputs: Sequence[str] = (),
        load: bool | None = None,
        docker: DockerOptions | None = None,
        check: bool = True,
        cache_from: Sequence[str] = (),
        trust_last: bool = True,
    ) -> BuildReport:
        """Build the image of a folder, keep it in the store under its names, and write it to `outputs`.

        What the docker builder makes is kept in the user's engine instead; its `digest` is the engine's id for it.

        Args:
            request: what to build.
            references: names for it (`name:tag`, `registry/name:tag`), or a version as a tag of its own name.
            builder: as `--builder` takes it.
            outputs: each `oci:DIR` or `docker-archive:FILE`.
            load: put it into the user's Docker Engine too; None: where there is one that works.
            docker: what only the docker builder understands.
            check: whether what the program imports is imported in the image before it counts as built.
            cache_from: images of repositories, beside those of `references`, whose layers are taken where they fit.
            trust_last: False takes no layer from a registry's image, and makes all of them here.
        """
        options = BuildOptions(
            tuple(references),
            builder,
            tuple(outputs),
            load,
            docker or DockerOptions(),
            check,
            tuple(cache_from),
            trust_last,
        )
        return pipeline.build(self.session, self._puller, _request(request), options)

    def run(
        self,
        image: Folder | None = None,
        *,
        runtime: str = "auto",
        adjust: Callable[[SmokeCheck], SmokeCheck] = lambda check: check,
        environment: Mapping[str, str] | None = None,
        memory_bytes: int | None = None,
        shared_memory_bytes: int | None = None,
        cpus: float | None = None,
        gpus: str = "",
        volumes: Sequence[str] = (),
        ports: Sequence[PublishedPort] = (),
    ) -> SmokeResult:
        """Run an image and judge it by what its labels demand.

        Args:
            image: a name, digest or folder; None is the last image built from the current folder.
            runtime: as `--runtime` takes it.
            adjust: changes the check before it is used.
            environment: variables added to the image's own; no output shows secrets among them.
            memory_bytes: limit; None for none.
            shared_memory_bytes: size of /dev/shm; None for Docker's 64 MB.
            cpus: limit of CPU time; as what follows, a matter of Docker Engines.
            gpus: as `docker run --gpus` takes it.
            volumes: as `docker run --volume` takes them.
            ports: published on 127.0.0.1.
        """
        wanted = RunOptions(SmokeCheck(), environment or {}, memory_bytes, cpus, gpus, tuple(volumes), tuple(ports))
        if shared_memory_bytes:
            wanted = replace(wanted, shared_memory_bytes=shared_memory_bytes)
        if runtime == "auto" and (cpus or gpus or volumes or ports):
            runtime = "docker"
        fetch_if_remote(self.session, _text(image), engine_counts=runtime != "sandbox")
        return run(self.session, _text(image), wanted, runtime, adjust)

    def run_image(self, image: Image) -> SmokeResult:
        """Run an image from anywhere as its labels demand, and judge it; its layers are fetched as they are needed."""
        return run_image(self.session, image)

    def tag(self, image: Folder | None, reference: str) -> tuple[Reference, Digest]:
        """Add a name to an image, in the store and in the user's engine; returns the name, and what has it."""
        return add_name(self.session, _text(image), reference)

    def push(
        self,
        image: Folder | None = None,
        destination: Destination | None = None,
        *,
        smoke: bool = True,
        via: Via = "auto",
        environment: Mapping[str, str] | None = None,
    ) -> Pushed:
        """Push an image that has passed its smoke test, which gets `environment`; see `publish.push.Publisher.push`."""
        image = _text(image)
        if image and Path(image).is_dir() and not newest_on_engine(self.store, image):
            require_current(self.store, image)
        return push_image(
            self.session,
            image,
            destination or Destination(),
            run=functools.partial(self.run, environment=environment),
            smoke=smoke,
            via=via,
        )

    def promote(
        self,
        image: str,
        to: str,
        *,
        origin: str = "",
        tags: Sequence[str] = (),
        smoke: bool = True,
        rollback: bool = False,
        no_overwrite: bool = False,
        folder: Folder = ".",
    ) -> Promoted:
        """Copy the image of another environment by digest, or, with `rollback`, what it had before.

        Args:
            image: what to promote; "" for what the settings of `origin` name.
            to: an environment, or `REGISTRY/NAME[:TAG]`.
            origin: the environment that it comes from; "" where `image` says all.
            tags: as `--tag` names them.
            smoke: False promotes what was never run.
            rollback: whether the last promotion is undone.
            no_overwrite: whether a tag of the target that has another image is an error.
            folder: whose settings name environments.
        """
        if rollback:
            return roll_back(self.session, to, text=image, tags=tags, folder=Path(folder))
        return promote(
            self.session,
            self.run_image,
            image,
            origin=origin,
            target=to,
            tags=tags,
            smoke=smoke,
            no_overwrite=no_overwrite,
            folder=Path(folder),
        )

    def ship(
        self,
        request: Request,
        destination: Destination | None = None,
        *,
        smoke: bool = True,
        builder: str = "auto",
        docker: DockerOptions | None = None,
        environment: Mapping[str, str] | None = None,
        trust_last: bool = True,
    ) -> Outcome:
        """Build, run, push: the first that fails ends it, and what came before stays as it is.

        A destination that is unclear is an error before anything is built; the last image there is a cache.

        Args:
            request: what to build.
            destination: where to; its names may be in the folder's settings.
            smoke: False pushes without a smoke test.
            builder: as `--builder` takes it.
            docker: what only the docker builder understands.
            environment: variables for the smoke test, beside the image's own.
            trust_last: False takes no layer from the last image there, and makes all of them here.
        """
        options = BuildOptions(builder=builder, docker=docker or DockerOptions(), trust_last=trust_last)
        return pipeline.ship(
            self.session,
            self._puller,
            _request(request),
            destination or Destination(),
            options,
            run=functools.partial(self.run, environment=environment),
            smoke=smoke,
        )

    def last_run(self, digest: Digest) -> SmokeResult | None:
        """The last smoke test of an image; None where it was never run."""
        return evidence.last(self.store, digest)

    def locate(self, word: str, name: str = "", folder: Folder = ".") -> Location:
        """The registry that a word means: see `registries.named.locate`; settings are those of `folder`."""
        return locate(word, read_outline(Path(folder)).settings, name)

    def login(self, registry: str, credentials: Credentials) -> LoggedIn:
        """Keep credentials that the registry accepts where docker keeps its own."""
        return log_in(registry, credentials)

    def logout(self, registry: str) -> LoggedOut:
        """Forget the credentials that docker's files or helpers keep for a registry."""
        return log_out(registry)

    def images(self) -> list[ImageSummary]:
        """The images in the store, newest first."""
        return list_images(self.store)

    def inspect(self, image: Folder | None = None) -> ImageDescription:
        """An image's digest, names, layers, config, and its last smoke test."""
        fetch_if_remote(self.session, _text(image))
        return describe(self.session, _text(image))

    def pull(self, reference: str, *, platform: str | None = None) -> ImageSummary:
        """Fetch an image of a registry into the store, all its layers; `platform` is this machine's for None."""
        stored = pull(self.session, reference, Platform.parse(platform) if platform else None)
        return next(one for one in self.images() if one.reference == stored.reference)

    def remove(self, *images: str, all_names: bool = False) -> Removal:
        """Remove names of images, given by name or digest; what fails is in the result, and does not stop the rest."""
        return remove(self.store, images, all_names=all_names)

    def cache_info(self, *, verify: bool = False) -> StoreInfo:
        """What the store holds; with `verify` every blob is read and compared with its digest."""
        return self.store.info(verify=verify)

    def prune(
        self, *, everything: bool = False, older_than_seconds: float | None = None, dry_run: bool = False
    ) -> PruneReport:
        """Remove what no named image needs; `everything` includes downloads and facts that would be used again."""
        return self.store.prune(all=everything, older_than_seconds=older_than_seconds, dry_run=dry_run)


def _request(request: Request) -> PlanRequest:
    return request if isinstance(request, PlanRequest) else PlanRequest(Path(request))


def _text(image: Folder | None) -> str | None:
    return None if image is None else os.fspath(image)
