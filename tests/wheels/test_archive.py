"""Odd but legal archives are read as zipfile reads them; hostile ones are refused by name."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from shipml.errors import UntrustedInputError
from shipml.wheels.archive import Archive
from tests.wheels.making import Member, make_zip

BODY = b"import sys\n" * 40


def opened(folder: Path, data: bytes) -> Archive:
    path = folder / "a.zip"
    path.write_bytes(data)
    return Archive(path, "demo-1.0-py3-none-any.whl")


def read_all(archive: Archive) -> dict[str, bytes]:
    return {entry.name: archive.read(entry, limit_bytes=1 << 30) for entry in archive.entries}


@pytest.mark.parametrize(
    "member",
    [
        Member("a.py", BODY),
        Member("a.py", BODY, deflated=False),
        Member("a.py", b""),
        Member("a.py", b"", deflated=False),
        Member("a.py", BODY, zip64=True),
        Member("a.py", BODY, descriptor=True),
        Member("a.py", BODY, descriptor=True, zip64=True),
        Member("é/日本.py", BODY),
        Member("é/ñ.py", BODY, utf8=False),
        Member("a.py", BODY, mode=0o100755),
        Member("a.py", BODY, mode=0),
        Member("A.py", BODY),
    ],
    ids=lambda member: f"{member.name}-{member.deflated}-{member.zip64}-{member.descriptor}-{member.mode:o}",
)
def test_reads_what_zipfile_reads(tmp_path: Path, member: Member) -> None:
    """Stored, deflated, ZIP64, descriptors, empty files and both name encodings give zipfile's names and content."""
    data = make_zip([member, Member("z.py", b"z"), Member("a.PY", b"other case")])
    with zipfile.ZipFile(io.BytesIO(data)) as reference:
        expected = {name: reference.read(name) for name in reference.namelist()}
    assert read_all(opened(tmp_path, data)) == expected


