"""What the user asked of the docker builder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference

__all__ = ["DockerOptions"]


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """What the user asked of the docker builder. The fields are named as the options of `docker build`."""

    file: Path | None = None
    """The Dockerfile; None takes `Dockerfile` in the project's folder."""
    target: str = ""
    build_arguments: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    platform: Platform | None = None
    no_cache: bool = False
    pull: bool = False
    secrets: tuple[str, ...] = ()
    """As docker takes them: `id=token,src=file` or `id=token,env=NAME`."""
    ssh: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def given(self) -> tuple[str, ...]:
        """The options that only this builder understands and that were used, as they are typed."""
        used = {
            "--file": self.file,
            "--target": self.target,
            "--build-arg": self.build_arguments,
            "--no-cache": self.no_cache,
            "--pull": self.pull,
            "--secret": self.secrets,
            "--ssh": self.ssh,
        }
        return tuple(name for name, value in used.items() if value)
