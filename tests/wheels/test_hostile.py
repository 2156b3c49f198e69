"""Wheels whose archive is sound but whose content lies: refused by name, and nothing is kept."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shipml import wheels
from shipml.errors import TryAgainError, UntrustedInputError
from shipml.events import Event, Notice, ignore
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.session import Session
from shipml.store import Store
from tests.wheels.conftest import MakeLayer
from tests.wheels.making import Member, make_zip, record_row, record_text, save_wheel, wheel_members

MODULE = Member("demo/__init__.py", b"answer = 42\n")
INFO = "demo-1.0.dist-info"


def blobs(store: Store) -> set[str]:
    return {path.name for path in (store.home / "blobs" / "sha256").iterdir()}


def _with_record(rows: list[tuple[str, str, str]]) -> list[Member]:
    return wheel_members([MODULE], record=record_text(rows))


def _rows() -> list[tuple[str, str, str]]:
    return [record_row(member.name, member.data) for member in wheel_members([MODULE])[:-1]]


WRONG_RECORDS = {
    "other content": _with_record([record_row(MODULE.name, b"answer = 43\n"), *_rows()[1:]]),
    "other size": _with_record([(MODULE.name, record_row(MODULE.name, MODULE.data)[1], "13"), *_rows()[1:]]),
    "hexadecimal": _with_record([(MODULE.name, f"sha256={hashlib.sha256(MODULE.data).hexdigest()}", "12")]),
    "unlisted": _with_record(_rows()[1:]),
    "no hash": _with_record([(MODULE.name, "", ""), *_rows()[1:]]),
    "weak hash": _with_record([(MODULE.name, "md5=AAAA", ""), *_rows()[1:]]),
    "listed twice": _with_record([*_rows(), record_row(MODULE.name, b"answer = 43\n")]),
    "a size that is not a number": _with_record([(*record_row(MODULE.name, MODULE.data)[:2], "many"), *_rows()[1:]]),
    "broken rows": wheel_members([MODULE], record=b'one,two\n"demo/__init__.py'),
    "empty": wheel_members([MODULE], record=b""),
    "binary": wheel_members([MODULE], record=b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("members", WRONG_RECORDS.values(), ids=WRONG_RECORDS.keys())
def test_a_wrong_record_is_put_right(members: list[Member], tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """The wheel is the lock's, so it is taken; a note names it, and the RECORD in the layer is true."""
    heard: list[Event] = []
    layer = make_wheel_layer(save_wheel(tmp_path, make_zip(members)), emit=heard.append)
    notes = [event.message for event in heard if isinstance(event, Notice)]
    assert len(notes) == 1
    assert MODULE.name in notes[0]
    with layer.open() as stream, tarfile.open(fileobj=stream) as tar:
        (name,) = [name for name in tar.getnames() if name.endswith(f"{INFO}/RECORD")]
        rows = tar.extractfile(name).read().decode().splitlines()  # type: ignore[union-attr]  # it is a file
    assert ",".join(record_row(MODULE.name, MODULE.data)) in rows


LIES = {
    "no record": (wheel_members([MODULE])[:-1], "it has no demo-1.0.dist-info/RECORD"),
    "other metadata": (wheel_members([MODULE], metadata="Name: other\nVersion: 1.0\n"), "METADATA is of other 1.0"),
    "other version": (wheel_members([MODULE], metadata="Name: demo\nVersion: 2.0\n"), "METADATA is of demo 2.0"),
    "new format": (wheel_members([MODULE], wheel_version="2.0"), "format version '2.0'"),
    "two dist-infos": (wheel_members([MODULE, Member("evil-1.0.dist-info/METADATA")]), "2 dist-info folders"),
    "other dist-info": (wheel_members([MODULE], name="evil"), "it holds evil-1.0.dist-info, not demo 1.0"),
    "unknown scheme": (
        wheel_members([MODULE, Member("demo-1.0.data/etc/passwd")]),
        "belongs to no installation scheme",
    ),
    "entry point code": (
        wheel_members([MODULE], entry_points="[console_scripts]\nx = os:system('id')\n"),
        "entry point 'x' = ",
    ),
    "entry point import": (wheel_members([MODULE], entry_points="[console_scripts]\nx = a;b:c\n"), "entry point 'x'"),
    "entry point path": (wheel_members([MODULE], entry_points="[console_scripts]\n../x = a:b\n"), "entry point '../x'"),
    "entry points broken": (wheel_members([MODULE], entry_points="no section"), "entry_points.txt is broken"),
    "replaces python": (
        wheel_members([MODULE], entry_points="[gui_scripts]\npython3 = a:b\n"),
        "replace /opt/venv/bin",
    ),
    "replaces pyvenv.cfg": (wheel_members([Member("demo-1.0.data/data/pyvenv.cfg")]), "replace /opt/venv/pyvenv.cfg"),
    "two places": (
        wheel_members([MODULE, Member("demo-1.0.data/purelib/demo/__init__.py")]),
        "two of its files would become",
    ),
    "folder in the way": (
        wheel_members([Member("demo-1.0.data/purelib/a", b"1"), Member("a/b.py", b"")]),
        "both a file and a folder",
    ),
    "crc": (wheel_members([Member("demo/data.bin", b"x" * 99, lies={"crc": 7})]), "CRC"),
    "stored crc": (wheel_members([Member("demo/data.bin", b"x", deflated=False, lies={"crc": 7})]), "CRC"),
    "bomb": (wheel_members([Member("demo/data.bin", bytes(1 << 20), lies={"size": 9})]), "more than the 9 bytes"),
    "parent": (wheel_members([Member("../../evil.py", b"")]), "component"),
    "data parent": (wheel_members([Member("demo-1.0.data/scripts/../../../evil", b"")]), "component"),
}


