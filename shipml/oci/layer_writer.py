"""Writes a layer: a tar inside gzip, one gzip member per file, so that ready-made DEFLATE streams can be spliced in.

Concatenated gzip members are one gzip file (RFC 1952, section 2.2). A wheel's compressed file goes into the layer as it
is, between a 10-byte header and an 8-byte trailer; what lies between the files (tar headers, padding) and what has no
stream yet (bytecode, generated files) is compressed by libdeflate, whose output is the same on every CPU. The bytes of
a layer therefore depend on its content and on this recipe alone.
"""

from __future__ import annotations

import hashlib
import queue
import struct
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import deflate
from isal import isal_zlib

from shipml.errors import UntrustedInputError
from shipml.oci.digest import Digest
from shipml.oci.tar_header import BLOCK_BYTES, tar_header

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RECIPE", "LayerWriter", "WrittenLayer"]

RECIPE = "1"
"""Version of how bytes are laid out. Part of every cache key: a change here changes digests."""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LEVEL = 6
_BATCH_BYTES = 1 << 20
_LARGE_PIECE_BYTES = 1 << 17
_INFLATED_PIECE_BYTES = 1 << 18
_QUEUED_PIECES = 16
_STORED_BLOCK_BYTES = 0xFFFF
_END_OF_ARCHIVE = b"\0" * (2 * BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class WrittenLayer:
    """What is known of a layer once it is written."""

    digest: Digest
    diff_id: Digest
    size_bytes: int
    """Compressed."""
    uncompressed_bytes: int
    """The tar inside."""


class _Sums:
    """SHA-256, CRC-32 and number of bytes of what went by."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.crc32 = 0
        self.size_bytes = 0
        self.is_elsewhere = False
        """Whether the other thread works on it."""


class _Hashers:
    """Hashes on a thread of its own: hashing and inflating release the interpreter lock, so two cores share them."""

    def __init__(self) -> None:
        self._todo: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=_QUEUED_PIECES)
        self._thread = threading.Thread(target=self._work, name="layer-hash", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (task := self._todo.get()) is not None:
            task()

    def update(self, hasher: hashlib._Hash, data: bytes) -> None:
        self._todo.put(lambda: hasher.update(data))

    def update_both(self, hasher: hashlib._Hash, content: _Sums, data: bytes) -> None:
        """Hash a piece of a file as part of the tar and of the file."""

        def work() -> None:
            hasher.update(data)
            content.sha256.update(data)
            content.crc32 = isal_zlib.crc32(data, content.crc32)

        self._todo.put(work)

    def wait(self) -> None:
        """Until all that was given so far is hashed."""
        done = threading.Event()
        self._todo.put(done.set)
        done.wait()

    def close(self) -> None:
        self._todo.put(None)
        self._thread.join()


class _Batch:
    """Gathers small pieces for one hash, so that they cost the other thread less than they are worth."""

    def __init__(self, hashers: _Hashers) -> None:
        self._hashers = hashers
        self._small = bytearray()
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        if len(data) >= _LARGE_PIECE_BYTES:
            self.flush()
            self._hashers.update(self.sha256, data)
            return
        self._small += data
        if len(self._small) >= _BATCH_BYTES:
            self.flush()

    def add_content(self, data: bytes, content: _Sums) -> None:
        """Add a piece of a file that is hashed by itself as well."""
        content.size_bytes += len(data)
        if content.is_elsewhere or len(data) >= _LARGE_PIECE_BYTES:
            content.is_elsewhere = True
            self.flush()
            self.size_bytes += len(data)
            self._hashers.update_both(self.sha256, content, data)
            return
        content.sha256.update(data)
        content.crc32 = isal_zlib.crc32(data, content.crc32)
        self.add(data)

    def settle(self, content: _Sums) -> None:
        """Wait until `content` is complete."""
        if content.is_elsewhere:
            self._hashers.wait()

    def flush(self) -> None:
        if self._small:
            self._hashers.update(self.sha256, bytes(self._small))
            self._small.clear()


class LayerWriter:
    """Writes one layer to `out`, a binary stream. Paths are relative to the image's root, without leading slash.

    Missing parent folders are written first, mode 0755, owner 0. A path may come once.
    """

    def __init__(self, out: IO[bytes], *, modified_at_seconds: int = 0) -> None:
        self._out = out
        self._modified_at_seconds = modified_at_seconds
        self._paths: dict[str, tuple[int, int]] = {}  # mode and owner
        self._glue = bytearray()
        self._hashers = _Hashers()
        self._compressed = _Batch(self._hashers)
        self._uncompressed = _Batch(self._hashers)

    def __enter__(self) -> LayerWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._hashers.close()

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def directory(self, path: str, *, mode: int = 0o755, owner: int = 0) -> None:
        """Add a folder."""
        self._header(path, tarfile.DIRTYPE, mode=mode, owner=owner)

    def symlink(self, path: str, target: str, *, owner: int = 0) -> None:
        """Add a symbolic link to `target`, written as it stands."""
        self._header(path, tarfile.SYMTYPE, mode=0o777, owner=owner, link=target)

    def hardlink(self, path: str, target: str) -> None:
        """Add a second name for `target`, a path already in this layer.

        Engines set the mode and owner of the link's header on the file that both names share, so they are the target's.

        Raises:
            UntrustedInputError: `target` is not in the layer.
        """
        if target not in self._paths:
            raise UntrustedInputError(f"{path} is a hard link to {target}, which is not in its layer")
        mode, owner = self._paths[target]
        self._header(path, tarfile.LNKTYPE, mode=mode, owner=owner, link=target)

    def file(self, path: str, data: bytes, *, mode: int = 0o644, owner: int = 0) -> None:
        """Add a file that is in memory, compressed here."""
        self._header(path, tarfile.REGTYPE, mode=mode, owner=owner, size_bytes=len(data))
        if data:
            self._flush_glue()
            self._uncompressed.add(data)
            self._member(bytes(deflate.deflate_compress(data, _LEVEL)), zlib.crc32(data), len(data))
        self._pad(len(data))

    def stored_file(self, path: str, source: BinaryIO, size_bytes: int, *, mode: int = 0o644, owner: int = 0) -> str:
        """Add a file uncompressed (DEFLATE stored blocks), read from `source` in pieces; returns its SHA-256 as hex.

        Raises:
            UntrustedInputError: `source` does not give exactly `size_bytes`.
        """
        self._header(path, tarfile.REGTYPE, mode=mode, owner=owner, size_bytes=size_bytes)
        content = _Sums()
        if size_bytes:
            self._flush_glue()
            self._emit(_GZIP_HEADER)
            while left := size_bytes - content.size_bytes:
                piece = _read_exactly(source, min(left, _STORED_BLOCK_BYTES * 16))
                if not piece:
                    raise UntrustedInputError(f"{path} became shorter while it was read")
                self._uncompressed.add_content(piece, content)
                self._emit(_stored_blocks(piece, final=content.size_bytes == size_bytes))
            self._uncompressed.settle(content)
            self._emit(struct.pack("<II", content.crc32, size_bytes & 0xFFFFFFFF))
        if source.read(1):
            raise UntrustedInputError(f"{path} became longer while it was read")
        self._pad(size_bytes)
        return content.sha256.hexdigest()

    def spliced_file(
        self,
        path: str,
        stream: Iterable[bytes],
        *,
        size_bytes: int,
        crc32: int,
        mode: int = 0o644,
        owner: int = 0,
    ) -> str:
        """Add a file by its ready-made raw DEFLATE stream (RFC 1951), given in pieces; returns its SHA-256 as hex.

        The stream is inflated to hash it, and must be exactly one complete stream of `size_bytes` with `crc32`.

        Raises:
            UntrustedInputError: the stream is broken, or does not give what the directory says.
        """
        self._header(path, tarfile.REGTYPE, mode=mode, owner=owner, size_bytes=size_bytes)
        content = _Sums()
        self._flush_glue()
        self._emit(_GZIP_HEADER)
        inflater = isal_zlib.decompressobj(-15)
        for piece in _small_pieces(stream):
            if inflater.eof:
                raise UntrustedInputError(f"{path} has bytes after its compressed stream")
            self._emit(piece)
            self._inflate(path, inflater, piece, content, size_bytes)
        if inflater.unused_data:
            raise UntrustedInputError(f"{path} has bytes after its compressed stream")
        if not inflater.eof or content.size_bytes != size_bytes:
            raise UntrustedInputError(
                f"{path} inflates to {content.size_bytes} bytes, not to the {size_bytes} that it declares"
            )
        self._uncompressed.settle(content)
        if content.crc32 != crc32:
            raise UntrustedInputError(f"{path} has the CRC {content.crc32:08x}, not {crc32:08x} as declared")
        self._emit(struct.pack("<II", crc32, size_bytes & 0xFFFFFFFF))
        self._pad(size_bytes)
        return content.sha256.hexdigest()

    def _inflate(self, path: str, inflater: Any, piece: bytes, content: _Sums, limit_bytes: int) -> None:  # noqa: ANN401  (isal names no type)
        """Inflate one piece and hash what comes out, never holding more than a batch of it."""
        rest = piece
        while not inflater.eof:
            try:
                data = inflater.decompress(rest, _BATCH_BYTES)
            except isal_zlib.error as error:  # type: ignore[misc]  # its stubs lack the base class
                raise UntrustedInputError(f"{path} has a broken compressed stream ({error})") from error
            rest = inflater.unconsumed_tail
            if content.size_bytes + len(data) > limit_bytes:
                raise UntrustedInputError(f"{path} inflates to more than the {limit_bytes} bytes it declares")
            self._uncompressed.add_content(data, content)
            if not rest and len(data) < _BATCH_BYTES:
                return

    def close(self) -> WrittenLayer:
        """End the archive and say what was written. `out` stays open."""
        self._glue += _END_OF_ARCHIVE
        self._uncompressed.add(_END_OF_ARCHIVE)
        self._flush_glue()
        self._compressed.flush()
        self._uncompressed.flush()
        self._hashers.close()
        return WrittenLayer(
            digest=Digest(self._compressed.sha256.hexdigest()),
            diff_id=Digest(self._uncompressed.sha256.hexdigest()),
            size_bytes=self._compressed.size_bytes,
            uncompressed_bytes=self._uncompressed.size_bytes,
        )

    def _header(self, path: str, kind: bytes, *, mode: int, owner: int, size_bytes: int = 0, link: str = "") -> None:
        if path in self._paths:
            raise UntrustedInputError(f"{path} would be in one layer twice")
        parent = path.rpartition("/")[0]
        if parent and parent not in self._paths:
            self.directory(parent)
        self._paths[path] = (mode, owner)
        header = tar_header(
            path,
            kind,
            mode=mode,
            owner=owner,
            size_bytes=size_bytes,
            modified_at_seconds=self._modified_at_seconds,
            link=link,
        )
        self._glue += header
        self._uncompressed.add(header)

    def _pad(self, size_bytes: int) -> None:
        padding = b"\0" * (-size_bytes % BLOCK_BYTES)
        self._glue += padding
        self._uncompressed.add(padding)

    def _flush_glue(self) -> None:
        if self._glue:
            glue = bytes(self._glue)
            self._glue.clear()
            self._member(bytes(deflate.deflate_compress(glue, _LEVEL)), zlib.crc32(glue), len(glue))

    def _member(self, stream: bytes, crc32: int, size_bytes: int) -> None:
        self._emit(_GZIP_HEADER + stream + struct.pack("<II", crc32, size_bytes & 0xFFFFFFFF))

    def _emit(self, data: bytes) -> None:
        self._out.write(data)
        self._compressed.add(data)


def _small_pieces(stream: Iterable[bytes]) -> Iterator[bytes]:
    """The stream in pieces that inflate to a few MiB: what is left of one is copied each time some comes out."""
    for piece in stream:
        if len(piece) <= _INFLATED_PIECE_BYTES:
            yield piece
            continue
        for start in range(0, len(piece), _INFLATED_PIECE_BYTES):
            yield piece[start : start + _INFLATED_PIECE_BYTES]


def _read_exactly(source: BinaryIO, size_bytes: int) -> bytes:
    """`size_bytes` of `source`, fewer only at its end: block boundaries must not depend on how it is read."""
    piece = source.read(size_bytes)
    if not piece or len(piece) == size_bytes:
        return piece
    pieces = [piece]
    left = size_bytes - len(piece)
    while left and (piece := source.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _stored_blocks(data: bytes, *, final: bool) -> bytes:
    """`data` as DEFLATE blocks of type 00, the last one marked final if `final` (RFC 1951, section 3.2.4)."""
    blocks = bytearray()
    for start in range(0, len(data), _STORED_BLOCK_BYTES):
        block = data[start : start + _STORED_BLOCK_BYTES]
        last = final and start + _STORED_BLOCK_BYTES >= len(data)
        blocks += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    return bytes(blocks)
