"""The store: atomic, shared, whole after kill -9 and on a full disk, and never emptied of what an image needs."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest

from shipml.errors import (
    StoreError,
    TryAgainError,
    UntrustedInputError,
    UsageError,
)
from shipml.folders import remove_tree
from shipml.oci.digest import Digest
from shipml.oci.image import Image, ImageValue, LayerValue
from shipml.store import Store, default_home

MakeImage = Callable[..., ImageValue]
DAY_SECONDS = 86_400
WHEEL = b"PK\x03\x04 a wheel"
PACKAGE = b"!<arch>\n a package"


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _content(image: Image) -> list[bytes]:
    content = []
    for layer in image.layers:
        with layer.open() as stream:
            content.append(stream.read())
    return content


def _age(store: Store, digest: Digest, days: float) -> None:
    used_at_seconds = time.time() - days * DAY_SECONDS
    os.utime(store.blob_path(digest), (used_at_seconds, used_at_seconds))


# Blobs, facts, trees


def test_blobs_appear_whole_and_read_only(store: Store) -> None:
    """Bytes put in come back under their digest, in a file that nobody changes by accident."""
    digest = store.put_blob(b"hello")
    assert digest == Digest.of(b"hello")
    assert store.has_blob(digest)
    assert store.has_blob(digest, 5)
    assert not store.has_blob(digest, 4)
    assert store.blob_digests() == {digest}
    assert store.blob_path(digest).stat().st_mode & 0o777 == 0o400
    with store.open_blob(digest) as stream:
        assert stream.read() == b"hello"


def test_a_draft_that_is_not_adopted_leaves_nothing(store: Store) -> None:
    """Whatever ends the block, no file stays and no blob appears."""
    before = _files(store.home)

    def fail() -> None:
        with store.draft() as draft:
            draft.stream.write(b"half")
            raise UntrustedInputError("wrong digest")

    with pytest.raises(UntrustedInputError):
        fail()
    assert _files(store.home) == before


def test_errors_of_other_files_are_not_the_stores(store: Store, tmp_path: Path) -> None:
    """A file of the project that cannot be read while a draft is open keeps its own error."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError), store.draft() as draft:
        draft.stream.write((tmp_path / "file" / "x").read_bytes())


def test_a_damaged_document_is_mended_by_keeping_it_again(store: Store) -> None:
    """Putting the right bytes replaces wrong ones of the same length."""
    digest = store.put_blob(b"right")
    store.blob_path(digest).unlink()
    store.blob_path(digest).write_bytes(b"wrong")
    store.put_blob(b"right")
    assert store.blob_path(digest).read_bytes() == b"right"


