"""A small Debian archive that tests write, sign and serve: real formats, made-up packages."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import http.server
import io
import lzma
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pysequoia

from shipml.debian.recipe import roots
from shipml.facts.pythons import SUITES, Suite

BOOKWORM = next(suite for suite in SUITES if suite.name == "bookworm")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def entry(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar entry: a file with `data`, or what `fields` make of it (type, linkname, mode, size)."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for attribute, value in fields.items():
        setattr(info, attribute, value)
    return info, data


def tar_bytes(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """A tar of these entries, in this order, whatever they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


def ar_bytes(members: Mapping[str, bytes]) -> bytes:
    """An ar archive, as deb(5) wants it."""
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def deb_bytes(
    name: str, entries: Sequence[tuple[tarfile.TarInfo, bytes]], *, version: str = "1.0-1", compression: str = "xz"
) -> bytes:
    """A .deb with these entries in data.tar."""
    pack: Callable[[bytes], bytes] = {"xz": lzma.compress, "gz": gzip.compress, "": bytes}[compression]  # type: ignore[assignment]
    end = f".{compression}" if compression else ""
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: T <t@example.org>\nDescription: x\n"
    )
    sums = f"{'0' * 32}  usr/share/{name}\n"
    scripts = [entry("./control", control.encode()), entry("./md5sums", sums.encode())]
    return ar_bytes(
        {
            "debian-binary": b"2.0\n",
            f"control.tar{end}": pack(tar_bytes(scripts)),
            f"data.tar{end}": pack(tar_bytes(entries)),
        }
    )


def elf_bytes(soname: str = "", needed: Sequence[str] = ()) -> bytes:
    """A shared object for amd64 that only says what it is called and what it needs."""
    strings, tags = bytearray(b"\0"), b""
    for tag, name in (*((1, name) for name in needed), *([(14, soname)] if soname else [])):
        tags += struct.pack("<QQ", tag, len(strings))
        strings += name.encode() + b"\0"
    table = 64 + 2 * 56
    tags += struct.pack("<QQQQ", 5, table, 0, 0)
    dynamic = table + len(strings)
    size = dynamic + len(tags)
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHLQQQLHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<LLQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    segment = struct.pack("<LLQQQQQQ", 2, 6, dynamic, dynamic, dynamic, len(tags), len(tags), 8)
    return head + load + segment + bytes(strings) + tags


@dataclass
class Package:
    """A package of the made-up archive."""

    name: str
    version: str = "1.0-1"
    fields: Mapping[str, str] = field(default_factory=dict)
    entries: Sequence[tuple[tarfile.TarInfo, bytes]] = ()
    architecture: str = "amd64"
    sha256: str = ""
    """Instead of the true digest."""


