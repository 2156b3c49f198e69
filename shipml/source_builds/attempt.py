"""One run of a build in the sandbox: no network, no root, bounded time and memory; the wheel comes out by a pipe."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from shipml.errors import CancelledError
from shipml.facts.plan import PREFIX, USER_ID, LockedSource
from shipml.folders import remove_tree
from shipml.oci.digest import Digest
from shipml.runtimes.identity import identity_for
from shipml.runtimes.inside.protocol import Spec
from shipml.runtimes.memory import limit_memory
from shipml.runtimes.mount_point import mount_point
from shipml.runtimes.sandbox_process import Confined
from shipml.source_builds.source import SourceFacts
from shipml.store import Store

__all__ = ["Attempt", "Outcome", "attempt"]

_FIRST_DAY_OF_ZIP = 315_532_800
"""1980-01-01: zip archives know no earlier time."""
_LOG_BYTES = 8 << 20
_HEAD_BYTES = 1 << 20
_LAST_BYTES = 2000
_GRACE_SECONDS = 3.0
_LOOK_SECONDS = 1.0
"""Between two looks whether the build is still wanted."""
_LINKS = {"usr/bin/cc": "gcc", "usr/bin/c++": "g++", "usr/bin/awk": "mawk"}
"""What update-alternatives would make."""
_PERMISSIVE = (
    "-Wno-error=implicit-function-declaration -Wno-error=implicit-int"
    " -Wno-error=int-conversion -Wno-error=incompatible-pointer-types"
)
"""Errors since GCC 14 that were warnings when older sources were written."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is run, and in what."""

    source: LockedSource
    facts: SourceFacts
    requirements: tuple[str, ...]
    """The build requirements that the tools were resolved for."""
    trees: Sequence[Path]
    """Topmost first."""
    timeout_seconds: float
    memory_bytes: int
    jobs: int = 1
    """Compilers at once."""
    progress: Callable[[str], None] = lambda _: None
    """Hears the last line of the log while it runs."""
    library_path: str = ""
    """Where the interpreter's own library lies, if the loader must be told."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set where nobody wants the wheel any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: a wheel, a wish for more, or neither."""

    log: str
    wheel: str = ""
    """File name of the wheel, which is in the store."""
    digest: Digest | None = None
    size_bytes: int = 0
    requires: tuple[str, ...] = ()
    ending: str = ""
    """Why it ended before its time: a clause."""


def attempt(work: Attempt, store: Store) -> Outcome:
    """Run the build once.

    Raises:
        UnavailableError: sandboxes do not work here.
        CancelledError: nobody wants the wheel any more.
    """
    folder = Path(tempfile.mkdtemp(dir=store.home / "tmp"))
    try:
        _write_inputs(work, folder, store)
        return _run(work, folder, store)
    finally:
        remove_tree(folder)


def _write_inputs(work: Attempt, folder: Path, store: Store) -> None:
    """The topmost layer: the source, who builds it, and links that no package has."""
    place = folder / "build"
    place.mkdir()
    for path in (folder, place):
        path.chmod(0o755)
    shutil.copyfile(store.blob_path(work.source.digest), place / work.source.filename)
    shutil.copyfile(Path(__file__).with_name("inside.py"), place / "inside.py")
    for name, target in _LINKS.items():
        if any(
            (tree / name).parent.joinpath(target).is_symlink() or (tree / name).parent.joinpath(target).exists()
            for tree in work.trees
        ):
            link = folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
    for path in place.iterdir():
        path.chmod(0o644)