def test_a_missing_blob_says_what_to_do(store: Store) -> None:
    """Opening what is not there is an error with a command."""
    with pytest.raises(StoreError, match="is not in the store") as caught:
        store.open_blob(Digest.of(b"x"))
    assert "shipml build" in caught.value.hint


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[" * 100_000])
def test_damaged_facts_count_as_absent(store: Store, damage: bytes) -> None:
    """A fact reads back as it was kept, and a broken file is as if it were not there."""
    store.keep_fact("wheel", "any ✓ key/../x", {"size": 3})
    assert store.fact("wheel", "any ✓ key/../x") == {"size": 3}
    assert store.fact("wheel", "other") is None
    (path,) = (store.home / "facts" / "wheel").iterdir()
    path.write_bytes(damage)
    assert store.fact("wheel", "any ✓ key/../x") is None


def test_trees_are_made_once_and_open_to_all(store: Store) -> None:
    """The maker runs once; the tree's own mode lets every user of a container in."""
    calls = []

    def make(folder: Path) -> None:
        calls.append(folder)
        (folder / "bin").mkdir()

    first, second = store.tree("python-3.11", make), store.tree("python-3.11", make)
    assert first == second
    assert len(calls) == 1
    assert first.stat().st_mode & 0o777 == 0o755


def test_a_tree_that_failed_is_made_anew(store: Store) -> None:
    """Nothing of a failed attempt is seen."""

    def fail(folder: Path) -> None:
        (folder / "half").mkdir(mode=0o500)
        raise UntrustedInputError("broken package")

    with pytest.raises(UntrustedInputError):
        store.tree("x", fail)
    assert list((store.home / "tmp").iterdir()) == []
    assert store.tree("x", lambda folder: (folder / "whole").touch()).joinpath("whole").exists()


def test_remove_tree_follows_no_link(tmp_path: Path) -> None:
    """Closed folders go, and what links in them lead to is neither removed nor changed."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").touch()
    tree = tmp_path / "tree"
    (tree / "closed" / "deep").mkdir(parents=True)
    (tree / "link").symlink_to(outside)
    (tree / "closed" / "deep").chmod(0)
    (tree / "closed").chmod(0)
    remove_tree(tree)
    remove_tree(tree)
    assert not tree.exists()
    assert outside.stat().st_mode & 0o777 == 0o755
    assert (outside / "file").exists()


# Images


def test_an_image_is_kept_and_read_back(store: Store, make_image: MakeImage) -> None:
    """Manifest, config and layers come back, and keeping it again opens no layer."""
    image = make_image({"a": b"1"}, {"b": b"2"})
    digest = store.keep_image(image)
    back = store.image(digest)
    assert (back.manifest, back.config) == (image.manifest, image.config)
    assert _content(back) == _content(image)

    def refuse() -> BytesIO:
        raise AssertionError

    layers = [replace(cast("LayerValue", layer), opener=refuse) for layer in image.layers]
    assert store.keep_image(replace(image, layers=layers)) == digest


def test_a_layer_that_lies_is_not_kept(store: Store, make_image: MakeImage) -> None:
    """Where a layer's bytes are not those of its digest, neither it nor the manifest is kept."""
    image = make_image()
    liar = replace(cast("LayerValue", image.layers[0]), opener=lambda: BytesIO(b"other"))
    with pytest.raises(UntrustedInputError, match="damaged"):
        store.keep_image(replace(image, layers=[liar]))
    assert store.blob_digests() == frozenset()


def test_a_damaged_image_says_so_and_is_mended_by_a_build(store: Store, make_image: MakeImage) -> None:
    """Changed bytes in manifest or config are seen when the image is read; keeping it again mends them."""
    image = make_image()
    digest = store.keep_image(image)
    for document in (image.manifest, image.config):
        path = store.blob_path(Digest.of(document))
        path.unlink()
        path.write_bytes(document.replace(b"linux", b"LINUX").replace(b"sha256", b"SHA256"))
        with pytest.raises(StoreError, match="damaged") as caught:
            store.image(digest)
        assert "shipml build" in caught.value.hint
        store.keep_image(image)
        assert store.image(digest).config == image.config


def test_images_are_listed_newest_first(store: Store, make_image: MakeImage) -> None:
    """Tagging again moves a reference up; broken entries are passed over; untag forgets."""
    digest = store.keep_image(make_image())
    for reference in ("a:1", "b:1", "a:1"):
        store.tag(reference, digest)
    for number, text in enumerate(("", "[]", "{}", '{"reference":1,"digest":"x","source":"","created_at_seconds":0}')):
        (store.home / "images" / f"{number}.json").write_text(text)
    assert [image.reference for image in store.images()] == ["a:1", "b:1"]
    assert store.untag("a:1")
    assert not store.untag("a:1")
    assert [image.reference for image in store.images()] == ["b:1"]


def test_images_are_found_by_what_users_call_them(store: Store, make_image: MakeImage, tmp_path: Path) -> None:
    """References short and long, digests and their beginnings, and the folder that an image was built from."""
    one, two = (store.keep_image(make_image({"a": data})) for data in (b"1", b"2"))
    store.tag("iris:latest", one, source=str(tmp_path))
    store.tag("localhost:5000/iris:2", two, source=str(tmp_path))
    for what in ("iris", "iris:latest", "docker.io/library/iris", str(one), one.hex, one.short, f"iris@{one}"):
        assert store.resolve(what).digest == one, what
    assert store.resolve("localhost:5000/iris:2").digest == two
    assert store.resolve(str(tmp_path)).digest == two
    assert store.last_built_from(tmp_path).reference == "localhost:5000/iris:2"
    store.untag("iris:latest")
    assert store.resolve(str(one)).digest == one


@pytest.mark.parametrize(
    ("what", "message", "hint"),
    [
        ("irsi", "no image 'irsi'", "did you mean iris:latest? see: shipml images"),
        ("iris:lates", "no image", "did you mean iris:latest?"),
        ("MyApp", "no image", "see: shipml images"),
        ("", "no image", "see: shipml images"),
        (f"iris@sha256:{'0' * 64}", "no image", "shipml images"),
        ("abcdef123456", "no image", "shipml images"),
        ("0" * 64, "no image", "shipml images"),
        (".", "built from . yet", "build one: shipml build ."),
    ],
)
def test_what_is_not_found_gets_the_nearest_name(
    store: Store, make_image: MakeImage, what: str, message: str, hint: str
) -> None:
    """The error names what was typed and the hint the nearest image, or how to make one."""
    store.tag("iris:latest", store.keep_image(make_image()))
    with pytest.raises(UsageError, match=message) as caught:
        store.resolve(what)
    assert hint in caught.value.hint


@pytest.mark.broken_images
def test_a_beginning_that_fits_several_images_is_refused(store: Store) -> None:
    """The candidates are listed whole."""
    for digits in ("aaaaaa1", "aaaaaa2"):
        store.tag(f"{digits}x:1", Digest(digits.ljust(64, "0")))
    with pytest.raises(UsageError, match="2 images begin with aaaaaa") as caught:
        store.resolve("aaaaaa")
    assert "aaaaaa1" in caught.value.hint


# Sharing


def test_a_lock_holds_off_threads_and_processes(store: Store) -> None:
    """While one holds a name another waits, and goes on when it is free."""
    order = []

    def work() -> None:
        with store.lock("key"):
            order.append("second")

    script = (
        "import pathlib, sys; from shipml.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).lock('key'): print('third', flush=True)"
    )
    with store.lock("key"):
        thread = threading.Thread(target=work)
        thread.start()
        with store.lock("another key"):
            process = subprocess.Popen([sys.executable, "-c", script, store.home], stdout=subprocess.PIPE, text=True)
        order.append("first")
    thread.join()
    output, _ = process.communicate()
    assert order == ["first", "second"]
    assert output == "third\n"


WRITER = """
import hashlib, pathlib, random, sys
from shipml.oci.digest import Digest
from shipml.store import Store
store, rounds = Store(pathlib.Path(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
generator = random.Random(int(sys.argv[3]))
for number in range(rounds):
    name = generator.randrange(20)
    data = bytes([name]) * 300_000
    with store.draft() as draft:
        for start in range(0, len(data), 10_000):
            draft.stream.write(data[start:start + 10_000])
            draft.stream.flush()
        digest = Digest.of(data)
        store.adopt(draft, digest)
    store.keep_fact("blob", str(name), {"digest": str(digest), "filler": "x" * 5000})
    tree = f"tree-{sys.argv[4]}{number % 7}"
    store.tree(tree, lambda folder: [(folder / str(i)).write_bytes(b"x") for i in range(200)])
    store.tag(f"image{name}:1", store.put_blob(b"manifest %d" % name))
    assert store.fact("blob", str(name))["digest"] == str(digest)
"""


def _writer(home: Path, rounds: int, seed: int, trees: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, home, str(rounds), str(seed), trees], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.broken_images
def test_two_processes_on_the_same_keys(tmp_path: Path) -> None:
    """Processes that write the same blobs, facts, trees and tags at once all succeed and leave a whole store."""
    writers = [_writer(tmp_path, 60, seed) for seed in range(3)]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    store = Store(tmp_path)
    info = store.info(verify=True)
    assert info.damaged == ()
    assert all(len(list((tmp_path / "roots" / f"tree-{number}").iterdir())) == 200 for number in range(7))
    assert {kind.kind for kind in info.kinds} >= {"facts", "trees", "other"}
    assert list((tmp_path / "tmp").iterdir()) == []
    store.close()


@pytest.mark.broken_images
@pytest.mark.slow
def test_kill_at_thirty_random_moments_leaves_the_store_whole(tmp_path: Path) -> None:
    """After kill -9 no blob, fact or tree is half there, and the next process sweeps tmp/."""
    moments = random.Random(7)  # noqa: S311  (moments, not secrets)
    had_leftovers = False
    for seed in range(30):
        writer = _writer(tmp_path, 100_000, seed, f"{seed}-")
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        had_leftovers = had_leftovers or any((tmp_path / "tmp").iterdir())
        store = Store(tmp_path)
        assert list((tmp_path / "tmp").iterdir()) == []
        assert store.info(verify=True).damaged == ()
        for name in range(20):
            fact = store.fact("blob", str(name))
            assert fact is None or store.has_blob(Digest.parse(fact["digest"]), 300_000)
        assert all(len(list(tree.iterdir())) == 200 for tree in (tmp_path / "roots").iterdir())
        for path in (tmp_path / "facts").glob("*/*.json"):
            json.loads(path.read_bytes())
        store.close()
    assert had_leftovers, "no kill hit a write: the test shows nothing"


def test_what_another_process_works_on_is_not_swept(store: Store) -> None:
    """Opening the store again while a draft is written leaves the draft alone."""
    with store.draft() as draft:
        Store(store.home).close()
        assert draft.path.exists()


# A full disk, a closed one


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("mounting a small tmpfs takes root on Linux")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", mount], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_full_disk_is_named_and_leaves_the_store_whole(small_disk: Path, make_image: MakeImage) -> None:
    """Blobs, images, facts and trees fail with one clear error; what was there before stays and reads back."""
    store = Store(small_disk / "home")
    image = make_image()
    digest = store.keep_image(image)
    store.tag("iris:latest", digest)
    large = make_image({"weights": os.urandom(8 << 20)})

    def make_tree(folder: Path) -> None:
        (folder / "file").write_bytes(bytes(8 << 20))

    attempts: list[Callable[[], object]] = [
        lambda: store.put_blob(os.urandom(8 << 20)),
        lambda: store.keep_image(large),
        lambda: store.keep_fact("kind", "key", "x" * (8 << 20)),
        lambda: store.tree("tree", make_tree),
    ]
    for attempt in attempts:
        with pytest.raises(StoreError, match="is full") as caught:
            attempt()
        assert "shipml cache prune" in caught.value.hint
        assert list((store.home / "tmp").iterdir()) == []
    info = store.info(verify=True)
    assert info.is_whole
    assert _content(store.image(digest)) == _content(image)
    assert store.prune(all=True).freed_bytes == 0
    store.close()


def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A file in the way, or a folder of someone else's, is an error with a way out."""
    (tmp_path / "file").write_bytes(b"")
    for home in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(StoreError, match="cannot use the store") as caught:
            Store(home)
        assert "SHIPML_HOME" in caught.value.hint


def test_a_read_only_disk_says_so(small_disk: Path) -> None:
    """A store on a disk that turned read-only gives the same error, for reading users too."""
    Store(small_disk / "home").close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StoreError, match="Read-only"):
        Store(small_disk / "home")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc on this system")
