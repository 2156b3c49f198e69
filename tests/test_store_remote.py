"""Blobs that a registry has: left there, fetched on demand and checked; what is borrowed counts for one block only."""

from __future__ import annotations

import dataclasses
import errno
import io
from typing import BinaryIO

import pytest

from shipml.errors import (
    BuildError,
    ShipmlError,
    StoreError,
    TryAgainError,
    UntrustedInputError,
)
from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import Descriptor
from shipml.store import Store
from shipml.store.layers import cached_layer, layer_key
from tests.image_fixtures import MakeImage

DATA = b"a layer"
BLOB = Descriptor("", Digest.of(DATA), len(DATA))


class Remote:
    """Repositories by name: what each gives, or how it fails."""

    def __init__(self, **repositories: bytes | ShipmlError) -> None:
        self.repositories = repositories
        self.asked: list[str] = []

    def __call__(self, repository: str, _: Descriptor) -> BinaryIO:
        self.asked.append(repository)
        answer = self.repositories[repository]
        if isinstance(answer, ShipmlError):
            raise answer
        return io.BytesIO(answer)


def test_a_layer_is_fetched_when_it_is_opened(store: Store) -> None:
    """Once: then it is a blob as any other."""
    store._open_remote = remote = Remote(one=DATA)
    store.note_remote(BLOB.digest, "one")
    assert remote.asked == []
    for _ in range(2):
        with store.open_layer(BLOB) as stream:
            assert stream.read() == DATA
    assert remote.asked == ["one"]


def test_the_repository_that_was_noted_last_is_asked_first(store: Store) -> None:
    """Another one serves where it cannot; one that does not have the blob any more is forgotten."""
    store._open_remote = remote = Remote(one=DATA, two=StoreError("gone"), three=TryAgainError("down"))
    for name in ("one", "two", "three"):
        store.note_remote(BLOB.digest, name)
    assert store.fetch(BLOB)
    assert remote.asked == ["three", "two", "one"]
    assert store.remote_homes(BLOB.digest) == ["three", "one"]


def test_a_full_disk_is_not_the_repository_s_fault(store: Store) -> None:
    """It still has the blob when there is room again."""

    class NoRoom(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            raise OSError(errno.ENOSPC, "No space left on device")

    store._open_remote = lambda *_: NoRoom()
    store.note_remote(BLOB.digest, "one")
    with pytest.raises(StoreError):
        store.fetch(BLOB)
    assert store.remote_homes(BLOB.digest) == ["one"]


def test_other_bytes_are_not_taken(store: Store) -> None:
    """What does not have the digest is an error, and nothing of it stays."""
    store._open_remote = Remote(one=b"another")
    store.note_remote(BLOB.digest, "one")
    with pytest.raises(UntrustedInputError):
        store.open_layer(BLOB)
    assert not store.has_blob(BLOB.digest)
    assert store.remote_homes(BLOB.digest) == []


def test_a_layer_that_is_nowhere_is_an_error_that_says_what_to_do(store: Store) -> None:
    """Neither here nor noted: build again."""
    with pytest.raises(StoreError) as caught:
        store.open_layer(BLOB)
    assert "shipml build" in caught.value.hint


def test_an_image_is_kept_without_what_a_registry_has(store: Store, make_image: MakeImage) -> None:
    """The noted layer stays there until it is read; nothing counts as missing."""
    image = make_image({"a": b"1"}, {"b": b"2"})
    far, near = image.layers
    with far.open() as stream:
        store._open_remote = remote = Remote(one=stream.read())
    store.note_remote(far.digest, "one")
    digest = store.keep_image(image)
    store.tag("app:1", digest)
    assert (store.has_blob(far.digest), store.has_blob(near.digest)) == (False, True)
    assert store.info().missing == ()
    assert remote.asked == []
    with store.image(digest).layers[0].open() as stream:
        assert Digest.of(stream.read()) == far.digest
    assert remote.asked == ["one"]


def test_what_is_borrowed_ends_with_the_block(store: Store) -> None:
    """What was kept here is believed first, and nothing of what was borrowed is written down."""
    store.keep_fact("layer", "mine", 1)
    with store.borrowing({("layer", "mine"): 2, ("layer", "theirs"): 3}):
        assert (store.fact("layer", "mine"), store.fact("layer", "theirs")) == (1, 3)
        with store.borrowing({("layer", "other"): 4}):
            assert (store.fact("layer", "theirs"), store.fact("layer", "other")) == (3, 4)
        assert store.fact("layer", "other") is None
    assert (store.fact("layer", "mine"), store.fact("layer", "theirs")) == (1, None)


@pytest.fixture
def borrowed(store: Store) -> LayerValue:
    """A layer that somebody else made: known by its key while a build lasts, its bytes in the repository `one`."""
    out = io.BytesIO()
    with LayerWriter(out) as writer:
        writer.file("a", b"1")
        made = writer.close()
    layer = LayerValue(made.digest, made.diff_id, made.size_bytes, lambda: io.BytesIO(out.getvalue()))
    store.note_remote(layer.digest, "one")
    return layer


def _in_build(store: Store, layer: LayerValue, content: bytes) -> LayerValue:
    """The layer as a build gets it that borrows its key and could write `content` itself."""
    key = layer_key("test")
    fact = {"digest": str(layer.digest), "diff_id": str(layer.diff_id), "size_bytes": layer.size_bytes}
    with store.borrowing({("layer", key): fact}):
        return cached_layer(store, lambda writer: writer.file("a", content), key=key, kind="wheel", source="a")


def test_a_borrowed_layer_is_not_made(store: Store, borrowed: LayerValue) -> None:
    """Digest, diff id and size are known; its bytes come from the registry when they are needed."""
    with borrowed.open() as stream:
        store._open_remote = remote = Remote(one=stream.read())
    layer = _in_build(store, borrowed, b"never written")
    assert dataclasses.replace(layer, annotations={}) == borrowed
    assert not store.has_blob(layer.digest)
    with layer.open() as stream:
        assert Digest.of(stream.read()) == borrowed.digest
    assert remote.asked == ["one"]


def test_a_borrowed_layer_that_is_gone_is_made_here(store: Store, borrowed: LayerValue) -> None:
    """The registry lost it or is down: the same bytes are written again."""
    store._open_remote = Remote(one=TryAgainError("down"))
    layer = _in_build(store, borrowed, b"1")
    with layer.open() as stream:
        assert Digest.of(stream.read()) == borrowed.digest


def test_a_lie_about_a_key_comes_out(store: Store, borrowed: LayerValue) -> None:
    """Where the bytes are made after all and are others than the repository said, the build ends."""
    store._open_remote = Remote(one=StoreError("gone"))
    layer = _in_build(store, borrowed, b"what the key really means")
    with pytest.raises(BuildError):
        layer.open()
