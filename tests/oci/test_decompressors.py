"""Every decompressor is read to its end, whatever the content's size is beside the sizes of buffers."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipml.oci.compression import decompressed
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import LAYER_GZIP_MEDIA_TYPE
from shipml.project.code.model_files import _unpacked, _ZlibFile
from shipml.wheels.archive import Archive
from tests.wheels.making import Member, make_zip

MIB = 1 << 20
EDGES = [edge + beyond for edge in (MIB, 2 * MIB) for beyond in (-1, 0, 1, 7, 100, 258, 1000, 65_536)]
PATTERNS = (b"\0", b"a", b"ab", b"1.5,2.5,setosa\n", bytes(range(256)))


def _content(size_bytes: int, pattern: bytes) -> bytes:
    return (pattern * (size_bytes // len(pattern) + 1))[:size_bytes]


sizes = st.one_of(st.sampled_from(EDGES), st.integers(0, 3 * MIB))
patterns = st.sampled_from(PATTERNS)


def _archive(path: Path, content: bytes) -> Archive:
    path.write_bytes(make_zip([Member("demo/data.bin", content)]))
    return Archive(path, path.name)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("size_bytes", EDGES)
def test_a_compressible_member_of_a_wheel_at_a_buffers_edge(tmp_path: Path, size_bytes: int, pattern: bytes) -> None:
    """A member that inflates to a little more than a buffer is read whole, for all kinds of content."""
    content = _content(size_bytes, pattern)
    archive = _archive(tmp_path / "demo-1.0-py3-none-any.whl", content)
    assert archive.read(archive.entries[0], limit_bytes=size_bytes) == content


@settings(max_examples=60, deadline=None)
@given(size_bytes=sizes, pattern=patterns, level=st.integers(1, 9))
def test_a_spliced_stream_of_any_size(size_bytes: int, pattern: bytes, level: int) -> None:
    """The layer writer takes every sound DEFLATE stream, and gives back what was packed."""
    content = _content(size_bytes, pattern)
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    stream = packer.compress(content) + packer.flush()
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        writer.spliced_file("data.bin", [stream], size_bytes=len(content), crc32=zlib.crc32(content))
    out.seek(0)
    with decompressed(out, LAYER_GZIP_MEDIA_TYPE) as tar:
        assert tar.read()[512 : 512 + len(content)] == content


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
@settings(max_examples=15, deadline=None)
@given(size_bytes=sizes, pattern=patterns, step_bytes=st.sampled_from([1000, 1 << 16, MIB]))
def test_a_packed_model_of_any_size(
    pack: Callable[[bytes], bytes], size_bytes: int, pattern: bytes, step_bytes: int
) -> None:
    """A model file is read to its end, whatever it is packed with and however much is asked at once."""
    content = _content(size_bytes, pattern)
    packed = pack(content)
    stream = _unpacked(io.BytesIO(packed), packed[:8])
    assert isinstance(stream, _ZlibFile) == (pack is zlib.compress)
    assert b"".join(iter(lambda: stream.read(step_bytes), b"")) == content
