"""Layers as transported → the tar inside: gzip, zstd (RFC 8878), or none, as the media type says."""

from __future__ import annotations

import gzip
import importlib
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO

from shipml.errors import UntrustedInputError

__all__ = ["decompressed"]

_ZSTD_IN_PYTHON = (3, 14)


@contextmanager
def decompressed(stream: BinaryIO, media_type: str) -> Iterator[IO[bytes]]:
    """The tar in a layer of this media type; broken compression is an error wherever in the block it is met.

    Raises:
        UntrustedInputError: the bytes are not compressed so, damaged or cut.
    """
    if media_type.endswith("zstd"):
        module = _zstd_module()
        try:
            with module.open(stream, "rb") as content:
                yield content
        except (EOFError, module.ZstdError) as error:
            raise _broken(error) from error
    elif media_type.endswith("gzip"):  # OCI's `…tar+gzip` and Docker's `…tar.gzip`
        from isal import igzip, isal_zlib

        try:
            with igzip.IGzipFile(fileobj=stream, mode="rb") as content:  # type: ignore[no-untyped-call]
                yield content  # type: ignore[misc]  # its stubs lack IO
        except (EOFError, gzip.BadGzipFile, zlib.error, isal_zlib.error) as error:  # type: ignore[misc]
            raise _broken(error) from error
    else:
        yield stream


def _zstd_module() -> Any:  # noqa: ANN401  (one of two modules that are the same)
    return importlib.import_module("compression.zstd" if sys.version_info >= _ZSTD_IN_PYTHON else "backports.zstd")


def _broken(error: Exception) -> UntrustedInputError:
    return UntrustedInputError(f"the layer is broken: {error}")