@pytest.mark.parametrize(("members", "message"), LIES.values(), ids=LIES.keys())
def test_refuses_a_wheel_that_lies(
    members: list[Member], message: str, tmp_path: Path, store: Store, make_wheel_layer: MakeLayer
) -> None:
    """The error names the wheel or file and what is wrong, and no layer is kept."""
    locked = save_wheel(tmp_path, make_zip(members))
    with pytest.raises(UntrustedInputError, match=message.replace("(", r"\(")):
        make_wheel_layer(locked)
    assert not list((store.home / "facts").glob("layer/*"))
    assert not list((store.home / "tmp").iterdir())
    assert not (tmp_path / "evil.py").exists()


@pytest.mark.parametrize(
    "filename", ["demo.whl", "demo-1.0.zip", "other-1.0-py3-none-any.whl", "demo-2-py3-none-any.whl"]
)
def test_refuses_a_filename_that_is_another_wheel(filename: str, tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """The name that carries the tags must be a wheel's, and of the locked project and version."""
    locked = save_wheel(tmp_path, make_zip(wheel_members([MODULE])), filename=filename)
    with pytest.raises(UntrustedInputError, match=r"not the name of a wheel|it is not demo 1\.0"):
        make_wheel_layer(locked)


def test_refuses_another_digest(tmp_path: Path, store: Store) -> None:
    """A file whose SHA-256 is not the lock's is not kept."""
    locked = save_wheel(tmp_path, make_zip(wheel_members([MODULE])), digest=Digest.of(b"another"))
    with pytest.raises(UntrustedInputError, match="digest"):
        wheels.fetch([locked], session=Session(store, HttpClient(), ignore))
    assert not blobs(store)


def test_refuses_another_size(tmp_path: Path, store: Store) -> None:
    """A file larger than the lock says is given up while it arrives."""
    locked = save_wheel(tmp_path, make_zip(wheel_members([MODULE])), size_bytes=10)
    with pytest.raises(UntrustedInputError, match="larger than the 10 bytes"):
        wheels.fetch([locked], session=Session(store, HttpClient(), ignore))
    assert not blobs(store)


@pytest.fixture
def short_server() -> Iterator[str]:
    """A server that promises 500 bytes and sends 10."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "500")
            self.end_headers()
            self.wfile.write(b"0123456789")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/demo-1.0-py3-none-any.whl"
        server.shutdown()


def test_a_truncated_download_can_be_tried_again(tmp_path: Path, store: Store, short_server: str) -> None:
    """A connection that ends early, again and again, is a passing failure, and nothing is kept."""
    locked = save_wheel(tmp_path, make_zip(wheel_members([MODULE])), url=short_server)
    with pytest.raises(TryAgainError, match="could not download"):
        wheels.fetch([locked], session=Session(store, HttpClient(), ignore))
    assert not blobs(store)


def test_one_bad_wheel_among_good_ones_stops_the_build(
    tmp_path: Path, store: Store, make_wheel_layer: MakeLayer
) -> None:
    """The error of the bad wheel is the one that is raised, and no thread is left."""
    good = [
        save_wheel(
            tmp_path, make_zip(wheel_members([Member(f"p{n}/__init__.py", b"x = 1\n")], name=f"p{n}")), name=f"p{n}"
        )
        for n in range(5)
    ]
    bad = save_wheel(tmp_path, make_zip(LIES["no record"][0]))
    before = threading.active_count()
    with pytest.raises(UntrustedInputError, match="it has no"):
        make_wheel_layer(*good, bad, kind="packages")
    assert threading.active_count() == before
    assert not list((store.home / "facts").glob("layer/*"))