class Archive:
    """dists/ and pool/ below a folder, for one architecture."""

    def __init__(self, root: Path, key: pysequoia.Tsk) -> None:
        self.root = root
        self.key = key
        self.date = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        self.valid_until: dt.datetime | None = None

    def publish(
        self,
        codename: str,
        packages: Sequence[Package],
        *,
        archive: str = "debian",
        signed_name: str = "",
        cut_bytes: int = 0,
        by_hash: bool = True,
        lies: bool = False,
        contents: str = "",
    ) -> None:
        """Write packages and lists of a suite and sign them; `cut_bytes` are missing at the end of its indexes.

        Where it `lies`, the digest of the unpacked index is another's, and those of the packed ones are true.
        """
        root = self.root / archive
        stanzas = [self._stanza(root, package) for package in packages]
        text = "\n".join(stanzas).encode()
        folder = root / "dists" / codename / "main" / "binary-amd64"
        (folder / "by-hash" / "SHA256").mkdir(parents=True, exist_ok=True)
        lines = []
        for end, data in (("", text), (".gz", gzip.compress(text, mtime=0)), (".xz", lzma.compress(text))):
            digest = hashlib.sha256(data + b"x" * (lies and not end)).hexdigest()
            lines.append(f" {digest} {len(data)} main/binary-amd64/Packages{end}")
            for path in (folder / f"Packages{end}", folder / "by-hash" / "SHA256" / digest):
                path.write_bytes(data[: len(data) - cut_bytes])
        if contents:
            data = gzip.compress(contents.encode(), mtime=0)
            lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} main/Contents-amd64.gz")
            (folder.parent / "by-hash" / "SHA256").mkdir(parents=True, exist_ok=True)
            for path in (
                folder.parent / "Contents-amd64.gz",
                folder.parent / "by-hash" / "SHA256" / hashlib.sha256(data).hexdigest(),
            ):
                path.write_bytes(data)
        head = {"Origin": "Debian", "Suite": "test", "Codename": signed_name or codename, "Date": _date(self.date)}
        if self.valid_until:
            head["Valid-Until"] = _date(self.valid_until)
        if by_hash:
            head["Acquire-By-Hash"] = "yes"
        release = "".join(f"{name}: {value}\n" for name, value in head.items()) + "SHA256:\n" + "\n".join(lines) + "\n"
        signed = pysequoia.sign(self.key.signer(), release.encode(), mode=pysequoia.SignatureMode.CLEAR)
        (root / "dists" / codename / "InRelease").write_bytes(signed)

    def publish_suite(self, packages: Sequence[Package] = (), suite: Suite = BOOKWORM, **options: Any) -> None:
        """A whole suite with all roots of a base, `packages` added or in their place."""
        named = {package.name for package in packages}
        small = [root_package(name) for name in roots(suite) if name not in named]
        self.publish(suite.name, [*small, *packages], **options)
        self.publish(f"{suite.name}-updates", [])
        self.publish(f"{suite.name}-security", [], archive="debian-security")

    def spoil_contents(self) -> None:
        """Serve another Contents than the release names, as a mirror in the middle of an update does."""
        folder = self.root / "debian" / "dists" / "bookworm" / "main"
        for path in (*folder.glob("Contents*"), *(folder / "by-hash").glob("SHA256/*")):
            path.write_bytes(b"of another day")

    @staticmethod
    def _stanza(root: Path, package: Package) -> str:
        data = deb_bytes(package.name, package.entries, version=package.version)
        path = f"pool/main/{package.name}_{package.version.replace(':', '%3a')}_{package.architecture}.deb"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        fields = {
            "Package": package.name,
            "Version": package.version,
            "Architecture": package.architecture,
            **package.fields,
            "Filename": path,
            "Size": str(len(data)),
            "SHA256": package.sha256 or hashlib.sha256(data).hexdigest(),
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())


def root_package(name: str) -> Package:
    """A stand-in for one of the base's packages."""
    version = "3.11.2-6+deb12u9" if "python" in name else "1.0-1"
    entries = [entry(f"./usr/share/{name}", name.encode())]
    if name.endswith("-stdlib"):
        entries += [
            entry("./usr/lib/python3.11/this_one.py", b"print(1)\n"),
            entry("./usr/lib/python3.11/bad.py", b"("),
        ]
    if name == "ca-certificates":
        entries += [entry(f"./usr/share/ca-certificates/mozilla/{letter}.crt", letter.encode()) for letter in "BA"]
    return Package(name, version, entries=entries)


@dataclass
class Server:
    """A mirror on loopback."""

    url: str
    requests: list[str] = field(default_factory=list)
    """Paths in the order in which they were asked for."""


@contextmanager
def serve(root: Path) -> Iterator[Server]:
    """Serve a folder over HTTP."""
    requests: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, directory=str(root), **options)

        def log_message(self, *_: object) -> None:
            requests.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Server(f"http://127.0.0.1:{server.server_port}", requests)
        server.shutdown()
        thread.join()


def _date(moment: dt.datetime) -> str:
    return format_datetime(moment).replace("+0000", "UTC")
