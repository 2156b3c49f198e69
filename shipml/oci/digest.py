"""Digests of content: `sha256:<64 hex digits>` (OCI image-spec 1.1, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from shipml.errors import UntrustedInputError

__all__ = ["Digest"]

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 digest; prints as `sha256:<hex>`."""

    hex: str
    """64 lower-case hexadecimal digits."""

    def __post_init__(self) -> None:
        if not _HEX.match(self.hex):
            raise UntrustedInputError(f"{self.hex[:80]!r} is not a SHA-256 digest (64 lower-case hex digits)")

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """The first 12 digits, as docker prints them."""
        return self.hex[:12]

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:<hex>`.

        Raises:
            UntrustedInputError: another algorithm, or not a digest.
        """
        algorithm, colon, digits = text.partition(":")
        if algorithm != "sha256" or not colon:
            raise UntrustedInputError(f"{text[:80]!r} is not a digest of the form sha256:<64 hex digits>")
        return cls(digits)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """The digest of bytes in memory."""
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def of_stream(cls, stream: BinaryIO) -> Digest:
        """The digest of all that is left in a binary stream, read in 1 MiB pieces."""
        hasher = hashlib.sha256()
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
        return cls(hasher.hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Digest:
        """The digest of a file."""
        with path.open("rb") as stream:
            return cls.of_stream(stream)
