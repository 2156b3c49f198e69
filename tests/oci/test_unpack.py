from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipml.errors import UntrustedInputError
from shipml.oci.digest import Digest
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import LAYER_GZIP_MEDIA_TYPE
from shipml.oci.unpack import unpack_layer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_TAR = "application/vnd.oci.image.layer.v1.tar"
Entry = tuple[tarfile.TarInfo, bytes]


def _entry(
    name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644, owner: int = 0
) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.uid, info.gid = kind, link, mode, owner, owner
    info.size, info.mtime = len(data), 1_000_000_000
    return info, data


def _folder(name: str, mode: int = 0o755) -> Entry:
    return _entry(name, kind=tarfile.DIRTYPE, mode=mode)


def _symlink(name: str, target: str) -> Entry:
    return _entry(name, kind=tarfile.SYMTYPE, link=target)


def _hardlink(name: str, target: str) -> Entry:
    return _entry(name, kind=tarfile.LNKTYPE, link=target)


def _tar(*entries: Entry, kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder, beside which nothing else may appear."""
    folder = tmp_path / "outer" / "root"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def unpacked(root: Path) -> Callable[..., Path]:
    """Unpacks entries into `root`."""

    def unpack_entries(*entries: Entry) -> Path:
        unpack_layer(io.BytesIO(_tar(*entries)), _TAR, root)
        return root

    return unpack_entries


def test_kinds_modes_and_times(unpacked: Callable[..., Path]) -> None:
    """Files, folders, links and pipes come with their content, modes and times, whatever the umask."""
    old = os.umask(0o077)
    try:
        root = unpacked(
            _folder("./"),
            _folder("closed", 0o555),
            _entry("closed/file", b"data", mode=0o4755),
            _symlink("link", "/etc/passwd"),
            _hardlink("second", "closed/file"),
            _entry("pipe", kind=tarfile.FIFOTYPE, mode=0o622),
            _entry("deep/in/folders/empty"),
        )
    finally:
        os.umask(old)
    file = root / "closed" / "file"
    assert file.read_bytes() == b"data"
    assert stat.S_IMODE(file.stat().st_mode) == 0o4755
    assert stat.S_IMODE((root / "closed").stat().st_mode) == 0o555
    assert stat.S_IMODE((root / "deep" / "in").stat().st_mode) == 0o755
    assert (root / "link").readlink() == Path("/etc/passwd")
    assert (root / "second").samefile(file)
    assert (root / "pipe").is_fifo()
    assert {p.lstat().st_mtime for p in (file, root / "closed", root / "link")} == {1_000_000_000}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_as_root(unpacked: Callable[..., Path]) -> None:
    """Root keeps the owners of files, folders and links."""
    root = unpacked(
        _entry("f", owner=65532),
        _entry("l", kind=tarfile.SYMTYPE, link="f", owner=7),
        _entry("d", kind=tarfile.DIRTYPE, owner=9, mode=0o755),
    )
    assert [(root / name).lstat().st_uid for name in "fld"] == [65532, 7, 9]


def test_set_user_id_survives_the_change_of_owner(unpacked: Callable[..., Path]) -> None:
    """Chown clears set-ID bits, so modes are set after owners."""
    root = unpacked(_entry("f", mode=0o6755, owner=0 if os.geteuid() else 65532))
    assert stat.S_IMODE((root / "f").stat().st_mode) == 0o6755


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_odd_names(root: Path, kind: int) -> None:
    """Names longer than a header's field, not in UTF-8, with spaces and line ends, in PAX and GNU archives."""
    names = ["a" * 200 + "/" + "b" * 200, "caf\udce9", "two words\n", "ünïcode"]
    unpack_layer(
        io.BytesIO(_tar(*(_entry(name, name.encode(errors="surrogateescape")) for name in names), kind=kind)),
        _TAR,
        root,
    )
    for name in names:
        encoded = name.encode(errors="surrogateescape")
        assert Path(os.fsdecode(os.fsencode(root) + b"/" + encoded)).read_bytes() == encoded


def test_layers_of_our_own(root: Path) -> None:
    """A layer of many gzip members, with spliced and stored files, unpacks, and its diff id comes back."""
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        writer.file("a/b", b"compressed" * 1000, mode=0o755)
        writer.stored_file("a/c", io.BytesIO(b"s" * 300_000), 300_000)
        written = writer.close()
    out.seek(0)
    assert unpack_layer(out, LAYER_GZIP_MEDIA_TYPE, root) == written.diff_id
    assert (root / "a" / "c").stat().st_size == 300_000


def test_diff_id_covers_all_bytes(root: Path) -> None:
    """What follows the end of the archive counts for the diff id, as it does for every other reader."""
    data = _tar(_entry("f", b"x")) + b"\0" * 10240
    assert (
        unpack_layer(io.BytesIO(gzip.compress(data)), LAYER_GZIP_MEDIA_TYPE, root).hex
        == hashlib.sha256(data).hexdigest()
    )


def test_later_entries_win(unpacked: Callable[..., Path]) -> None:
    """Of entries with the same name the later counts, whatever kind either has; folders are joined."""
    root = unpacked(
        _entry("file", b"1"),
        _entry("file", b"2"),
        _folder("to-file"),
        _entry("to-file/inside"),
        _entry("to-file", b"now a file"),
        _entry("to-folder"),
        _folder("to-folder"),
        _entry("to-folder/inside"),
        _folder("to-folder", 0o700),
        _symlink("link", "file"),
        _entry("link", b"own"),
    )
    assert (root / "file").read_bytes() == b"2"
    assert (root / "to-file").read_bytes() == b"now a file"
    assert (root / "to-folder" / "inside").exists()
    assert stat.S_IMODE((root / "to-folder").stat().st_mode) == 0o700
    assert (root / "link").read_bytes() == b"own"


def _is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def test_whiteouts(unpacked: Callable[..., Path]) -> None:
    """Whiteouts become what overlayfs reads; they hide lower layers only, never this layer's own files."""
    root = unpacked(
        _entry("d/.wh.gone"),
        _entry("opaque/.wh..wh..opq"),
        _entry("opaque/own"),
        _entry("kept", b"own"),
        _entry(".wh.kept"),
        _entry(".wh.back"),
        _entry("back", b"again"),
        _entry(".wh.remade"),
        _entry("remade/file"),
        _folder("made"),
        _entry(".wh.made"),
        _entry(".wh..wh.plnk"),
    )
    assert _is_whiteout(root / "d" / "gone")
    assert os.getxattr(root / "opaque", "user.overlay.opaque") == b"y"
    assert (root / "kept").read_bytes() == b"own"
    assert (root / "back").read_bytes() == b"again"
    assert (root / "remade" / "file").exists()
    for name in ("remade", "made"):
        assert os.getxattr(root / name, "user.overlay.opaque") == b"y"
    assert not [p for p in root.rglob("*") if p.name.startswith(".wh.")]


def test_devices_of_dev_are_left_out(unpacked: Callable[..., Path]) -> None:
    """Device nodes below dev/ are left to the runtime."""
    assert not list(unpacked(_entry("dev/null", kind=tarfile.CHRTYPE)).rglob("null"))


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([_entry("../escaped")], "leads outside"),
        ([_entry("a/../../escaped")], "leads outside"),
        ([_entry("/escaped")], "leads outside"),
        ([_folder("..")], "leads outside"),
        ([_symlink("up", ".."), _entry("up/escaped")], "through up, which is not a folder"),
        ([_symlink("up", "/tmp"), _folder("up/escaped")], "through up, which is not a folder"),
        ([_folder("d"), _symlink("d/up", "../.."), _entry("d/up/escaped")], "through d/up"),
        ([_folder("d"), _entry("d/f"), _symlink("s", ".."), _symlink("s/escaped", "x")], "through s"),
        ([_entry("f"), _entry("f/inside")], "through f"),
        ([_hardlink("escaped", "../secret")], "leads outside"),
        ([_hardlink("escaped", "/etc/passwd")], "leads outside"),
        ([_symlink("up", ".."), _hardlink("escaped", "up/secret")], "through up"),
        ([_hardlink("h", "missing")], "no file of this layer"),
        ([_entry("a/a"), _hardlink("a", "a/a")], "no file of this layer"),
        ([_folder("d"), _hardlink("h", "d")], "no file of this layer"),
        ([_entry(".wh...")], "hides no name"),
        ([_entry("d/.wh.")], "hides no name"),
        ([_symlink("up", ".."), _entry("up/.wh.secret")], "through up"),
        ([_symlink("up", ".."), _entry("up/.wh..wh..opq")], "through up"),
        ([_entry("node", kind=tarfile.BLKTYPE)], "a device or something unknown"),
        ([_entry("whiteout", kind=tarfile.CHRTYPE)], "a device or something unknown"),
        ([_entry("n" * 300)], "a name that no file can have"),
        ([_entry(".", b"root")], "the layer's root is not a folder"),
    ],
)
def test_hostile_layers(root: Path, entries: list[Entry], complaint: str) -> None:
    """A layer that tries to reach outside is refused, and nothing outside its folder is touched."""
    outer = root.parent
    (outer / "secret").write_text("untouched")
    with pytest.raises(UntrustedInputError, match=complaint):
        unpack_layer(io.BytesIO(_tar(*entries)), _TAR, root)
    assert sorted(path.name for path in outer.iterdir()) == ["root", "secret"]
    assert (outer / "secret").read_text() == "untouched"
    assert (outer / "secret").stat().st_nlink == 1
    assert not Path("/escaped").exists()


