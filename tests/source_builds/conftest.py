"""Made-up sources, and where they are built."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from shipml.facts.plan import LockedSource
from shipml.oci.digest import Digest

MakeSource: TypeAlias = Callable[[str, str, Mapping[str, str]], LockedSource]


def archive(name: str, version: str, files: Mapping[str, str]) -> bytes:
    """A source distribution with these files, and PKG-INFO."""
    stem = f"{name}-{version}"
    files = {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", **files}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.size = len(text.encode())
            made.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


@pytest.fixture
def make_source(tmp_path: Path) -> MakeSource:
    """Writes a source distribution and locks it."""

    def make(name: str, version: str, files: Mapping[str, str]) -> LockedSource:
        data = archive(name, version, files)
        path = tmp_path / f"{name}-{version}.tar.gz"
        path.write_bytes(data)
        return LockedSource(name, version, path.as_uri(), len(data), Digest.of(data), path.name, "2024-03-01T00:00:00Z")

    return make
