"""A whole build in Azure: from a folder to an image in one of Azure's registries, and what is told and kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shipml.azure import is_acr_host
from shipml.azure.runs import Runs
from shipml.azure.session import AzureSession
from shipml.build.builder import BuildContext
from shipml.build.choose import has_dockerfile
from shipml.build_elsewhere.acr_tasks import AcrTasksBuilder, CloudBuild
from shipml.errors import NotAllowedError, UsageError
from shipml.events import Emit, Notice
from shipml.facts.plan import Decision, Plan
from shipml.facts.request import DockerOptions
from shipml.oci.digest import Digest
from shipml.oci.image import Image, read_config
from shipml.oci.manifest import Platform
from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.project import Settings
from shipml.publish.kinds import explained
from shipml.publish.locations import locate
from shipml.registry.keychain import ChainKeychain, DockerKeychain
from shipml.registry.remote import Registries
from shipml.report import BuildReport, LayerReport
from shipml.store import Store

__all__ = ["AzureBuild"]

_SOURCE_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class AzureBuild:
    """What is built, and under which names."""

    folder: Path
    names: tuple[Reference, ...]
    """As typed, at least one; those without a registry get that of the build."""
    settings: Settings
    options: DockerOptions
    decision: Decision
    """Why the acr builder."""
    no_dockerfile: bool = False
    """Whether the folder's Dockerfile is ignored."""
    are_typed: bool = True
    """Whether the user chose the names; else a repository of the settings counts more."""

    @property
    def has_dockerfile(self) -> bool:
        """Whether the user's own Dockerfile is built."""
        return has_dockerfile(self.folder, self.options, no_dockerfile=self.no_dockerfile)

    @property
    def _platform(self) -> Platform:
        """What Azure builds for, unless it is told otherwise, is what its machines are."""
        return self.options.platform or Platform.parse("linux/amd64")

    def run(self, azure: AzureSession, store: Store, emit: Emit, make_plan: Callable[[], Plan]) -> BuildReport:
        """Build; the image is in the registry under its names, and the store knows that it is there.

        Args:
            azure: who asks for it.
            store: keeps the log, and the image without its layers.
            emit: hears of progress.
            make_plan: gives the plan of a folder without Dockerfile.
        """
        started_at = time.monotonic()
        login_server, repository = self._place(azure)
        names = self.names if self.are_typed or not repository else (Reference(DOCKER_HUB, repository),)
        references = tuple(_at(login_server, name) for name in names)
        runs = Runs(azure.manager(), azure.registry(login_server))
        builder = AcrTasksBuilder(runs, references, home=store.home, options=self.options)
        context = BuildContext(self.folder, emit)
        decisions: tuple[Decision, ...] = (self.decision,)
        if self.has_dockerfile:
            built = builder.build_folder(context)
        else:
            plan = make_plan()
            decisions += plan.decisions
            built = builder.build(plan, context)
        try:
            image = self._keep(built, azure, store, emit)
        except NotAllowedError as error:
            emit(Notice(f"the image is built, but you may not look at it: {error.message}", "warning"))
            image = None
        return self._report(image, built, decisions, time.monotonic() - started_at)

    def _place(self, azure: AzureSession) -> tuple[str, str]:
        """The registry of the names, else that of the settings with its repository, else the one of the subscription.

        Raises:
            UsageError: the names are of another kind of registry, or of several.
        """
        named = {name.registry for name in self.names if name.registry != DOCKER_HUB}
        if len(named) > 1 or any(not is_acr_host(host) for host in named):
            raise UsageError(
                f"Azure can build into one of its own registries only, not into {', '.join(sorted(named))}",
                hint="name the image as REGISTRY.azurecr.io/NAME:TAG, or NAME:TAG alone",
            )
        if named:
            return azure.login_server(named.pop()), ""
        tables = [name for name, table in self.settings.registries if dict(table).get("kind") == "acr"]
        if len(tables) == 1:
            found = locate(tables[0], self.settings)
            return azure.login_server(found.registry), found.repository
        return azure.login_server(), ""

    def _keep(self, built: CloudBuild, azure: AzureSession, store: Store, emit: Emit) -> Image:
        """Read manifest and config; the layers stay in the registry until someone needs them."""
        first = built.references[0]
        keychain = ChainKeychain(DockerKeychain(), azure.keychain(hosts=(first.registry,)))
        with explained(first, keychain):
            pinned = replace(first, tag=None, digest=built.digest)
            image = Registries(keychain, emit).open_image(pinned, self._platform)
            _ = image.config
        for digest in {Digest.of(image.config), *(layer.digest for layer in image.layers)}:
            store.note_remote(digest, first.name)
        store.keep_image(image)
        for reference in built.references:
            store.tag(str(reference), image.digest, source=str(self.folder.resolve()))
        return image

    def _report(
        self, image: Image | None, built: CloudBuild, decisions: Sequence[Decision], elapsed_seconds: float
    ) -> BuildReport:
        config = read_config(image) if image else {}
        environment = dict(variable.partition("=")[::2] for variable in config.get("config", {}).get("Env") or ())
        return BuildReport(
            digest=built.digest,
            references=tuple(str(reference) for reference in built.references),
            size_bytes=_size_bytes(image) if image else 0,
            builder=AcrTasksBuilder.name,
            base="",
            python=".".join(environment.get("PYTHON_VERSION", "").split(".")[:2]),
            platform=str(self._platform),
            layers=_layers(image, config) if image else (),
            decisions=tuple(decisions),
            elapsed_seconds=elapsed_seconds,
        )


def _size_bytes(image: Image) -> int:
    return len(image.manifest) + len(image.config) + sum(layer.size_bytes for layer in image.layers)


def _layers(image: Image, config: Mapping[str, Any]) -> tuple[LayerReport, ...]:
    steps = [step for step in config.get("history") or () if not step.get("empty_layer")]
    words = [str(step.get("created_by") or "") for step in steps]
    words = words if len(words) == len(image.layers) else [""] * len(image.layers)
    return tuple(
        LayerReport(
            digest=layer.digest,
            diff_id=layer.diff_id,
            size_bytes=layer.size_bytes,
            kind="layer",
            source=what[:_SOURCE_CHARACTERS],
            reused=False,
        )
        for layer, what in zip(image.layers, words, strict=True)
    )


def _at(login_server: str, name: Reference) -> Reference:
    """The name in the registry: of `churn:1.0` its repository and tag."""
    repository = name.repository.removeprefix("library/") if name.registry == DOCKER_HUB else name.repository
    return Reference.parse(f"{login_server}/{repository}:{name.tag or 'latest'}")
