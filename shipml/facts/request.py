"""What a user asks of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shipml.facts.dockerfile import Following
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference

__all__ = ["BuildOptions", "DockerOptions", "PlanRequest"]


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user asked for, beyond what the project's settings say. None: not said."""

    folder: Path
    """The project's."""
    name: str | None = None
    python: str | None = None
    base: str | None = None
    platform: str | None = None
    """As `--platform` takes it: one, or several with commas between them."""
    accelerator: str | None = None
    extra: tuple[str, ...] = ()
    """Extras of pyproject.toml that are wanted besides those of the settings."""
    group: tuple[str, ...] = ()
    """The same of dependency groups."""
    locked: bool = False
    strict: bool = False
    upgrade: bool = False
    with_shell: bool = False
    allow_expired: bool = False
    allow_older: bool = False
    no_dockerfile: bool = False
    """Leave the project's Dockerfile aside."""
    must_follow: bool = False
    """An image is made of it: fail where the project's Dockerfile is not understood, or files are missing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def dockerfile(self) -> Following:
        """Whether the project's Dockerfile decides."""
        if self.no_dockerfile:
            return "ignore"
        return "follow" if self.must_follow else "try"

    @property
    def for_plans(self) -> tuple[str, ...]:
        """The options that were given and mean nothing to a Dockerfile of the user's own, as they are typed."""
        given = {
            "--python": self.python,
            "--base": self.base,
            "--accelerator": self.accelerator,
            "--extra": self.extra,
            "--group": self.group,
            "--locked": self.locked,
            "--strict": self.strict,
            "--upgrade": self.upgrade,
            "--with-shell": self.with_shell,
        }
        return tuple(name for name, value in given.items() if value)


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


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an image is built and where it goes, beside what it is made of."""

    references: tuple[str, ...] = ()
    """Its names, as `-t` takes them; without any, that of the project."""
    builder: str = "auto"
    """As `--builder` takes it."""
    outputs: tuple[str, ...] = ()
    """Where it is written, too: each `oci:DIR` or `docker-archive:FILE`."""
    load: bool | None = None
    """Whether the user's Docker Engine gets it, too; None: where there is one that works."""
    docker: DockerOptions = field(default_factory=DockerOptions)
    check: bool = True
    """Whether what the program imports is imported in the image before it counts as built."""
    cache_from: tuple[str, ...] = ()
    """Images of repositories, beside those of `references`, whose layers are taken where they fit."""
    trust_last: bool = True
    """Whether layers of a registry's image are taken at all."""
