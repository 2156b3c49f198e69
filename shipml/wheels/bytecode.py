"""Bytecode for the modules of a wheel, compiled by the image's own CPython (PEP 552, unchecked hash-based .pyc files).

Marshalled code can depend on what the process compiled before, so there is one process a wheel, which takes its files
in sorted order over a pipe, with a fixed hash seed. It compiles and never imports or runs what the wheel holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

import deflate

from shipml.errors import BuildError, CancelledError
from shipml.oci.digest import Digest
from shipml.oci.layer_writer import RECIPE as LAYOUT_RECIPE
from shipml.oci.manifest import canonical_json
from shipml.store import Draft, Store
from shipml.store.fact import decode, read_fact
from shipml.wheels.install import Placement
from shipml.wheels.interpreter import CompilingPython, Interpreter, PythonProcess

__all__ = ["BYTECODE_RECIPE", "Bytecode", "CompiledModule", "Interpreter", "bytecode_of"]

BYTECODE_RECIPE = "1"
"""Version of how bytecode is made. Part of the cache keys."""

_FACT = "bytecode"
_LEVEL = 6
_SOURCE_LIMIT_BYTES = 16 << 20
_PYC_LIMIT_BYTES = 256 << 20
_SLACK_BYTES = 64 << 20
_MOST_GROWTH = 40
"""A wheel's bytecode has at most so many times the bytes of its sources, and the slack: a process that may be an
image's own must not fill the disk."""
_LENGTH = struct.Struct("<I")
_START_SECONDS = 60.0
_WATCH_SECONDS = 0.1
_END_SECONDS = 5.0
"""How long a process that closed its output may take to be gone."""
_BYTES_PER_SECOND = 50_000
"""Far slower than any machine that builds images: what takes longer hangs."""
_PROGRAM = """\
import sys
del sys.path[0]
import _imp, marshal
from _frozen_importlib_external import MAGIC_NUMBER
source, sink = sys.stdin.buffer, sys.stdout.buffer
key, head = int.from_bytes(MAGIC_NUMBER, "little"), MAGIC_NUMBER + b"\\1\\0\\0\\0"
def take():
    return source.read(int.from_bytes(source.read(4), "little"))
def give(data):
    sink.write(len(data).to_bytes(4, "little") + data)
    sink.flush()
give(sys.implementation.cache_tag.encode())
while True:
    path = take()
    if not path:
        break
    data = take()
    try:
        code = compile(data, path.decode(), "exec", 0, True, 0)
        pyc = head + _imp.source_hash(key, data) + marshal.dumps(code)
    except Exception:
        pyc = b""
    give(pyc)
"""


@dataclass(frozen=True, slots=True)
class CompiledModule:
    """One .pyc file as a raw DEFLATE stream in the pack of its wheel."""

    source_path: str
    """Of the .py file, relative to the image's root."""
    crc32: int
    compressed_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Bytecode:
    """All bytecode of one wheel: a blob of DEFLATE streams, one after the other."""

    pack: Digest | None
    """None where there is nothing to compile."""
    modules: tuple[CompiledModule, ...]
    """In the pack's order, which is sorted by path."""
    skipped: int
    """Files that are not valid Python of this version (templates, Python 2)."""


def bytecode_of(
    placement: Placement,
    *,
    python: str,
    python_version: str,
    interpreter: Callable[[], CompilingPython],
    store: Store,
    cancelled: threading.Event,
) -> Bytecode:
    """The bytecode of a wheel, from the store where it was compiled before.

    Raises:
        BuildError: the interpreter cannot be started, is another version, crashes or hangs.
        CancelledError: `cancelled` was set meanwhile.
    """
    if not placement.modules:
        return Bytecode(None, (), 0)
    key = canonical_json([placement.wheel.digest.hex, python_version, LAYOUT_RECIPE, BYTECODE_RECIPE]).decode()
    if known := _known(store, key):
        return known
    with store.draft() as draft:
        compiler = _Compiler(placement, interpreter(), python, cancelled)
        packed = _Packed(draft)
        for (_, path), pyc in zip(placement.modules, compiler.run(), strict=True):
            packed.add(path, pyc)
        made = packed.finish(store)
    rows = [[m.source_path, m.crc32, m.compressed_bytes, m.size_bytes] for m in made.modules]
    store.keep_fact(_FACT, key, {"pack": str(made.pack), "modules": rows, "skipped": made.skipped})
    return made


def _known(store: Store, key: str) -> Bytecode | None:
    known = read_fact(store, _FACT, key, _from_json)
    if known is None or known.pack is None:
        return None
    return known if store.has_blob(known.pack, sum(module.compressed_bytes for module in known.modules)) else None


def _from_json(fact: Any) -> Bytecode:  # noqa: ANN401  (JSON has no narrower type)
    rows = cast("list[tuple[str, int, int, int]]", decode(fact["modules"], list[tuple[str, int, int, int]]))
    return Bytecode(Digest.parse(fact["pack"]), tuple(CompiledModule(*row) for row in rows), int(fact["skipped"]))


