"""A registry in memory that keeps to the specification and is odd wherever it may be: uploads above all.

For what the CNCF registry never does. Its sessions' URLs are relative, have a query, and change with every answer.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import urllib.parse
from dataclasses import dataclass, field

from tests.peers.small_server import Asked, Reply

__all__ = ["OddRegistry"]


@dataclass
class OddRegistry:
    """What it has, and how odd it is."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    chunk_minimum_bytes: int = 0
    request_limit_bytes: int = 1 << 40
    """More in one request is refused with 413, as by a proxy."""
    takes_chunks: bool = True
    takes_nothing: bool = False
    """Whether chunks are answered as if they were stored."""
    keeps_half: int = 0
    """So many next chunks are stored by half and then refused with 416."""
    forgets: int = 0
    """So many next chunks end their session."""
    loses_answers: int = 0
    """So many next blobs are stored, and answered with 500."""
    garbles: int = 0
    """So many next blobs are taken for damaged."""
    sessions: dict[str, bytes] = field(default_factory=dict)
    state: str = ""
    """Of the latest answer: each must be used once."""
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __call__(self, asked: Asked) -> Reply:
        parts = urllib.parse.urlsplit(asked.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if len(asked.body) > self.request_limit_bytes:
            return Reply(413, b"<html>413 Request Entity Too Large</html>")
        if found := re.fullmatch(r"/v2/.+/blobs/(sha256:\w+)", parts.path):
            return Reply(200 if found[1] in self.blobs else 404, self.blobs.get(found[1], b""))
        if asked.method == "POST":
            name = str(next(self.numbers))
            self.sessions[name] = b""
            return self._at(name, 202)
        return self._session(asked, parts.path.rpartition("/")[2], query)

    def _session(self, asked: Asked, name: str, query: dict[str, str]) -> Reply:
        if name not in self.sessions or query["from"] != "a b":
            return Reply(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown"}]}')
        if asked.method == "DELETE":
            del self.sessions[name]
            return Reply(204)
        if asked.method == "GET":
            return self._at(name, 204)
        if query["state"] != self.state:
            return Reply(416)
        return self._patch(asked, name) if asked.method == "PATCH" else self._put(asked, name, query["digest"])

    def _patch(self, asked: Asked, name: str) -> Reply:
        if not self.takes_chunks:
            return Reply(405, b'{"errors":[{"code":"UNSUPPORTED","message":"no chunks"}]}')
        if self.forgets:
            self.forgets -= 1
            del self.sessions[name]
            return Reply(404)
        have = len(self.sessions[name])
        if asked.headers["content-range"] != f"{have}-{have + len(asked.body) - 1}":
            return Reply(416)
        if self.keeps_half:
            self.keeps_half -= 1
            self.sessions[name] += asked.body[: len(asked.body) // 2]
            return Reply(416)
        if not self.takes_nothing:
            self.sessions[name] += asked.body
        return self._at(name, 202)

    def _put(self, asked: Asked, name: str, digest: str) -> Reply:
        data = self.sessions.pop(name) + asked.body
        if self.garbles or f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            self.garbles -= 1
            return Reply(400, b'{"errors":[{"code":"DIGEST_INVALID","message":"digest is not what was uploaded"}]}')
        self.blobs[digest] = data
        if self.loses_answers:
            self.loses_answers -= 1
            return Reply(500)
        return Reply(201)

    def _at(self, name: str, status: int) -> Reply:
        """Where a session goes on, relative to whatever was asked."""
        self.state = str(next(self.numbers))
        headers = {
            "Location": f"../uploads/{name}?from=a%20b&state={self.state}",
            "Range": f"0-{max(len(self.sessions[name]) - 1, 0)}",
        }
        if self.chunk_minimum_bytes:
            headers["OCI-Chunk-Min-Length"] = str(self.chunk_minimum_bytes)
        return Reply(status, headers=headers)
