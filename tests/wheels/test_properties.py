"""Generated wheels, odd but legal: the layer unpacks to exactly what `installer` installs."""

from __future__ import annotations

import contextlib
import platform
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipml import wheels
from shipml.errors import UntrustedInputError
from shipml.events import ignore
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci.image import LayerValue
from shipml.session import Session
from shipml.store import Store
from shipml.wheels.archive import Archive
from tests.wheels.making import Member, make_zip, save_wheel, wheel_members
from tests.wheels.reference import assert_same, install_with_reference

MINOR = ".".join(platform.python_version_tuple()[:2])
INFO, DATA = "demo-1.0.dist-info", "demo-1.0.data"

unicode_names = st.text("abAB01_-+. ,'\"éßλ日@#~", min_size=1, max_size=12)
cp437_names = st.text("abAB01_. éñÄ", min_size=1, max_size=12)
roots = st.sampled_from(
    [
        "",
        "demo/",
        "demo/sub/",
        "démo/",
        "demo/tests/",
        f"{DATA}/purelib/",
        f"{DATA}/platlib/p/",
        f"{DATA}/scripts/",
        f"{DATA}/data/",
        f"{DATA}/data/share/x/",
        f"{DATA}/headers/",
        f"{INFO}/licenses/",
    ]
)
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=300),
    st.sampled_from(
        [b"#!python\nx\n", b"#!pythonw -I\nx\n", b"#!/bin/sh\n", b"x = 1\n", b"print 'two'\n", bytes(70_000)]
    ),
)


@st.composite
def members(draw: st.DrawFn) -> Member:
    """One file of a wheel, somewhere, stored in one of the many ways."""
    utf8 = draw(st.booleans())
    root = draw(roots)
    name = draw(unicode_names if utf8 else cp437_names) + draw(st.sampled_from(["", ".py", ".so", "/inner.txt"]))
    return Member(
        root + name,
        draw(bodies),
        deflated=draw(st.booleans()),
        mode=draw(st.sampled_from([0, 0o100644, 0o100755, 0o100600, 0o100711])),
        zip64=draw(st.booleans()),
        descriptor=draw(st.booleans()),
        utf8=utf8,
    )


def _legal(found: list[Member]) -> list[Member]:
    """Without names that no file system holds, doubles, and files in a folder's place, judged where they land."""
    kept: dict[str, Member] = {}
    for member in found:
        parts = member.name.split("/")
        if any(part in (".", "..") for part in parts):
            continue
        landed = member.name.replace(f"{DATA}/purelib/", "").replace(f"{DATA}/platlib/", "")
        clashes = [
            other
            for other in kept
            if landed == other or landed.startswith(f"{other}/") or other.startswith(f"{landed}/")
        ]
        if not clashes:
            kept[landed] = member
    return list(kept.values())


entry_points = st.lists(
    st.tuples(
        st.sampled_from(["one", "Two", "three.x", "four-y"]),
        st.sampled_from(["demo:main", "demo.sub : App.run", "demo:main [extra]", "a.b_c:d.e.f"]),
    ),
    max_size=3,
    unique_by=lambda point: point[0],
)


def make_layer(wheel: LockedWheel, home: Path) -> LayerValue:
    with contextlib.closing(Store(home)) as store:
        return wheels.layer(
            [wheel],
            kind="wheel",
            python=MINOR,
            interpreter=lambda: wheels.Interpreter((sys.executable,), {}, platform.python_version()),
            python_version=platform.python_version(),
            session=Session(store, HttpClient(), ignore),
        )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(members(), max_size=8), entry_points, st.sampled_from(["console", "gui"]), st.booleans())
def test_a_layer_is_what_installer_installs(
    found: list[Member], points: list[tuple[str, str]], section: str, folders: bool
) -> None:
    """Any legal wheel: same files, contents, modes and RECORD rows as the reference installer."""
    listed = _legal(found)
    if folders:
        listed = [Member("demo/", mode=0o040755, deflated=False), Member("empty/", deflated=False), *listed]
    text = f"[{section}_scripts]\n" + "".join(f"{name} = {value}\n" for name, value in points) if points else ""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheel = save_wheel(folder, make_zip(wheel_members(listed, entry_points=text)))
        expected = install_with_reference(folder / wheel.filename, folder / "root", name="demo", python=MINOR)
        assert_same(make_layer(wheel, folder / "home"), expected)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read_alike(data: st.DataObject) -> None:
    """Whatever bytes are changed, opening and reading ends in our error or in names and sizes that hold."""
    whole = make_zip([Member("a.py", b"x = 1\n" * 9), Member("b/é.so", bytes(50), deflated=False, zip64=True)])
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 3))
    with tempfile.NamedTemporaryFile() as file:
        file.write(damaged[: len(damaged) - cut])
        file.flush()
        try:
            archive = Archive(Path(file.name), "demo")
            for entry in archive.entries:
                assert len(archive.read(entry, limit_bytes=1 << 30)) == entry.size_bytes
        except UntrustedInputError:
            pass
