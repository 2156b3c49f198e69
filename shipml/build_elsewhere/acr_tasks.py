"""The acr builder: ACR Tasks builds a project's own Dockerfile, or an equivalent of its plan, on a machine in Azure.

The context is sent once, compressed; everything else (bases, packages, the push) happens there. The image ends up in
the registry and nowhere else; the run tells its digest.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shipml.azure.runs import Run, RunLog, Runs
from shipml.bases.allowed import require_allowed
from shipml.build.builder import BuildContext
from shipml.build.dockerfile import dockerfile
from shipml.build_elsewhere.build_log import BuildLog
from shipml.build_elsewhere.context import (
    ContextEntry,
    folder_context,
    free_name,
    ignore_rules,
    name_in_context,
    plan_context,
    secrets_in,
    tar_stream,
    tell_secrets,
)
from shipml.build_elsewhere.failures import explain_failure
from shipml.dockerfile.names import find_dockerfile, require_inside
from shipml.dockerfile.text import parse_dockerfile
from shipml.errors import (
    BuildError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
    UsageError,
)
from shipml.events import (
    Emit,
    Notice,
    StepFinished,
    StepStarted,
    step,
)
from shipml.facts.plan import Plan
from shipml.facts.request import DockerOptions
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.project import read_outline
from shipml.store.logs import log_file

__all__ = ["AcrTasksBuilder", "CloudBuild", "Patience", "cancel", "follow"]

_TIMEOUT_SECONDS = 3600
_CPUS = 2
_COMPRESSION = 6


@dataclass(frozen=True, slots=True)
class CloudBuild:
    """What came of a run."""

    run_id: str
    digest: Digest
    """Of the manifest in the registry."""
    references: tuple[Reference, ...]
    log: Path


@dataclass(frozen=True, slots=True)
class _Source:
    """What is sent: the Dockerfile apart, since ours replaces or completes what the folder has."""

    text: str
    path: str
    """Of the Dockerfile in the context."""
    entries: Iterable[ContextEntry]

    def all_entries(self) -> Iterable[ContextEntry]:
        yield ContextEntry.of_bytes(self.path, self.text.encode())
        yield from (entry for entry in self.entries if entry.path != self.path)


class AcrTasksBuilder:
    """Builds in the cloud of one registry. Nothing of an engine is needed here."""

    name = "acr"

    def __init__(
        self,
        runs: Runs,
        references: tuple[Reference, ...],
        *,
        home: Path,
        options: DockerOptions | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Build into the registry of `runs`.

        Args:
            runs: of the registry.
            references: names of the image there, at least one.
            home: where logs are kept and the context is compressed.
            options: what the user asked for.
            patience: how a run is followed.
        """
        self._runs = runs
        self._references = references
        self._home = home
        self._options = options or DockerOptions()
        self._patience = patience or Patience()

    def check(self, plan: Plan | None = None) -> None:
        """Raise, before any work, where Azure cannot build this.

        Raises:
            UnavailableError: the registry is not open to Azure's machines, or wheels lie on this one.
            UsageError: an option that ACR Tasks do not have.
        """
        registry = self._runs.registry
        if not registry.is_public or registry.is_firewalled:
            how = "has a firewall" if registry.is_public else "is closed to the internet"
            raise UnavailableError(
                f"{registry.login_server} {how}, which keeps the machines of ACR Tasks out, too",
                hint="build here and push: shipml build --builder embedded; or build on machines inside your network: "
                f"az acr agentpool create --registry {registry.name} --name POOL --tier S2 --subnet-id SUBNET",
            )
        if self._options.secrets or self._options.ssh or self._options.pull:
            raise UsageError(
                "ACR Tasks have no --secret, --ssh or --pull",
                hint="omit it (bases are always pulled there), or build with: --builder docker",
            )
        local = [wheel.filename for wheel in plan.wheels if wheel.url.startswith("file:")] if plan else []
        if local:
            raise UnavailableError(
                f"{local[0]} lies on this machine, where Azure cannot take it from",
                hint="build it with: --builder embedded",
            )

    def build(self, plan: Plan, context: BuildContext) -> CloudBuild:
        """The plan's image, from the Dockerfile that `shipml dockerfile` prints.

        Raises:
            ShipmlError: as its class says; the whole log is in a file that the error names.
        """
        self.check(plan)
        path = free_name({file.path for file in plan.application})
        source = _Source(dockerfile(plan), path, plan_context(plan, context.folder))
        return self._build(source, plan.platform, plan.name, context.emit)

    def build_folder(self, context: BuildContext) -> CloudBuild:
        """The image of a folder's own Dockerfile.

        Raises:
            ShipmlError: as `build`.
        """
        self.check()
        path = self._options.file or find_dockerfile(context.folder) or context.folder / "Dockerfile"
        if not self._options.file:
            require_inside(context.folder, path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}", hint="name the Dockerfile with --file") from error
        settings = read_outline(context.folder).settings
        arguments = dict(self._options.build_arguments)
        for image in parse_dockerfile(text).images(arguments, self._options.target):
            require_allowed(image.name, settings)
        rules = ignore_rules(context.folder, path)
        tell_secrets(secrets_in(folder_context(context.folder, rules)), context.emit, "are sent to Azure")
        source = _Source(
            _with_labels(text, self._options),
            name_in_context(path, context.folder),
            folder_context(context.folder, rules),
        )
        platform = self._options.platform or Platform.parse("linux/amd64")
        return self._build(source, platform, context.folder.resolve().name, context.emit)

    def _build(self, source: _Source, platform: Platform, name: str, emit: Emit) -> CloudBuild:
        place = self._send(source, emit)
        request = self._request(source.path, place, platform)
        with BuildLog(log_file(self._home, name), emit) as log:
            run = self._runs.schedule(request)
            try:
                run = follow(self._runs, run, log, emit, self._patience)
            except KeyboardInterrupt:  # an agent in Azure would go on, and be paid for
                cancel(self._runs, run, emit)
                raise
            return self._result(run, log)

    def _send(self, source: _Source, emit: Emit) -> str:
        """Compress and upload the context; returns its place in Azure."""
        folder = self._home / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix="context-") as packed, step(emit, "context") as running:
            size_bytes = _pack(source.all_entries(), packed)
            place = self._runs.upload(packed, size_bytes, lambda sent_bytes: running.progress(sent_bytes, size_bytes))
            running.detail = f"{size_bytes} bytes sent to {self._runs.registry.login_server}"
        return place

    def _request(self, path: str, place: str, platform: Platform) -> dict[str, object]:
        options = self._options
        request: dict[str, object] = {
            "type": "DockerBuildRequest",
            "imageNames": [f"{reference.repository}:{reference.tag or 'latest'}" for reference in self._references],
            "isPushEnabled": True,
            "noCache": options.no_cache,
            "dockerFilePath": path,
            "target": options.target or None,
            "arguments": [{"name": name, "value": value, "isSecret": False} for name, value in options.build_arguments],
            "timeout": _TIMEOUT_SECONDS,
            "platform": {"os": platform.os.capitalize(), "architecture": platform.architecture},
            "agentConfiguration": {"cpu": _CPUS},
            "sourceLocation": place,
        }
        if self._runs.registry.uses_abac:
            request["credentials"] = {"sourceRegistry": {"identity": "[caller]"}}
        return request

    def _result(self, run: Run, log: BuildLog) -> CloudBuild:
        if run.status == "Succeeded":
            wanted = {reference.repository for reference in self._references}
            digests = {output.digest for output in run.outputs if output.repository in wanted and output.digest}
            if len(digests) == 1:
                return CloudBuild(run.id, Digest.parse(digests.pop()), self._references, log.path)
            raise BuildError(
                f"the run {run.id} succeeded, but does not tell which image came of it",
                hint=f"look at it: az acr task show-run --registry {self._runs.registry.name} --run-id {run.id}",
            )
        said = run.error or f"Azure says: {run.status}"
        if run.status == "Canceled":
            raise BuildError(f"the run {run.id} was cancelled in Azure by somebody else", hint="build again")
        if run.status == "Timeout":
            raise BuildError(
                f"the run {run.id} took longer than {_TIMEOUT_SECONDS // 60} minutes",
                hint=f"let it do less, or build here: --builder docker; the whole log: {log.path}",
            )
        log.note(said)
        if run.status == "Error":
            raise TryAgainError(
                f"ACR Tasks failed in the run {run.id}: {said}", hint=f"build again; the whole log: {log.path}"
            )
        raise explain_failure(said, log.tail, log=str(log.path))


