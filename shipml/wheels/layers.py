"""Makes the layers of an image's wheels together: downloads, compilers and splicing overlap."""

from __future__ import annotations

import functools
import heapq
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, TypeAlias

from shipml.errors import CancelledError
from shipml.events import (
    Emit,
    Notice,
    StepProgressed,
    ignore,
)
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import BYTECODE, NATIVE
from shipml.session import Session
from shipml.store import Store
from shipml.store.layers import LAYERS, cached_layer, layer_key
from shipml.wheels.archive import Archive
from shipml.wheels.bytecode import BYTECODE_RECIPE, Bytecode, bytecode_of
from shipml.wheels.facts import facts_as_text
from shipml.wheels.fetch import Downloads
from shipml.wheels.install import Placement, placement_of
from shipml.wheels.interpreter import CompilingPython
from shipml.wheels.overlap import overridden
from shipml.wheels.splice import (
    WHEEL_RECIPE,
    Venv,
    write_skeleton,
    write_wheel,
)

__all__ = ["LayerRequest", "layer", "layer_keys", "layers"]

LayerKind: TypeAlias = Literal["base", "system", "wheel", "packages", "data", "weights", "application"]
LayerRequest: TypeAlias = tuple[LayerKind, Sequence[LockedWheel]]
"""What kind of layer, and the wheels in it."""

_WRITERS = 3
"""Layers written at once: while one waits for its bytecode, others go on."""
_MAX_WAITING = 64
"""Threads that wait for downloads before they write a layer; an image has no more layers than that."""


def layer(
    wheels: Sequence[LockedWheel],
    *,
    session: Session,
    kind: Literal["wheel", "packages"],
    python: str,
    interpreter: Callable[[], CompilingPython] | None,
    python_version: str,
    venv: Venv | None = None,
) -> LayerValue:
    """One layer: `layers` with a single request."""
    return layers(
        [(kind, wheels)],
        python=python,
        interpreter=interpreter,
        python_version=python_version,
        session=session,
        venv=venv,
    )[0]


def layers(
    requests: Sequence[LayerRequest],
    *,
    session: Session,
    python: str,
    interpreter: Callable[[], CompilingPython] | None,
    python_version: str,
    venv: Venv | None = None,
) -> list[LayerValue]:
    """The layers of an image's wheels, in the order of `requests`.

    What the store knows is neither downloaded nor made: such a layer's bytes come when it is opened. A layer of kind
    "packages" also makes `/opt/venv` a virtual environment, so an image needs one even if it is empty.

    Args:
        requests: kind and wheels of each layer.
        python: minor version of the image's Python, as "3.11".
        interpreter: gives the interpreter that compiles; called at most once, and only if something must be compiled.
            None: nothing is compiled.
        python_version: full version of the Python that compiles; part of the cache keys.
        session: keeps wheels, bytecode and layers, downloads, and hears of progress.
        venv: the base's Python; None: Debian's, of `python_version`.

    Raises:
        UntrustedInputError: a wheel is broken or hostile, or is not what the lock names.
        BuildError: the interpreter fails.
        TryAgainError, NotAllowedError: as `HttpClient.read`.
    """
    once = _Once(interpreter, python_version, session.emit) if interpreter is not None else None
    venv = venv or Venv.of_debian(python, python_version)
    target = _Target(python, python_version, venv, once is not None, session.store, session.http, once)
    todo = [request for request in requests if LAYERS.last(session.store, target.key(request)) is None]
    if todo:
        with _Work(target, todo, session.emit) as work:
            work.finish()
    return [target.layer(request) for request in requests]


def layer_keys(
    requests: Sequence[LayerRequest],
    *,
    python: str,
    compiled: bool,
    python_version: str,
    venv: Venv | None = None,
) -> list[tuple[str, str]]:
    """Kind and key of each layer that `layers` would give; `compiled`: with an interpreter."""
    keys = _Keys(python, python_version, venv or Venv.of_debian(python, python_version), compiled)
    return [(request[0], keys.key(request)) for request in requests]


