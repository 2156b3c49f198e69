"""Which builds are found again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shipml.facts.plan import LockedSource, LockedWheel
from shipml.facts.project import Lock
from shipml.facts.pythons import ImagePython
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.source_builds.kept import keep, known_build
from shipml.store import Store

AMD64 = Platform("linux", "amd64")
SOURCE = LockedSource("a", "1", "", 1, Digest("5" * 64), "a-1.tar.gz")
OF_BOOKWORM = ImagePython("python:3.12-slim", python="3.12", release="3.12.8", glibc="2.36")


def test_a_build_counts_for_the_same_tools_on_the_same_base(tmp_path: Path) -> None:
    """Not for another version of a tool, nor for another suite under the same tag, whose libraries are others."""
    store = Store(tmp_path)
    lock = Lock((), OF_BOOKWORM.name, "3.12", AMD64, Digest("3" * 64), sources=(SOURCE,))
    wheel = LockedWheel("a", "1", "", 5, store.put_blob(b"wheel"), "a-1-py3-none-any.whl")
    numpy = LockedWheel("numpy", "2.1", "", 1, Digest("4" * 64), "numpy-2.1-py3-none-any.whl")
    keep(SOURCE, OF_BOOKWORM, lock, wheel, "why", (numpy,), {"numpy": "2.1"}, store)
    found = known_build(SOURCE, OF_BOOKWORM, lock, {"numpy": "2.1"}, store)
    assert found is not None
    assert (found.wheel.digest, found.because) == (wheel.digest, "why")
    assert known_build(SOURCE, OF_BOOKWORM, lock, {"numpy": "2.2"}, store) is None
    assert known_build(SOURCE, replace(OF_BOOKWORM, glibc="2.41"), lock, {"numpy": "2.1"}, store) is None
    store.close()
