"""What model files say about the libraries that made them. Nothing is unpickled: bytes are searched, no opcode is run.

A pickle's opcodes can't be followed without running parts of it: joblib writes arrays raw between them. But the strings
that scikit-learn leaves in it stand there as they are: the opcode that pushes the key `_sklearn_version`, then the one
that pushes the version (pickletools: UNICODE, BINUNICODE, SHORT_BINUNICODE). XGBoost leaves its version as JSON or
UBJSON, Keras as an attribute of an HDF5 file or in the metadata of a .keras archive.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from shipml.facts.plan import ApplicationFile
from shipml.facts.project import ModelFile
from shipml.store import Store

__all__ = ["read_model_files"]

RECIPE = 1
"""Part of the key under which what was found is kept."""
_SUFFIXES = (".pkl", ".pickle", ".joblib", ".sav", ".p", ".dat", ".mdl", ".model", ".h5", ".hdf5", ".keras", ".ubj")
_SUFFIXES_PACKED = (".gz", ".z", ".bz2", ".xz", ".lzma")
_WEIGHTS = (".pt", ".pth", ".onnx", ".safetensors", ".bin", ".npy", ".npz", ".pb", ".tflite", ".ckpt", ".parquet")
_POINTER_BYTES = 1024
"""A Git LFS pointer is shorter (its specification)."""
_MOST_FILES = 64
_LIMIT_BYTES = 1 << 30
"""Of one file, unpacked: what lies beyond is not read."""
_CHUNK_BYTES = 1 << 22
_OVERLAP_BYTES = 256
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"

_KEY = re.compile(rb"_sklearn_version(?:\x94|q.|r.{4}|\np\d+\n)?", re.DOTALL)
_LINE = re.compile(rb"[VS]'?(?P<text>[^\n']*)'?\n")
_LENGTHS = {0x8C: 1, ord("U"): 1, ord("X"): 4, ord("T"): 4}
"""Of the opcodes that push a string: how many bytes its length takes."""
_RELEASE = re.compile(r"\d+(?:\.\d+)+(?:\.?(?:post|dev|rc|a|b)\d+)*")
_XGBOOST_JSON = re.compile(rb'"version":\[(?P<major>\d+),(?P<minor>\d+),(?P<patch>\d+)\]')
_XGBOOST_UBJSON = re.compile(rb"version\[#L\x00{7}\x03i(?P<major>.)i(?P<minor>.)i(?P<patch>.)", re.DOTALL)
_KERAS_INLINE = re.compile(rb"keras_version\x00.{0,64}?(?P<version>\d+\.\d+\.\d+(?:-tf)?)\W", re.DOTALL)
_KERAS_REFERENCE = re.compile(rb"keras_version\x00(?P<rest>.{90})", re.DOTALL)
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-tf)?")


def read_model_files(folder: Path, files: Iterable[ApplicationFile], store: Store | None) -> tuple[ModelFile, ...]:
    """The model files that say what made them, and those that are Git LFS pointers; sorted by path.

    Args:
        folder: the project's root.
        files: of the application, with their digests.
        store: remembers what was found in which content; None reads all.
    """
    found = []
    for file in [one for one in files if _may_be_model(one)][:_MOST_FILES]:
        kept = _remembered(folder, file, store)
        if kept["pointer"] or kept["made_with"]:
            made_with = tuple((str(name), str(version)) for name, version in kept["made_with"])
            found.append(ModelFile(file.path, made_with, is_pointer=bool(kept["pointer"])))
    return tuple(found)


def _may_be_model(file: ApplicationFile) -> bool:
    name = file.path.lower()
    for packed in _SUFFIXES_PACKED:
        name = name.removesuffix(packed) if name.count(".") > 1 else name
    small = file.size_bytes <= _POINTER_BYTES and name.endswith(_WEIGHTS)
    return file.kind == "file" and (small or name.endswith((*_SUFFIXES, *_SUFFIXES_PACKED)))


def _remembered(folder: Path, file: ApplicationFile, store: Store | None) -> dict[str, Any]:
    key = f"{RECIPE} {file.digest}"
    if store is not None and file.digest is not None:
        known = store.fact("model", key)
        if isinstance(known, dict) and {"pointer", "made_with"} <= set(known):
            return known
    found = _read(folder / file.path)
    if store is not None and file.digest is not None:
        store.keep_fact("model", key, found)
    return found


def _read(path: Path) -> dict[str, Any]:
    """A file that cannot be read says nothing: whoever packs it explains that."""
    try:
        with path.open("rb") as stream:
            head = stream.read(len(_LFS_POINTER))
            if head == _LFS_POINTER:
                return {"pointer": True, "made_with": []}
            stream.seek(0)
            found = dict(_made_with(stream, head))
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, KeyError):
        found = {}
    return {"pointer": False, "made_with": sorted([name, version] for name, version in found.items())}


def _made_with(stream: IO[bytes], head: bytes) -> Iterator[tuple[str, str]]:
    """(distribution, version), the newest last where several are named."""
    if head.startswith(b"PK\x03\x04"):
        yield from _of_keras_archive(stream)
    elif head.startswith(b"\x89HDF\r\n\x1a\n"):
        yield from _of_hdf5(stream)
    else:
        found: dict[str, str] = {}
        for name, version in _of_bytes(_unpacked(stream, head)):
            found[name] = max(found.get(name, version), version, key=_order)
        yield from found.items()


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _unpacked(stream: IO[bytes], head: bytes) -> _Readable:
    """The pickle in what joblib compresses with."""
    openers: tuple[tuple[bytes, Callable[[IO[bytes]], _Readable]], ...] = (
        (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
        (b"BZh", bz2.BZ2File),
        (b"\xfd7zXZ", lzma.LZMAFile),
        (b"\x5d\x00", lzma.LZMAFile),
        (b"x", _ZlibFile),
    )
    for magic, opener in openers:
        if head.startswith(magic):
            return opener(stream)
    return stream


class _ZlibFile:
    """A zlib stream as a file that can be read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._unpacker = zlib.decompressobj()

    def read(self, size_bytes: int) -> bytes:
        while not self._unpacker.eof:
            data = self._unpacker.unconsumed_tail or self._stream.read(1 << 16)
            if out := self._unpacker.decompress(data, size_bytes):  # also of b"": what was over the limit is held back
                return out
            if not data:
                break
        return b""


