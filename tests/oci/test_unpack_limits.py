"""Layers that are small to send and large to read: refused at once, by a limit that the error names."""

from __future__ import annotations

import io
import resource
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from shipml.errors import UntrustedInputError
from shipml.oci.manifest import LAYER_GZIP_MEDIA_TYPE
from shipml.oci.unpack import unpack_layer

_TAR = "application/vnd.oci.image.layer.v1.tar"
_SECONDS, _BYTES = 2.0, 200 << 20


@contextmanager
def within_budget() -> Iterator[None]:
    """Fail where the block takes more than two seconds of CPU time, or 200 MiB more memory than ever before."""
    before_bytes, before_seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, time.process_time()
    yield
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert time.process_time() - before_seconds < _SECONDS
    assert (used.ru_maxrss << 10) - before_bytes < _BYTES


def _header(name: str, kind: bytes, size_bytes: int = 0, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size_bytes, link
    return info.tobuf(tarfile.GNU_FORMAT)


def _zeros_packed(head: bytes, size_bytes: int = 300 << 20) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(head)]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(size_bytes >> 20)]
    return b"".join([*parts, packer.flush()])


LONG_NAME = _header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 600) + b"a" * 600 + bytes(424)
EMPTY_PAX = _header("pax", tarfile.XHDTYPE, 512) + b"12 comment=\n".ljust(512, b"\0")
DEEP = "/".join("d" * 2100)


def _pax_path(path: str) -> bytes:
    info = tarfile.TarInfo(path)
    return info.tobuf(tarfile.PAX_FORMAT)


@pytest.mark.parametrize(
    ("make", "media_type"),
    [
        (partial(_zeros_packed, _header("pax", tarfile.XHDTYPE, 1 << 30)), LAYER_GZIP_MEDIA_TYPE),
        (partial(_zeros_packed, _header("pax", tarfile.XGLTYPE, 1 << 33)), LAYER_GZIP_MEDIA_TYPE),
        (partial(_zeros_packed, _header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 1 << 30)), LAYER_GZIP_MEDIA_TYPE),
        (lambda: EMPTY_PAX * 5000 + _header("a", tarfile.REGTYPE) + bytes(1024), _TAR),
        (lambda: LONG_NAME * 5000 + _header("a", tarfile.REGTYPE) + bytes(1024), _TAR),
        (lambda: _pax_path(DEEP) + bytes(1024), _TAR),
        (lambda: _pax_path("n" * 250 + ("/" + "n" * 250) * 20) + bytes(1024), _TAR),
        (lambda: _header("link", tarfile.SYMTYPE) + bytes(1024), _TAR),
    ],
    ids=["pax", "global pax", "long link", "pax chain", "long name chain", "deep", "long", "empty link"],
)
def test_a_layer_beyond_the_limits(tmp_path: Path, make: Callable[[], bytes], media_type: str) -> None:
    """Endless, chained or deep headers are refused in little time and memory."""
    data = make()
    with within_budget(), pytest.raises(UntrustedInputError):
        unpack_layer(io.BytesIO(data), media_type, tmp_path)
