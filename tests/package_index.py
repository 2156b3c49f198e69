"""A package index on a loopback port (PEP 503/691) with wheels made here: uv meets it as it meets any other."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import ssl
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

__all__ = ["PackageIndex", "make_source", "make_wheel", "serve_index"]


def make_wheel(
    name: str,
    version: str,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    *,
    ballast_bytes: int = 0,
    files: Mapping[str, bytes] = MappingProxyType({}),
    record: str | None = None,
) -> tuple[str, bytes]:
    """(file name, bytes) of a wheel with one module, `files` and `ballast_bytes` that do not get smaller.

    `record` takes the place of a true RECORD.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    texts = {
        f"{name.replace('-', '_')}.py": f"version = {version!r}\n",
        f"{stem}.dist-info/METADATA": "\n".join(lines) + "\n",
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    rows = "".join(f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in texts.items())
    rows += "".join(f"{path},sha256={_hash(data)},{len(data)}\n" for path, data in files.items())
    if ballast_bytes:
        rows += f"{stem}.dist-info/ballast,sha256={_hash(chr(0) * ballast_bytes)},{ballast_bytes}\n"
    texts[f"{stem}.dist-info/RECORD"] = f"{rows}{stem}.dist-info/RECORD,,\n" if record is None else record
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        contents: dict[str, str | bytes] = {**texts, **files}
        for path, content in contents.items():
            archive.writestr(zipfile.ZipInfo(path), content)
        if ballast_bytes:
            archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/ballast"), bytes(ballast_bytes), zipfile.ZIP_STORED)
    return f"{stem}-{tag}.whl", out.getvalue()


def make_source(name: str, version: str, requires: Sequence[str] = ()) -> tuple[str, bytes]:
    """(file name, bytes) of a source distribution with one module, as setuptools makes them."""
    stem = f"{name}-{version}"
    files = {
        f"{stem}/PKG-INFO": f"Metadata-Version: 1.1\nName: {name}\nVersion: {version}\n",
        f"{stem}/setup.py": "from setuptools import setup\n"
        f"setup(name={name!r}, version={version!r}, py_modules=[{name!r}])\n",
        f"{stem}/{name}.py": f"version = {version!r}\n",
        f"{stem}/{name}.egg-info/requires.txt": "".join(f"{one}\n" for one in requires),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return f"{stem}.tar.gz", out.getvalue()


def _hash(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


class PackageIndex:
    """What the index holds, how it answers, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, str] = {}
        """When each file was uploaded (RFC 3339)."""
        self.requests: list[str] = []
        self.status = 200
        self.credentials: tuple[str, str] | None = None
        self.host = ""
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Of the simple API."""
        return f"http://{self.host}/simple"

    def add(
        self,
        name: str,
        version: str,
        tag: str = "py3-none-any",
        requires: Sequence[str] = (),
        *,
        uploaded: str = "2024-01-01",
        **content: Any,
    ) -> None:
        """Publish a wheel, on the day `uploaded`; `content` as `make_wheel` takes it."""
        filename, data = make_wheel(name, version, tag, requires, **content)
        self._publish(filename, data, uploaded)

    def add_source(
        self, name: str, version: str, requires: Sequence[str] = (), *, uploaded: str = "2024-01-01"
    ) -> None:
        """Publish a release that has no wheel."""
        filename, data = make_source(name, version, requires)
        self._publish(filename, data, uploaded)

    def _publish(self, filename: str, data: bytes, uploaded: str) -> None:
        self.files[filename] = data
        self.uploads[filename] = f"{uploaded}T00:00:00Z"

    def answer(self, path: str, authorization: str | None) -> tuple[int, str, bytes]:
        """(status, media type, body) for a request."""
        self.requests.append(path)
        if self.credentials is not None:
            expected = base64.b64encode(":".join(self.credentials).encode()).decode()
            if authorization != f"Basic {expected}":
                return 401, "text/plain", b"who are you?"
        if self.status != 200:
            return self.status, "text/plain", b"no"
        if path.startswith("/simple/"):
            return self._project(path.removeprefix("/simple/").strip("/"))
        if path.startswith("/whl/"):
            return self._links(*path.removeprefix("/whl/").strip("/").partition("/")[::2])
        data = self.files.get(unquote(path.removeprefix("/files/")))
        return (404, "text/plain", b"") if data is None else (200, "application/octet-stream", data)

    def _links(self, build: str, name: str) -> tuple[int, str, bytes]:
        """The page of PyTorch's index for one accelerator and package: links alone, to files of that build."""
        links = [
            f'<a href="/files/{quote(filename)}#sha256={hashlib.sha256(data).hexdigest()}">{filename}</a><br/>'
            for filename, data in sorted(self.files.items())
            if filename.startswith(f"{name}-") and f"+{build}-" in filename
        ]
        if not links:
            return 404, "text/plain", b""
        return 200, "text/html", f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()

    def _project(self, name: str) -> tuple[int, str, bytes]:
        found = {
            filename: data
            for filename, data in sorted(self.files.items())
            if filename.split("-")[0].replace("_", "-") == name
        }
        if not found:
            return 404, "text/plain", b""
        files = [
            {
                "filename": filename,
                "url": f"{self.scheme}://{self.host}/files/{filename}",
                "size": len(data),
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
                "upload-time": self.uploads.get(filename, "2024-01-01T00:00:00Z"),
            }
            for filename, data in found.items()
        ]
        document = {"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": []}
        return 200, "application/vnd.pypi.simple.v1+json", json.dumps(document).encode()


@contextmanager
def serve_index(tls: ssl.SSLContext | None = None) -> Iterator[PackageIndex]:
    """An empty index while the block runs, over TLS where a context is given."""
    index = PackageIndex()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, media_type, body = index.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Accept-Ranges", "none")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may hang up
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        index.scheme = "https"
    index.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
