"""Writes placed wheels into a layer: compressed files by their own DEFLATE streams, then bytecode, then RECORD."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from shipml.events import Emit, Notice, ignore
from shipml.facts.plan import PREFIX, USER_ID
from shipml.oci.layer_writer import LayerWriter
from shipml.store import Store
from shipml.text import listed
from shipml.wheels.archive import Archive, Entry
from shipml.wheels.bytecode import Bytecode
from shipml.wheels.install import Placement, Target, record_bytes

__all__ = ["WHEEL_RECIPE", "Venv", "write_skeleton", "write_wheel"]

WHEEL_RECIPE = "1"
"""Version of which files a wheel becomes and in what order. Part of the cache keys."""

_COMPRESSED_HERE_BYTES = 16 << 20
"""Files that the wheel stores uncompressed are compressed by us up to this size, and stay stored above it."""


@dataclass(frozen=True, slots=True)
class Venv:
    """The base's Python, whose virtual environment `/opt/venv` is."""

    program: str
    """Absolute path in the image: "/usr/bin/python3.11"."""
    version: str
    """Full version."""
    home: str = ""
    """Home of the image's user that has to be made, as the base lacks it; "" where nothing has to be."""

    @classmethod
    def of_debian(cls, python: str, version: str) -> Venv:
        """Where Debian has its Python, by minor and full version."""
        return cls(f"/usr/bin/python{python}", version)


def write_skeleton(writer: LayerWriter, venv: Venv, *, python: str) -> None:
    """Write what makes `/opt/venv` a virtual environment of the base's Python (PEP 405)."""
    home = venv.program.rpartition("/")[0]
    settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {venv.version}\n"
    if venv.home:
        writer.directory(venv.home.lstrip("/"), owner=USER_ID)
    writer.directory(PREFIX)
    writer.directory(f"{PREFIX}/bin")
    writer.symlink(f"{PREFIX}/bin/python", venv.program)
    writer.symlink(f"{PREFIX}/bin/python3", "python")
    writer.symlink(f"{PREFIX}/bin/python{python}", "python")
    writer.directory(f"{PREFIX}/lib/python{python}/site-packages")
    writer.symlink(f"{PREFIX}/lib64", "lib")
    writer.file(f"{PREFIX}/pyvenv.cfg", settings.encode())


def write_wheel(
    writer: LayerWriter,
    placement: Placement,
    bytecode: Callable[[], Bytecode],
    *,
    store: Store,
    python: str,
    emit: Emit = ignore,
    without: frozenset[str] = frozenset(),
) -> None:
    """Write one wheel into a layer. Where its own RECORD is wrong, a note says so: the one that is written is right.

    Args:
        writer: of the layer.
        placement: what goes where.
        bytecode: called when the files are written: the compiler may still be at work until then.
        store: has the bytecode's pack.
        python: minor version, as "3.11".
        emit: hears of a RECORD that is wrong.
        without: paths that another wheel of the layer provides instead.

    Raises:
        UntrustedInputError: a file is not what the archive says.
    """
    hashes = {}
    unlike_record = list(placement.unlike_record)
    for target in placement.targets:
        if target.path in without:
            hashes[target.path] = _unwritten(placement, target)
        else:
            hashes[target.path] = _write(writer, placement, target)
        entry = target.entry
        if entry and not placement.metadata.agrees(placement.archive, entry, hashes[target.path][0]):
            unlike_record.append(entry.name)
    compiled = list(_write_bytecode(writer, bytecode(), store, python, without))
    writer.file(placement.record_path, record_bytes(placement, hashes, compiled))
    if unlike_record:
        emit(
            Notice(
                f"the RECORD of {placement.wheel.filename} is wrong about {listed(sorted(unlike_record))}: the wheel"
                " has the digest of the lock, so it is taken, and the image gets a correct RECORD"
            )
        )


def _write(writer: LayerWriter, placement: Placement, target: Target) -> tuple[str, int]:
    """Write one file; returns its SHA-256 (hex) and size in bytes."""
    mode = 0o755 if target.executable else 0o644
    entry, archive = target.entry, placement.archive
    if entry is None:
        data = target.data or b""
        writer.file(target.path, data, mode=mode)
        return hashlib.sha256(data).hexdigest(), len(data)
    if entry.deflated and entry.size_bytes:
        digest = writer.spliced_file(
            target.path, archive.pieces(entry), size_bytes=entry.size_bytes, crc32=entry.crc32, mode=mode
        )
    elif entry.size_bytes <= _COMPRESSED_HERE_BYTES:
        data = archive.read(entry, limit_bytes=_COMPRESSED_HERE_BYTES)
        writer.file(target.path, data, mode=mode)
        digest = hashlib.sha256(data).hexdigest()
    else:
        source = cast("BinaryIO", io.BufferedReader(_Content(archive, entry)))
        digest = writer.stored_file(target.path, source, entry.size_bytes, mode=mode)
    return digest, entry.size_bytes


def _unwritten(placement: Placement, target: Target) -> tuple[str, int]:
    """SHA-256 (hex) and size of a file that the layer has from another wheel: RECORD lists the own one, as with pip."""
    hasher, size_bytes = hashlib.sha256(), 0
    pieces = [target.data or b""] if target.entry is None else placement.archive.inflated(target.entry)
    for data in pieces:
        hasher.update(data)
        size_bytes += len(data)
    return hasher.hexdigest(), size_bytes


def _write_bytecode(
    writer: LayerWriter, bytecode: Bytecode, store: Store, python: str, without: frozenset[str]
) -> Iterator[str]:
    """Write the .pyc files of a pack; yields their paths."""
    if bytecode.pack is None:
        return
    tag = f"cpython-{python.replace('.', '')}"
    with store.open_blob(bytecode.pack) as pack:
        for module in bytecode.modules:
            stream = pack.read(module.compressed_bytes)
            folder, _, name = module.source_path.rpartition("/")
            path = f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"
            if module.source_path not in without:
                writer.spliced_file(path, [stream], size_bytes=module.size_bytes, crc32=module.crc32)
            yield path


class _Content(io.RawIOBase):
    """The checked content of an entry as a stream."""

    def __init__(self, archive: Archive, entry: Entry) -> None:
        self._pieces = archive.inflated(entry)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # narrower: io hands in memoryviews
        while not self._left:
            try:
                self._left = next(self._pieces)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
