"""Layers from pins, with made-up packages."""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipml.debian import assemble
from shipml.debian.pin import pin_base
from shipml.errors import BuildError, UntrustedInputError
from shipml.events import Event, StepProgressed, ignore
from shipml.facts.plan import BasePin
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue
from shipml.oci.manifest import KEY, KIND, SOURCE, Platform
from shipml.session import Session
from shipml.store import Store
from shipml.wheels.bytecode import Interpreter
from tests.debian.making import BOOKWORM, Archive, Package, Server, entry

Make = Callable[..., list[LayerValue]]


@pytest.fixture
def pin(store: Store, http: HttpClient) -> Callable[..., BasePin]:
    """Pins bookworm for amd64."""

    def make(**options: Any) -> BasePin:
        return pin_base(BOOKWORM, Platform("linux", "amd64"), session=Session(store, http, ignore), **options)

    return make


@pytest.fixture
def layers(store: Store, http: HttpClient, running_python: Interpreter) -> Make:
    """Makes the layers of a pin."""

    def make(pin: BasePin, emit: Callable[[Event], None] = ignore) -> list[LayerValue]:
        return assemble.base_layers(pin, interpreter=lambda: running_python, session=Session(store, http, emit))

    return make


def _tar(layer: LayerValue) -> tarfile.TarFile:
    with layer.open() as stream:
        data = stream.read()
    assert Digest.of(data) == layer.digest
    assert len(data) == layer.size_bytes
    text = gzip.decompress(data)
    assert Digest.of(text) == layer.diff_id
    return tarfile.open(fileobj=io.BytesIO(text))


def _text(archive: tarfile.TarFile, path: str) -> str:
    file = archive.extractfile(path)
    assert file is not None
    return file.read().decode()


