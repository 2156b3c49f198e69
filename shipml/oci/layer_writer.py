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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, BinaryIO

import deflate
from isal import isal_zlib

from shipml.errors import UntrustedInputError
from shipml.oci.digest import Digest

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RECIPE", "LayerWriter", "WrittenLayer"]

RECIPE = "1"
"""Version of how bytes are laid out. Part of every cache key: a change here changes digests."""

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_BLOCK_BYTES = 512
_LEVEL = 6
_BATCH_BYTES = 1 << 20
_STORED_BLOCK_BYTES = 0xFFFF
_END_OF_ARCHIVE = b"\0" * (2 * _BLOCK_BYTES)


@dataclass(frozen=True, slots=True)
class WrittenLayer:
    """What is known of a layer once it is written."""

    digest: Digest
    diff_id: Digest
    size_bytes: int
    """Compressed."""
    uncompressed_bytes: int
    """The tar inside."""


class _Hashers:
    """SHA-256 on a thread of its own: hashing and inflating release the interpreter lock, so two cores share them."""

    def __init__(self) -> None:
        self._todo: queue.Queue[tuple[hashlib._Hash, bytes] | None] = queue.Queue(maxsize=16)
        self._thread = threading.Thread(target=self._work, name="layer-hash", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (item := self._todo.get()) is not None:
            item[0].update(item[1])

    def update(self, hasher: hashlib._Hash, data: bytes) -> None:
        self._todo.put((hasher, data))

    def close(self) -> None:
        self._todo.put(None)
        self._thread.join()


class LayerWriter:
    """Writes one layer to `out`, a binary stream. Paths are relative to the image's root, without leading slash.

    Missing parent folders are written first, mode 0755, owner 0. A path may come once.
    """

    def __init__(self, out: IO[bytes], *, modified_at_seconds: int = 0) -> None:
        self._out = out
        self._modified_at_seconds = modified_at_seconds
        self._paths: dict[str, tuple[int, int]] = {}  # mode and owner
        self._glue = bytearray()
        self._compressed = hashlib.sha256()
        self._uncompressed = hashlib.sha256()
        self._compressed_batch = bytearray()
        self._uncompressed_batch = bytearray()
        self._size_bytes = 0
        self._uncompressed_bytes = 0
        self._hashers = _Hashers()

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
            self._feed_uncompressed(data)
            self._member(bytes(deflate.deflate_compress(data, _LEVEL)), zlib.crc32(data), len(data))
        self._pad(len(data))

    def stored_file(self, path: str, source: BinaryIO, size_bytes: int, *, mode: int = 0o644, owner: int = 0) -> str:
        """Add a file uncompressed (DEFLATE stored blocks), read from `source` in pieces; returns its SHA-256 as hex.

        Raises:
            UntrustedInputError: `source` does not give exactly `size_bytes`.
        """
        self._header(path, tarfile.REGTYPE, mode=mode, owner=owner, size_bytes=size_bytes)
        content = hashlib.sha256()
        if size_bytes:
            self._flush_glue()
            self._emit(_GZIP_HEADER)
            crc, left = 0, size_bytes
            while left:
                piece = source.read(min(left, _STORED_BLOCK_BYTES * 16))
                if not piece:
                    raise UntrustedInputError(f"{path} became shorter while it was read")
                left -= len(piece)
                crc = zlib.crc32(piece, crc)
                content.update(piece)
                self._feed_uncompressed(piece)
                self._emit(_stored_blocks(piece, final=left == 0))
            self._emit(struct.pack("<II", crc, size_bytes & 0xFFFFFFFF))
        if source.read(1):
            raise UntrustedInputError(f"{path} became longer while it was read")
        self._pad(size_bytes)
        return content.hexdigest()

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
        content = hashlib.sha256()
        self._flush_glue()
        self._emit(_GZIP_HEADER)
        inflater = isal_zlib.decompressobj(-15)
        crc, inflated_bytes = 0, 0
        for piece in stream:
            if inflater.eof:
                raise UntrustedInputError(f"{path} has bytes after its compressed stream")
            self._emit(piece)
            rest = piece
            while rest and not inflater.eof:
                try:
                    data = inflater.decompress(rest, _BATCH_BYTES)
                except isal_zlib.error as error:  # type: ignore[misc]  # its stubs lack the base class
                    raise UntrustedInputError(f"{path} has a broken compressed stream ({error})") from error
                rest = inflater.unconsumed_tail
                inflated_bytes += len(data)
                if inflated_bytes > size_bytes:
                    raise UntrustedInputError(f"{path} inflates to more than the {size_bytes} bytes it declares")
                crc = zlib.crc32(data, crc)
                content.update(data)
                self._feed_uncompressed(data)
        if not inflater.eof or inflater.unused_data or inflated_bytes != size_bytes:
            raise UntrustedInputError(
                f"{path} inflates to {inflated_bytes} bytes, not to the {size_bytes} that it declares"
            )
        if crc != crc32:
            raise UntrustedInputError(f"{path} has the CRC {crc:08x}, not {crc32:08x} as declared")
        self._emit(struct.pack("<II", crc, size_bytes & 0xFFFFFFFF))
        self._pad(size_bytes)
        return content.hexdigest()

    def close(self) -> WrittenLayer:
        """End the archive and say what was written. `out` stays open."""
        self._glue += _END_OF_ARCHIVE
        self._feed_uncompressed(_END_OF_ARCHIVE)
        self._flush_glue()
        self._hashers.update(self._compressed, bytes(self._compressed_batch))
        self._hashers.update(self._uncompressed, bytes(self._uncompressed_batch))
        self._hashers.close()
        return WrittenLayer(
            digest=Digest(self._compressed.hexdigest()),
            diff_id=Digest(self._uncompressed.hexdigest()),
            size_bytes=self._size_bytes,
            uncompressed_bytes=self._uncompressed_bytes,
        )

    def _header(self, path: str, kind: bytes, *, mode: int, owner: int, size_bytes: int = 0, link: str = "") -> None:
        if path in self._paths:
            raise UntrustedInputError(f"{path} would stand twice in one layer")
        parent = path.rpartition("/")[0]
        if parent and parent not in self._paths:
            self.directory(parent)
        self._paths[path] = (mode, owner)
        entry = tarfile.TarInfo(path)
        entry.type = kind
        entry.mode = mode
        entry.uid = entry.gid = owner
        entry.size = size_bytes
        entry.linkname = link
        entry.mtime = self._modified_at_seconds
        header = entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        self._glue += header
        self._feed_uncompressed(header)

    def _pad(self, size_bytes: int) -> None:
        padding = b"\0" * (-size_bytes % _BLOCK_BYTES)
        self._glue += padding
        self._feed_uncompressed(padding)

    def _flush_glue(self) -> None:
        if self._glue:
            glue = bytes(self._glue)
            self._glue.clear()
            self._member(bytes(deflate.deflate_compress(glue, _LEVEL)), zlib.crc32(glue), len(glue))

    def _member(self, stream: bytes, crc32: int, size_bytes: int) -> None:
        self._emit(_GZIP_HEADER + stream + struct.pack("<II", crc32, size_bytes & 0xFFFFFFFF))

    def _emit(self, data: bytes) -> None:
        self._out.write(data)
        self._size_bytes += len(data)
        self._compressed_batch += data
        if len(self._compressed_batch) >= _BATCH_BYTES:
            self._hashers.update(self._compressed, bytes(self._compressed_batch))
            self._compressed_batch.clear()

    def _feed_uncompressed(self, data: bytes) -> None:
        self._uncompressed_bytes += len(data)
        self._uncompressed_batch += data
        if len(self._uncompressed_batch) >= _BATCH_BYTES:
            self._hashers.update(self._uncompressed, bytes(self._uncompressed_batch))
            self._uncompressed_batch.clear()


def _stored_blocks(data: bytes, *, final: bool) -> bytes:
    """`data` as DEFLATE blocks of type 00, the last one marked final if `final` (RFC 1951, section 3.2.4)."""
    blocks = bytearray()
    for start in range(0, len(data), _STORED_BLOCK_BYTES):
        block = data[start : start + _STORED_BLOCK_BYTES]
        last = final and start + _STORED_BLOCK_BYTES >= len(data)
        blocks += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    return bytes(blocks)
