"""The application's files as layers: large files (weights) one layer each, stored; the rest in one."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from shipml.errors import BuildError
from shipml.facts.plan import (
    PREFIX,
    ApplicationFile,
    ImageBasePin,
    LayerPlan,
    Plan,
)
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import LayerWriter
from shipml.store import Store
from shipml.store.layers import cached_layer, layer_key

__all__ = ["application_layer", "owner_of"]

_NAMED_USERS = {"root": 0, "nonroot": 65532, "nobody": 65534}
_SMALL_BYTES = 4 << 20
_OF_THE_BASE = {"/"} | {
    f"/{path}"
    for path in (
        *("bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin"),
        *("srv", "sys", "tmp", "usr", "usr/bin", "usr/lib", "usr/local", "usr/local/bin", "usr/local/lib", "usr/sbin"),
        *("usr/share", "usr/src", "var", "var/lib", "var/log", "var/tmp"),
    )
}
"""Folders that a base has already: with modes, owners or links of its own."""
_MODES = {"/root": 0o700, "/tmp": 0o1777, "/var/tmp": 0o1777}  # noqa: S108  (the image's)
"""Those of them that the layer must name with their own mode, as it names the folders above its files."""
_MERGED = ("bin", "sbin", "lib", "lib64")
"""Links into /usr in the base: a folder of that name would take the link's place, and /bin/sh with it."""
_NOT_MERGED = ("stretch", "buster", "bullseye")
"""Suites whose images have folders there."""


def owner_of(user: str) -> int:
    """The user id that owns the application's files: the image's own, so that programs can write beside their code.

    At home a program writes its model next to its source; it must be able to do the same in the image.
    """
    name = user.partition(":")[0]
    return _NAMED_USERS.get(name, int(name) if name.isdecimal() else 0)


def application_layer(plan: Plan, layer: LayerPlan, folder: Path, store: Store) -> LayerValue:
    """The layer of the plan's application files that `layer` names (kind "weights" or "application").

    Raises:
        BuildError: a file is not what it was when the plan was made.
    """
    owner = owner_of(plan.user)
    by_path = {file.path: file for file in plan.application}
    files = _with_parents(by_path, layer.members)
    stored = layer.kind == "weights"
    places = _Places(plan)
    home = plan.home.lstrip("/") if layer.kind == "application" else ""
    generated = plan.generated if layer.kind == "application" else ()
    key = layer_key(
        "application",
        places.to_json(files),
        stored,
        owner,
        plan.modified_at_seconds,
        [[_hex(f.path), f.kind, f.executable, _hex(f.target), f.digest and str(f.digest)] for f in files],
        *([plan.home],) * bool(home),
        *([[one.path, one.text, one.executable] for one in generated],) * bool(generated),
    )

    def write(writer: LayerWriter) -> None:
        made: set[str] = set()
        for path in places.folders:
            _write_folders(writer, f"{path}/", made, owner)
        for file in files:
            for path in places.of(file):
                _write_folders(writer, path, made, owner)
                if file.kind == "directory":
                    _write_folders(writer, f"{path}/", made, owner)
                else:
                    _write_file(writer, file, path.lstrip("/"), folder, owner, stored=stored)
        if home:
            writer.directory(home, mode=0o777, owner=owner)  # whatever ID a platform runs it as
        made.update(_folders_of_venv(plan.python))
        for one in generated:
            _write_folders(writer, one.path, made, 0)
            writer.file(one.path.lstrip("/"), one.text.encode(), mode=0o755 if one.executable else 0o644)

    return cached_layer(
        store,
        write,
        key=key,
        kind=layer.kind,
        source=_source([file.path for file in files if file.kind != "directory"]),
        modified_at_seconds=plan.modified_at_seconds,
    )


