"""A copy into a registry: what is there is not sent, what others have is mounted, the manifest comes last."""

from __future__ import annotations

import io
import math
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from shipml.errors import NotAllowedError, UntrustedInputError
from shipml.events import Event, StepFinished, StepProgressed
from shipml.oci.digest import Digest
from shipml.oci.image import Image, LayerValue, assemble_image
from shipml.oci.manifest import canonical_json
from shipml.publish.transfer import Transferred, copy_image
from shipml.registry.client import RegistryClient
from shipml.registry.errors import RefusedError
from shipml.registry.keychain import DockerKeychain
from shipml.registry.transport import RetryPolicy
from tests.peers.fault_proxy import Fault, FaultProxy
from tests.peers.registry import Registry
from tests.publish.pushing import Opened, look_at, made_image, named, new_name, noise_layer

pytestmark = [pytest.mark.engine]


@pytest.fixture(scope="module")
def shared_proxy(registry: Registry) -> Iterator[FaultProxy]:
    with FaultProxy(registry.host) as started:
        yield started


@pytest.fixture
def proxy(shared_proxy: FaultProxy) -> FaultProxy:
    """Counts what is asked."""
    shared_proxy.heal()
    return shared_proxy


@pytest.fixture
def client(proxy: FaultProxy) -> RegistryClient:
    keychain = DockerKeychain(environment={"DOCKER_CONFIG": "/nonexistent"}, home=Path("/nonexistent"))
    return RegistryClient(proxy.host, keychain, retry=RetryPolicy(4, 0.001, 0.002, timeout_seconds=10))


def size_of(image: Image) -> int:
    return len(image.manifest) + len(image.config) + sum(layer.size_bytes for layer in image.layers)


