"""Wheels are downloaded together, once, and their progress adds up."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shipml import wheels
from shipml.errors import UntrustedInputError
from shipml.events import (
    Event,
    StepFinished,
    StepProgressed,
    StepStarted,
    ignore,
)
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.session import Session
from shipml.store import Store
from tests.wheels.conftest import MakeLayer
from tests.wheels.making import Member, make_zip, save_wheel, wheel_members


def some(folder: Path, count: int) -> list[LockedWheel]:
    return [
        save_wheel(folder, make_zip(wheel_members([Member("a.bin", bytes([n]) * 9999)], name=f"p{n}")), name=f"p{n}")
        for n in range(count)
    ]


def test_all_are_fetched_and_the_progress_adds_up(tmp_path: Path, store: Store) -> None:
    """One step with the sum of the sizes as total, reached when the step ends; every wheel is a blob then."""
    wanted = some(tmp_path, 9)
    heard: list[Event] = []
    wheels.fetch([*wanted, wanted[0]], session=Session(store, HttpClient(), heard.append))
    assert all(Digest.of_file(store.blob_path(wheel.digest)) == wheel.digest for wheel in wanted)
    total = sum(wheel.size_bytes or 0 for wheel in wanted)
    progress = [event for event in heard if isinstance(event, StepProgressed)]
    assert (progress[-1].done, progress[-1].total, progress[-1].unit) == (total, total, "bytes")
    assert heard[0] == StepStarted("download", "9 wheels")
    assert isinstance(heard[-1], StepFinished)
    assert sum(isinstance(event, StepFinished) for event in heard) == 1


def test_what_is_there_is_not_fetched_again(tmp_path: Path, store: Store) -> None:
    """Wheels of the store are not asked for, and no step is shown."""
    wanted = some(tmp_path, 2)
    wheels.fetch(wanted, session=Session(store, HttpClient(), ignore))
    for wheel in wanted:
        (tmp_path / wheel.filename).unlink()
    heard: list[Event] = []
    wheels.fetch(wanted, session=Session(store, HttpClient(), heard.append))
    assert heard == []


def test_a_size_that_is_not_known(tmp_path: Path, store: Store) -> None:
    """Where the lock has no size, the total is unknown and the digest alone decides."""
    (wheel,) = some(tmp_path, 1)
    unsized = LockedWheel(wheel.name, wheel.version, wheel.url, None, wheel.digest, wheel.filename)
    heard: list[Event] = []
    wheels.fetch([unsized], session=Session(store, HttpClient(), heard.append))
    assert {event.total for event in heard if isinstance(event, StepProgressed)} == {None}
    assert store.has_blob(wheel.digest)


@pytest.fixture
def slow_server() -> Iterator[tuple[str, list[int]]]:
    """A server that sends 1 MiB every 50 ms, 200 times, and the list of what it has sent."""
    sent: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(200 << 20))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for number in range(200):
                    self.wfile.write(bytes(1 << 20))
                    sent.append(number)
                    time.sleep(0.05)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/slow-1.0-py3-none-any.whl", sent
        server.shutdown()


@pytest.mark.parametrize("together", [False, True], ids=["fetch", "layers"])
def test_a_failure_stops_the_other_downloads(
    together: bool,
    tmp_path: Path,
    store: Store,
    make_wheel_layer: MakeLayer,
    slow_server: tuple[str, list[int]],
) -> None:
    """When one wheel is refused, a large one that is still arriving is given up, not waited for."""
    url, sent = slow_server
    slow = LockedWheel("slow", "1.0", url, 200 << 20, Digest.of(b""), "slow-1.0-py3-none-any.whl")
    bad = save_wheel(tmp_path, make_zip(wheel_members([])), digest=Digest.of(b"another"))

    def start() -> None:
        if together:
            make_wheel_layer(slow, bad, kind="packages")
        else:
            wheels.fetch([slow, bad], session=Session(store, HttpClient(), ignore))

    with pytest.raises(UntrustedInputError, match="digest"):
        start()
    assert len(sent) < 150
    assert not list((store.home / "tmp").iterdir())
