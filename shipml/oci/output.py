"""Where an image can be written beside the store: `oci:DIR` or `docker-archive:FILE`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shipml.errors import UsageError
from shipml.events import Emit, step
from shipml.oci.archive import write_docker_archive
from shipml.oci.image import Image
from shipml.oci.layout import write_layout
from shipml.oci.reference import Reference

__all__ = ["Output", "write_outputs"]


@dataclass(frozen=True, slots=True)
class Output:
    """One target of `--output`; prints as it is typed."""

    kind: Literal["oci", "docker-archive"]
    path: Path

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}"

    @classmethod
    def parse(cls, text: str) -> Output:
        """Read `oci:DIR` or `docker-archive:FILE`.

        Raises:
            UsageError: another form.
        """
        kind, colon, path = text.partition(":")
        if not colon or not path or kind not in ("oci", "docker-archive"):
            raise UsageError(f"cannot write an image to {text!r}", hint="use oci:DIR or docker-archive:FILE")
        return cls("oci" if kind == "oci" else "docker-archive", Path(path))

    def write(self, image: Image, references: Sequence[Reference]) -> None:
        """Write `image` under these names.

        Raises:
            UsageError: the target exists and is something else.
            StoreError: the disk is full.
        """
        write = write_layout if self.kind == "oci" else write_docker_archive
        write(image, self.path, references)


def write_outputs(image: Image, targets: Sequence[Output], names: Sequence[Reference], emit: Emit) -> None:
    """Write an image to each of the targets, under its names."""
    for target in targets:
        with step(emit, "write", str(target)):
            target.write(image, names)