class _Once:
    """Calls a function once, whichever thread comes first, and gives all the same answer."""

    def __init__(self, make: Callable[[], CompilingPython], version: str, emit: Emit) -> None:
        self._make = make
        self._version = version
        self._emit = emit
        self._lock = threading.Lock()
        self._made: CompilingPython | None = None

    def __call__(self) -> CompilingPython:
        with self._lock:
            if self._made is None:
                self._made = self._make()
                if self._made.version != self._version:
                    self._emit(
                        Notice(
                            f"bytecode is compiled by Python {self._made.version} for the image's {self._version}: "
                            "it works, but digests can differ from those of builds that have the same version",
                            "warning",
                        )
                    )
            return self._made


@dataclass(frozen=True, slots=True)
class _Keys:
    """What the keys of all layers of one call share."""

    python: str
    python_version: str
    venv: Venv
    compiled: bool

    def key(self, request: LayerRequest) -> str:
        """All that the layer's bytes depend on."""
        kind, wheels = request
        members = [
            [wheel.name, wheel.version, wheel.digest.hex, wheel.url if wheel.direct else ""]
            for wheel in _sorted(wheels)
        ]
        compiler = self.python_version if self.compiled else "none"
        usual = kind != "packages" or self.venv == Venv.of_debian(self.python, self.python_version)
        beyond = [] if usual else [[self.venv.program, self.venv.version, self.venv.home]]
        return layer_key("wheels", WHEEL_RECIPE, BYTECODE_RECIPE, kind, self.python, compiler, members, *beyond)


@dataclass(frozen=True, slots=True)
class _Target(_Keys):
    """What all layers of one call share."""

    store: Store
    http: HttpClient
    interpreter: _Once | None

    def layer(
        self, request: LayerRequest, write: Callable[[LayerWriter, LayerRequest], None] | None = None
    ) -> LayerValue:
        """The layer: from the store, else written by `write`; without it, by work of its own."""
        kind, wheels = request
        layer = cached_layer(
            self.store,
            lambda writer: (write or self._write_alone)(writer, request),
            key=self.key(request),
            kind=kind,
            source=", ".join(f"{wheel.name}=={wheel.version}" for wheel in _sorted(wheels)),
            extra_annotations={BYTECODE: f"cpython-{self.python_version}"} if self.interpreter else {},
        )
        native = facts_as_text(_sorted(wheels), self.store)
        return replace(layer, annotations={**layer.annotations, NATIVE: native}) if native else layer

    def _write_alone(self, writer: LayerWriter, request: LayerRequest) -> None:
        with _Work(self, [request], ignore) as work:
            work.write(writer, request)


def _sorted(wheels: Sequence[LockedWheel]) -> list[LockedWheel]:
    return sorted(wheels, key=lambda wheel: (wheel.name, wheel.version))


class _WheelWork:
    """One wheel on its way: downloaded, then read once by whoever needs it first, and compiled."""

    def __init__(self, wheel: LockedWheel, downloaded: Future[None], target: _Target) -> None:
        self.wheel = wheel
        self.downloaded = downloaded
        self.compiled: Future[Bytecode] = Future()
        self._target = target
        self._lock = threading.Lock()
        self._placement: Placement | None = None

    def placement(self) -> Placement:
        """What goes where; waits for the download."""
        self.downloaded.result()
        with self._lock:
            if self._placement is None:
                archive = Archive(self._target.store.blob_path(self.wheel.digest), self.wheel.filename)
                self._placement = placement_of(archive, self.wheel, python=self._target.python)
            return self._placement

    def compile(self, cancelled: threading.Event) -> None:
        try:
            if cancelled.is_set():
                raise CancelledError("stopped before bytecode was compiled")  # noqa: TRY301
            if self._target.interpreter is None:
                self.compiled.set_result(Bytecode(None, (), 0))
                return
            made = bytecode_of(
                self.placement(),
                python=self._target.python,
                python_version=self._target.python_version,
                interpreter=self._target.interpreter,
                store=self._target.store,
                cancelled=cancelled,
            )
        except BaseException as error:  # noqa: BLE001  (handed on to whoever waits, as executors do)
            self.compiled.set_exception(error)
        else:
            self.compiled.set_result(made)


