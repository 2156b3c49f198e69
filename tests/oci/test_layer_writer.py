"""Layers: any files, by any way in, read back equal by tarfile, GNU tar and gzip; broken streams are refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import resource
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipml.errors import UntrustedInputError
from shipml.oci.digest import Digest
from shipml.oci.layer_writer import LayerWriter, WrittenLayer
from shipml.oci.tar_header import tar_header

BROKEN = r"inflates to|broken compressed stream|after its compressed stream|has the CRC"


@dataclass(frozen=True)
class Planned:
    """A file to write, and how."""

    data: bytes
    how: str
    mode: int
    piece_bytes: int


def _deflated(data: bytes, level: int = 6) -> bytes:
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def _pieces(data: bytes, piece_bytes: int) -> Iterator[bytes]:
    for start in range(0, len(data), piece_bytes):
        yield data[start : start + piece_bytes]


class _Dripping(io.BytesIO):
    """Gives less than is asked for, as pipes and raw files may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size, 1000) if size and size > 0 else size)


def _write(files: dict[str, Planned], **options: int) -> tuple[bytes, WrittenLayer, dict[str, str]]:
    out = io.BytesIO()
    returned = {}
    with LayerWriter(out, **options) as writer:
        for path, file in files.items():
            if file.how == "memory":
                writer.file(path, file.data, mode=file.mode)
            elif file.how == "stored":
                returned[path] = writer.stored_file(path, _Dripping(file.data), len(file.data), mode=file.mode)
            else:
                stream = _pieces(_deflated(file.data), file.piece_bytes)
                crc32 = zlib.crc32(file.data)
                returned[path] = writer.spliced_file(
                    path, stream, size_bytes=len(file.data), crc32=crc32, mode=file.mode
                )
        written = writer.close()
    return out.getvalue(), written, returned


_COMPONENTS = (
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120)
    | st.binary(min_size=1, max_size=100).map(
        lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape")
    )
    | st.sampled_from([" ", "a b", "-", "\n", "ü" * 60, "x" * 100, "y" * 101, "z" * 250, "=", "12 path=x\n"])
)
_PATHS = (
    st.lists(_COMPONENTS.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda path: len(os.fsencode(path)) < 1000)
)
_CONTENT = st.binary(max_size=300) | st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 40_000)).map(
    lambda pair: pair[0] * pair[1]
)
_FILES = st.builds(
    Planned,
    _CONTENT,
    st.sampled_from(["memory", "stored", "spliced"]),
    st.sampled_from([0o644, 0o755, 0o600, 0o4755]),
    st.sampled_from([1, 7, 4096, 1 << 20]),
)


def _is_tree(paths: list[str]) -> bool:
    return not any(other.startswith(path + "/") for path in paths for other in paths)


@given(st.dictionaries(_PATHS, _FILES, max_size=6).filter(lambda files: _is_tree(list(files))))
@settings(max_examples=150, deadline=None)
def test_any_files_read_back_equal(files: dict[str, Planned]) -> None:
    """Names, modes and contents come back through gzip and tarfile, and digest, diff id and sizes are true."""
    data, written, returned = _write(files)
    inside = gzip.decompress(data)
    assert written == WrittenLayer(Digest.of(data), Digest.of(inside), len(data), len(inside))
    with tarfile.open(fileobj=io.BytesIO(inside), encoding="utf-8", errors="surrogateescape") as archive:
        members = {member.name: member for member in archive}
        found = {name: archive.extractfile(member) for name, member in members.items() if member.isreg()}
        assert {name: stream.read() for name, stream in found.items() if stream} == {
            path: file.data for path, file in files.items()
        }
    for path, file in files.items():
        assert members[path].mode == file.mode
        assert (members[path].uid, members[path].gid, members[path].mtime) == (0, 0, 0)
        assert returned.get(path, hashlib.sha256(file.data).hexdigest()) == hashlib.sha256(file.data).hexdigest()
        parents = [path[:at] for at, letter in enumerate(path) if letter == "/"]
        assert all(members[parent].isdir() for parent in parents)


def test_gnu_tar_and_gzip_agree(tmp_path: Path) -> None:
    """`gzip -t` finds the file whole, GNU tar lists it without a word of complaint and unpacks every byte."""
    names = ["a", "ü/ö ä", "n" * 100, "m" * 101, "d" * 120 + "/" + "e" * 200, os.fsdecode(b"bad-\xff\xfe"), "s p/a ce"]
    files = {name: Planned(os.urandom(700) * 40, how, 0o644, 999) for name in names for how in ["spliced"]}
    files |= {"empty": Planned(b"", "spliced", 0o644, 9), "none": Planned(b"", "stored", 0o755, 9)}
    data, _, _ = _write(files)
    layer = tmp_path / "layer.tar.gz"
    layer.write_bytes(data)
    subprocess.run(["gzip", "-t", layer], check=True)
    listed = subprocess.run(["tar", "tvzf", layer], check=True, capture_output=True)
    assert listed.stderr == b""
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "xzf", layer, "-C", tmp_path / "out"], check=True)
    for name, file in files.items():
        assert (tmp_path / "out" / name).read_bytes() == file.data