def _run(work: Attempt, folder: Path, store: Store) -> Outcome:
    listener = _Listener()
    spec = _spec(work, folder, store)
    group = limit_memory(work.memory_bytes)
    spec = replace(spec, cgroup=str(group.folder)) if group else replace(spec, memory_bytes=work.memory_bytes)
    try:
        with store.draft() as draft, Confined(spec) as program:
            listener.write = draft.stream.write
            deadline, ended = time.monotonic() + work.timeout_seconds, False
            while not ended and time.monotonic() < deadline and not work.cancelled.is_set():
                ended = program.listen(min(_LOOK_SECONDS, work.timeout_seconds), listener.received)
                work.progress(listener.last_line)
            if work.cancelled.is_set():
                raise CancelledError(f"stopped while {work.source.name} was built")
            if not ended:
                program.send_signal(signal.SIGTERM)
                program.listen(_GRACE_SECONDS, listener.received)
                return Outcome(listener.text, ending=f"it was not done after {work.timeout_seconds / 60:.0f} minutes")
            program.require_ending()
            if program.exit_code and (program.out_of_memory or (group and group.ran_out())):
                return Outcome(listener.text, ending=f"it needed more than {work.memory_bytes >> 20} MiB of memory")
            if program.exit_code or not listener.answer:
                return Outcome(listener.text, ending=program.cause)
            if "wheel" not in listener.answer:
                return Outcome(listener.text, requires=tuple(map(str, listener.answer.get("requires") or ())))
            digest = Digest(listener.hasher.hexdigest())
            store.adopt(draft, digest)
            return Outcome(
                listener.text, wheel=str(listener.answer["wheel"]), digest=digest, size_bytes=listener.size_bytes
            )
    finally:
        if group:
            group.close()


class _Listener:
    """Takes what the build prints apart: its log, the answer's first line, and the wheel."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.hasher = hashlib.sha256()
        self.size_bytes = 0
        self.write: Callable[[bytes], object] = len
        self._head: bytearray | None = bytearray()
        self._log = bytearray()

    @property
    def text(self) -> str:
        return self._log.decode("utf-8", "replace")

    @property
    def last_line(self) -> str:
        """What was said last; "" where nothing was."""
        lines = self._log[-_LAST_BYTES:].decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def received(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        if stream == "stderr":
            self._log += data
            if len(self._log) > 2 * _LOG_BYTES:
                del self._log[:-_LOG_BYTES]
            return
        if self._head is not None:
            self._head += data
            head, found, data = bytes(self._head).partition(b"\n")
            if not found and len(head) < _HEAD_BYTES:
                return
            self._head = None
            self.answer = _answer(head)
        self.write(data)
        self.hasher.update(data)
        self.size_bytes += len(data)


def _answer(line: bytes) -> dict[str, Any]:
    """What `inside.py` said; {} where it is not its word: what is built could print there, too."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _spec(work: Attempt, folder: Path, store: Store) -> Spec:
    identity = identity_for(USER_ID, USER_ID)
    orders = {
        "archive": f"/build/{work.source.filename}",
        "backend": work.facts.backend,
        "backend_path": work.facts.backend_path,
        "known": work.requirements,
    }
    return Spec(
        layers=tuple(str(tree.resolve()) for tree in (folder, *work.trees)),
        mount_point=mount_point(store.home),
        command=(f"/{PREFIX}/bin/python", "-u", "-c", _START, json.dumps(orders)),
        environment=_environment(work.source, work.jobs)
        | ({"LD_LIBRARY_PATH": work.library_path} if work.library_path else {}),
        working_dir="/tmp",  # noqa: S108  (the sandbox's)
        user_id=USER_ID,
        group_id=USER_ID,
        uid_map=identity.uid_map,
        gid_map=identity.gid_map,
        mapper=identity.mapper,
    )


_START = "import runpy; runpy.run_path('/build/inside.py', run_name='__main__')"


def _environment(source: LockedSource, jobs: int) -> dict[str, str]:
    """Variables of the build: nothing of this machine's, and what makes two builds the same bytes."""
    try:
        made_at = max(_FIRST_DAY_OF_ZIP, int(datetime.fromisoformat(source.uploaded_at).timestamp()))
    except ValueError:
        made_at = _FIRST_DAY_OF_ZIP
    flags = f"-g0 -ffile-prefix-map=/tmp/build=. {_PERMISSIVE}"
    return {
        "PATH": f"/{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": f"/{PREFIX}",
        "HOME": "/tmp",  # noqa: S108  (as above)
        "TMPDIR": "/tmp",  # noqa: S108  (as above)
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "CC": "gcc",
        "CXX": "g++",
        "CFLAGS": flags,
        "CXXFLAGS": "-g0 -ffile-prefix-map=/tmp/build=.",
        "MAKEFLAGS": f"-j{jobs}",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        "CARGO_BUILD_JOBS": str(jobs),
        "MAX_JOBS": str(jobs),
        "NPY_NUM_BUILD_JOBS": str(jobs),
        "PIP_NO_INDEX": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "SETUPTOOLS_SCM_PRETEND_VERSION": source.version,
        "PBR_VERSION": source.version,
        "SOURCE_DATE_EPOCH": str(made_at),
    }
