"""One build for an engine, as values: what the user asked for, and how that is said to /build and to buildx. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipml.build_elsewhere.context import ContextEntry
from shipml.build_elsewhere.host_access import proxy_arguments
from shipml.dockerfile.text import Dockerfile, ImageUse
from shipml.facts.request import DockerOptions
from shipml.oci.manifest import Platform

__all__ = ["Recipe"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One build, ready to be sent."""

    dockerfile: Dockerfile
    name: str
    """Of the Dockerfile, in the context."""
    entries: Iterable[ContextEntry]
    """The rest of the context; read once."""
    folder: Path
    options: DockerOptions
    engine_platform: Platform
    environment: Mapping[str, str] = field(repr=False)
    """Of this machine: proxies, SOURCE_DATE_EPOCH."""
    file: Path | None = None
    """The user's own Dockerfile; None for one that we wrote."""
    added_arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, str]:
        """The build arguments that are sent; what the user typed wins."""
        epoch = self.environment.get("SOURCE_DATE_EPOCH")
        arguments = proxy_arguments(self.environment) | dict(self.added_arguments)
        return arguments | ({"SOURCE_DATE_EPOCH": epoch} if epoch else {}) | dict(self.options.build_arguments)

    @property
    def images(self) -> list[ImageUse]:
        """The images that it starts from, or copies from."""
        platforms = {"BUILD": self.engine_platform, "TARGET": self.options.platform or self.engine_platform}
        known: dict[str, str] = {}
        for side, platform in platforms.items():
            known[f"{side}PLATFORM"] = str(platform)
            known[f"{side}OS"], known[f"{side}ARCH"] = platform.os, platform.architecture
        found = self.dockerfile.images(known | dict(self.options.build_arguments), self.options.target)
        wanted = str(self.options.platform or "")
        return [ImageUse(use.name, use.platform or wanted) for use in found]

    def parameters(self, *, buildkit: bool, host_network: bool) -> dict[str, str]:
        """The query of POST /build."""
        options = self.options
        parameters = {
            "dockerfile": self.name,
            "t": str(options.references[0]) if options.references else "",
            "target": options.target,
            "platform": str(options.platform or ""),
            "nocache": "1" if options.no_cache else "",
            "buildargs": json.dumps(self.arguments) if self.arguments else "",
            "labels": json.dumps(dict(options.labels)) if options.labels else "",
            "networkmode": "host" if host_network else "",
            "version": "2" if buildkit else "",
            "rm": "1",
            "forcerm": "1",
        }
        return {name: value for name, value in parameters.items() if value}

    def words(self, *, host_network: bool) -> list[str]:
        """The options of `docker buildx build`, without the Dockerfile and the build arguments."""
        options = self.options
        words = [word for secret in options.secrets for word in ("--secret", secret)]
        words += [word for key in options.ssh for word in ("--ssh", key)]
        words += [word for reference in options.references for word in ("--tag", str(reference))]
        words += [word for name, value in options.labels for word in ("--label", f"{name}={value}")]
        words += ["--target", options.target] if options.target else []
        words += ["--platform", str(options.platform)] if options.platform else []
        words += ["--no-cache"] if options.no_cache else []
        words += ["--pull"] if options.pull else []
        return words + (["--network", "host"] if host_network else [])
