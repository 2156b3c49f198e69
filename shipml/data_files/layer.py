"""Data as layers: NLTK's together, each repository of the Hub by itself."""

from __future__ import annotations

import stat
import zipfile
from pathlib import PurePosixPath

from shipml.errors import UntrustedInputError
from shipml.facts.data import HUB_HOME, DataFile, DataPin
from shipml.facts.plan import LayerPlan, Plan
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import LayerWriter
from shipml.session import Session
from shipml.store.layers import cached_layer, layer_key

__all__ = ["data_layer"]

_RECIPE = "2"
_UNPACKED_BYTES = 4 << 30
_MOST_FILES = 200_000


def data_layer(plan: Plan, layer: LayerPlan, *, session: Session) -> LayerValue:
    """The layer of the plan's data that `layer` names.

    Raises:
        UntrustedInputError: an archive holds what it must not.
        TryAgainError: what was removed from the store cannot be fetched again.
    """
    pins = [pin for pin in plan.data if f"{pin.kind} {pin.name}" in layer.members]
    files = sorted({file for pin in pins for file in pin.files})

    def write(writer: LayerWriter) -> None:
        made: set[str] = set()
        written: set[str] = set()
        for file in files:
            if file.path not in written:
                _write(writer, file, made, session)
                written.add(file.path)

    return cached_layer(
        session.store,
        write,
        key=layer_key("data", _RECIPE, [[file.path, str(file.digest), file.unpacks, file.text] for file in files]),
        kind="data",
        source=_source(pins),
    )


def _source(pins: list[DataPin]) -> str:
    first = pins[0].name if pins else "nothing"
    return first if len(pins) == 1 else f"{first} and {len(pins) - 1} more"


def _write(writer: LayerWriter, file: DataFile, made: set[str], session: Session) -> None:
    _folders(writer, file.path, made)
    if file.text:
        writer.file(file.path.lstrip("/"), file.text.encode(), mode=0o644)
        return
    path = session.http.fetch_blob(file.url, file.digest, session.store, size_bytes=file.size_bytes)
    with path.open("rb") as stream:
        if file.unpacks:
            with zipfile.ZipFile(stream) as archive:
                _unpack(writer, archive, file, made)
        else:
            writer.stored_file(file.path.lstrip("/"), stream, file.size_bytes, mode=0o644, owner=0)


def _unpack(writer: LayerWriter, archive: zipfile.ZipFile, file: DataFile, made: set[str]) -> None:
    """The members, each below a folder of the archive's own name, as NLTK's downloader has them."""
    parent = file.path.rpartition("/")[0]
    members = sorted(archive.infolist(), key=lambda one: one.filename)
    if len(members) > _MOST_FILES or sum(one.file_size for one in members) > _UNPACKED_BYTES:
        raise UntrustedInputError(f"{file.url} holds more than data of its kind does")
    for member in members:
        parts = PurePosixPath(member.filename).parts
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if not parts or parts[0] in {"/", ".."} or ".." in parts or "\\" in member.filename or is_link:
            raise UntrustedInputError(f"{file.url} holds {member.filename!r}, which leaves its folder")
        path = f"{parent}/{'/'.join(parts)}"
        if not member.is_dir() and path not in made:
            _folders(writer, path, made)
            writer.file(path.lstrip("/"), archive.read(member), mode=0o644)
            made.add(path)


def _folders(writer: LayerWriter, path: str, made: set[str]) -> None:
    """The folders above `path`: libraries write into the Hub's cache, and NLTK trusts none that others may write."""
    for at, char in enumerate(path):
        folder = path[:at]
        if char == "/" and folder not in {"", "/opt"} and folder not in made:
            mode = 0o777 if folder == HUB_HOME or folder.startswith(f"{HUB_HOME}/") else 0o755
            writer.directory(folder.lstrip("/"), mode=mode)
            made.add(folder)
