"""Engines and registries that fail in the middle: one clear error with the right exit code, nothing left behind."""

from __future__ import annotations

import gc
import io
import os
import socket
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shipml.docker_engine import Engine, connect
from shipml.docker_engine.loading import load_image
from shipml.errors import BuildError, TryAgainError
from shipml.events import Event, OutputReceived
from shipml.facts.plan import SmokeCheck
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.reference import Reference
from shipml.runtimes.base import RunOptions
from shipml.runtimes.docker import DockerRuntime
from tests.peers.engine import Engine as PeerEngine
from tests.peers.engine import engine_28, engine_2010
from tests.peers.need import need
from tests.runtimes.images import busybox_layer, make_image, make_layer, shell_image

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # the SDK's, of refused connections
]

_PEERS: dict[str, Callable[[], PeerEngine]] = {
    "20.10": engine_2010,
    "28 containerd": lambda: engine_28("containerd"),
}


@pytest.fixture(autouse=True)
def _leave_no_sockets() -> Iterator[None]:
    """Collect here what the SDK leaves open, so that no other test is blamed."""
    yield
    gc.collect()


@pytest.fixture(params=list(_PEERS))
def peer(request: pytest.FixtureRequest) -> Iterator[PeerEngine]:
    """An engine of the test's own, to be stopped."""
    with _PEERS[request.param]() as started:
        yield started


def _connected(peer: PeerEngine) -> Engine:
    return connect(environment={"DOCKER_HOST": peer.host}, timeout_seconds=10)


