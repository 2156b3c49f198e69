"""Which Python compiles the packages of an image: one rule, so that equal plans are equal bytes."""

from __future__ import annotations

import posixpath
from pathlib import Path

from shipml.bases.image_pin import image_layers
from shipml.bases.image_tree import image_tree, inside
from shipml.bases.interpreter import (
    ENVIRONMENT,
    LOADERS,
    OPTIONS,
    host_platform,
    installed,
    interpreter_of,
)
from shipml.debian.assemble import fetch_packages
from shipml.debian.loader_cache import MULTIARCH
from shipml.errors import BuildError, UnavailableError
from shipml.events import Emit
from shipml.facts.plan import Base, ImageBasePin
from shipml.facts.pythons import SUITES, Suite, suite_named
from shipml.session import Session
from shipml.store import Store
from shipml.wheels.bytecode import Interpreter

__all__ = ["bytecode_interpreter", "bytecode_suite", "bytecode_version", "can_compile"]


def bytecode_suite(base: Base) -> Suite | None:
    """The suite whose Python compiles for `base`; None where the base's own does.

    For an image that is Debian's stable Python of the same minor version, if there is one: it is small, signed, and
    makes the layers of packages the same as those on Debian's own base, so that both share them.
    """
    if not isinstance(base, ImageBasePin):
        return suite_named(base.suite)
    minor = base.python.rpartition(".")[0]
    return next((suite for suite in SUITES if suite.stable and suite.python == minor), None)


def bytecode_version(base: Base) -> str:
    """Full version of the Python that compiles: part of the layers' keys."""
    suite = bytecode_suite(base)
    return suite.release if isinstance(base, ImageBasePin) and suite is not None else base.python


def can_compile(base: Base) -> bool:
    """Whether a Python for `bytecode_version` can be had on this machine. Without one there is no bytecode."""
    if bytecode_suite(base) is not None or base.platform == host_platform():
        return True
    try:
        installed(base.python.rpartition(".")[0])
    except UnavailableError:
        return False
    return True


def bytecode_interpreter(base: Base, *, session: Session) -> Interpreter:
    """A Python for `bytecode_version` that runs on this machine.

    Raises:
        UnavailableError: none can be had (see `can_compile`).
        ShipmlError: it cannot be fetched, as the class says.
    """
    suite = bytecode_suite(base)
    if not isinstance(base, ImageBasePin) and base.platform == host_platform():
        fetch_packages(base.packages, session=session)  # all at once, not first what compiling takes
    if suite is not None:
        return interpreter_of(suite, session=session)
    if isinstance(base, ImageBasePin) and base.platform == host_platform():
        return _own_interpreter(base, session.store, session.emit)
    return installed(base.python.rpartition(".")[0])


def _own_interpreter(base: ImageBasePin, store: Store, emit: Emit) -> Interpreter:
    """The Python of the unpacked image, through the image's own loader."""
    root = image_tree(base.digest, image_layers(base, store), store, emit)
    architecture = base.platform.architecture
    loader = next(
        (
            found
            for folder in ("lib64", "lib", "usr/lib64")
            if (found := inside(root, f"{folder}/{LOADERS[architecture]}"))
        ),
        None,
    )
    program = inside(root, base.interpreter)
    if loader is None or program is None:
        raise BuildError(
            f"{base.reference} has no program {base.interpreter} that the GNU loader can start",
            hint="choose another base, or pin it anew: shipml build --upgrade",
        )
    prefix = root / posixpath.dirname(posixpath.dirname(program))
    libraries = ":".join(str(folder) for folder in _library_folders(root, prefix, MULTIARCH[architecture]))
    return Interpreter(
        argv=(str(root / loader), "--library-path", libraries, str(root / program), *OPTIONS),
        environment={**ENVIRONMENT, "PYTHONHOME": str(prefix)},
        version=base.python,
    )


def _library_folders(root: Path, prefix: Path, multiarch: str) -> list[Path]:
    names = ("usr/local/lib", f"lib/{multiarch}", f"usr/lib/{multiarch}", "lib64", "usr/lib64", "lib", "usr/lib")
    found = [root / place for name in names if (place := inside(root, name)) is not None]
    return list(dict.fromkeys([prefix / "lib", *found]))