def _of_bytes(stream: _Readable) -> Iterator[tuple[str, str]]:
    tail, read_bytes = b"", 0
    while read_bytes < _LIMIT_BYTES and (chunk := stream.read(_CHUNK_BYTES)):
        read_bytes += len(chunk)
        data = tail + chunk
        for match in _KEY.finditer(data):
            if _RELEASE.fullmatch(version := _pushed(data, match.end())):
                yield "scikit-learn", version
        for match in _XGBOOST_JSON.finditer(data):
            yield "xgboost", b".".join(match.group("major", "minor", "patch")).decode()
        for match in _XGBOOST_UBJSON.finditer(data):
            yield "xgboost", ".".join(str(part[0]) for part in match.group("major", "minor", "patch"))
        tail = data[-_OVERLAP_BYTES:]


def _pushed(data: bytes, start: int) -> str:
    """The string that the opcode at `start` pushes, "" for other opcodes."""
    if match := _LINE.match(data, start):
        return match["text"].decode("ascii", "replace")
    width = _LENGTHS.get(data[start], 0) if start < len(data) else 0
    length = int.from_bytes(data[start + 1 : start + 1 + width], "little") if width else 0
    return data[start + 1 + width : start + 1 + width + min(length, 32)].decode("ascii", "replace")


def _of_keras_archive(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    """A .keras archive: metadata.json names the version."""
    with zipfile.ZipFile(stream) as archive:
        info = archive.getinfo("metadata.json")
        if info.file_size <= _CHUNK_BYTES:
            version = json.loads(archive.read(info)).get("keras_version", "")
            if isinstance(version, str) and _VERSION.fullmatch(version):
                yield "keras", version


def _of_hdf5(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    """The attribute keras_version: in place, or in a global heap that length, address and index point to.

    HDF5 file format specification 3.0, "Attribute message" and "Disk format: level 1E - global heap".
    """
    data = stream.read(_CHUNK_BYTES)
    if match := _KERAS_INLINE.search(data):
        yield "keras", match["version"].decode()
        return
    for match in _KERAS_REFERENCE.finditer(data):
        for start in range(len(match["rest"]) - 16):
            length = int.from_bytes(match["rest"][start : start + 4], "little")
            address = int.from_bytes(match["rest"][start + 4 : start + 12], "little")
            if 5 <= length <= 16 and data[address : address + 4] == b"GCOL":  # noqa: PLR2004 - "2.9.0", "2.12.0-tf"
                index = int.from_bytes(match["rest"][start + 12 : start + 16], "little")
                text = _heap_object(data, address + 16, index)[:length].decode("ascii", "replace")
                if _VERSION.fullmatch(text):
                    yield "keras", text
                    return


def _heap_object(data: bytes, start: int, index: int) -> bytes:
    """Object `index` of a global heap collection whose objects begin at `start`."""
    while start + 16 <= len(data):
        number = int.from_bytes(data[start : start + 2], "little")
        size_bytes = int.from_bytes(data[start + 8 : start + 16], "little")
        if number == index:
            return data[start + 16 : start + 16 + size_bytes]
        if number == 0:
            break
        start += 16 + (size_bytes + 7) // 8 * 8
    return b""