@pytest.mark.feature("fault: the engine stops in a load")
def test_engine_stopped_in_a_load(peer: PeerEngine, heavy_layer: LayerValue) -> None:
    """A load whose engine goes away can be repeated: exit code 75, and how to start the engine."""

    class Stopping(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0:
                peer.stop()
            return super().read(size)

    with heavy_layer.open() as stream:
        data = stream.read()
    layer = replace(heavy_layer, opener=lambda: Stopping(data))
    with (
        _connected(peer) as engine,
        pytest.raises(TryAgainError, match=r"asked to load|cannot load") as caught,
    ):
        load_image(engine, make_image([busybox_layer(), layer], Cmd=["sh"]), [Reference.parse("load:1")])
    assert caught.value.exit_code == 75
    assert "repeat the command" in caught.value.hint
    assert not [thread for thread in threading.enumerate() if thread.name == "archive"]


@pytest.mark.feature("fault: the engine stops in a run")
def test_engine_stopped_in_a_run(peer: PeerEngine) -> None:
    """A run whose engine goes away is no failed smoke test but an error of exit code 75."""

    def emit(event: Event) -> None:
        if isinstance(event, OutputReceived):
            peer.stop()

    options = RunOptions(SmokeCheck(timeout_seconds=60))
    with _connected(peer) as engine, pytest.raises(TryAgainError, match="went away"):
        DockerRuntime(engine).run(shell_image("echo begun; sleep 60"), options, emit)


@pytest.mark.feature("fault: the engine stops in a push")
def test_engine_stopped_in_a_push(peer: PeerEngine) -> None:
    """A push whose engine goes away is an error of exit code 75, not silence."""
    with socket.create_server(("127.0.0.1", 0)) as silent, _connected(peer) as engine:
        reference = Reference.parse(f"127.0.0.1:{silent.getsockname()[1]}/app:1")
        load_image(engine, shell_image("true"), [reference])

        def stop_when_asked() -> None:
            connection, _ = silent.accept()
            with connection:
                peer.stop()

        stopper = threading.Thread(target=stop_when_asked)
        stopper.start()
        with pytest.raises(TryAgainError):
            engine.push(reference, {})
        stopper.join()


@pytest.mark.feature("fault: the engine stops in a build")
def test_engine_stopped_in_a_build(peer: PeerEngine) -> None:
    """A build whose engine goes away is an error of exit code 75."""
    with _connected(peer) as engine:
        messages = engine.build(_context("sleep 60"), {"version": "2", "networkmode": "host"}, {})

        def read() -> None:
            for number, _ in enumerate(messages):
                if number == 3:
                    threading.Thread(target=peer.stop).start()

        with pytest.raises(TryAgainError):
            read()


@contextmanager
def _failing_registry() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        default_request_version = "HTTP/1.1"  # answers a TLS handshake with a status line, as real servers do

        def _answer(self) -> None:
            status = 200 if self.path == "/v2/" else 500 if self.command != "HEAD" else 404
            self.send_response(status)
            self.send_header("Docker-Distribution-API-Version", "registry/2.0")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module", autouse=True)
def refusals(request: pytest.FixtureRequest) -> Iterator[list[Future[str]]]:
    """What pushes to a registry that answers 500 say: engines try for 50 seconds, in which the other tests here run."""
    if not any(getattr(item, "function", None) is test_registry_that_answers_500 for item in request.session.items):
        yield []
        return
    with ExitStack() as stack:
        reference = Reference.parse(f"{stack.enter_context(_failing_registry())}/app:1")
        pool = stack.enter_context(ThreadPoolExecutor())
        pushes = []
        for name in ("docker_20", "docker_28_containerd"):
            peer: PeerEngine = request.getfixturevalue(name)
            docker = stack.enter_context(_connected(peer))
            load_image(docker, shell_image("true"), [reference])
            pushes.append(pool.submit(_refusal, docker, reference))
        yield pushes
        wait(pushes)


def _refusal(docker: Engine, reference: Reference) -> str:
    with pytest.raises(TryAgainError) as caught:
        docker.push(reference, {})
    return caught.value.message


@contextmanager
def _small_disk(size: str) -> Iterator[Path]:
    need("mount", root=True)
    with tempfile.TemporaryDirectory(prefix="shipml-disk-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _write(data: bytes, writer: LayerWriter) -> None:
    writer.file("noise", data)


def test_the_engines_disk_is_full() -> None:
    """A load that fills the engine's disk says so, with the command that frees some; nothing half-loaded is there."""
    noise = [os.urandom(4 << 20) for _ in range(6)]
    layers = [make_layer(partial(_write, data)) for data in noise]
    with (
        _small_disk("16m") as disk,
        PeerEngine("20", "--storage-driver", "overlay2", "--data-root", str(disk)) as peer,
        _connected(peer) as engine,
    ):
        with pytest.raises(BuildError, match="disk is full") as caught:
            load_image(engine, make_image(layers, Cmd=["sh"]), [Reference.parse("full:1")])
        assert "docker system prune" in caught.value.hint
        assert engine.find_image("full:1") is None


def test_silence_of_the_engine_is_no_failure(docker: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build (or push) may be silent for longer than any short call may take."""
    monkeypatch.setattr("shipml.docker_engine.sdk._SHORT_SECONDS", 0.5)
    with connect(environment={"DOCKER_HOST": docker.endpoint.url}, timeout_seconds=10) as impatient:
        assert list(impatient.build(_context("sleep 1.5"), {"version": "2", "networkmode": "host", "nocache": "1"}, {}))


@pytest.mark.feature("fault: the registry answers 500")
def test_registry_that_answers_500(
    docker_20: PeerEngine, docker_28_containerd: PeerEngine, refusals: list[Future[str]]
) -> None:
    """A registry that fails in a push means exit code 75, after the engine's own attempts."""
    messages = [push.result() for push in refusals]
    assert len(messages) == 2
    assert all("registry" in message for message in messages)


def _context(command: str) -> Iterator[bytes]:
    out = io.BytesIO()
    words = ", ".join(f'"{word}"' for word in f"/busybox {command}".split())
    files = {"Dockerfile": f"FROM scratch\nCOPY busybox /busybox\nRUN [{words}]\n".encode()}
    files["busybox"] = Path("/bin/busybox").read_bytes()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    yield out.getvalue()