def test_base_is_furnished(archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make) -> None:
    """What maintainer scripts would make is there: accounts, certificates, links, folders, entries for scanners."""
    archive.publish_suite()
    (layer,) = layers(pin())
    with _tar(layer) as tar:
        entries = {item.name: item for item in tar.getmembers()}
        assert "nonroot:x:65532:65532:" in _text(tar, "etc/passwd")
        assert _text(tar, "etc/ssl/certs/ca-certificates.crt") == "A\nB\n"
        assert _text(tar, "var/lib/dpkg/status.d/netbase").startswith("Package: netbase\n")
        assert "var/lib/dpkg/status.d/netbase.md5sums" in entries
    assert {name: entries[name].linkname for name in ("bin", "lib", "lib64", "usr/bin/python3", "etc/localtime")} == {
        "bin": "usr/bin",
        "lib": "usr/lib",
        "lib64": "usr/lib64",
        "usr/bin/python3": "python3.11",
        "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    }
    assert (entries["tmp"].mode, entries["root"].mode) == (0o1777, 0o700)
    assert (entries["home/nonroot"].uid, entries["home/nonroot"].gid) == (65532, 65532)
    assert {item.uid for name, item in entries.items() if name != "home/nonroot"} == {0}
    assert {item.mtime for item in entries.values()} == {0}
    assert "etc/resolv.conf" not in entries
    assert layer.annotations[KIND] == "base"
    assert layer.annotations[SOURCE] == "debian:bookworm"


def test_base_has_bytecode(archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make) -> None:
    """The standard library comes compiled, unchecked-hash; what does not compile stays source."""
    archive.publish_suite()
    with _tar(layers(pin())[0]) as tar:
        compiled = tar.extractfile("usr/lib/python3.11/__pycache__/this_one.cpython-311.pyc")
        assert compiled is not None
        assert compiled.read()[4:8] == b"\1\0\0\0"
        assert "usr/lib/python3.11/bad.py" in tar.getnames()
        assert not [name for name in tar.getnames() if "bad.cpython" in name]


def test_left_out_files_are_not_there(
    archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make
) -> None:
    """Manuals and translations stay out; licences stay in."""
    archive.publish_suite(
        [
            Package(
                "netbase",
                entries=[
                    entry("./usr/share/man/man1/x.1.gz", b"x"),
                    entry("./usr/share/doc/netbase/README", b"x"),
                    entry("./usr/share/doc/netbase/copyright", b"x"),
                    entry("./usr/share/locale/de/LC_MESSAGES/x.mo", b"x"),
                ],
            )
        ]
    )
    with _tar(layers(pin())[0]) as tar:
        assert [name for name in tar.getnames() if name.startswith(("usr/share/man", "usr/share/loc"))] == []
        assert [name for name in tar.getnames() if "share/doc" in name][-1] == "usr/share/doc/netbase/copyright"
        assert "usr/share/doc/netbase/README" not in tar.getnames()


def test_extra_packages_are_a_layer_of_their_own(
    archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make
) -> None:
    """The base stays the same, byte for byte; the second layer repeats nothing of it but the loader's cache."""
    archive.publish_suite(
        [Package("extra", entries=[entry("./usr/share/netbase", b"netbase"), entry("./opt/x", b"x")])]
    )
    (alone,) = layers(pin())
    base, extra = layers(pin(extra={"extra": "asked for"}))
    assert base == alone
    assert (extra.annotations[KIND], extra.annotations[SOURCE]) == ("system", "extra")
    assert extra.annotations[KEY] != base.annotations[KEY]
    with _tar(extra) as tar:
        files = [item.name for item in tar.getmembers() if not item.isdir()]
    assert files == [
        "opt/x",
        "var/lib/dpkg/status.d/extra",
        "var/lib/dpkg/status.d/extra.md5sums",
        "etc/ld.so.cache",
    ]


def test_shell_link_is_made(archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make) -> None:
    """With a shell there is /bin/sh."""
    archive.publish_suite([Package("bash", entries=[entry("./bin/bash", b"#!")]), Package("coreutils")])
    _, extra = layers(pin(with_shell=True))
    with _tar(extra) as tar:
        assert tar.getmember("usr/bin/sh").linkname == "bash"


def test_alternatives_are_linked(archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make) -> None:
    """Libraries that update-alternatives would put in place are in place."""
    folder = "usr/lib/x86_64-linux-gnu"
    archive.publish_suite([Package("libblas3", entries=[entry(f"./{folder}/blas/libblas.so.3", b"x")])])
    _, extra = layers(pin(extra={"libblas3": "asked for"}))
    with _tar(extra) as tar:
        assert tar.getmember(f"{folder}/libblas.so.3").linkname == "blas/libblas.so.3"
        cache = tar.extractfile("etc/ld.so.cache")
        assert cache is not None
        assert b"/lib/x86_64-linux-gnu/libblas.so.3\0" in cache.read()


def test_known_layers_cost_nothing(archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make) -> None:
    """The second time nothing is fetched, read or said."""
    archive.publish_suite()
    made = pin()
    first = layers(made)
    mirror.requests.clear()
    events: list[Event] = []
    assert layers(made, events.append) == first
    assert not mirror.requests
    assert not events


def test_pruned_layer_is_made_again(
    archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make, store: Store
) -> None:
    """A layer whose blob is gone has the same bytes when it is opened again."""
    archive.publish_suite([Package("extra", entries=[entry("./opt/x", b"x")])])
    for layer in layers(pin(extra={"extra": "asked for"})):
        store.blob_path(layer.digest).unlink()
        with _tar(layer) as tar:
            assert tar.getnames()


def test_two_stores_make_the_same_layer(
    archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make, running_python: Interpreter
) -> None:
    """The bytes depend on the pin alone."""
    archive.publish_suite()
    made = pin()
    first = layers(made)
    with tempfile.TemporaryDirectory() as folder:
        other = Store(Path(folder))
        again = assemble.base_layers(
            made, interpreter=lambda: running_python, session=Session(other, HttpClient(), ignore)
        )
        other.close()
    assert again == first


def test_progress_counts_all_bytes(archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make) -> None:
    """Downloads report as many bytes as the pin names."""
    archive.publish_suite()
    made = pin()
    events: list[Event] = []
    layers(made, events.append)
    progressed = [event for event in events if isinstance(event, StepProgressed)]
    total_bytes = sum(item.size_bytes for item in made.packages)
    assert max(event.done for event in progressed) == total_bytes
    assert {event.total for event in progressed} == {total_bytes}


def test_package_with_another_digest_is_refused(
    archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make, store: Store
) -> None:
    """A .deb that is not the one that the index names does not reach the store or a layer."""
    archive.publish_suite([Package("netbase", sha256="0" * 64)])
    with pytest.raises(UntrustedInputError, match=r"netbase_1\.0-1"):
        layers(pin())
    assert not store.has_blob(Digest("0" * 64))


def test_missing_package_is_an_error(
    archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make
) -> None:
    """A .deb that the mirror has dropped since leads to --upgrade."""
    archive.publish_suite()
    made = pin()
    for path in archive.root.rglob("netbase_*.deb"):
        path.unlink()
    with pytest.raises(BuildError, match="404") as caught:
        layers(made)
    assert "--upgrade" in caught.value.hint


def test_hostile_package_makes_no_layer(
    archive: Archive, mirror: Server, pin: Callable[..., BasePin], layers: Make, store: Store
) -> None:
    """A package that would write through a link is refused and leaves no fact and no draft behind."""
    hostile = [entry("./usr/x", type=tarfile.SYMTYPE, linkname="/etc"), entry("./usr/x/evil", b"x")]
    archive.publish_suite([Package("netbase", entries=hostile)])
    with pytest.raises(UntrustedInputError, match="written through"):
        layers(pin())
    assert not list((store.home / "tmp").iterdir())
    assert not (store.home / "facts" / "debian-layer-1").exists()
