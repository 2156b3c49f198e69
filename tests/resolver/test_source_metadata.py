"""What a source distribution asks for, read without running it."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest

from shipml.errors import UntrustedInputError
from shipml.resolver.source_metadata import requirements_of_source


def sdist(folder: Path, compression: str) -> Path:
    """An archive whose PKG-INFO asks for two packages, behind some code."""
    path = folder / f"demo-1.0.tar.{compression}"
    text = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: idna\nRequires-Dist: six>=1\n"
    code = "".join(f"x{number} = {number * 7919 % 9973}\n" for number in range(20000)).encode()
    with tarfile.open(path, f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, data in (("demo-1.0/setup.py", code), ("demo-1.0/PKG-INFO", text)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("compression", ["gz", "xz", "bz2"])
def test_what_the_metadata_asks_for(compression: str, tmp_path: Path) -> None:
    """The names and ranges, as they are written."""
    path = sdist(tmp_path, compression)
    assert requirements_of_source(path, path.name) == ("idna", "six>=1")


@pytest.mark.parametrize("compression", ["gz", "xz", "bz2"])
def test_an_archive_that_is_broken_anywhere_is_refused(compression: str, tmp_path: Path) -> None:
    """Whatever the reader of its compression raises, the error is ours and names the file."""
    path = sdist(tmp_path, compression)
    whole = path.read_bytes()
    for at in range(12, len(whole), len(whole) // 60):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with suppress(UntrustedInputError):  # what the checksum does not cover may pass
            requirements_of_source(path, path.name)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UntrustedInputError, match=path.name):
        requirements_of_source(path, path.name)
