"""The loader's cache, against glibc's own ldconfig."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.debian.loader_cache import (
    _compare,
    cache_bytes,
    is_library,
    read_cache,
)
from shipml.wheels.elf import soname_of
from tests.debian.making import elf_bytes


def _ldconfig() -> str:
    found = shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if found is None:
        pytest.skip("ldconfig is not installed")
    return found


@pytest.mark.parametrize(("architecture", "name"), [("amd64", "x86-64"), ("arm64", "AArch64")])
def test_ldconfig_reads_our_cache(tmp_path: Path, architecture: str, name: str) -> None:
    """`ldconfig -p` lists what was written, in the loader's order, as libraries of that CPU."""
    cache = tmp_path / "cache"
    cache.write_bytes(cache_bytes({f"lib{n}.so.1": f"/lib/lib{n}.so.1" for n in ("a", "a10", "a9", "z")}, architecture))
    output = subprocess.run([_ldconfig(), "-p", "-C", str(cache)], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in output.splitlines()[1:] if "=>" in line]
    assert [line[0] for line in lines] == ["libz.so.1", "liba10.so.1", "liba9.so.1", "liba.so.1"]
    assert lines[0] == ["libz.so.1", f"(libc6,{name})", "=>", "/lib/libz.so.1"]


def test_empty_cache_is_valid(tmp_path: Path) -> None:
    """A cache without libraries can be read."""
    (tmp_path / "cache").write_bytes(cache_bytes({}, "amd64"))
    subprocess.run([_ldconfig(), "-p", "-C", str(tmp_path / "cache")], capture_output=True, check=True)


@given(*[st.from_regex(r"lib[a-c0-2.]{0,6}", fullmatch=True)] * 3)
def test_order_is_total(first: str, second: str, third: str) -> None:
    """The order is antisymmetric and transitive, so that searching by halves finds every name."""
    assert _compare(first, second) == 0 or (_compare(first, second) > 0) != (_compare(second, first) > 0)
    if _compare(first, second) <= 0 and _compare(second, third) <= 0:
        assert _compare(first, third) <= 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usr/lib/x86_64-linux-gnu/libz.so.1", True),
        ("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", True),
        ("usr/lib/x86_64-linux-gnu/gconv/libJIS.so", False),
        ("usr/lib/aarch64-linux-gnu/libz.so.1", False),
        ("usr/lib/x86_64-linux-gnu/libz.sober", False),
        ("usr/lib/python3.11/libx.so", False),
    ],
)
def test_only_library_folders_count(path: str, expected: bool) -> None:
    """Libraries are what lies in the loader's folders and is named so."""
    assert is_library(path, "amd64") is expected


def test_soname_is_read_from_elf() -> None:
    """The running C library says its own name; text and broken ELF have none."""
    libc = next(Path("/lib").glob("*-linux-gnu/libc.so.6"), None)
    if libc is None:
        pytest.skip("no glibc here")
    assert soname_of(libc.read_bytes()) == "libc.so.6"
    assert soname_of(elf_bytes("libx.so.1", ["liby.so.2"])) == "libx.so.1"
    assert soname_of(elf_bytes()) == ""
    assert soname_of(b"/* GNU ld script */") is None
    assert soname_of(b"\x7fELF" + b"\0" * 60) is None


@pytest.mark.parametrize("before", [b"", b"ld.so-1.7.0" + bytes(37)], ids=["today's", "glibc before 2.32"])
def test_a_cache_is_read_back(before: bytes) -> None:
    """Also where it lies behind a table of the older format; what is cut short or no cache gives what can be read."""
    libraries = {"liba.so.1": "/lib/liba.so.1", "libb.so.2": "/usr/local/lib/libb.so.2"}
    cache = before + cache_bytes(libraries, "amd64")
    assert read_cache(cache, "amd64") == libraries
    assert read_cache(cache, "arm64") == {}
    assert read_cache(cache[:-60], "amd64").items() <= libraries.items()
    assert read_cache(b"no cache", "amd64") == {}