def test_replaced_folder_is_checked_again(root: Path) -> None:
    """A folder that was fine and then became a link is no way out."""
    entries = [_folder("d"), _entry("d/f"), _symlink("d", ".."), _entry("d/escaped")]
    with pytest.raises(UntrustedInputError, match="through d"):
        unpack_layer(io.BytesIO(_tar(*entries)), _TAR, root)
    assert [path.name for path in root.parent.iterdir()] == ["root"]


def _damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


_GOOD = _tar(_entry("a", b"x" * 2000), _entry("b", b"y" * 2000))


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (_GOOD[:700], _TAR),
        (_GOOD[:3500], _TAR),
        (_damaged(_GOOD, 10), _TAR),
        (_damaged(_GOOD, 512 + 2048 + 10), _TAR),
        (gzip.compress(_GOOD, mtime=0)[:-12], LAYER_GZIP_MEDIA_TYPE),
        (gzip.compress(_GOOD, mtime=0)[:60], LAYER_GZIP_MEDIA_TYPE),
        (_damaged(gzip.compress(_GOOD, mtime=0), -6), LAYER_GZIP_MEDIA_TYPE),
        (_damaged(gzip.compress(_GOOD, mtime=0), 0), LAYER_GZIP_MEDIA_TYPE),
        (gzip.compress(_GOOD, mtime=0) + b"garbage", LAYER_GZIP_MEDIA_TYPE),
        (b"no archive at all" * 100, _TAR),
        (zstd.compress(_GOOD)[:-12], f"{_TAR}+zstd"),
        (_damaged(zstd.compress(_GOOD), 40), f"{_TAR}+zstd"),
        (b"no archive at all" * 100, f"{_TAR}+zstd"),
    ],
)
def test_broken_layers(root: Path, data: bytes, media_type: str) -> None:
    """A truncated or damaged layer is an error, at whatever place it is damaged."""
    with pytest.raises(UntrustedInputError):
        unpack_layer(io.BytesIO(data), media_type, root)


