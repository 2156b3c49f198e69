"""Reading .debs, honest and hostile."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from shipml.debian.deb import DebMember, read_control, read_members
from shipml.errors import UntrustedInputError
from tests.debian.making import ar_bytes, deb_bytes, entry, tar_bytes

Entry = tuple[tarfile.TarInfo, bytes]


def _members(tmp_path: Path, data: bytes) -> list[DebMember]:
    path = tmp_path / "x.deb"
    path.write_bytes(data)
    return list(read_members(path, "x"))


@pytest.mark.parametrize("compression", ["xz", "gz", ""])
def test_members_are_read(tmp_path: Path, compression: str) -> None:
    """Files, folders and links come in order, with mode and content, whatever the compression."""
    entries = [
        entry("./", type=tarfile.DIRTYPE),
        entry("./usr/", type=tarfile.DIRTYPE, mode=0o755),
        entry("./usr/a", b"data", mode=0o755),
        entry("./usr/b", type=tarfile.SYMTYPE, linkname="../etc/x"),
        entry("./usr/c", type=tarfile.LNKTYPE, linkname="./usr/a"),
    ]
    assert _members(tmp_path, deb_bytes("x", entries, compression=compression)) == [
        DebMember("usr", "directory", 0o755),
        DebMember("usr/a", "file", 0o755, data=b"data"),
        DebMember("usr/b", "symlink", 0o777, "../etc/x"),
        DebMember("usr/c", "hardlink", 0o644, "usr/a"),
    ]


def test_control_is_read(tmp_path: Path) -> None:
    """The control file and the checksums are there by name."""
    path = tmp_path / "x.deb"
    path.write_bytes(deb_bytes("x", []))
    assert read_control(path, "x")["control"].startswith(b"Package: x\n")
    assert set(read_control(path, "x")) == {"control", "md5sums"}


def test_root_folders_are_merged_into_usr(tmp_path: Path) -> None:
    """What old packages ship below /lib and /bin lies below /usr; the folders and links themselves are not members."""
    entries = [
        entry("./lib/", type=tarfile.DIRTYPE),
        entry("./bin", type=tarfile.SYMTYPE, linkname="usr/bin"),
        entry("./lib/x86_64-linux-gnu/libz.so.1", b"z"),
        entry("./library", b"no"),
        entry("./sbin/h", type=tarfile.LNKTYPE, linkname="./lib/x86_64-linux-gnu/libz.so.1"),
    ]
    assert [(item.path, item.target) for item in _members(tmp_path, deb_bytes("x", entries))] == [
        ("usr/lib/x86_64-linux-gnu/libz.so.1", ""),
        ("library", ""),
        ("usr/sbin/h", "usr/lib/x86_64-linux-gnu/libz.so.1"),
    ]


def test_setuid_is_dropped(tmp_path: Path) -> None:
    """No program of an image runs with another's rights; the sticky bit of folders stays."""
    entries = [
        entry("./usr/bin/su", b"x", mode=0o6755),
        entry("./tmp/", type=tarfile.DIRTYPE, mode=0o1777),
        entry("./var/mail/", type=tarfile.DIRTYPE, mode=0o2775),
    ]
    assert [item.mode for item in _members(tmp_path, deb_bytes("x", entries))] == [0o755, 0o1777, 0o775]


_HOSTILE: dict[str, list[Entry]] = {
    "climbs": [entry("./../evil", b"x")],
    "climbs in the middle": [entry("./usr/../../evil", b"x")],
    "absolute": [entry("/etc/passwd", b"x")],
    "double slash": [entry("./usr//x", b"x")],
    "link out": [entry("./usr/x", type=tarfile.SYMTYPE, linkname="../../etc")],
    "link out and back": [entry("./x", type=tarfile.SYMTYPE, linkname="../root/y")],
    "link without target": [entry("./x", type=tarfile.SYMTYPE, linkname="")],
    "hard link out": [entry("./x", type=tarfile.LNKTYPE, linkname="../../etc/passwd")],
    "device": [entry("./dev/sda", type=tarfile.BLKTYPE)],
    "character device": [entry("./dev/mem", type=tarfile.CHRTYPE)],
    "pipe": [entry("./x", type=tarfile.FIFOTYPE)],
    "twice": [entry("./x", b"a"), entry("./x", b"b")],
    "twice after merging": [entry("./lib/x", b"a"), entry("./usr/lib/x", b"b")],
}


@pytest.mark.parametrize("entries", _HOSTILE.values(), ids=_HOSTILE.keys())
def test_hostile_entries_are_refused(tmp_path: Path, entries: list[Entry]) -> None:
    """An entry that no honest package has is refused with the package's name."""
    with pytest.raises(UntrustedInputError, match="the package x is"):
        _members(tmp_path, deb_bytes("x", entries))


def _lying_size() -> bytes:
    data = bytearray(tar_bytes([entry("./x", b"short")]))
    data[124:136] = b"77777777777\0"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return ar_bytes({"debian-binary": b"2.0\n", "data.tar": bytes(data)})


_BROKEN = {
    "empty": b"",
    "no archive": b"<html>not found</html>",
    "no data": ar_bytes({"debian-binary": b"2.0\n"}),
    "cut": deb_bytes("x", [entry("./x", b"x" * 5000)])[:-40],
    "damaged xz": deb_bytes("x", [entry("./x", bytes(range(256)) * 40)])[:-60] + b"\0" * 60,
    "zstd": ar_bytes({"debian-binary": b"2.0\n", "data.tar.zst": b"(\xb5/\xfd"}),
    "size in words": deb_bytes("x", []).replace(b"`\n2.0", b"`\n2.0", 1).replace(b"4         `", b"four      `", 1),
    "lying size": _lying_size(),
}


@pytest.mark.parametrize("data", _BROKEN.values(), ids=_BROKEN.keys())
def test_broken_packages_are_refused(tmp_path: Path, data: bytes) -> None:
    """A package that is cut, damaged or none at all is refused."""
    with pytest.raises(UntrustedInputError, match="the package x is"):
        _members(tmp_path, data)
