"""A Docker Engine that answers: what it is, what it holds, and what it can be asked to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from shipml.docker_engine.endpoint import Endpoint
from shipml.docker_engine.ssh_tunnel import SshTunnel
from shipml.docker_engine.transfer import layer_progress
from shipml.errors import BuildError, TryAgainError, UsageError
from shipml.events import Emit, ignore, step
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import Platform
from shipml.oci.reference import DOCKER_HUB, Reference

if TYPE_CHECKING:  # brings the SDK
    from shipml.docker_engine.sdk import Sdk

__all__ = ["Engine", "EngineImage"]

_CHUNK_BYTES = 1 << 20
_CONTAINERD = ["driver-type", "io.containerd.snapshotter.v1"]
StoreKind = Literal["graph", "containerd"]


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image that an engine holds."""

    id: Digest
    """Of the config where the engine has a graph driver's store, of the manifest or index where it has containerd's."""
    references: tuple[str, ...]
    """Its tags, as `docker images` shows them."""
    repository_digests: tuple[str, ...]
    """`repository@sha256:…`: under which digest registries have it."""
    platform: Platform
    diff_ids: tuple[Digest, ...]
    """Of its layers, oldest first."""
    config: Mapping[str, Any]
    """Cmd, Entrypoint, Env, ExposedPorts, User, WorkingDir, … as in an image's config."""
    size_bytes: int

    @property
    def digest(self) -> Digest:
        """Of the manifest where it is known, else the id."""
        return Digest.parse(self.repository_digests[0].partition("@")[2]) if self.repository_digests else self.id