def test_folders_links_and_owners(tmp_path: Path) -> None:
    """Folders keep their modes, links their targets however long, second names lead to their file."""
    out = io.BytesIO()
    with LayerWriter(out, modified_at_seconds=1_700_000_000) as writer:
        writer.directory("app", mode=0o700, owner=65532)
        writer.file("app/x", b"1", owner=65532)
        writer.symlink("app/link", "../" * 60 + "ü")
        writer.hardlink("app/y", "app/x")
        writer.directory("last")
        assert "app/x" in writer
        writer.close()
    with tarfile.open(fileobj=io.BytesIO(out.getvalue()), mode="r:gz") as archive:
        members = {member.name: member for member in archive}
    assert (members["app"].mode, members["app"].uid, members["app/x"].gid) == (0o700, 65532, 65532)
    assert members["app/link"].linkname == "../" * 60 + "ü"
    assert (members["app/y"].linkname, members["app/y"].islnk()) == ("app/x", True)
    assert {member.mtime for member in members.values()} == {1_700_000_000}


def test_a_path_twice_is_refused() -> None:
    """A second entry of one name would make two readers see two images."""
    with LayerWriter(io.BytesIO()) as writer:
        writer.file("a/b", b"")
        for path in ("a/b", "a"):
            with pytest.raises(UntrustedInputError, match="twice"):
                writer.directory(path)
        writer.close()


@pytest.mark.parametrize("how", ["spliced", "stored"])
def test_bytes_do_not_depend_on_the_pieces(how: str) -> None:
    """However a stream is cut into pieces or read, the layer is the same."""
    content = random.Random(1).randbytes(3 << 20) + bytes(3 << 20)  # noqa: S311  (some content)
    layers = set()
    for piece_bytes in (1013, 1 << 16, 1 << 20, 1 << 30):
        data, written, _ = _write({"x": Planned(content, how, 0o644, piece_bytes)})
        layers.add((Digest.of(data), written))
    assert len(layers) == 1
    assert gzip.decompress(data)[512 : 512 + len(content)] == content


def test_bytes_of_a_known_layer_never_change() -> None:
    """The recipe's bytes are part of every digest: whoever changes them must raise RECIPE, and this."""
    files = {
        "app/a.py": Planned(b"print(1)\n" * 50, "memory", 0o644, 9),
        "app/" + "long" * 40: Planned(b"stored" * 20_000, "stored", 0o755, 9),
        "app/ü": Planned(b"", "stored", 0o644, 9),
    }
    _, written, _ = _write(files)
    assert written.diff_id.short == "a60a6b2d5f5e"
    assert written.digest.short == "f96c88de33fd"


CONTENT = b"content " * 1000


@pytest.mark.parametrize(
    ("stream", "size_bytes", "crc32", "because"),
    [
        (_deflated(CONTENT), len(CONTENT), 1, "has the CRC"),
        (_deflated(CONTENT), len(CONTENT) - 1, zlib.crc32(CONTENT), "inflates to more than the 7999"),
        (_deflated(CONTENT), len(CONTENT) + 1, zlib.crc32(CONTENT), "inflates to 8000 bytes, not to the 8001"),
        (_deflated(CONTENT)[:-3], len(CONTENT), zlib.crc32(CONTENT), "inflates to"),
        (_deflated(CONTENT) + b"x", len(CONTENT), zlib.crc32(CONTENT), "bytes after its compressed stream"),
        (_deflated(CONTENT) * 2, len(CONTENT), zlib.crc32(CONTENT), "bytes after its compressed stream"),
        (b"\xff" * 50, len(CONTENT), zlib.crc32(CONTENT), "broken compressed stream"),
        (b"", 0, 0, "inflates to 0 bytes"),
    ],
    ids=["crc", "too long", "too short", "cut", "trailing byte", "second stream", "no stream", "nothing"],
)
@pytest.mark.parametrize("piece_bytes", [1 << 20, 11])
def test_broken_streams_are_refused(stream: bytes, size_bytes: int, crc32: int, because: str, piece_bytes: int) -> None:
    """Whatever the stream is not, the error names the file and the difference."""
    with (
        pytest.raises(UntrustedInputError, match=f"lib/x.* {because}"),
        LayerWriter(io.BytesIO()) as writer,
    ):
        writer.spliced_file("lib/x", _pieces(stream, piece_bytes), size_bytes=size_bytes, crc32=crc32)


