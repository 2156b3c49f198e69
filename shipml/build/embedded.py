"""The embedded builder: assembles the layers itself, without engine, root or emulation."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from shipml import wheels
from shipml.bases.layers import base_layers, layer_keys
from shipml.build.application import application_layer
from shipml.build.builder import BuildContext
from shipml.build.compiling import Compiler, compiler_for
from shipml.build.config import config_bytes
from shipml.data_files.layer import data_layer
from shipml.errors import PlanError
from shipml.events import Emit, Notice, StepProgressed, ignore
from shipml.facts.plan import (
    NONROOT_HOME,
    USER_ID,
    ImageBasePin,
    LockedLayer,
    Plan,
)
from shipml.facts.pythons import suite_named
from shipml.oci.image import Image, LayerValue, assemble_image
from shipml.session import Session
from shipml.store.borrowed import layer_made_here

__all__ = ["EmbeddedBuilder"]


class EmbeddedBuilder:
    """Plan → layers of Debian packages, wheels and application files, kept in the store."""

    name = "embedded"

    def __init__(self, session: Session, project: Path | None = None) -> None:
        """`project` is a folder that no program is taken from; see `compiler_for`."""
        self._session = session
        self._project = project

    def check(self, plan: Plan) -> None:
        """Raise PlanError where the plan's base cannot be assembled by this builder."""
        if not isinstance(plan.base, ImageBasePin) and suite_named(plan.base.suite) is None:
            raise PlanError(f"the embedded builder cannot assemble the base {plan.base.reference}")

    def knows(self, plan: Plan) -> bool:
        """Whether no layer would have to be downloaded or made for this plan, but for those of the application."""
        return all(layer_made_here(self._session.store, key) is not None for _, key in self._keys(plan))

    def locked_layers(self, plan: Plan, before: Sequence[LockedLayer]) -> tuple[tuple[LockedLayer, ...], int]:
        """The layers that were made here, else those of the lock of `before`, and how many are neither.

        Those of the application are not among them: they change with the code, and are made everywhere.
        """
        keys, layers = self._keys(plan), []
        named = {one.key: one for one in before}
        for kind, key in keys:
            fact = layer_made_here(self._session.store, key)
            if fact is not None:
                layers.append(LockedLayer(key, kind, fact.digest, fact.diff_id, fact.size_bytes))
            elif key in named:
                layers.append(named[key])
        return tuple(layers), len(keys) - len(layers)

    def _keys(self, plan: Plan) -> list[tuple[str, str]]:
        compiler = self._compiler(plan, ignore)
        return [
            *layer_keys(plan.base),
            *wheels.layer_keys(
                _requests(plan),
                python=plan.python,
                compiled=compiler is not None,
                python_version=compiler.version if compiler else plan.base.python,
                venv=_venv(plan),
            ),
        ]

    def build(self, plan: Plan, context: BuildContext) -> Image:
        """The image, its layers in the store (or known by their facts, to be made again on demand)."""
        self.check(plan)
        emit = context.emit
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="build") as pool:
            base = pool.submit(base_layers, plan.base, session=replace(self._session, emit=emit))
            packages = self._wheel_layers(plan, emit)
            session = replace(self._session, emit=emit)
            data = [data_layer(plan, layer, session=session) for layer in plan.layers if layer.kind == "data"]
            application = [
                application_layer(plan, layer, context.folder, self._session.store)
                for layer in plan.layers
                if layer.kind in {"weights", "application"}
            ]
            if not base.done():
                emit(StepProgressed("layers", 0, None, "items", "waiting for the base"))
            layers = [*base.result(), *packages, *data, *application]
        return assemble_image(config_bytes(plan, layers), layers)

    def _wheel_layers(self, plan: Plan, emit: Emit) -> list[LayerValue]:
        compiler = self._compiler(plan, emit)
        if compiler is None:
            emit(
                Notice(
                    f"packages are not compiled, so they start slowly: there is no sandbox for the image's own Python, "
                    f"and no Python {plan.python} is installed here; to fix it: uv python install {plan.python}",
                    "warning",
                )
            )
        return wheels.layers(
            _requests(plan),
            python=plan.python,
            interpreter=compiler.python if compiler else None,
            python_version=compiler.version if compiler else plan.base.python,
            venv=_venv(plan),
            session=replace(self._session, emit=emit),
        )

    def _compiler(self, plan: Plan, emit: Emit) -> Compiler | None:
        return compiler_for(plan.base, project=self._project, session=replace(self._session, emit=emit))


def _requests(plan: Plan) -> list[wheels.LayerRequest]:
    by_member = {f"{wheel.name}=={wheel.version}": wheel for wheel in plan.wheels}
    return [
        (layer.kind, [by_member[member] for member in layer.members])
        for layer in plan.layers
        if layer.kind in ("wheel", "packages")
    ]


def _venv(plan: Plan) -> wheels.Venv:
    """The virtual environment's Python, whichever Python compiles."""
    if not isinstance(plan.base, ImageBasePin):
        return wheels.Venv.of_debian(plan.python, plan.base.python)
    home = NONROOT_HOME if plan.user == str(USER_ID) else ""  # Debian's base has that user's home itself
    return wheels.Venv(plan.base.interpreter, plan.base.python, home)