class Engine:
    """A connected engine; `close` it, or use `with`."""

    def __init__(self, sdk: Sdk, described: Mapping[str, Any], tunnel: SshTunnel | None = None) -> None:
        """`described` is what /version says; `tunnel` is closed together with the engine."""
        self.sdk = sdk
        self._described = described
        self._tunnel = tunnel

    def close(self) -> None:
        """Close the connections."""
        self.sdk.close()
        if self._tunnel:
            self._tunnel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What it is.

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers."""
        return self.sdk.endpoint

    @property
    def version(self) -> str:
        """Of the engine: "28.5.2"."""
        return str(self._described.get("Version", ""))

    @property
    def api_version(self) -> str:
        """The version of the API that is spoken: "1.51"."""
        return str(self.sdk.api.api_version)

    @property
    def is_podman(self) -> bool:
        """Whether podman answers, which speaks most of the API."""
        components = self._described.get("Components") or ()
        return any("podman" in str(component.get("Name", "")).lower() for component in components)

    @property
    def platform(self) -> Platform:
        """What its containers run on without emulation."""
        return Platform.parse(f"{self._described.get('Os', 'linux')}/{self._described.get('Arch', 'amd64')}")

    @property
    def has_buildkit(self) -> bool:
        """Whether it takes builds of version 2 (every engine from 20.10 on Linux does)."""
        return not self.is_podman and self._described.get("Os") == "linux"

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """What /info says."""
        with self.sdk.doing("describe itself"):
            found: dict[str, Any] = self.sdk.api.info()
            return found

    @property
    def store_kind(self) -> StoreKind:
        """How it keeps images: by a graph driver (overlay2) or in containerd."""
        return "containerd" if _CONTAINERD in (self.info.get("DriverStatus") or ()) else "graph"

    @cached_property
    def has_bridge(self) -> bool:
        """Whether containers can get a network of their own with published ports."""
        with self.sdk.doing("list its networks"):
            return any(network["Driver"] == "bridge" for network in self.sdk.api.networks())

    # What it holds.

    def find_image(self, name: str) -> EngineImage | None:
        """The image with this reference, digest or id (or the start of it); None where there is none."""
        try:
            Reference.parse(name)
        except UsageError:  # nothing can have that name
            return None
        found = self.sdk.unless_missing(lambda: self.sdk.api.inspect_image(name), f"inspect {name}")
        return None if found is None else _engine_image(found)

    def image(self, name: str) -> EngineImage:
        """As `find_image`.

        Raises:
            UsageError: it does not have that image.
        """
        found = self.find_image(name)
        if found is None:
            raise UsageError(
                f"the Docker Engine does not have the image {name!r}",
                hint="list its images with `docker images`, or pull it",
            )
        return found

    def image_ids(self) -> list[Digest]:
        """The ids of all images that have a name or are not in use by others, newest first."""
        with self.sdk.doing("list its images"):
            return [Digest.parse(entry["Id"]) for entry in self.sdk.api.images() if entry["Id"].startswith("sha256:")]

    def id_of(self, image: Image) -> Digest:
        """The id that this engine gives the image: of its manifest in containerd's store, else of its config."""
        return image.digest if self.store_kind == "containerd" else Digest.of(image.config)

    def is_complete(self, manifest: Digest) -> bool:
        """Whether containerd's store has all blobs of an image; True where the engine (before 27) cannot tell."""
        with self.sdk.doing("list its images"):
            api = self.sdk.api
            entries = api._result(api._get(api._url("/images/json"), params={"manifests": "1"}), json=True)  # noqa: SLF001
        listed = [found for entry in entries for found in entry.get("Manifests") or ()]
        return all(found.get("Available", True) for found in listed if found.get("ID") == str(manifest))

    # What it does.

    def save(self, name: str, path: Path) -> None:
        """Write an image of the engine to a docker-archive, which `oci.archive.read_archive` reads.

        Raises:
            ShipmlError: as the engine's complaint says.
        """
        work = path.with_name(f".{path.name}.partial")
        try:
            with work.open("wb") as out:
                for chunk in self._saved(name):
                    out.write(chunk)
            work.rename(path)
        except OSError as error:
            raise BuildError(
                f"cannot write {path}: {error.strerror}", hint="free some space or name another place"
            ) from error
        finally:
            work.unlink(missing_ok=True)

    def _saved(self, name: str) -> Iterator[bytes]:
        with self.sdk.doing(f"save {name}"):
            yield from self.sdk.stream.get_image(name, chunk_size=_CHUNK_BYTES)

    def tag(self, name: str, reference: Reference) -> None:
        """Add a name to an image."""
        with self.sdk.doing(f"tag {name} as {reference}"):
            self.sdk.api.tag(name, reference.name, reference.tag or "latest", force=True)

    def remove_image(self, name: str) -> None:
        """Remove a name, and the image with its last one; nothing happens where there is none."""
        self.sdk.unless_missing(lambda: self.sdk.api.remove_image(name, force=True), f"remove {name}")

    def remove_container(self, name: str) -> bool:
        """Stop and remove a container at once; whether there was one."""
        removed = self.sdk.unless_missing(
            lambda: self.sdk.api.remove_container(name, v=True, force=True) or True, f"remove the container {name}"
        )
        return bool(removed)

    def pull(
        self, reference: Reference, auth: Mapping[str, str], platform: Platform | None = None, emit: Emit = ignore
    ) -> EngineImage:
        """Pull an image. `auth` as the engine takes it: username and password, or identitytoken; {} for none.

        Raises:
            NotAllowedError: the registry refuses it.
            UsageError: there is no such image.
            TryAgainError: registry or engine cannot be reached, or the registry's rate limit is reached.
        """
        doing = f"pull {reference}"
        target = f"{reference.name}@{reference.digest}" if reference.digest else reference.name
        with step(emit, "pull", str(reference)) as running:
            with self.sdk.doing(doing, asks_registry=True):
                stream = self.sdk.stream.pull(
                    target,
                    tag=None if reference.digest else reference.tag or "latest",
                    stream=True,
                    decode=True,
                    auth_config=_auth_config(reference, auth),
                    platform=str(platform) if platform else None,
                )
            layer_progress(self.sdk.messages(stream, doing, asks_registry=True), running)
        return self.image(target if reference.digest else f"{reference.name}:{reference.tag or 'latest'}")

    def push(self, reference: Reference, auth: Mapping[str, str], emit: Emit = ignore) -> Digest:
        """Push a tagged image that only the engine has; returns the manifest's digest in the registry.

        Raises:
            NotAllowedError: the registry refuses it.
            TryAgainError: registry or engine fail in the middle, or no digest was reported.
        """
        doing = f"push {reference}"
        with step(emit, "push", str(reference)) as running:
            with self.sdk.doing(doing, asks_registry=True):
                stream = self.sdk.stream.push(
                    reference.name,
                    tag=reference.tag or "latest",
                    stream=True,
                    decode=True,
                    auth_config=_auth_config(reference, auth),
                )
            digest = layer_progress(self.sdk.messages(stream, doing, asks_registry=True), running)
            if digest is None:
                raise TryAgainError(
                    f"the push of {reference} ended without a digest, so it is unknown whether the image arrived",
                    hint="push again: what has arrived is not sent twice",
                )
            running.detail = f"{reference}@{digest}"
        return digest

    def build(
        self, context: Iterable[bytes], parameters: Mapping[str, str], headers: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        """POST a build context (a tar) to /build; the engine's messages as they come, an error among them is raised.

        With `version=2` in `parameters` BuildKit builds, and messages of id "moby.buildkit.trace" carry its trace.
        The context's first tar header must be no PAX header: BuildKit would take it for the Dockerfile.

        Raises:
            ShipmlError: as the engine's complaint says.
        """
        doing = "build the image"
        with self.sdk.doing(doing, asks_registry=True):
            stream = self.sdk.post(
                "/build",
                body=context,
                parameters=parameters,
                headers={"Content-Type": "application/x-tar", **headers},
            )
        return self.sdk.messages(stream, doing, asks_registry=True)


def _auth_config(reference: Reference, auth: Mapping[str, str]) -> dict[str, str]:
    """Never None, or the SDK would look for credentials itself; containerd's store wants the server's name."""
    server = "https://index.docker.io/v1/" if reference.registry == DOCKER_HUB else reference.registry
    return {"serveraddress": server, **auth}


def _engine_image(found: Mapping[str, Any]) -> EngineImage:
    layers = (found.get("RootFS") or {}).get("Layers") or ()
    return EngineImage(
        id=Digest.parse(found["Id"] if ":" in found["Id"] else f"sha256:{found['Id']}"),
        references=tuple(found.get("RepoTags") or ()),
        repository_digests=tuple(found.get("RepoDigests") or ()),
        platform=Platform(str(found.get("Os") or "linux"), str(found.get("Architecture") or "")),
        diff_ids=tuple(Digest.parse(layer) for layer in layers),
        config=found.get("Config") or {},
        size_bytes=int(found.get("Size") or 0),
    )
