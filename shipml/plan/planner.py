"""Facts → plan: every decision is made here or in a neighbour, and said with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from shipml.errors import ConfigurationError, PlanError
from shipml.facts.data import DataOutcome
from shipml.facts.plan import (
    NONROOT_HOME,
    PREFIX,
    WORKING_DIR,
    Base,
    GeneratedFile,
    ImageBasePin,
    LayerPlan,
    Plan,
    SmokeCheck,
)
from shipml.facts.project import Distribution, Lock, Project
from shipml.facts.smoke_label import SMOKE_LABEL, smoke_label
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform, canonical_json
from shipml.plan.accounts import Account, choose_account
from shipml.plan.command import Command, choose_command
from shipml.plan.installing import installed_files
from shipml.plan.launching import NOTEBOOK, launchers
from shipml.plan.layering import plan_layers
from shipml.plan.package_variables import package_variables
from shipml.plan.python_version import PythonCandidate
from shipml.plan.reasons import Timing, decisions

__all__ = ["PlanOptions", "image_name", "make_plan"]

_LATEST_SECONDS = 253402300799
"""The last second of the year 9999: RFC 3339 has no later one."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What was asked for besides the project's settings."""

    name: str | None = None
    source_date_epoch_seconds: int | None = None
    """SOURCE_DATE_EPOCH, where it is set (reproducible-builds.org)."""
    with_shell: bool = False


def make_plan(
    project: Project,
    *,
    lock: Lock,
    base: Base,
    candidate: PythonCandidate,
    platform: Platform,
    options: PlanOptions = PlanOptions(),
    data: DataOutcome = DataOutcome(),
) -> Plan:
    """The plan: what will be built, and why.

    Args:
        project: the folder as facts.
        lock: the resolved wheels.
        base: the pinned base, with what this project needs beyond it.
        candidate: the suite that was taken.
        platform: what is built for.
        options: what was asked for besides.
        data: that the code reads and no package brings.

    Raises:
        PlanError: nothing to run, or what is to be run needs a shell.
        ConfigurationError: a repository cannot have this name.
    """
    followed = project.followed
    packages = frozenset(wheel.name for wheel in lock.wheels)
    debian = {one.name for one in (*base.packages, *base.extra_packages)}
    command = choose_command(project, packages=packages, with_shell=options.with_shell)
    root = followed.working_dir if followed else WORKING_DIR
    installed = (file for one in _installed(project) for file in installed_files(one, candidate.suite.python, root))
    account = choose_account(project, base)
    generated = tuple(
        sorted(
            {
                file.path: file
                for file in (*launchers(command.arguments), *installed, *_written(project), *account.files)
            }.values()
        )
    )
    layers = plan_layers(
        base, lock.wheels, project.files, data=data.pins, has_generated=bool(generated or account.home)
    )
    timing = _timing(project, options)
    smoke = replace(_smoke(project, command), calls_nothing=_calls_nothing(project, command))
    exposed = followed.exposed_ports if followed else ()
    ports = tuple(sorted({port for port in (smoke.port, command.port, *exposed) if port is not None}))
    if smoke.http and not ports:
        ports = (8080,)
    name, said_by = image_name(project, options.name)
    return Plan(
        name=name,
        platform=platform,
        python=candidate.suite.python,
        base=base,
        wheels=lock.wheels,
        application=project.files,
        layers=layers,
        command=command.arguments[command.entrypoint_words :],
        entrypoint=command.arguments[: command.entrypoint_words],
        environment=_environment(
            project,
            command,
            base,
            account,
            (
                *package_variables(packages, debian, is_notebook=NOTEBOOK in command.arguments).items(),
                *data.environment,
            ),
        ),
        labels=_labels(project, name if said_by else "", lock=lock, base=base, timing=timing, smoke=smoke),
        exposed_ports=ports,
        user=account.user,
        home=account.home,
        working_dir=root,
        places=project.places,
        folders=tuple(sorted(set(followed.folders))) if followed else (),
        generated=generated,
        data=data.pins,
        created_at=timing.created_at,
        modified_at_seconds=options.source_date_epoch_seconds or 0,
        smoke=smoke,
        decisions=decisions(
            project,
            lock=lock,
            base=base,
            candidate=candidate,
            command=command,
            layers=_counts(layers),
            timing=timing,
            data=data,
        ),
    )


def _installed(project: Project) -> tuple[Distribution, ...]:
    """What is installed besides packages; a Dockerfile that is followed says itself whether the project is."""
    return project.distributions if project.followed is None or project.followed.installs_itself else ()


def _written(project: Project) -> tuple[GeneratedFile, ...]:
    """The files that a Dockerfile holds itself."""
    followed = project.followed
    if followed is None:
        return ()
    return tuple(GeneratedFile(path, text, executable=path in followed.executables) for path, text in followed.written)


def _calls_nothing(project: Project, command: Command) -> bool:
    """Whether the command runs a file of the project that only defines things."""
    words = command.arguments
    idle = {one for program in project.programs if program.calls_nothing for one in (program.path, program.module)}
    is_python = len(words) > 1 and re.fullmatch(r"python[\d.]*", words[0]) is not None
    return is_python and (words[1] in idle or (words[1] == "-m" and words[-1] in idle))


def _smoke(project: Project, command: Command) -> SmokeCheck:
    """What the settings demand; where they demand nothing of a server, that it answers."""
    smoke = project.settings.smoke
    http = project.followed.health_path if project.followed else ""
    http = http or command.http
    if smoke.requests and not smoke.http:
        return replace(smoke, http=http or "/", any_answer=not http)
    if smoke.http or smoke.expect or smoke.minimum or smoke.alive or smoke.command:
        return smoke
    if http:
        return replace(smoke, http=http)
    return replace(smoke, http="/", any_answer=True) if command.port else smoke


