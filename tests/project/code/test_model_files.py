"""What model files say about the libraries that made them; nothing of them is run."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.facts.plan import ApplicationFile
from shipml.oci.digest import Digest
from shipml.project.code.model_files import read_model_files
from shipml.store import Store


class Estimator:
    """Leaves its version in its state, as scikit-learn's do."""

    def __init__(self, version: str) -> None:
        self.version = version

    def __getstate__(self) -> dict[str, object]:
        return {"n_estimators": 5, "_sklearn_version": self.version, "classes": ["a", self.version]}


def pickled(version: str, protocol: int = 4) -> bytes:
    return pickle.dumps([Estimator(version)], protocol=protocol)


def made_with(folder: Path, name: str, data: bytes, store: Store | None = None) -> list[tuple[str, str]]:
    (folder / name).write_bytes(data)
    file = ApplicationFile(name, "file", len(data), digest=Digest.of(data))
    return [one for model in read_model_files(folder, [file], store) for one in model.made_with]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_names_its_scikit_learn(tmp_path: Path, protocol: int) -> None:
    """The version is read from the bytes, whichever opcodes hold it."""
    assert made_with(tmp_path, "m.pkl", pickled("1.4.1.post1", protocol)) == [("scikit-learn", "1.4.1.post1")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_what_joblib_compressed_is_read(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    """All of joblib's compressors; arrays that lie raw between the opcodes do not matter."""
    data = b"\x80\x04" + bytes(range(256)) * 40_000 + pickled("0.24.2")
    assert made_with(tmp_path, "m.joblib", pack(data)) == [("scikit-learn", "0.24.2")]


def test_of_several_versions_the_newest_counts(tmp_path: Path) -> None:
    """A pipeline whose parts were made at different times needs the latest of them."""
    data = pickled("1.2.2") + pickled("1.10.0") + pickled("1.3.0")
    assert made_with(tmp_path, "m.sav", data) == [("scikit-learn", "1.10.0")]


@pytest.mark.parametrize(
    "data",
    [b'{"learner":{},"version":[1,7,6]}', b"{L\x00\x00\x07version[#L" + bytes(7) + b"\x03i\x01i\x07i\x06}"],
    ids=["json", "ubjson"],
)
def test_xgboost_leaves_its_version(tmp_path: Path, data: bytes) -> None:
    """In JSON as in UBJSON, alone or within a pickle."""
    assert made_with(tmp_path, "m.pkl", b"\x80\x04" + data) == [("xgboost", "1.7.6")]


def hdf5(*, inline: bool) -> bytes:
    """The parts of an HDF5 file that hold the attribute."""
    head = b"\x89HDF\r\n\x1a\n" + bytes(56)
    if inline:
        return head + b"keras_version\x00" + bytes(24) + b"2.4.3-tf\x0c\x00" + bytes(90)
    address = len(head)
    heap = b"GCOL" + bytes(12) + struct.pack("<HHIQ", 1, 1, 0, 6) + b"2.9.0\x00\x00\x00" + bytes(32)
    reference = struct.pack("<IQI", 5, address, 1)
    return head + heap + b"keras_version\x00" + bytes(40) + reference + bytes(90)


@pytest.mark.parametrize(("inline", "version"), [(True, "2.4.3-tf"), (False, "2.9.0")])
def test_keras_leaves_its_version_in_hdf5(tmp_path: Path, *, inline: bool, version: str) -> None:
    """In place, or in the global heap, as h5py writes strings."""
    assert made_with(tmp_path, "m.h5", hdf5(inline=inline)) == [("keras", version)]


def test_a_keras_archive_names_its_version(tmp_path: Path) -> None:
    """metadata.json of a .keras file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.3.3"}))
    assert made_with(tmp_path, "m.keras", out.getvalue()) == [("keras", "3.3.3")]


@pytest.mark.parametrize(
    "data",
    [b"", b"\x1f\x8bbroken", b"PK\x03\x04broken", b"x\x9cbroken", b"\x89HDF\r\n\x1a\n", b"_sklearn_version\x94\x8c"],
)
def test_a_broken_file_says_nothing(tmp_path: Path, data: bytes) -> None:
    """Whatever it holds, it is not this reader that fails."""
    assert made_with(tmp_path, "m.pkl", data) == []


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A pickle that would run a program when loaded does not."""
    target = tmp_path / "ran"
    data = b"cos\nsystem\n(S'touch " + str(target).encode() + b"'\ntR." + pickled("1.0.2")
    assert made_with(tmp_path, "m.pkl", data) == [("scikit-learn", "1.0.2")]
    assert not target.exists()


def test_what_was_found_is_kept(tmp_path: Path) -> None:
    """The same content is not read a second time."""
    store = Store(tmp_path / "home")
    data = pickled("1.0.2")
    assert made_with(tmp_path, "m.pkl", data, store) == [("scikit-learn", "1.0.2")]
    file = ApplicationFile("gone.pkl", "file", len(data), digest=Digest.of(data))
    (model,) = read_model_files(tmp_path, [file], store)
    assert model.made_with == (("scikit-learn", "1.0.2"),)
    store.close()