def test_everything_arrives_under_all_tags(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """All blobs are sent, then the manifest under each tag, and the bytes are counted."""
    image, repository = made_image(), new_name()
    done = copy_image(image, named(proxy.host, repository, "1", "stable"), client)
    assert {look_at(registry, repository, tag, image) for tag in ("1", "stable")} == {"whole"}
    assert done == Transferred(image.digest, size_of(image) + len(image.manifest), 0, 0)
    methods = [seen.method for seen in proxy.seen if "manifests" in seen.path or seen.method != "HEAD"]
    assert methods[-4:] == ["HEAD", "PUT", "HEAD", "PUT"]


def test_a_second_push_sends_nothing(client: RegistryClient, proxy: FaultProxy) -> None:
    """What is there is only asked for: no layer is opened, no request but HEAD is made; a new tag is one manifest."""
    opened = Opened()
    image, repository = made_image(noise_layer(1000, opened), noise_layer(2000, opened)), new_name()
    copy_image(image, named(proxy.host, repository), client)
    opened.digests.clear()
    proxy.heal()
    again = copy_image(image, named(proxy.host, repository), client)
    assert again == Transferred(image.digest, 0, 0, size_of(image))
    assert proxy.count() == proxy.count("HEAD") == 4
    tagged = copy_image(image, named(proxy.host, repository, "2"), client)
    assert tagged.uploaded_bytes == len(image.manifest)
    assert opened.digests == []


def test_only_what_changed_is_sent(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """Of an image that shares layers with the last one, the others and the documents are sent."""
    opened = Opened()
    shared, repository = noise_layer(50_000, opened), new_name()
    copy_image(made_image(shared, noise_layer(10)), named(proxy.host, repository), client)
    opened.digests.clear()
    image = made_image(shared, noise_layer(20))
    done = copy_image(image, named(proxy.host, repository), client)
    assert (done.skipped_bytes, opened.digests) == (50_000, [])
    assert look_at(registry, repository, "1", image) == "whole"


def test_layers_are_mounted(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """What another repository is known to have, or may have, is not sent again; the layer is not even opened."""
    opened = Opened()
    image, first, second, third = made_image(noise_layer(9000, opened)), new_name(), new_name(), new_name()
    copy_image(image, named(proxy.host, first), client)
    opened.digests.clear()
    done = copy_image(image, named(proxy.host, second), client, homes_of=lambda _: [first])
    assert done.mounted_bytes == 9000 + len(image.config)
    assert done.uploaded_bytes == len(image.manifest)
    copy_image(image, named(proxy.host, third), client, mount_from=[new_name(), second])
    assert opened.digests == []
    assert {look_at(registry, name, "1", image) for name in (second, third)} == {"whole"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 202, {"Location": "/v2/elsewhere/blobs/uploads/gone"}),
        Fault("status", 400, body=b'{"errors":[{"code":"UNSUPPORTED"}]}'),
        Fault("status", 401),
        Fault("status", 403, body=b'{"errors":[{"code":"DENIED"}]}'),
        Fault("status", 404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}'),
        Fault("status", 405),
    ],
    ids=str,
)
def test_what_cannot_be_mounted_is_uploaded(
    fault: Fault, client: RegistryClient, proxy: FaultProxy, registry: Registry
) -> None:
    """However a registry declines to mount, the blob is uploaded."""
    image, first, second = made_image(), new_name(), new_name()
    copy_image(image, named(proxy.host, first), client)
    proxy.hurt(fault, method="POST", path="mount=", times=math.inf)
    done = copy_image(image, named(proxy.host, second), client, homes_of=lambda _: [first])
    assert (done.mounted_bytes, done.uploaded_bytes) == (0, size_of(image))
    assert look_at(registry, second, "1", image) == "whole"


def test_a_memory_that_is_wrong_does_no_harm(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """A repository that does not have the blob, or does not exist, costs an attempt only."""
    image, repository = made_image(), new_name()
    done = copy_image(image, named(proxy.host, repository), client, homes_of=lambda _: [new_name()])
    assert done.uploaded_bytes == size_of(image)
    assert look_at(registry, repository, "1", image) == "whole"


def test_a_digest_is_sent_once(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """A layer that an image has twice travels once."""
    layer = noise_layer(500)
    image, repository = made_image(layer, noise_layer(100), layer), new_name()
    done = copy_image(image, named(proxy.host, repository), client)
    assert done.uploaded_bytes == size_of(image) - 500
    assert sum(seen.path.count("digest=") for seen in proxy.seen) == 3
    assert look_at(registry, repository, "1", image) == "whole"


def test_largest_first_and_four_at_once(client: RegistryClient, proxy: FaultProxy) -> None:
    """Large layers are opened before small ones, and no more than four requests are under way."""
    opened = Opened()
    image = made_image(*(noise_layer(size, opened) for size in (10, 40_000, 20, 50_000, 30, 60_000, 70_000, 5)))
    copy_image(image, named(proxy.host, new_name()), client)
    sizes = {layer.digest: layer.size_bytes for layer in image.layers}
    first = {sizes[digest] for digest in opened.digests[:5]}  # one thread may be slow to open what it took
    assert first > {40_000, 50_000, 60_000, 70_000}
    assert 1 < proxy.most_at_work <= 4


def test_fewer_at_once_after_429(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """A registry that is asked too much is asked by fewer lanes from then on."""
    image, repository = made_image(*(noise_layer(size) for size in range(1000, 1016))), new_name()
    proxy.hurt(Fault("status", 429, {"Retry-After": "0"}), times=2)
    under_way: list[int] = []
    lock = threading.Lock()

    def watch(_: object) -> None:
        with lock:
            under_way.append(proxy.at_work)

    proxy.on_request = watch
    copy_image(image, named(proxy.host, repository), client)
    assert max(under_way[-40:]) == 1
    assert look_at(registry, repository, "1", image) == "whole"


def test_a_damaged_layer_is_not_published(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """A layer whose bytes are others than its digest says ends the push; nothing is under the tag."""
    sound = noise_layer(3000)
    damaged = LayerValue(sound.digest, sound.diff_id, sound.size_bytes, noise_layer(3000).open)
    image, repository = made_image(damaged, noise_layer(100)), new_name()
    with pytest.raises(UntrustedInputError) as caught:
        copy_image(image, named(proxy.host, repository), client)
    assert sound.digest.hex in caught.value.message
    assert look_at(registry, repository, "1", image) == "absent"


def test_one_failure_stops_the_others(client: RegistryClient, proxy: FaultProxy) -> None:
    """When a layer is refused, what has not begun does not begin."""
    image = made_image(*(noise_layer(1000 + size) for size in range(12)))
    proxy.hurt(Fault("status", 403), method="POST", times=math.inf)
    with pytest.raises(NotAllowedError):
        copy_image(image, named(proxy.host, new_name()), client)
    assert proxy.count("POST") <= 4


def test_ctrl_c_leaves_no_half_upload(client: RegistryClient, proxy: FaultProxy, registry: Registry) -> None:
    """An interruption lets no new upload begin, cancels those under way, and puts no manifest."""
    repository = new_name()
    large = [noise_layer(0, data=os.urandom(1 << 20) * 24) for _ in range(2)]  # long enough for the signal to arrive
    image = made_image(*large, noise_layer(1000))

    interrupted = threading.Event()

    def interrupt(event: Event) -> None:
        if isinstance(event, StepProgressed) and event.done and not interrupted.is_set():
            interrupted.set()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        copy_image(image, named(proxy.host, repository), client, emit=interrupt)
    assert look_at(registry, repository, "1", image) == "absent"
    sent = {seen.path.partition("?")[0]: seen.status for seen in proxy.seen if seen.method == "PUT"}
    cancelled = {seen.path.partition("?")[0] for seen in proxy.seen if seen.method == "DELETE"}
    assert {session for session, status in sent.items() if status != 201} <= cancelled <= set(sent)
    assert cancelled


def test_foreign_layers_stay_where_they_are(client: RegistryClient, proxy: FaultProxy) -> None:
    """A layer that may not be distributed is left to its URLs: it is neither opened nor asked for."""
    opened = Opened()
    foreign = noise_layer(100, opened)
    layer = LayerValue(
        foreign.digest,
        foreign.diff_id,
        foreign.size_bytes,
        foreign.open,
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    )
    config = canonical_json({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [str(layer.diff_id)]}})
    repository = new_name()
    with pytest.raises(RefusedError, match="MANIFEST_BLOB_UNKNOWN"):  # this registry is set up to allow no URLs
        copy_image(assemble_image(config, [layer]), named(proxy.host, repository), client)
    assert proxy.count(path=layer.digest.hex) == 0
    assert opened.digests == []


def test_progress_adds_up(client: RegistryClient, proxy: FaultProxy) -> None:
    """Progress counts bytes up to their total, also when a request had to be repeated."""
    heard: list[Event] = []
    image, repository = made_image(noise_layer(300_000), noise_layer(200_000)), new_name()
    proxy.hurt(Fault("cut-request"), method="PUT|PATCH", times=1)
    proxy.hurt(Fault("cut-request"), method="PUT", path="digest=", times=1)
    copy_image(image, named(proxy.host, repository), client, emit=heard.append)
    steps = [event for event in heard if isinstance(event, StepProgressed)]
    total = size_of(image) - len(image.manifest)
    assert {event.total for event in steps} == {total}
    assert steps[-1].done == total
    assert all(0 <= event.done <= total for event in steps)
    finished = [event for event in heard if isinstance(event, StepFinished)]
    assert finished[0].detail.endswith("501 kB uploaded")


def test_a_large_layer_is_not_held_in_memory(client: RegistryClient, proxy: FaultProxy, tmp_path: Path) -> None:
    """A layer is read from its file in pieces while it is sent."""
    path = tmp_path / "layer"
    path.write_bytes(os.urandom(1 << 20) * 24)
    digest = Digest.of_file(path)
    largest = 0

    class Pieces(io.FileIO):
        """A file that notes how much was asked for at once."""

        def read(self, size: int | None = -1) -> bytes:
            nonlocal largest
            assert size is not None
            assert size > 0
            largest = max(largest, size)
            return super().read(size) or b""

    layer = LayerValue(digest, digest, path.stat().st_size, lambda: cast("BinaryIO", Pieces(path)))
    copy_image(made_image(layer), named(proxy.host, new_name()), client)
    assert 0 < largest <= 4 << 20
