"""Pin → layers: the packages of the base in one layer, a project's own in a second on top.

Left out are manuals, documentation other than licences, translations, tzdata's two copies of itself, certificates that
are in the bundle anyway, texts of Python's help(), debugger scripts and services' start files; `recipe` has the list
with reasons. Nothing of a package is run: what its maintainer scripts would make is made here.
Bytecode of the standard library is part of the base, for a container's user cannot write it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from shipml.debian.bytecode import compile_sources
from shipml.debian.deb import DebMember, read_control, read_members
from shipml.debian.generated_files import (
    alternatives,
    base_furnishing,
    merged_links,
    shell_link,
)
from shipml.debian.loader_cache import MULTIARCH, cache_bytes
from shipml.debian.mirror import find_mirror
from shipml.debian.recipe import RECIPE, is_left_out
from shipml.debian.root_file_system import RootFileSystem, Sink
from shipml.errors import BuildError, StoreError
from shipml.events import Step, step
from shipml.facts.plan import BasePin, DebianPackagePin
from shipml.oci import layer_writer
from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue
from shipml.oci.manifest import (
    BYTECODE,
    KEY,
    KIND,
    SOURCE,
    Descriptor,
)
from shipml.session import Session
from shipml.store import Store
from shipml.store.fact import Fact
from shipml.store.layers import BASE_LAYERS, LayerFact, fetched
from shipml.text import counted, size_text
from shipml.wheels.interpreter import Interpreter

__all__ = ["base_layers", "fetch_packages", "layer_keys", "write_base"]

_CONTENT_FACT = "debian-content-1"


@dataclass(frozen=True, slots=True)
class _Content:
    """What a base layer has: see `RootFileSystem`."""

    entries: dict[str, str]
    libraries: dict[str, str]


_CONTENT = Fact(_CONTENT_FACT, _Content)

_DOWNLOADS = 8
_NAMES_SHOWN = 3
_READERS = 2
_HELD_BYTES = 8 << 20
"""Packages up to this size are unpacked in memory while the one before is written; larger ones as they are written."""


def base_layers(pin: BasePin, *, session: Session, interpreter: Callable[[], Interpreter]) -> list[LayerValue]:
    """The base layer and, where the pin has extra packages, a second one. Known layers cost nothing.

    `interpreter` gives a Python of the pin's version that runs here; asked for only when the base must be made.

    Raises:
        UntrustedInputError: a package is not the one of the pin, or is broken.
        BuildError, TryAgainError: a package is not available.
    """
    maker = _Maker(pin, interpreter, session=session)
    annotations = {KIND: "base", SOURCE: pin.reference, KEY: maker.base_key, BYTECODE: f"cpython-{pin.python}"}
    layers = [_layer(maker.base_key, annotations, maker.make_base, session.store)]
    if pin.extra_packages:
        names = [package.name for package in pin.extra_packages]
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        annotations = {KIND: "system", SOURCE: ", ".join(names[:_NAMES_SHOWN]) + more, KEY: maker.extra_key}
        layers.append(_layer(maker.extra_key, annotations, maker.make_extra, session.store))
    return layers


def layer_keys(pin: BasePin) -> list[tuple[str, str]]:
    """Kind and key of each layer that `base_layers` would give."""
    base_key = _key(pin.packages, pin.python)
    return [("base", base_key), *([("system", _key(pin.extra_packages, base_key))] if pin.extra_packages else [])]


def _key(packages: Sequence[DebianPackagePin], below: str) -> str:
    """All that a layer's bytes depend on."""
    facts = [RECIPE, layer_writer.RECIPE, below, *(f"{item.name} {item.digest}" for item in packages)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _layer(key: str, annotations: Mapping[str, str], make: Callable[[], Any], store: Store) -> LayerValue:
    fact = BASE_LAYERS.last(store, key)
    if fact is None:
        make()
        fact = BASE_LAYERS.last(store, key)
    if fact is None:
        raise StoreError(f"the fact about a base layer cannot be kept in the store {store.home}")
    return LayerValue(
        digest=fact.digest,
        diff_id=fact.diff_id,
        size_bytes=fact.size_bytes,
        opener=functools.partial(_open, fact.digest, fact.size_bytes, make, store),
        annotations=dict(annotations),
    )


def _open(digest: Digest, size_bytes: int, make: Callable[[], Any], store: Store) -> BinaryIO:
    """The layer's blob, fetched if a registry has it, else made again if it was pruned."""
    if not store.has_blob(digest) and not fetched(store, Descriptor("", digest, size_bytes)):
        make()
    if not store.has_blob(digest):
        raise BuildError(
            f"the base layer {digest.short} came out differently when it was made again",
            hint="build again with --upgrade",
        )
    return store.open_blob(digest)


class _Maker:
    """Makes the layers of one pin and notes their facts."""

    def __init__(self, pin: BasePin, interpreter: Callable[[], Interpreter], *, session: Session) -> None:
        self._pin = pin
        self._interpreter = interpreter
        self._store = session.store
        self._emit = session.emit
        self._fetch = functools.partial(fetch_packages, session=session)
        self.base_key = _key(pin.packages, pin.python)
        self.extra_key = _key(pin.extra_packages, self.base_key)

    def make_base(self, *, again: bool = False) -> None:
        """Write the base layer unless it is there; `again`: also then, as what is known of its content is lost."""
        debs = self._fetch(self._pin.packages)
        with self._store.lock(f"layer-{self.base_key}"), ThreadPoolExecutor(1) as pool:
            if again or not _is_made(self.base_key, self._store):
                with step(self._emit, "assemble", self._pin.reference) as running:
                    interpreter = pool.submit(self._interpreter).result  # unpacked while the packages are written
                    write = functools.partial(
                        write_base, pin=self._pin, debs=debs, interpreter=interpreter, running=running
                    )
                    _write_layer(self.base_key, self._store, write, running, self._pin.reference)

    def make_extra(self) -> None:
        """Write the layer of extra packages unless it is there."""
        debs = self._fetch(self._pin.extra_packages)
        what = counted(len(debs), "system package")
        below = self._content_of_base()
        with self._store.lock(f"layer-{self.extra_key}"):
            if not _is_made(self.extra_key, self._store):
                with step(self._emit, "system", what) as running:
                    write = functools.partial(_write_extra, pin=self._pin, debs=debs, below=below, running=running)
                    _write_layer(self.extra_key, self._store, write, running, what)

    def _content_of_base(self) -> _Content:
        known = _CONTENT.last(self._store, self.base_key)
        if known is None:
            self.make_base(again=True)
            known = _CONTENT.last(self._store, self.base_key)
        if known is None:
            raise StoreError(f"the fact about a base layer cannot be kept in the store {self._store.home}")
        return known


def _is_made(key: str, store: Store) -> bool:
    fact = BASE_LAYERS.last(store, key)
    return fact is not None and store.has_blob(fact.digest, fact.size_bytes)


def _write_layer(key: str, store: Store, write: Callable[[Sink], RootFileSystem], running: Step, what: str) -> None:
    with store.draft() as draft, layer_writer.LayerWriter(cast("BinaryIO", draft.stream)) as writer:
        root = write(writer)
        written = writer.close()
        store.adopt(draft, written.digest)
    _CONTENT.keep(store, key, _Content(root.entries, root.libraries))
    BASE_LAYERS.keep(store, key, LayerFact(written.digest, written.diff_id, written.size_bytes))
    running.detail = f"{what}, {size_text(written.size_bytes)}"


def fetch_packages(packages: Sequence[DebianPackagePin], *, session: Session) -> dict[str, Path]:
    """Bring the packages into the store, several at once; their paths by name.

    Raises:
        UntrustedInputError: a file is not the one of the pin.
        BuildError, TryAgainError: a file is not available.
    """

    def missing_now() -> list[DebianPackagePin]:
        return [package for package in packages if not session.store.has_blob(package.digest, package.size_bytes)]

    if missing_now():
        with session.store.lock(
            "debian-packages"
        ):  # the base and its interpreter want the same: one fetches, the other waits
            _fetch_missing(missing_now(), session=session)
    return {package.name: session.store.blob_path(package.digest) for package in packages}


def _fetch_missing(missing: Sequence[DebianPackagePin], *, session: Session) -> None:
    if missing:
        mirror = find_mirror()
        total_bytes = sum(package.size_bytes for package in missing)
        with (
            step(session.emit, "debian", counted(len(missing), "package")) as running,
            ThreadPoolExecutor(_DOWNLOADS) as pool,
        ):
            done_bytes = 0

            def progress(received_bytes: int) -> None:
                nonlocal done_bytes
                done_bytes += received_bytes
                running.progress(done_bytes, total_bytes)

            def fetch(package: DebianPackagePin) -> None:
                url = f"{mirror.archive(package.archive)}/{package.path}"
                session.http.fetch_blob(
                    url, package.digest, session.store, size_bytes=package.size_bytes, progress=progress
                )

            largest_first = sorted(missing, key=lambda package: -package.size_bytes)
            for job in [pool.submit(fetch, package) for package in largest_first]:
                job.result()
            running.detail = f"{counted(len(missing), 'package')}, {size_text(total_bytes)}"


def write_base(
    sink: Sink,
    pin: BasePin,
    debs: Mapping[str, Path],
    interpreter: Callable[[], Interpreter] | None,
    *,
    running: Step | None = None,
) -> RootFileSystem:
    """Write the canonical base into `sink`; without an interpreter, without bytecode. `running` hears how far it is."""
    python = ".".join(pin.python.split(".")[:2])
    root = RootFileSystem(sink, pin.platform.architecture)
    certificates: list[tuple[str, bytes]] = []
    sources: dict[str, bytes] = {}
    is_source = re.compile(rf"usr/lib/python{re.escape(python)}/.+\.py")

    def seen(member: DebMember) -> None:
        if member.kind == "file" and is_source.fullmatch(member.path):
            sources[member.path] = member.data
        elif member.path.startswith("usr/share/ca-certificates/") and member.path.endswith(".crt"):
            certificates.append((member.path, member.data))

    for owned in merged_links(pin.platform.architecture):
        root.add(owned.member, owner=owned.owner)
    for contents in _contents(pin.packages, debs, running):
        _add_package(root, contents, python, seen)
    bundle = b"".join(data.rstrip(b"\n") + b"\n" for _, data in sorted(certificates))
    for owned in base_furnishing(python, bundle):
        if owned.member.path not in root.entries:
            root.add(owned.member, owner=owned.owner)
    if interpreter is not None:
        kept = {path: data for path, data in sources.items() if path in sink}
        tag = f"cpython-{python.replace('.', '')}"
        for path, data in sorted(compile_sources(kept, interpreter(), tag=tag).items()):
            root.add(DebMember(path, "file", 0o644, data=data))
    _add_loader_cache(root, pin)
    return root


def _write_extra(
    sink: Sink, pin: BasePin, debs: Mapping[str, Path], below: _Content, *, running: Step
) -> RootFileSystem:
    architecture = pin.platform.architecture
    root = RootFileSystem(sink, architecture, below=below.entries, libraries=below.libraries)
    python = ".".join(pin.python.split(".")[:2])
    for contents in _contents(pin.extra_packages, debs, running):
        _add_package(root, contents, python)
    folder = f"usr/lib/{MULTIARCH[architecture]}"
    for owned in (*shell_link(root.entries), *alternatives(root.entries, folder)):
        root.add(owned.member)
        name = owned.member.path.rpartition("/")[2]
        if ".so" in name:
            root.libraries.setdefault(name, f"/{folder.removeprefix('usr/')}/{name}")
    _add_loader_cache(root, pin)
    return root


@dataclass(frozen=True, slots=True)
class _Contents:
    """What is in a package."""

    name: str
    control: Mapping[str, bytes]
    members: Iterable[DebMember]


def _contents(
    packages: Sequence[DebianPackagePin], debs: Mapping[str, Path], running: Step | None
) -> Iterator[_Contents]:
    """The contents of each package, the next ones being unpacked by other threads meanwhile."""

    def read(package: DebianPackagePin) -> _Contents:
        deb = debs[package.name]
        members = read_members(deb, package.name)
        held = list(members) if package.size_bytes <= _HELD_BYTES else members
        return _Contents(package.name, read_control(deb, package.name), held)

    sizes_bytes = {package.name: package.size_bytes for package in packages}
    done_bytes = 0
    with ThreadPoolExecutor(_READERS) as pool:
        waiting = deque(pool.submit(read, package) for package in packages[:_READERS])
        for following in (*packages[_READERS:], *[None] * len(waiting)):
            contents = waiting.popleft().result()
            if following is not None:
                waiting.append(pool.submit(read, following))
            yield contents
            done_bytes += sizes_bytes[contents.name]
            if running is not None:
                running.progress(done_bytes, sum(sizes_bytes.values()))


def _add_package(
    root: RootFileSystem, contents: _Contents, python: str, seen: Callable[[DebMember], None] = lambda _: None
) -> None:
    """All kept files of a package, and its entry for scanners in status.d, as distroless has it."""
    for member in contents.members:
        seen(member)
        if not is_left_out(contents.name, member.path, python):
            root.add(member)
    status = contents.control.get("control", b"").rstrip(b"\n") + b"\nStatus: install ok installed\n"
    root.add(DebMember(f"var/lib/dpkg/status.d/{contents.name}", "file", 0o644, data=status))
    if sums := contents.control.get("md5sums"):
        root.add(DebMember(f"var/lib/dpkg/status.d/{contents.name}.md5sums", "file", 0o644, data=sums))


def _add_loader_cache(root: RootFileSystem, pin: BasePin) -> None:
    data = cache_bytes(root.libraries, pin.platform.architecture)
    root.add(DebMember("etc/ld.so.cache", "file", 0o644, data=data), replace=True)
