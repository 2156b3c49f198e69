"""Which Python compiles the packages of an image here, and what its bytecode is called.

Two promises meet. *Nothing untrusted runs on the host*: a base image may come from anyone, since shipml.toml names it,
so its programs run in the sandbox only: no network, no host files, no root, and nothing but pipes to write to. *Equal
plans are equal bytes, on every machine*: so what a machine happens to have installed decides as late as possible.
In this order:

1. Debian's Python, signed and pinned, where a stable suite has the minor version.
2. The image's own, confined. Every machine with a sandbox has it, so all make the same bytes. What comes back is
   bounded and treated as data: it becomes files of this image. Nobody else gets them: they are kept under the image's
   digest, so that no hostile image leaves bytecode for a sound one of the same version.
3. The user's own Python, where there is no sandbox or the image is for another CPU. If it has exactly the version of
   the image's, its bytecode has the same name, since the same compiler makes the same bytes; otherwise its own.
4. None: the image has no bytecode.

The user's own is not taken before the image's: then each machine's patch version would decide what the layers are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from shipml.bases.bytecode_python import debian_interpreter, debian_version
from shipml.bases.layers import base_layers
from shipml.bases.own_python import host_platform, installed
from shipml.errors import UnavailableError
from shipml.events import Emit, Notice
from shipml.facts.plan import USER_ID, Base, ImageBasePin
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store import Store
from shipml.store.trees import layer_trees
from shipml.wheels.interpreter import CompilingPython, PythonProcess

__all__ = ["Compiler", "compiler_for"]

_MEMORY_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class Compiler:
    """What compiles, not yet fetched."""

    version: str
    """Part of the layers' keys: the full version of the Python, and of which image where it is an image's own."""
    python: Callable[[], CompilingPython]
    """Gives it."""


def compiler_for(base: Base, *, project: Path | None, session: Session) -> Compiler | None:
    """The Python that compiles for `base` on this machine; None where there is none to be trusted or confined.

    Args:
        base: of the image.
        project: its folder, no program of which is run.
        session: keeps and fetches Pythons, and hears where the version is not the image's.
    """
    debian, here = debian_version(base), Platform.of_this_machine()
    if debian is not None and host_platform() is not None:
        return Compiler(
            debian,
            lambda: debian_interpreter(base, session=session),
        )
    if debian is None and isinstance(base, ImageBasePin) and base.platform == here and _can_confine(session.store):
        return Compiler(_name(base), lambda: _confined(base, session))
    return _users_own(base, debian, project, session.emit)


def _name(base: Base) -> str:
    return f"{base.python} of {base.digest}" if isinstance(base, ImageBasePin) else base.python


def _users_own(base: Base, debian: str | None, project: Path | None, emit: Emit) -> Compiler | None:
    wanted = debian or base.python
    try:
        found = installed(wanted.rpartition(".")[0], untrusted=project)
    except UnavailableError:
        return None
    if found.version != wanted:
        emit(
            Notice(
                f"bytecode is compiled by Python {found.version} for the image's {wanted}: "
                "it works, but digests can differ from those of builds that have the same version",
                "warning",
            )
        )
        return Compiler(found.version, lambda: found)
    version = debian or _name(base)
    return Compiler(version, lambda: replace(found, version=version))


def _can_confine(store: Store) -> bool:
    from shipml.runtimes.sandbox import require_sandbox

    try:
        require_sandbox(store)
    except UnavailableError:
        return False
    return True


def _confined(base: ImageBasePin, session: Session) -> CompilingPython:
    trees = layer_trees(base_layers(base, session=session), session.store, session.emit)
    environment = {
        "LC_ALL": "C.UTF-8",
        "PATH": "/usr/bin:/bin",
        "PYTHONHASHSEED": "0",
        "LD_LIBRARY_PATH": f"{base.interpreter.rpartition('/bin/')[0]}/lib",
    }
    return _ConfinedPython(base.interpreter, environment, _name(base), tuple(trees), session.store.home)


@dataclass(frozen=True, slots=True)
class _ConfinedPython:
    """The Python of an image, each process in a sandbox of its own. See `wheels.interpreter.CompilingPython`."""

    program: str
    """In the image."""
    environment: Mapping[str, str]
    version: str
    trees: tuple[Path, ...]
    """The image's layers, topmost first."""
    home: Path
    """Of the store."""

    def start(self, arguments: Sequence[str], complaints: IO[bytes]) -> PythonProcess:
        """See `wheels.interpreter.CompilingPython.start`."""
        from shipml.runtimes.identity import identity_for
        from shipml.runtimes.inside.protocol import Spec
        from shipml.runtimes.mount_point import mount_point
        from shipml.runtimes.piped import PipedProgram

        identity = identity_for(USER_ID, USER_ID)
        spec = Spec(
            layers=tuple(str(tree.resolve()) for tree in self.trees),
            mount_point=mount_point(self.home),
            command=(self.program, *arguments),
            environment=self.environment,
            user_id=USER_ID,
            group_id=USER_ID,
            uid_map=identity.uid_map,
            gid_map=identity.gid_map,
            mapper=identity.mapper,
            memory_bytes=_MEMORY_BYTES,
            file_bytes=0,
        )
        return PipedProgram(spec, complaints)
