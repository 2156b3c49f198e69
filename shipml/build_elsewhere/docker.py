"""The docker builder: a project's own Dockerfile, or an equivalent of its plan, built by the user's engine.

BuildKit takes builds of version 2 at /build, though the SDK has no parameter for it. Without a session it cannot ask
for credentials or secrets: bases are pulled first, and builds with secret or ssh mounts go through docker's buildx.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from shipml.bases.allowed import require_allowed
from shipml.build.builder import BuildContext
from shipml.build.dockerfile import dockerfile
from shipml.build_elsewhere.base_images import Credentials, bring, credentials_of_docker
from shipml.build_elsewhere.build_log import BuildLog
from shipml.build_elsewhere.buildx import require_buildx, run_buildx
from shipml.build_elsewhere.built_image import BuiltImage
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
from shipml.build_elsewhere.docker_recipe import Recipe
from shipml.build_elsewhere.failures import explain_failure
from shipml.build_elsewhere.host_access import host_access, host_image, with_host_access
from shipml.docker_engine import Engine
from shipml.docker_engine.explain import EngineGoneError
from shipml.dockerfile.names import find_dockerfile, require_inside
from shipml.dockerfile.text import parse_dockerfile
from shipml.errors import (
    BuildError,
    ShipmlError,
    UnavailableError,
    UsageError,
)
from shipml.events import Emit, Notice, step
from shipml.facts.plan import Plan
from shipml.facts.request import DockerOptions
from shipml.oci.reference import Reference
from shipml.project import read_outline
from shipml.store import Store
from shipml.store.logs import log_file
from shipml.text import size_text

__all__ = ["DockerBuilder", "DockerOptions"]

_NO_OPTIONS = DockerOptions()
_OWN_FRONTEND_SINCE = 23
"""Engines from this major version on read themselves what `docker/dockerfile:1` of their time does."""


class DockerBuilder:
    """Implements `builders.base.Builder` on an engine."""

    name = "docker"

    def __init__(
        self,
        store: Store,
        engine: Engine,
        options: DockerOptions = _NO_OPTIONS,
        *,
        credentials: Credentials | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`credentials` say how to log in where bases come from; None takes docker's own configuration."""
        self._store = store
        self._engine = engine
        self._options = options
        self._credentials = credentials or credentials_of_docker(engine)
        self._environment = environment
        self._has_buildkit = engine.has_buildkit and environment.get("DOCKER_BUILDKIT", "1") != "0"

    def check(self, plan: Plan) -> None:
        """Raise UnavailableError where wheels of this machine would have to travel into the build."""
        local = [wheel.filename for wheel in plan.wheels if wheel.url.startswith("file:")]
        if local:
            raise UnavailableError(
                f"{local[0]} lies on this machine, where a Dockerfile cannot take it from",
                hint="build it with: --builder embedded",
            )
        if self._options.secrets or self._options.ssh or self._options.target:
            raise UsageError(
                "--secret, --ssh and --target are for a Dockerfile of your own",
                hint="write one: shipml dockerfile > Dockerfile",
            )

    def build(self, plan: Plan, context: BuildContext) -> BuiltImage:
        """The plan's image, from the Dockerfile that `shipml dockerfile` prints; it stays in the engine.

        Raises:
            ShipmlError: as its class says; the whole log is in a file that the error names.
        """
        recipe = Recipe(
            dockerfile=parse_dockerfile(dockerfile(plan)),
            name=free_name({file.path for file in plan.application}),
            entries=plan_context(plan, context.folder),
            folder=context.folder,
            options=replace(self._options, platform=plan.platform),
            engine_platform=self._engine.platform,
            environment=self._environment,
        )
        return self._build(recipe, plan.name, context.emit)

    def build_folder(self, context: BuildContext) -> BuiltImage:
        """The image of a folder's own Dockerfile; it stays in the engine.

        Raises:
            ShipmlError: as `build`.
        """
        path = self._options.file or find_dockerfile(context.folder) or context.folder / "Dockerfile"
        if not self._options.file:
            require_inside(context.folder, path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {path}: {error}", hint="name the Dockerfile with --file") from error
        rules = ignore_rules(context.folder, path)
        going = "go into the build where the Dockerfile can copy them"
        tell_secrets(secrets_in(folder_context(context.folder, rules)), context.emit, going)
        recipe = Recipe(
            dockerfile=parse_dockerfile(text),
            name=name_in_context(path, context.folder),
            entries=folder_context(context.folder, rules),
            folder=context.folder,
            options=self._options,
            engine_platform=self._engine.platform,
            environment=self._environment,
            file=path,
        )
        settings = read_outline(context.folder).settings
        for image in recipe.images:
            require_allowed(image.name, settings)
        return self._build(recipe, context.folder.resolve().name, context.emit)

    def _build(self, recipe: Recipe, name: str, emit: Emit) -> BuiltImage:
        path = log_file(self._store.home, name)
        with self._with_host_access(recipe, emit) as (ready, hidden), BuildLog(path, emit, hidden=hidden) as log:
            if needing := self._needs_session(recipe):
                require_buildx(needing)
                self._build_by_program(ready, log)
            else:
                bring(
                    self._engine,
                    recipe.images,
                    pull=recipe.options.pull,
                    credentials=self._credentials,
                    emit=emit,
                )
                self._build_by_engine(self._with_known_frontend(ready, emit), log, emit)
        return self._result(log.image_id, recipe)

    def _result(self, image_id: str, recipe: Recipe) -> BuiltImage:
        if not image_id:
            raise BuildError("the Docker Engine ended the build without naming an image", hint="build again")
        for reference in recipe.options.references:
            self._engine.tag(image_id, reference)
        base = recipe.images[0].name if recipe.images else "scratch"
        return BuiltImage(self._engine, self._engine.image(image_id), self._store.home / "tmp", base=base)

    def _build_by_engine(self, recipe: Recipe, log: BuildLog, emit: Emit) -> None:
        body = _Body(recipe, emit)
        parameters = recipe.parameters(buildkit=self._has_buildkit, host_network=not self._engine.has_bridge)
        try:
            for message in self._engine.build(body, parameters, self._headers(recipe)):
                log.message(message)
        except ShipmlError as error:
            if body.failure:
                raise body.failure from None
            raise _explained(error, log) from error

    def _headers(self, recipe: Recipe) -> dict[str, str]:
        """The builder without BuildKit looks at registries itself, with the credentials that it is given."""
        if self._has_buildkit:
            return {}
        references = [Reference.parse(use.name) for use in recipe.images]
        found = {reference.registry: dict(self._credentials(reference)) for reference in references}
        return {"X-Registry-Config": base64.urlsafe_b64encode(json.dumps(found).encode()).decode()}

    def _with_known_frontend(self, recipe: Recipe, emit: Emit) -> Recipe:
        """Without `# syntax=docker/dockerfile:1`, where the engine's own frontend is as new: that needs no pull."""
        read = recipe.dockerfile
        if not read.syntax or not self._has_buildkit:
            return recipe
        major = self._engine.version.partition(".")[0]
        usual = read.syntax.removeprefix("docker.io/").startswith("docker/dockerfile:1") and "labs" not in read.syntax
        if usual and major.isdecimal() and int(major) >= _OWN_FRONTEND_SINCE:
            lines = read.text.splitlines(keepends=True)
            at = next(number for number, line in enumerate(lines) if read.syntax in line)
            lines[at] = "# read by the engine's own frontend\n"
            return replace(recipe, dockerfile=replace(read, text="".join(lines)))
        frontend = parse_dockerfile(f"FROM {read.syntax}").images({})
        bring(self._engine, frontend, pull=False, credentials=self._credentials, emit=emit)
        return recipe

    def _needs_session(self, recipe: Recipe) -> str:
        """What needs docker's buildx program, such as "ssh mounts need"; "" where nothing does."""
        if recipe.options.secrets or recipe.options.ssh:
            return "--secret and --ssh need"
        mount = recipe.dockerfile.session_mount()
        return f"RUN --mount=type={mount} needs" if mount and self._has_buildkit else ""

    def _build_by_program(self, recipe: Recipe, log: BuildLog) -> None:
        source = recipe.file or recipe.folder / recipe.name
        with tempfile.TemporaryDirectory(prefix="shipml-dockerfile-") as temporary:
            path = Path(temporary) / source.name
            path.write_text(recipe.dockerfile.text, encoding="utf-8")
            rules = source.with_name(f"{source.name}.dockerignore")
            if rules.is_file():
                path.with_name(rules.name).write_bytes(rules.read_bytes())
            try:
                run_buildx(
                    [*recipe.words(host_network=not self._engine.has_bridge), "--file", str(path), str(recipe.folder)],
                    engine=self._engine,
                    arguments=recipe.arguments,
                    log=log,
                )
            except BuildError as error:
                raise _explained(error, log) from error

    @contextmanager
    def _with_host_access(self, recipe: Recipe, emit: Emit) -> Iterator[tuple[Recipe, tuple[str, ...]]]:
        """The recipe that mounts what only this machine has (authorities, indexes); and what to hide of it."""
        access = host_access(self._environment)
        runs = any(instruction.keyword == "RUN" for instruction in recipe.dockerfile.instructions)
        if access is None or not runs:
            yield recipe, ()
        elif not self._has_buildkit:
            emit(
                Notice(
                    "the build does not get this machine's private certificate authorities and package indexes: "
                    "that needs BuildKit"
                )
            )
            yield recipe, ()
        else:
            with host_image(self._engine, access.files, self._store.home / "locks") as name:
                text, flag = with_host_access(recipe.dockerfile, name, access)
                changed = replace(recipe.dockerfile, text=text)
                yield replace(recipe, dockerfile=changed, added_arguments=access.arguments), (flag,)


class _Body:
    """The context as it is sent: told as a step, its own failure kept apart from the engine's."""

    def __init__(self, recipe: Recipe, emit: Emit) -> None:
        self.failure: ShipmlError | None = None
        self._recipe = recipe
        self._emit = emit

    def __iter__(self) -> Iterator[bytes]:
        sent_bytes = 0
        try:
            with step(self._emit, "context") as running:
                for chunk in tar_stream(self._entries()):
                    sent_bytes += len(chunk)
                    running.progress(sent_bytes, None)
                    yield chunk
                running.detail = f"{size_text(sent_bytes)} sent"
        except ShipmlError as error:
            self.failure = error
            raise

    def _entries(self) -> Iterator[ContextEntry]:
        yield ContextEntry.of_bytes(self._recipe.name, self._recipe.dockerfile.text.encode())
        for entry in self._recipe.entries:
            if entry.path != self._recipe.name:
                yield entry


def _explained(error: ShipmlError, log: BuildLog) -> ShipmlError:
    log.note(error.message)
    found = explain_failure(error.said or error.message, log.tail, step=log.failed_step, log=str(log.path))
    if isinstance(error, EngineGoneError) or (
        type(found) is BuildError and type(error) is not BuildError and not log.failed_step
    ):
        return type(error)(error.message, hint=f"{error.hint}; the whole log: {log.path}")
    return found
