"""What is known of a wheel's native code agrees with pyelftools, and is asked for once."""

from __future__ import annotations

import io
import struct
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from shipml import wheels
from shipml.errors import BuildError
from shipml.events import ignore
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store import Store
from shipml.wheels.archive import Archive
from shipml.wheels.elf import elf_files
from shipml.wheels.facts import (
    NativeFacts,
    are_known,
    facts_as_text,
    facts_of_text,
    native_facts,
    readable_now,
)
from tests.wheels.making import Member, make_zip, save_wheel, wheel_members

LIBRARIES = sorted(Path(sysconfig.get_config_var("DESTSHARED")).glob("*.so"))
SMALL = min(LIBRARIES, key=lambda path: path.stat().st_size).read_bytes()


def machine(data: bytes, number: int) -> bytes:
    return data[:18] + struct.pack("<H", number) + data[20:]


def locked(folder: Path, *members: Member) -> LockedWheel:
    return save_wheel(folder, make_zip(wheel_members(list(members))))


def facts_of(wheel: LockedWheel, store: Store, platform: str | None = None) -> wheels.NativeFacts:
    wanted = Platform.parse(platform) if platform else None
    return wheels.native_facts([wheel], session=Session(store, HttpClient(), ignore), platform=wanted)[wheel]


def test_agrees_with_pyelftools(tmp_path: Path) -> None:
    """Sonames and needed libraries of the running Python and its extension modules, stored or deflated."""
    paths = [*LIBRARIES, Path(sys.executable).resolve()]
    members = [
        Member(f"demo/{path.name}", path.read_bytes(), deflated=bool(number % 3)) for number, path in enumerate(paths)
    ]
    (tmp_path / "a.whl").write_bytes(make_zip(members))
    found = {file.name: file.needed for file in elf_files(Archive(tmp_path / "a.whl", "a"))}
    expected = {}
    for member in members:
        with ELFFile(io.BytesIO(member.data)) as reference:
            (dynamic,) = reference.iter_segments("PT_DYNAMIC")
            expected[member.name] = tuple(tag.needed for tag in dynamic.iter_tags("DT_NEEDED"))  # type: ignore[attr-defined]
    assert found == expected
    assert any(found.values())


def test_needs_that_the_wheel_itself_meets_are_left_out(tmp_path: Path, store: Store) -> None:
    """A library in the wheel, by its file name, is provided and not needed; the others name who needs them."""
    (needing,) = [data for data in (path.read_bytes() for path in LIBRARIES) if b"libc.so.6" in data][:1]
    alone = facts_of(locked(tmp_path, Member("demo/a.so", needing), Member("demo/b.so", needing)), store)
    assert dict(alone.needed)["libc.so.6"] == "demo/a.so"
    both = facts_of(locked(tmp_path, Member("demo/a.so", needing), Member("demo.libs/libc.so.6", SMALL)), store)
    assert "libc.so.6" not in dict(both.needed)
    assert both.provided == ("a.so", "libc.so.6")


def test_another_architecture_is_an_error(tmp_path: Path, store: Store) -> None:
    """Native code for arm64 alone is refused for amd64, and taken for arm64; a pure wheel fits all."""
    arm = locked(tmp_path, Member("demo/a.so", machine(SMALL, 183)))
    assert facts_of(arm, store, "linux/arm64").machines == ("arm64",)
    with pytest.raises(BuildError, match="has native code for arm64, none for linux/amd64"):
        facts_of(arm, store, "linux/amd64")
    pure = locked(tmp_path, Member("demo/a.py", b""))
    assert facts_of(pure, store, "linux/amd64") == wheels.NativeFacts((), (), ())


def test_facts_are_kept(tmp_path: Path, store: Store) -> None:
    """A second time the wheel is not needed any more."""
    wheel = locked(tmp_path, Member("demo/a.so", SMALL))
    first = facts_of(wheel, store)
    (tmp_path / wheel.filename).unlink()
    store.blob_path(wheel.digest).unlink()
    assert facts_of(wheel, store) == first


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_files_are_no_reason_to_fail(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever stands in an ELF file's headers, reading ends, and gives strings."""
    damaged = bytearray(SMALL[: data.draw(st.integers(0, len(SMALL)))])
    for _ in range(data.draw(st.integers(0, 6)) if damaged else 0):
        damaged[data.draw(st.integers(0, min(900, len(damaged)) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.whl"
    path.write_bytes(make_zip([Member("a.so", bytes(damaged), deflated=False)]))
    for file in elf_files(Archive(path, "a")):
        assert all(isinstance(name, str) for name in (file.machine, file.soname, *file.needed))


def test_facts_travel_as_text(tmp_path: Path, store: Store) -> None:
    """What one store knows, another one borrows and need not download; extension modules stay behind."""
    provided = ("_a.cpython-311-x86_64-linux-gnu.so", "_b.abi3.so", "libc10.so", "libfoo-1.2.so.3")
    wheel = save_wheel(tmp_path, b"never read")
    fact = {"machines": ["amd64"], "needed": [["libGL.so.1", "cv2/x.so"]], "provided": provided}
    store.keep_fact("native", f"{wheel.digest} 1", fact)
    text = facts_as_text([wheel], store)
    other = Store(tmp_path / "other")
    assert not are_known([wheel], other)
    with other.borrowing(facts_of_text(text)):
        assert are_known([wheel], other)
        found = native_facts([wheel], session=Session(other, HttpClient(), ignore))[wheel]
        assert facts_as_text([wheel], other) == text, "who borrows it writes the same image"
    assert found == NativeFacts(("amd64",), (("libGL.so.1", "cv2/x.so"),), ("libc10.so", "libfoo-1.2.so.3"))
    other.close()


def test_a_wheel_that_is_neither_known_nor_here_has_no_text(tmp_path: Path, store: Store) -> None:
    """Then nothing is said of any wheel of the layer."""
    assert facts_as_text([save_wheel(tmp_path, b"x")], store) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"recipe":"0","wheels":{}}',
        '{"recipe":"1","wheels":[]}',
        '{"recipe":"1","wheels":{"x":[]}}',
        "[" * 100_000,
    ],
)
def test_text_that_is_none_of_ours_says_nothing(text: str) -> None:
    """A registry may say anything."""
    assert facts_of_text(text) == {}


def test_a_look_downloads_little(tmp_path: Path, store: Store) -> None:
    """Pure wheels are never read; the rest is while it is small; what is known costs nothing, however large."""

    def wheel(name: str, size_bytes: int | None, tag: str = "cp311-cp311-manylinux_2_17_x86_64") -> LockedWheel:
        return LockedWheel(name, "1", "", size_bytes, Digest.of(name.encode()), f"{name}-1-{tag}.whl")

    pure, small, large, unsized = (
        wheel("pure", 9 << 30, "py3-none-any"),
        wheel("small", 40),
        wheel("large", 70),
        wheel("unsized", None),
    )
    assert readable_now([pure, small], store, most_bytes=100) == ([small], 0)
    assert readable_now([pure, small, large], store, most_bytes=100) == ([], 110)
    assert readable_now([small, unsized], store, most_bytes=100) == ([], 140)
    known = save_wheel(tmp_path, make_zip(wheel_members([Member("demo/x.so", SMALL)])))
    native_facts([known], session=Session(store, HttpClient(), ignore))
    known = replace(known, filename="demo-1.0-cp311-cp311-linux_x86_64.whl")
    assert readable_now([known, large, unsized], store, most_bytes=100)[0] == [known]