def image_name(project: Project, asked: str | None = None) -> tuple[str, str]:
    """The name of the image's repository, and which file or option says so ("" for the folder's own name).

    Raises:
        ConfigurationError: the name that was asked for cannot be one.
    """
    if asked is not None:
        if _tidied(asked) != asked:
            raise ConfigurationError(
                f'"{asked}" cannot be the name of an image', hint=f'use lower case: "{_tidied(asked) or "app"}"'
            )
        return asked, "--name"
    if project.settings.name:
        return project.settings.name, project.settings.source
    if project.name and (name := _tidied(project.name)):
        return name, "pyproject.toml"
    return _tidied(Path(project.folder).absolute().name) or "app", ""


def _tidied(text: str) -> str:
    """`text` as a repository name (distribution-spec: lower case, separators only between letters and digits)."""
    parts = (re.sub(r"[^a-z0-9._-]+", "-", part) for part in text.lower().split("/"))
    tidied = (re.sub(r"[._-]{2,}", "-", part).strip("._-") for part in parts)
    return "/".join(part for part in tidied if part)


def _environment(
    project: Project, command: Command, base: Base, account: Account, of_data: Iterable[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    """The image's variables: the base's own, ours, the command's, the settings', each over those before."""
    inherited = dict(base.environment) if isinstance(base, ImageBasePin) else {}
    if isinstance(base, ImageBasePin) and not project.settings.user:
        inherited |= {"HOME": NONROOT_HOME, "USER": "nonroot"}  # an image's passwd does not have that user
    environment = inherited | {
        "LANG": inherited.get("LANG", "C.UTF-8"),
        "PATH": f"/{PREFIX}/bin:{inherited.get('PATH', '/usr/local/bin:/usr/bin:/bin')}",
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": f"/{PREFIX}",
    }
    environment |= account.environment | dict(of_data) | dict(command.environment)
    if project.requirements is not None and project.requirements.source_folders:
        root = project.followed.working_dir.rstrip("/") if project.followed is not None else WORKING_DIR
        folders = [f"{root}/{folder}" for folder in project.requirements.source_folders]
        known = [path for path in (environment.get("PYTHONPATH"),) if path]
        environment["PYTHONPATH"] = ":".join(dict.fromkeys([*known, *folders]))
    said = dict(project.settings.environment)
    if "PATH" in said:  # of a Dockerfile, most often: `ENV PATH=/x/bin:$PATH`
        said["PATH"] = said["PATH"].replace("${PATH}", "$PATH").replace("$PATH", environment["PATH"])
    return tuple(sorted((environment | said).items()))


def _labels(
    project: Project, title: str, *, lock: Lock, base: Base, timing: Timing, smoke: SmokeCheck
) -> tuple[tuple[str, str], ...]:
    """OCI image-spec 1.1, annotations.md, and our own. The folder's name is none: it differs between machines."""
    revision = project.revision
    wheels = [[wheel.name, wheel.version, wheel.digest.hex] for wheel in lock.wheels]
    labels = {
        **dict(project.followed.labels if project.followed else ()),
        "org.opencontainers.image.base.digest": str(base.digest) if isinstance(base, ImageBasePin) else "",
        "org.opencontainers.image.base.name": base.reference,
        "org.opencontainers.image.created": timing.created_at,
        "org.opencontainers.image.revision": revision.commit + ("-dirty" if revision.dirty else "") if revision else "",
        "org.opencontainers.image.source": revision.source if revision else "",
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": project.version or "",
        "io.shipml.lock": str(Digest.of(canonical_json(wheels))),
        "io.shipml.python": base.python,
        SMOKE_LABEL: smoke_label(smoke),
    }
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def _timing(project: Project, options: PlanOptions) -> Timing:
    if options.source_date_epoch_seconds is not None:
        return Timing(_rfc3339(options.source_date_epoch_seconds), "SOURCE_DATE_EPOCH says so")
    if project.revision is not None:
        return Timing(_rfc3339(project.revision.committed_at_seconds), "that is when the checked-out commit was made")
    return Timing(_rfc3339(0), "neither git nor SOURCE_DATE_EPOCH gives a time, and the clock would change the image")


def _rfc3339(seconds: int) -> str:
    if not 0 <= seconds <= _LATEST_SECONDS:
        raise PlanError(
            f"SOURCE_DATE_EPOCH={seconds} is not a time that an image can have",
            hint="use seconds since 1970: git log -1 --format=%ct",
        )
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counts(layers: Sequence[LayerPlan]) -> str:
    """`6 layers: base, 3 large wheels, 5 smaller packages, application`."""
    large = sum(layer.kind == "wheel" for layer in layers)
    small = sum(len(layer.members) for layer in layers if layer.kind == "packages")
    weights = sum(layer.kind == "weights" for layer in layers)
    data = sum(len(layer.members) for layer in layers if layer.kind == "data")
    kinds = {layer.kind for layer in layers}
    parts = [
        "base" if "base" in kinds else "",
        "system libraries" if "system" in kinds else "",
        f"{large} large wheel{'s' * (large != 1)}" if large else "",
        f"{small} smaller package{'s' * (small != 1)}" if small else "",
        f"{data} set{'s' * (data != 1)} of data" if data else "",
        f"{weights} large file{'s' * (weights != 1)}" if weights else "",
        "application" if "application" in kinds else "",
    ]
    return f"{len(layers)} layers: {', '.join(part for part in parts if part)}"
