"""Whose the store is, who can read it, and that its trees and blobs are what they were when they were made."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shipml.errors import ConfigurationError, StoreError, UntrustedInputError
from shipml.oci.image import ImageValue
from shipml.store import Store, tree_files, tree_manifest
from tests.peers.forked import SHIPML, run_forked

MakeImage = Callable[..., ImageValue]


def _cli(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SHIPML_HOME": str(home)}
    return run_forked([SHIPML, *words, "--json"], environment=environment, folder=Path.cwd())


def _fill(folder: Path) -> None:
    (folder / "root" / "package").mkdir(parents=True)
    (folder / "root" / "package" / "module.py").write_text("right = 1\n")
    (folder / "root" / "link").symlink_to("package")


def _replace(path: Path) -> None:
    """Other bytes of the same number, at the same time."""
    found = path.stat()
    path.write_text("wrong = 1\n")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _add(path: Path) -> None:
    (path.parent / "sitecustomize.py").write_text("")


def _remove(path: Path) -> None:
    path.unlink()


def _open_up(path: Path) -> None:
    path.chmod(0o777)


CHANGES = [_replace, _add, _remove, _open_up]


@pytest.mark.broken_images
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("place", ["", "blobs", "roots"])
def test_a_home_of_another_owner_is_refused(tmp_path: Path, place: str) -> None:
    """A store that someone else could change is used by nobody: a configuration error with a way out."""
    home = tmp_path / "home"
    Store(home).close()
    os.chown(home / place, 65534, 65534)
    with pytest.raises(ConfigurationError) as caught:
        Store(home)
    assert "SHIPML_HOME" in caught.value.hint
    done = _cli(home, "images")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "configuration")


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_only_the_owner_can_read_the_store(tmp_path: Path, make_image: MakeImage, mask: int) -> None:
    """Whatever the umask, no other user gets to blobs, facts, images, trees or logs; open homes are closed."""
    home = tmp_path / "home"
    before = os.umask(mask)
    try:
        for name in ("", "blobs", "facts", "logs", "uv"):
            (home / name).mkdir()
        with closing(Store(home)) as store:
            store.tag("iris:1", store.keep_image(make_image()))
            store.keep_fact("kind", "key", value=1)
            store.tree("tree", _fill)
    finally:
        os.umask(before)
    folders = [home / name for name in ("blobs", "facts", "images", "logs", "roots", "tmp", "tree-manifests", "uv")]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (*folders, home / "facts" / "kind")} == {0o700}
    files = [path for name in ("blobs", "facts", "images") for path in (home / name).rglob("*") if path.is_file()]
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files} == {0}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_tree_is_made_again(store: Store, change: Callable[[Path], None]) -> None:
    """What was changed in a tree since it was made is never used: not another content, mode, file or lack of one."""
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        _fill(folder)

    module = store.tree("tree", make) / "root" / "package" / "module.py"
    assert store.tree("tree", make) == module.parents[2]
    assert len(made) == 1
    change(module)
    again = store.tree("tree", make)
    assert len(made) == 2
    assert sorted(path.name for path in (again / "root" / "package").iterdir()) == ["module.py"]
    assert module.read_text() == "right = 1\n"


@pytest.mark.parametrize("change", CHANGES)
def test_verify_finds_what_was_changed_in_a_tree(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """`cache info --verify` names the file, fails, and removes the tree; a second one finds nothing."""
    with closing(Store(tmp_path / "home")) as store:
        change(store.tree("tree", _fill) / "root" / "package" / "module.py")
    done = _cli(tmp_path / "home", "cache", "info", "--verify")
    assert done.returncode == 1
    (changed,) = json.loads(done.stdout)["changed"]
    assert changed.startswith("tree/root/package")
    assert not (tmp_path / "home" / "roots" / "tree").exists()
    assert _cli(tmp_path / "home", "cache", "info", "--verify").returncode == 0


def test_a_copied_store_keeps_its_trees(store: Store) -> None:
    """Other inodes and times of change do not matter where contents are the same."""
    module = store.tree("tree", _fill) / "root" / "package" / "module.py"
    folder, times = module.parent, module.parent.stat()
    copy = module.read_bytes(), module.stat()
    module.unlink()
    module.write_bytes(copy[0])
    module.chmod(copy[1].st_mode)
    os.utime(module, ns=(copy[1].st_atime_ns, copy[1].st_mtime_ns))
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.has_tree("tree")
    assert store.has_tree("tree")


def test_a_tree_is_read_after_the_machine_was_started_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut may lose bytes and keep times: after it, contents decide once."""
    store.tree("tree", _fill)
    monkeypatch.setattr(tree_manifest, "_boot", lambda: "another")
    read: list[Path] = []

    def describe(folder: Path) -> tree_manifest.TreeManifest:
        read.append(folder)
        return tree_manifest.describe_tree(folder)

    monkeypatch.setattr(tree_files, "describe_tree", describe)
    assert store.has_tree("tree")
    assert store.has_tree("tree")
    assert len(read) == 1


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b"5", b"[" * 50_000, b'{"version":1,"boot":"","entries":{"":[1]}}']
)
def test_a_tree_with_a_damaged_manifest_is_made_again(store: Store, damage: bytes) -> None:
    """What is not known to be right is not used."""
    store.tree("tree", _fill)
    store.tree_manifest_path("tree").write_bytes(damage)
    assert not store.has_tree("tree")
    assert (store.tree("tree", _fill) / "root" / "package" / "module.py").is_file()


def test_a_touched_blob_is_read_and_made_again(store: Store, make_image: MakeImage) -> None:
    """One flipped byte of a layer, of the same size: the next time that it is kept it is whole again."""
    image = make_image({"a": b"1" * 1000})
    store.keep_image(image)
    path = store.blob_path(image.layers[0].digest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    assert not store.has_blob(image.layers[0].digest, len(data))
    store.keep_image(image)
    with store.image(image.digest).layers[0].open() as stream, image.layers[0].open() as original:
        assert stream.read() == original.read()


def test_a_touched_blob_that_is_whole_stays(store: Store) -> None:
    """A new time alone costs one reading, not the blob."""
    digest, now_ns = store.put_blob(b"content"), int(time.time()) * 1_000_000_000
    os.utime(store.blob_path(digest), ns=(1, now_ns + 123))
    assert store.has_blob(digest)
    assert store.blob_path(digest).stat().st_mtime_ns == now_ns


@pytest.mark.broken_images
def test_damage_that_reading_finds_names_the_command(store: Store, make_image: MakeImage, tmp_path: Path) -> None:
    """Bytes that changed without a trace are found by whoever reads them: removed, and the error says what heals."""
    image = make_image({"a": b"1" * 1000})
    store.tag("iris:1", store.keep_image(image), source=str(tmp_path / "my iris"))
    path = store.blob_path(image.layers[0].digest)
    found = path.stat()
    path.chmod(0o600)
    path.write_bytes(bytes(found.st_size))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(StoreError) as caught, store.damage_explained(store.image(image.digest)):
        raise UntrustedInputError("its digest differs")
    assert f"shipml build '{tmp_path / 'my iris'}'" in caught.value.hint
    assert not path.exists()
    with pytest.raises(StoreError) as caught:
        store.image(image.digest).layers[0].open()
    assert f"shipml build '{tmp_path / 'my iris'}'" in caught.value.hint