def _pack(entries: Iterable[ContextEntry], target: BinaryIO) -> int:
    """The context as a compressed tar; returns its size."""
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=_COMPRESSION, mtime=0) as stream:
        for piece in tar_stream(entries):
            stream.write(piece)
    return target.tell()


def _with_labels(text: str, options: DockerOptions) -> str:
    """The Dockerfile with our labels on its last stage: quick builds have no option for them."""
    if not options.labels or options.target:
        return text
    pairs = " ".join(f"{name}={_quoted(value)}" for name, value in options.labels)
    return f"{text.rstrip()}\nLABEL {pairs}\n"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


@dataclass(frozen=True, slots=True)
class Patience:
    """How a run is followed."""

    first_seconds: float = 1.0
    """Between two looks at the log; each look that finds nothing makes the next pause half as long again."""
    longest_seconds: float = 5.0
    rest_looks: int = 10
    """At a log that does not say that it is complete, after the run has ended."""


def follow(runs: Runs, run: Run, log: BuildLog, emit: Emit, patience: Patience) -> Run:
    """Show what a run writes until it has ended; returns how.

    Raises:
        ShipmlError: Azure does not tell any more; the run goes on.
    """
    written = runs.log(run.id)
    queued_at = time.monotonic()
    waiting = True
    emit(StepStarted("queue", f"run {run.id} waits for a machine in Azure; Ctrl-C cancels it"))
    pause_seconds = patience.first_seconds
    while True:
        data = written.read() if not waiting or not run.waits else b""
        if data:
            pause_seconds = patience.first_seconds
            log.output(data)
            continue
        if not run.has_ended:
            run = _look(runs, run)
        if waiting and not run.waits:
            waiting = False
            emit(StepFinished("queue", f"run {run.id} has a machine", time.monotonic() - queued_at))
            continue
        if run.has_ended:
            _read_rest(written, log, patience)
            return run
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 1.5, patience.longest_seconds)


def _look(runs: Runs, run: Run) -> Run:
    """How it stands; as before where Azure is away for a moment, which a run of an hour outlives."""
    try:
        return runs.get(run.id)
    except TryAgainError:
        return run


def _read_rest(written: RunLog, log: BuildLog, patience: Patience) -> None:
    """What a run that has ended wrote last: its log may lag behind."""
    for look in range(patience.rest_looks):
        while data := written.read():
            log.output(data)
        if written.is_complete:
            return
        if look + 1 < patience.rest_looks:
            time.sleep(patience.first_seconds)


def cancel(runs: Runs, run: Run, emit: Emit) -> None:
    """Stop a run, or say how to."""
    try:
        runs.cancel(run.id)
    except ShipmlError as error:
        name = runs.registry.name
        emit(
            Notice(
                f"the run goes on in Azure: {error.message}; stop it: az acr task cancel-run --registry {name}"
                f" --run-id {run.id}",
                "warning",
            )
        )
    else:
        emit(Notice(f"the run {run.id} is cancelled in Azure, too"))
