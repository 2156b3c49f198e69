"""The embedded builder: assembles the layers itself, without engine, root or emulation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from shipml import bases, wheels
from shipml.build.application import application_layer
from shipml.build.builder import BuildContext
from shipml.build.config import config_bytes
from shipml.errors import PlanError
from shipml.events import Notice
from shipml.facts.plan import (
    NONROOT_HOME,
    USER_ID,
    ImageBasePin,
    Plan,
)
from shipml.facts.pythons import suite_named
from shipml.oci.image import Image, LayerValue, assemble_image
from shipml.session import Session

__all__ = ["EmbeddedBuilder"]


class EmbeddedBuilder:
    """Plan → layers of Debian packages, wheels and application files, kept in the store."""

    name = "embedded"

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self, plan: Plan) -> None:
        """Raise PlanError where the plan's base is none that this builder can assemble."""
        if not isinstance(plan.base, ImageBasePin) and suite_named(plan.base.suite) is None:
            raise PlanError(f"the embedded builder cannot assemble the base {plan.base.reference}")

    def knows(self, plan: Plan) -> bool:
        """Whether no layer would have to be downloaded or made for this plan, but for those of the application."""
        return bases.are_layers_known(plan.base, store=self._session.store) and wheels.are_known(
            _requests(plan),
            python=plan.python,
            compiled=bases.can_compile(plan.base),
            python_version=bases.bytecode_version(plan.base),
            store=self._session.store,
            venv=_venv(plan),
        )

    def build(self, plan: Plan, context: BuildContext) -> Image:
        """The image, its layers in the store (or known by their facts, to be made again on demand)."""
        self.check(plan)
        emit = context.emit
        session = replace(self._session, emit=emit)
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="build") as pool:
            base = pool.submit(bases.base_layers, plan.base, session=session)
            packages = _wheel_layers(plan, session)
            application = [
                application_layer(plan, layer, context.folder, self._session.store)
                for layer in plan.layers
                if layer.kind in {"weights", "application"}
            ]
            layers = [*base.result(), *packages, *application]
        return assemble_image(config_bytes(plan, layers), layers)


def _wheel_layers(plan: Plan, session: Session) -> list[LayerValue]:
    def interpreter() -> wheels.Interpreter:
        return bases.bytecode_interpreter(plan.base, session=session)

    compiles = bases.can_compile(plan.base)
    if not compiles:
        minor = plan.python
        session.emit(
            Notice(
                f"no Python {minor} can be run here, so packages are not compiled and start slowly; "
                f"to mend it: uv python install {minor}",
                "warning",
            )
        )
    return wheels.layers(
        _requests(plan),
        python=plan.python,
        interpreter=interpreter if compiles else None,
        python_version=bases.bytecode_version(plan.base),
        venv=_venv(plan),
        session=session,
    )


def _requests(plan: Plan) -> list[wheels.LayerRequest]:
    by_member = {f"{wheel.name}=={wheel.version}": wheel for wheel in plan.wheels}
    return [
        (layer.kind, [by_member[member] for member in layer.members])
        for layer in plan.layers
        if layer.kind in ("wheel", "packages")
    ]


def _venv(plan: Plan) -> wheels.Venv | None:
    """The virtual environment's Python; None for that of Debian's base."""
    if not isinstance(plan.base, ImageBasePin):
        return None
    home = NONROOT_HOME if plan.user == str(USER_ID) else ""  # Debian's base has that user's home itself
    return wheels.Venv(plan.base.interpreter, plan.base.python, home)
