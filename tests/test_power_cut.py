"""Power cuts, simulated: what was written and renamed but not synced is lost, in any order, and images stay whole."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shipml.oci.digest import Digest
from shipml.oci.image import ImageValue, assemble_image
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import canonical_json
from shipml.store import Store
from shipml.store.layers import cached_layer
from tests.fault_cases import CountCases

CUTS = 100


@dataclass(slots=True)
class Recorder:
    """What a store did to its disk, in order: (what, path or inode, …)."""

    home: Path
    done: list[tuple[Any, ...]] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Listen to the calls by which names and bytes get to the disk."""
        sync, rename, unlink = os.fsync, os.rename, os.unlink

        def noted_sync(descriptor: int) -> None:
            sync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            if path.is_dir():
                self.done.append(("sync folder", path))
            else:
                self.done.append(("sync", path.stat().st_ino, path.read_bytes()))

        def noted_rename(source: Any, target: Any, **more: Any) -> None:
            rename(source, target, **more)
            found = Path(target)
            if found.is_file():
                self.done.append(("rename", found, found.stat().st_ino, found.read_bytes()))

        def noted_unlink(path: Any, **more: Any) -> None:
            unlink(path, **more)
            if not more:
                self.done.append(("unlink", Path(path)))

        monkeypatch.setattr(os, "fsync", noted_sync)
        monkeypatch.setattr(os, "rename", noted_rename)
        monkeypatch.setattr(os, "unlink", noted_unlink)

    def after_cut(self, moment: int, dice: random.Random, home: Path) -> None:
        """The disk as it may be when the power goes after so many operations; `home` stands for the store's folder."""
        synced: dict[int, bytes] = {}
        names: dict[Path, tuple[int, bytes] | None] = {}
        waiting: list[tuple[Any, ...]] = []
        for step in self.done[:moment]:
            if step[0] == "sync":
                synced[step[1]] = step[2]
            elif step[0] == "sync folder":
                _apply([one for one in waiting if one[1].parent == step[1]], names)
                waiting = [one for one in waiting if one[1].parent != step[1]]
            else:
                waiting.append(step)
        _apply([one for one in waiting if dice.random() < 0.5], names)
        for path, found in names.items():
            if found is None or path.is_relative_to(self.home / "tmp"):
                continue
            inode, content = found
            target = home / path.relative_to(self.home)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(synced[inode] if inode in synced else _left_of(content, dice))
            os.utime(target, (1_700_000_000, 1_700_000_000))  # times reach the disk before bytes do


def _apply(steps: list[tuple[Any, ...]], names: dict[Path, tuple[int, bytes] | None]) -> None:
    for step in steps:
        names[step[1]] = (step[2], step[3]) if step[0] == "rename" else None


def _left_of(content: bytes, dice: random.Random) -> bytes:
    return dice.choice([b"", bytes(len(content)), content[: len(content) // 2], content])


def _image(store: Store, *names: str) -> ImageValue:
    """An image of layers that are known by keys, as a build makes it."""

    def write(name: str) -> Callable[[LayerWriter], None]:
        return lambda writer: writer.file(name, name.encode() * 500)

    layers = [cached_layer(store, write(name), key=name, kind="packages", source=name) for name in names]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
    }
    return assemble_image(canonical_json(config), layers)


def _build(store: Store, tag: str, *names: str) -> None:
    store.tag(tag, store.keep_image(_image(store, *names)))


def _work(store: Store) -> None:
    """Builds that share layers, names that move and go, and a prune."""
    _build(store, "first:1", "a", "b", "c")
    _build(store, "second:1", "a", "d")
    _build(store, "first:1", "a", "b", "e")
    store.untag("second:1")
    store.prune(all=True)
    _build(store, "third:1", "d", "f")


def _require_whole(store: Store) -> int:
    """Every image that has a name can be read to its last byte; returns how many there are."""
    for stored in store.images():
        image = store.image(stored.digest)
        for layer in image.layers:
            with layer.open() as stream:
                assert Digest.of_stream(stream) == layer.digest, f"{layer.digest} of {stored.reference}"
    return len(store.images())


@pytest.mark.broken_images
def test_an_image_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count_cases: CountCases) -> None:
    """At a hundred moments: every name leads to a whole image, and what is built next is whole, too."""
    recorder = Recorder(tmp_path / "home")
    with monkeypatch.context() as patched, closing(Store(recorder.home)) as store:
        recorder.install(patched)
        _work(store)
    found = set()
    for cut in range(CUTS):
        dice = random.Random(cut)  # noqa: S311  (a dice, no secret)
        moment = len(recorder.done) if cut == 0 else dice.randrange(len(recorder.done) + 1)
        home = tmp_path / f"cut-{cut}"
        recorder.after_cut(moment, dice, home)
        with closing(Store(home)) as store:
            found.add(_require_whole(store))
            _build(store, "next:1", "a", "b", "c", "d")
            _require_whole(store)
    assert found == {0, 1, 2}, "the cuts were all over the work"
    count_cases(CUTS)


@pytest.mark.broken_images
def test_what_was_done_is_there_after_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was given before the power went is there afterwards, whatever is lost."""
    recorder = Recorder(tmp_path / "home")
    with monkeypatch.context() as patched, closing(Store(recorder.home)) as store:
        recorder.install(patched)
        _build(store, "first:1", "a", "b")
    for cut in range(10):
        recorder.after_cut(len(recorder.done), random.Random(cut), tmp_path / f"cut-{cut}")  # noqa: S311
        with closing(Store(tmp_path / f"cut-{cut}")) as store:
            assert _require_whole(store) == 1