def test_a_home_that_cannot_be_made_says_so() -> None:
    """Where no folder can be made at all, the error names the place and SHIPML_HOME."""
    with pytest.raises(StoreError, match="cannot use the store /proc/shipml") as caught:
        Store(Path("/proc/shipml"))
    assert "SHIPML_HOME" in caught.value.hint


def test_the_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SHIPML_HOME wins, then the platform's cache folder."""
    monkeypatch.setenv("SHIPML_HOME", str(tmp_path / "x"))
    assert default_home() == tmp_path / "x"
    monkeypatch.delenv("SHIPML_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_home() == tmp_path / "shipml"


# Upkeep


def test_info_measures_by_kind(store: Store, make_image: MakeImage) -> None:
    """Each kind is counted in bytes; what tagged images need is counted once."""
    image = make_image()
    digest = store.keep_image(image)
    store.tag("a:1", digest)
    store.tag("b:1", digest)
    store.put_blob(WHEEL)
    store.put_blob(PACKAGE)
    store.tree("x", lambda folder: (folder / "file").touch())
    (store.home / "roots" / "x" / "file").write_bytes(b"123")
    info = store.info()
    sizes = {kind.kind: (kind.count, kind.size_bytes) for kind in info.kinds}
    documents_bytes = len(image.manifest) + len(image.config)
    assert sizes == {
        "documents": (2, documents_bytes),
        "layers": (1, image.layers[0].size_bytes),
        "wheels": (1, len(WHEEL)),
        "debian packages": (1, len(PACKAGE)),
        "trees": (1, 3),
    }
    assert info.needed_bytes == documents_bytes + image.layers[0].size_bytes
    assert (info.image_count, info.is_whole, info.verified) == (2, True, False)
    assert json.loads(json.dumps(info.to_json()))["whole"] is True


@pytest.mark.broken_images
def test_info_lists_every_missing_and_damaged_blob(store: Store, make_image: MakeImage) -> None:
    """A blob that a tagged image lacks is missing; one whose bytes changed is damaged, if asked."""
    image = make_image({"a": b"1"}, {"b": b"2"})
    store.tag("iris:latest", store.keep_image(image))
    wheel = store.put_blob(WHEEL)
    for digest in (wheel, image.layers[0].digest):
        data = store.blob_path(digest).read_bytes()
        store.blob_path(digest).unlink()
        store.blob_path(digest).write_bytes(data[:-1] + b"?")
    store.blob_path(image.layers[1].digest).unlink()
    assert store.info().damaged == ()
    info = store.info(verify=True)
    assert set(info.damaged) == {wheel, image.layers[0].digest}
    assert [(blob.reference, blob.digest) for blob in info.missing] == [("iris:latest", image.layers[1].digest)]
    assert not info.is_whole


def test_what_is_found_damaged_is_mended_by_the_next_build(store: Store, make_image: MakeImage) -> None:
    """A verified store has no damaged blob left, so that keeping the image again makes it whole."""
    image = make_image()
    store.tag("iris:latest", store.keep_image(image))
    path = store.blob_path(image.layers[0].digest)
    size_bytes = path.stat().st_size
    path.unlink()
    path.write_bytes(bytes(size_bytes))
    assert store.info(verify=True).damaged == (image.layers[0].digest,)
    store.keep_image(image)
    assert store.info(verify=True).is_whole
    assert _content(store.image(image.digest)) == _content(image)


def test_prune_takes_untagged_images_and_old_downloads(store: Store, make_image: MakeImage) -> None:
    """A tagged image stays whole; an untagged one goes at once, a download 30 days after its last use."""
    kept, gone = make_image({"shared": b""}, {"a": b"1"}), make_image({"shared": b""}, {"b": b"2"})
    store.tag("iris:latest", store.keep_image(kept))
    gone_digest = store.keep_image(gone)
    fresh, old, used = store.put_blob(WHEEL), store.put_blob(WHEEL + b"2"), store.put_blob(PACKAGE)
    for digest in (old, used, *(layer.digest for layer in kept.layers)):
        _age(store, digest, 31)
    assert store.has_blob(used)
    plan = store.prune(dry_run=True)
    assert store.has_blob(gone_digest)
    report = store.prune()
    assert report.removed == plan.removed
    assert {kind.kind: kind.count for kind in report.removed} == {"documents": 2, "layers": 1, "wheels": 1}
    assert store.blob_digests() == {
        fresh,
        used,
        kept.digest,
        Digest.of(kept.config),
        *(layer.digest for layer in kept.layers),
    }
    assert store.info(verify=True).is_whole


def test_prune_with_an_age_spares_what_was_used_since(store: Store, make_image: MakeImage) -> None:
    """With `older_than_seconds` nothing younger goes, of whatever kind."""
    image = make_image()
    store.keep_image(image)
    wheel = store.put_blob(WHEEL)
    _age(store, wheel, 5)
    assert store.prune(older_than_seconds=10 * DAY_SECONDS).removed == ()
    assert [kind.kind for kind in store.prune(older_than_seconds=4 * DAY_SECONDS).removed] == ["wheels"]
    assert store.has_blob(image.digest)


def test_prune_all_leaves_what_images_need_and_true_facts(store: Store, make_image: MakeImage) -> None:
    """Downloads, trees, locks and facts about blobs that are gone go; facts about what stays do not."""
    image = make_image()
    store.tag("iris:latest", store.keep_image(image))
    wheel = store.put_blob(WHEEL)
    store.keep_fact("layer", "kept", {"digest": str(image.layers[0].digest)})
    store.keep_fact("layer", "gone", {"digest": wheel.hex})
    store.keep_fact("python", "version", "3.11")
    store.tree("x", lambda folder: (folder / "file").touch())
    report = store.prune(all=True)
    assert {kind.kind: kind.count for kind in report.removed} == {"facts": 1, "trees": 1, "wheels": 1}
    assert store.fact("layer", "kept") is not None
    assert store.fact("layer", "gone") is None
    assert store.fact("python", "version") == "3.11"
    assert store.info(verify=True).is_whole
    assert list((store.home / "locks").iterdir()) == []
    assert _content(store.image(image.digest)) == _content(image)


def test_prune_gives_way_to_others_at_work(store: Store) -> None:
    """While another process holds the store nothing is removed, and the error is one to try again after."""
    store.put_blob(b"{}")
    other = Store(store.home)
    with pytest.raises(TryAgainError, match="another shipml is at work"):
        store.prune(all=True)
    assert store.info().kinds
    other.close()
    assert store.prune(all=True).removed


def test_prune_can_wait_for_others(store: Store) -> None:
    """With `wait` it starts when the other is done."""
    store.put_blob(b"{}")
    other = Store(store.home)
    reports = []
    thread = threading.Thread(target=lambda: reports.append(store.prune(wait=True)))
    thread.start()
    assert store.blob_digests()
    other.close()
    thread.join()
    assert [kind.kind for kind in reports[0].removed] == ["documents"]