class _Packed:
    """Compresses .pyc files into a draft."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._hasher = hashlib.sha256()
        self._modules: list[CompiledModule] = []
        self._skipped = 0

    def add(self, path: str, pyc: bytes) -> None:
        if not pyc:
            self._skipped += 1
            return
        stream = bytes(deflate.deflate_compress(pyc, _LEVEL))
        self._hasher.update(stream)
        self._draft.stream.write(stream)
        self._modules.append(CompiledModule(path, zlib.crc32(pyc), len(stream), len(pyc)))

    def finish(self, store: Store) -> Bytecode:
        digest = Digest(self._hasher.hexdigest())
        store.adopt(self._draft, digest)
        return Bytecode(digest, tuple(self._modules), self._skipped)


class _Compiler:
    """One run of the interpreter over the modules of one wheel."""

    def __init__(
        self, placement: Placement, interpreter: CompilingPython, python: str, cancelled: threading.Event
    ) -> None:
        self._placement = placement
        self._interpreter = interpreter
        self._cache_tag = f"cpython-{python.replace('.', '')}"
        self._cancelled = cancelled
        self._source_bytes = sum(entry.size_bytes for entry, _ in placement.modules)
        self._bytes_left = _SLACK_BYTES + _MOST_GROWTH * self._source_bytes
        self._failure: BaseException | None = None
        self._timed_out = False

    def run(self) -> Iterator[bytes]:
        """The .pyc of each module, b"" where it does not compile."""
        with tempfile.TemporaryFile() as complaints, self._started(complaints) as process:
            feeder = threading.Thread(target=self._feed, args=(process.stdin,), name="bytecode-feed", daemon=True)
            try:
                tag = self._take(process, complaints, "the start").decode("ascii", "replace")
                if tag != self._cache_tag:
                    raise BuildError(
                        f"bytecode for {self._cache_tag} was to be made by an interpreter that is {tag}",
                        hint="this is a defect of shipml; please report it",
                    )
                feeder.start()
                for _, path in self._placement.modules:
                    yield self._take(process, complaints, path)
            finally:
                process.kill()
                if feeder.ident:
                    feeder.join()

    @contextlib.contextmanager
    def _started(self, complaints: IO[bytes]) -> Iterator[PythonProcess]:
        process = self._interpreter.start(("-s", "-S", "-B", "-W", "ignore", "-c", _PROGRAM), complaints)
        deadline = time.monotonic() + _START_SECONDS + self._source_bytes / _BYTES_PER_SECOND
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(process, deadline, ended), name="bytecode-watch")
        watch.start()
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            ended.set()
            watch.join()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    if pipe:
                        pipe.close()

    def _watch(self, process: PythonProcess, deadline: float, ended: threading.Event) -> None:
        """Kill the process when its time is over or the build is stopped, so that no reader waits for it."""
        while not ended.wait(_WATCH_SECONDS):
            self._timed_out = time.monotonic() > deadline
            if self._timed_out or self._cancelled.is_set():
                process.kill()
                return

    def _feed(self, sink: Any) -> None:  # noqa: ANN401  (a pipe's end)
        """Give the sources to the process, one after the other, and stop quietly when it is gone."""
        try:
            for entry, path in self._placement.modules:
                large = entry.size_bytes > _SOURCE_LIMIT_BYTES
                data = b"\0" if large else self._placement.archive.read(entry, limit_bytes=_SOURCE_LIMIT_BYTES)
                name = f"/{path}".encode()
                sink.write(_LENGTH.pack(len(name)) + name + _LENGTH.pack(len(data)) + data)
            sink.write(_LENGTH.pack(0))
            sink.flush()
        except BrokenPipeError:
            pass
        except BaseException as error:  # noqa: BLE001  (raised by whoever waits for an answer, which now never comes)
            self._failure = error
        finally:
            with contextlib.suppress(BrokenPipeError):
                sink.close()

    def _take(self, process: PythonProcess, complaints: IO[bytes], path: str) -> bytes:
        """The next answer of the process, which is about `path`."""
        assert process.stdout is not None  # noqa: S101  (for the type checker)
        length = _read(process.stdout, _LENGTH.size)
        if length is not None:
            (size_bytes,) = _LENGTH.unpack(length)
            self._bytes_left -= size_bytes
            fits = size_bytes <= _PYC_LIMIT_BYTES and self._bytes_left >= 0
            data = _read(process.stdout, size_bytes) if fits else None
            if data is not None:
                return data
        if self._failure:
            raise self._failure
        if self._cancelled.is_set():
            raise CancelledError("stopped while bytecode was compiled")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
        how = "took too long" if self._timed_out else f"ended (status {process.poll()})"
        complaints.seek(0)
        said = complaints.read()[-500:].decode(errors="replace").strip().rpartition("\n")[2]
        raise BuildError(
            f"the interpreter that compiles {self._placement.wheel.filename} {how} at {path}{said and f': {said}'}",
            hint="choose another version of the package, or report this with the wheel's name",
        )


def _read(stream: BinaryIO | IO[bytes], size_bytes: int) -> bytes | None:
    data = stream.read(size_bytes)
    return data if len(data) == size_bytes else None