class _Places:
    """Where the application's files lie."""

    def __init__(self, plan: Plan) -> None:
        is_merged = not (isinstance(plan.base, ImageBasePin) and plan.base.suite in _NOT_MERGED)
        real = _below_usr if is_merged else str
        self._root = real(plan.working_dir).rstrip("/")
        self._elsewhere: dict[str, list[str]] = {}
        for path, place in plan.places:
            self._elsewhere.setdefault(path, []).append(real(place))
        self._folders = [real(folder) for folder in plan.folders]

    @property
    def folders(self) -> list[str]:
        """Folders that are there whether or not files lie in them."""
        return [self._root, *self._folders]

    def of(self, file: ApplicationFile) -> list[str]:
        """The absolute paths of a file in the image."""
        return self._elsewhere.get(file.path, [f"{self._root}/{file.path}"])

    def to_json(self, files: Iterable[ApplicationFile]) -> list[Any]:
        """What the bytes of a layer with these files depend on."""
        return [
            self._root,
            [[_hex(place) for place in self._elsewhere.get(file.path, ())] for file in files],
            self._folders,
        ]


def _folders_of_venv(python: str) -> list[str]:
    """Folders that the layer of packages has made, each with its own mode."""
    site_packages = f"/{PREFIX}/lib/python{python}/site-packages"
    return [
        *(site_packages[:at] for at, char in enumerate(site_packages) if char == "/"),
        site_packages,
        f"/{PREFIX}/bin",
    ]


def _below_usr(path: str) -> str:
    """Where a path below a merged folder leads."""
    return f"/usr{path}" if path.split("/")[1] in _MERGED else path


def _write_folders(writer: LayerWriter, path: str, made: set[str], owner: int) -> None:
    """The folders above `path` that no base has, or whose mode must stay, each once, from the root down."""
    for at, char in enumerate(path):
        folder = path[:at]
        if char != "/" or not folder or folder in made:
            continue
        if folder in _MODES:
            writer.directory(folder.lstrip("/"), mode=_MODES[folder])
        elif folder not in _OF_THE_BASE:
            writer.directory(folder.lstrip("/"), owner=owner)
        made.add(folder)


def _with_parents(by_path: dict[str, ApplicationFile], members: Iterable[str]) -> list[ApplicationFile]:
    """The named files and every folder above them, parents first."""
    wanted = set(members)
    for path in tuple(wanted):
        parent = path.rpartition("/")[0]
        while parent and parent not in wanted:
            wanted.add(parent)
            parent = parent.rpartition("/")[0]
    return [by_path[path] for path in sorted(wanted) if path in by_path]


def _write_file(
    writer: LayerWriter, file: ApplicationFile, path: str, folder: Path, owner: int, *, stored: bool
) -> None:
    if file.kind == "symlink":
        writer.symlink(path, file.target, owner=owner)
        return
    mode = 0o755 if file.executable else 0o644
    with _opened(folder / file.path) as source:
        if stored or file.size_bytes > _SMALL_BYTES:
            found = writer.stored_file(path, source, file.size_bytes, mode=mode, owner=owner)
        else:
            data = source.read(file.size_bytes + 1)
            found = hashlib.sha256(data).hexdigest()
            writer.file(path, data, mode=mode, owner=owner)
    if file.digest is not None and found != file.digest.hex:
        raise _changed(file.path)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, opened without following a link that took its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise BuildError(f"cannot read {path}: {error.strerror}", hint="build again") from error
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _changed(str(path))
        yield stream


def _changed(path: str) -> BuildError:
    return BuildError(f"{path} changed while the image was built", hint="build again when nothing writes to it")


def _hex(text: str) -> str:
    """`text` as hex of its bytes: names may hold bytes that are not UTF-8."""
    return os.fsencode(text).hex()


def _source(paths: list[str]) -> str:
    """`app.py and 3 more`."""
    shown = [os.fsencode(path).decode("utf-8", "replace") for path in paths]
    first = min(shown, key=lambda path: (path.count("/"), path), default="no files")
    return first if len(shown) < 2 else f"{first} and {len(shown) - 1} more"  # noqa: PLR2004