def test_archives_of_zipfile(tmp_path: Path) -> None:
    """What zipfile writes to a seekable and to an unseekable stream is read, its comment and folders too."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            view = memoryview(data)  # type: ignore[arg-type]
            self.data += view
            return view.nbytes

    pipe, buffer = Pipe(), io.BytesIO()
    for target in (pipe, buffer):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.comment = b"made by hand"
            archive.mkdir("pkg")
            archive.writestr("pkg/a.py", BODY)
            with archive.open("pkg/b.py", "w", force_zip64=True) as stream:
                stream.write(BODY)
    for data in (bytes(pipe.data), buffer.getvalue()):
        assert read_all(opened(tmp_path, data)) == {"pkg/a.py": BODY, "pkg/b.py": BODY}


def _raw(method: int, **more: int) -> dict[str, int]:
    return {"method": method, **more}


HOSTILE = {
    "parent": ([Member("../evil.py", BODY)], r"'\.\./evil\.py' has an empty, '\.' or '\.\.' component"),
    "inner parent": ([Member("a/../../evil.py", BODY)], "component"),
    "absolute": ([Member("/etc/passwd", BODY)], "is absolute"),
    "drive": ([Member("C:/evil.py", BODY)], "is absolute"),
    "drive relative": ([Member("c:evil.py", BODY)], "is absolute"),
    "backslash": ([Member("a\\..\\evil.py", BODY)], "has a backslash"),
    "nul": ([Member("a.py\0.txt", BODY)], "has a NUL"),
    "dot": ([Member("./a.py", BODY)], "component"),
    "empty component": ([Member("a//b.py", BODY)], "component"),
    "no name": ([Member("", BODY)], "component"),
    "long name": ([Member("a" * 256, BODY)], "too long"),
    "symlink": ([Member("link", b"/etc/passwd", mode=0o120777)], "link is a symbolic link"),
    "device": ([Member("dev", b"", mode=0o020666)], "neither a file nor a folder"),
    "folder with content": ([Member("a/", b"x")], "folder a/ has content"),
    "twice": ([Member("a.py", b"1"), Member("a.py", b"2")], "a.py is in it twice"),
    "folder twice": ([Member("a/"), Member("a/")], "a is in it twice"),
    "file and folder": ([Member("a", b"1"), Member("a/b", b"2")], "a is both a file and a folder"),
    "file and folder entry": ([Member("a", b"1"), Member("a/")], "twice|both a file and a folder"),
    "encrypted": ([Member("a.py", BODY, lies={"flags": 1})], "a.py is encrypted"),
    "deflate64": ([Member("a.py", BODY, lies=_raw(9))], "a.py is compressed with deflate64"),
    "bzip2": ([Member("a.py", BODY, lies=_raw(12))], "compressed with bzip2"),
    "lzma": ([Member("a.py", BODY, lies=_raw(14))], "compressed with lzma"),
    "zstd": ([Member("a.py", BODY, lies=_raw(93))], "compressed with zstd"),
    "unknown method": ([Member("a.py", BODY, lies=_raw(77))], "method 77"),
    "ten terabytes": ([Member("a.py", BODY, zip64=True, lies={"size": 10 << 40})], "more than its data can hold"),
    "stored lie": ([Member("a.py", BODY, deflated=False, lies={"size": 7})], "declares two sizes"),
    "stored bomb": (
        [Member("a.py", BODY, deflated=False, zip64=True, lies={"size": 10 << 40, "compressed": 10 << 40})],
        "outside the archive",
    ),
    "outside": ([Member("a.py", BODY, lies={"compressed": 1 << 20})], "outside the archive"),
    "offset outside": ([Member("a.py", BODY, offset=1 << 30)], "outside the archive"),
    "no local header": ([Member("a.py", BODY, offset=3)], "no local header"),
    "overlap": ([Member("a.py", BODY), Member("b.py", BODY, offset=0, local_name=b"a.py")], "another name"),
    "same data": ([Member("a.py", BODY), Member("a.PY", BODY, offset=0)], "another name"),
    "local name": ([Member("a.py", BODY, local_name=b"b.py")], "another name in its local header"),
    "local size": ([Member("a.py", BODY, local_lies={"size": 7})], "local header of a.py disagrees"),
    "local crc": ([Member("a.py", BODY, local_lies={"crc": 7})], "local header of a.py disagrees"),
    "local method": ([Member("a.py", BODY, local_lies={"method": 0})], "local header of a.py disagrees"),
    "not utf-8": ([Member("a", BODY, raw_name=b"\xff", lies={"flags": 1 << 11})], "not UTF-8"),
}


@pytest.mark.parametrize(("members", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_refuses_hostile_archives(tmp_path: Path, members: list[Member], message: str) -> None:
    """Every way of leaving the folder, lying about sizes or being read in two ways is refused, naming the entry."""
    with pytest.raises(UntrustedInputError, match=message):
        opened(tmp_path, make_zip([*members, Member("z.py", b"z")]))


def test_refuses_overlapping_entries(tmp_path: Path) -> None:
    """An entry whose data holds another entry is refused."""
    inner = make_zip([Member("b.py", b"inner")])
    local_bytes = inner[: inner.index(b"PK\1\2")]
    outer = Member("a.py", local_bytes, deflated=False)
    second = Member("b.py", b"inner", offset=30 + len("a.py"))
    with pytest.raises(UntrustedInputError, match=r"a\.py and b\.py overlap"):
        opened(tmp_path, make_zip([outer, second]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no zip directory"),
        (b"PK\5\6", "no zip directory"),
        (b"\0" * 5000, "no zip directory"),
        (make_zip([Member("a.py", BODY)], before=b"#!/bin/sh\n"), "junk"),
        (make_zip([Member("a.py", BODY)], after=b"junk"), "something follows"),
        (make_zip([Member("a.py", BODY)])[:-60], "no zip directory"),
        (make_zip([Member("a.py", BODY)])[30:], "junk"),
    ],
)
def test_refuses_what_is_no_archive(tmp_path: Path, data: bytes, message: str) -> None:
    """Empty, cut, and prefixed files are refused."""
    with pytest.raises(UntrustedInputError, match=message):
        opened(tmp_path, data)


def test_refuses_a_false_descriptor(tmp_path: Path) -> None:
    """A data descriptor that differs from the directory is refused."""
    data = make_zip([Member("a.py", BODY, descriptor=True)])
    at = data.index(b"PK\7\x08")
    with pytest.raises(UntrustedInputError, match=r"data descriptor of a\.py disagrees"):
        opened(tmp_path, data[: at + 4] + b"\1\2\3\4" + data[at + 8 :])


def test_refuses_a_false_count(tmp_path: Path) -> None:
    """A directory with more entries than the end record says is refused."""
    data = bytearray(make_zip([Member("a.py", BODY), Member("b.py", BODY)]))
    struct.pack_into("<HH", data, len(data) - 14, 1, 1)
    with pytest.raises(UntrustedInputError, match="more entries than it says"):
        opened(tmp_path, bytes(data))


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (Member("a.py", BODY, lies={"crc": 7}), "CRC"),
        (Member("a.py", BODY, deflated=False, lies={"crc": 7}), "CRC"),
        (Member("a.py", BODY, lies={"size": len(BODY) - 1}), "more than"),
        (Member("a.py", BODY, lies={"size": len(BODY) + 1}), "has 440 bytes"),
        (Member("a.py", BODY, stream=zlib.compress(BODY)), "stream"),
        (Member("a.py", BODY, stream=zlib.compress(BODY)[2:-6]), "not one complete"),
        (Member("a.py", BODY, stream=zlib.compress(BODY)[2:-4] + b"more"), "stream"),
    ],
)
def test_reading_checks_the_content(tmp_path: Path, member: Member, message: str) -> None:
    """Wrong CRC, wrong sizes, cut streams and trailing bytes are found when the content is read."""
    archive = opened(tmp_path, make_zip([member]))
    with pytest.raises(UntrustedInputError, match=message):
        read_all(archive)


def test_a_bomb_is_not_inflated_beyond_its_limit(tmp_path: Path) -> None:
    """A file that honestly declares a huge size is refused where a limit is set, before it is inflated."""
    archive = opened(tmp_path, make_zip([Member("METADATA", bytes(4 << 20))]))
    with pytest.raises(UntrustedInputError, match="larger than the 1048576 bytes"):
        archive.read(archive.entries[0], limit_bytes=1 << 20)
