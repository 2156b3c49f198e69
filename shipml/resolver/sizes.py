"""Sizes of what resolved, as far as indexes tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipml.plan.gpu_packages import PYTORCH_BUILDS
from shipml.resolver.fitting import fits
from shipml.resolver.pytorch_index import PyTorchIndex
from shipml.resolver.survey import filename
from shipml.resolver.uv import Question

__all__ = ["knows_sizes", "names_of", "shown_size", "wheels_size_bytes", "with_sizes"]


def with_sizes(document: dict[str, Any], index: PyTorchIndex) -> dict[str, Any]:
    """The document with the sizes of torch's own builds, which lists of links do not tell."""
    for package in document.get("packages", ()):
        for wheel in package.get("wheels", ()) if package["name"] in PYTORCH_BUILDS else ():
            if "size" not in wheel and (size_bytes := index.size_bytes(str(wheel.get("url", "")))) is not None:
                wheel["size"] = size_bytes
    return document


def knows_sizes(document: Mapping[str, Any]) -> bool:
    """Whether torch's own builds tell theirs: if not, what is saved is the libraries alone, and perhaps more."""
    torch = [one for one in document.get("packages", ()) if one["name"] in PYTORCH_BUILDS]
    return all("size" in wheel for one in torch for wheel in one.get("wheels", ()))


def names_of(document: Mapping[str, Any]) -> list[str]:
    """The packages of a resolution."""
    return [str(one["name"]) for one in document.get("packages", ())]


def wheels_size_bytes(document: Mapping[str, Any], question: Question, names: set[str] | None = None) -> int:
    """Of the wheels for the target, as far as they are known."""
    fitting = fits(question.base, question.platform)
    return sum(
        max((one.get("size") or 0 for one in package.get("wheels", ()) if fitting(filename(one))), default=0)
        for package in document.get("packages", ())
        if names is None or package["name"] in names
    )


def shown_size(size_bytes: int) -> str:
    """In decimal units, as docker prints sizes."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 10**9 else f"{size_bytes / 1e6:.0f} MB"