@pytest.mark.parametrize("media_type", [f"{_TAR}+zstd", "application/vnd.docker.image.rootfs.diff.tar.zstd"])
def test_zstd(root: Path, media_type: str) -> None:
    """Layers compressed with zstd are read, those in several frames too, as zstd:chunked has them."""
    frames = [zstd.compress(_GOOD[:1000]), zstd.compress(_GOOD[1000:]), b"\x50\x2a\x4d\x18\4\0\0\0meta"]
    assert unpack_layer(io.BytesIO(b"".join(frames)), media_type, root) == Digest.of(_GOOD)


_NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", ".wh.a", ".wh..wh..opq"]), min_size=1, max_size=4).map(
    "/".join
)
_ENTRIES = st.lists(
    st.tuples(_NAMES, st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]), _NAMES),
    max_size=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(_ENTRIES)
def test_no_sequence_of_entries_reaches_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, str]]
) -> None:
    """Whatever the order of files, folders, links and whiteouts: nothing outside changes, and failures are ours."""
    outer = tmp_path_factory.mktemp("outer")
    root = outer / "r" / "root"
    root.mkdir(parents=True)
    (outer / "a").write_text("outside")
    (outer / "r" / "b").mkdir()
    data = _tar(*(_entry(name or "a", kind=kind, link=target or "a") for name, kind, target in entries))
    with contextlib.suppress(UntrustedInputError):
        unpack_layer(io.BytesIO(data), _TAR, root)
    assert sorted(p.name for p in outer.iterdir()) == ["a", "r"]
    assert sorted(p.name for p in (outer / "r").iterdir()) == ["b", "root"]
    assert not list((outer / "r" / "b").iterdir())
    assert (outer / "a").read_text() == "outside"
    assert (outer / "a").stat().st_nlink == 1
