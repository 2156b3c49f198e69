"""Which Debian Python compiles the packages of an image: one rule, so that equal plans are equal bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipml.bases.own_python import host_platform
from shipml.errors import PlanError
from shipml.facts.plan import Base, ImageBasePin
from shipml.facts.pythons import SUITES, Suite, suite_named
from shipml.session import Session

if TYPE_CHECKING:
    from shipml.wheels.interpreter import Interpreter

__all__ = ["debian_interpreter", "debian_version"]


def debian_version(base: Base) -> str | None:
    """Full version of Debian's Python that compiles for `base`; None where Debian has none that fits.

    For an image that is Debian's stable Python of the same minor version, if there is one: it is small, signed, and
    makes the layers of packages the same as those on Debian's own base, so that both share them.
    """
    suite = _suite(base)
    if suite is None:
        return None
    return suite.release if isinstance(base, ImageBasePin) else base.python


def debian_interpreter(base: Base, *, session: Session) -> Interpreter:
    """That Python, on a machine that runs Debian's programs.

    Raises:
        PlanError: Debian has none that fits.
        ShipmlError: it cannot be fetched, as the class says.
    """
    # Late: most builds find their layers made.
    from shipml.bases.interpreter import interpreter_of
    from shipml.debian.assemble import fetch_packages

    suite = _suite(base)
    if suite is None:
        raise PlanError(f"no suite of Debian has Python {base.python}")
    if not isinstance(base, ImageBasePin) and base.platform == host_platform():
        fetch_packages(base.packages, session=session)  # all at once, not first what compiling takes
    return interpreter_of(suite, session=session)


def _suite(base: Base) -> Suite | None:
    if not isinstance(base, ImageBasePin):
        return suite_named(base.suite)
    minor = base.python.rpartition(".")[0]
    return next((suite for suite in SUITES if suite.stable and suite.python == minor), None)