class _Work:
    """The making of several layers at once. A context: leaving it by an error stops downloads and compilers."""

    def __init__(self, target: _Target, requests: Sequence[LayerRequest], emit: Emit) -> None:
        self._target = target
        self._requests = requests
        self._emit = emit
        self._cancelled = threading.Event()
        self._wheels: dict[LockedWheel, _WheelWork] = {}
        self._written: set[LockedWheel] = set()
        self._ready: list[tuple[int, str, _WheelWork]] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_WRITERS)
        self._exits = ExitStack()

    def __enter__(self) -> _Work:
        members = {wheel for _, wheels in self._requests for wheel in wheels}
        with ExitStack() as exits:
            self._compilers = exits.enter_context(_pool(os.cpu_count() or 1, "bytecode", self._cancelled))
            self._writers = exits.enter_context(_pool(_MAX_WAITING, "layer", self._cancelled))
            downloads = exits.enter_context(
                Downloads(sorted(members), session=Session(self._target.store, self._target.http, self._emit))
            )
            for wheel in sorted(members, key=lambda wheel: (-(wheel.size_bytes or 0), wheel.name)):
                work = self._wheels[wheel] = _WheelWork(wheel, downloads.future(wheel), self._target)
                work.downloaded.add_done_callback(functools.partial(self._downloaded, work))
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.__exit__(kind, error, trace)

    def finish(self) -> None:
        """Make all the layers; raises the first failure."""
        made = {self._writers.submit(self._make, request) for request in self._requests}
        pending: set[Future[None]] = made | {work.downloaded for work in self._wheels.values()}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def write(self, writer: LayerWriter, request: LayerRequest) -> None:
        """Write one layer's content."""
        kind, wheels = request
        python = self._target.python
        works = [self._wheels[wheel] for wheel in _sorted(wheels)]
        placements = [work.placement() for work in works]
        if kind == "packages":
            write_skeleton(writer, self._target.venv, python=python)
        for work, placement, without in zip(works, placements, overridden(placements, self._emit), strict=True):
            write_wheel(
                writer,
                placement,
                work.compiled.result,
                store=self._target.store,
                python=python,
                emit=self._emit,
                without=without,
            )
            self._wrote(work.wheel)

    def _wrote(self, wheel: LockedWheel) -> None:
        with self._lock:
            self._written.add(wheel)
            done = len(self._written)
        self._emit(StepProgressed("layers", done, len(self._wheels), "items"))

    def _make(self, request: LayerRequest) -> None:
        for wheel in request[1]:
            self._wheels[wheel].downloaded.result()
        with self._slots:
            self._target.layer(request, self.write)

    def _downloaded(self, work: _WheelWork, future: Future[None]) -> None:
        """Let the wheel be compiled. Whatever happens, `work.compiled` gets an end, since a layer may wait for it."""
        if self._cancelled.is_set() or future.cancelled() or future.exception():
            work.compiled.set_exception(CancelledError("stopped before bytecode was compiled"))
            return
        with self._lock:
            heapq.heappush(self._ready, (-(work.wheel.size_bytes or 0), work.wheel.name, work))
        try:
            self._compilers.submit(self._compile_largest)
        except RuntimeError:  # the pool is closed: something failed meanwhile, and nobody waits
            return

    def _compile_largest(self) -> None:
        with self._lock:
            _, _, work = heapq.heappop(self._ready)
        work.compile(self._cancelled)


@contextmanager
def _pool(workers: int, name: str, cancelled: threading.Event) -> Iterator[ThreadPoolExecutor]:
    """A pool that is given up, not waited for to the end of its work, when the block fails."""
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix=name)
    try:
        yield pool
    except BaseException:
        cancelled.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