@pytest.mark.parametrize("piece_bytes", [1 << 20, 11])
def test_a_stream_without_end_is_refused(piece_bytes: int) -> None:
    """What inflates to far more than it says is not inflated to its end."""
    stream = _deflated(bytes(1 << 26), level=1)
    with (
        pytest.raises(UntrustedInputError, match=r"lib/x.* inflates to more than"),
        LayerWriter(io.BytesIO()) as writer,
    ):
        writer.spliced_file("lib/x", _pieces(stream, piece_bytes), size_bytes=1 << 20, crc32=0)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_stream_is_never_taken_for_the_file(data: st.DataObject) -> None:
    """Flip any bit of a stream: it is refused, or still gives exactly the file."""
    stream = bytearray(_deflated(CONTENT[:500]))
    at = data.draw(st.integers(0, len(stream) * 8 - 1))
    stream[at // 8] ^= 1 << at % 8
    out = io.BytesIO()
    try:
        with LayerWriter(out) as writer:
            writer.spliced_file("x", [bytes(stream)], size_bytes=500, crc32=zlib.crc32(CONTENT[:500]))
            writer.close()
    except UntrustedInputError:
        return
    assert gzip.decompress(out.getvalue())[512:1012] == CONTENT[:500]


@pytest.mark.parametrize(("size_bytes", "because"), [(9, "became shorter"), (3, "became longer"), (0, "became longer")])
def test_a_file_that_changes_while_it_is_read_is_refused(size_bytes: int, because: str) -> None:
    """A stored file must have the size that its header says."""
    with pytest.raises(UntrustedInputError, match=because), LayerWriter(io.BytesIO()) as writer:
        writer.stored_file("x", io.BytesIO(b"12345"), size_bytes)


def test_a_stream_that_ends_with_much_to_inflate_comes_out_whole() -> None:
    """A few compressed bytes that stand for many megabytes lose none of them."""
    content = bytes(50 << 20)
    stream = _deflated(content, 9)
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        digest = writer.spliced_file("x", [stream], size_bytes=len(content), crc32=zlib.crc32(content))
        written = writer.close()
    assert digest == hashlib.sha256(content).hexdigest()
    assert written.uncompressed_bytes == len(content) + 512 + 1024
    assert written.size_bytes < len(stream) + 400


MEMORY = """
import resource, sys, zlib, io
from shipml.oci.layer_writer import LayerWriter
class Nowhere(io.RawIOBase):
    def write(self, data): return len(data)
compressor, crc, pieces, block = zlib.compressobj(1, zlib.DEFLATED, -15), 0, [], bytes(range(256)) * 4096
for _ in range(600):
    crc = zlib.crc32(block, crc); pieces.append(compressor.compress(block))
pieces.append(compressor.flush())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with LayerWriter(Nowhere()) as writer:
    writer.spliced_file("x", pieces, size_bytes=600 * len(block), crc32=crc)
    writer.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file() -> None:
    """A file of 600 MiB takes less than 60 MiB more than the process had."""
    done = subprocess.run([sys.executable, "-c", MEMORY], check=True, capture_output=True, text=True)
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit_bytes < 60 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_headers_of_large_files_and_owners_use_pax() -> None:
    """Sizes of 8 GiB and more, and large owners, do not fit the plain header and are read back right."""
    header = tar_header(
        "weights.bin", tarfile.REGTYPE, mode=0o644, owner=3_000_000, size_bytes=9 << 30, modified_at_seconds=7
    )
    with tarfile.open(fileobj=io.BytesIO(header), mode="r|") as archive:
        entry = archive.next()
    assert entry is not None
    assert (entry.name, entry.size, entry.uid, entry.gid, entry.mtime) == (
        "weights.bin",
        9 << 30,
        3_000_000,
        3_000_000,
        7,
    )


@given(st.sampled_from(["x" * 98, "x" * 99, "x" * 100, "x" * 101, "ü", "a/" * 60]), st.integers(80, 120))
def test_headers_equal_those_of_the_standard_library(path: str, link_length: int) -> None:
    """Where Python's own headers are what they were in 3.11, ours are the same bytes."""
    for kind in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE):
        entry = tarfile.TarInfo(path.rstrip("/"))
        entry.type, entry.mode, entry.uid, entry.gid, entry.size = kind, 0o751, 7, 7, 10**7
        entry.linkname, entry.mtime = "l" * link_length, 1_700_000_000
        ours = tar_header(
            entry.name,
            kind,
            mode=0o751,
            owner=7,
            size_bytes=10**7,
            modified_at_seconds=1_700_000_000,
            link=entry.linkname,
        )
        assert ours == entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
