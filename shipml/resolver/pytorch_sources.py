"""A project that sends uv to PyTorch's index itself, where that cannot be asked: the ordinary index stands in."""

from __future__ import annotations

import re
from dataclasses import replace

from shipml.plan.declared import Change, Declared, DeclaredRequirement
from shipml.plan.gpu_packages import PYTORCH_BUILDS
from shipml.resolver.pytorch_index import PyTorchIndex

__all__ = ["without_pytorch_sources"]

_INDEX = re.compile(r"https://download\.pytorch\.org/whl/(?P<backend>cpu|cu\d+)?")
_LOCAL = re.compile(r"(?<===)(?P<public>[^+\s;]+)\+[\w.]+")


def without_pytorch_sources(declared: Declared, index: PyTorchIndex) -> tuple[Declared, Change | None]:
    """What is asked for without PyTorch's index, and what is told of it; None where all may stay as it is.

    Args:
        declared: what the project asks for.
        index: PyTorch's, or the mirror that is named for it.
    """
    texts = (*declared.texts, *declared.inputs) if declared.as_it_stands else ()
    found = next(((path, match) for path, text in texts if (match := _INDEX.search(text))), None)
    if found is None:
        return declared, None
    path, match = found
    because = index.unreachable(match["backend"] or "cpu")
    if not because:
        return declared, None
    change = Change(
        "version",
        f"{', '.join(PYTORCH_BUILDS)} from {match[0]}",
        "those of the ordinary index",
        f"{index.name} cannot be asked: {because}",
        path,
    )
    constraints = tuple(_without_local(one) for one in declared.constraints)
    return replace(declared, constraints=constraints), change


def _without_local(one: DeclaredRequirement) -> DeclaredRequirement:
    """A lock's `torch==2.5.1+cpu` as `torch==2.5.1`."""
    if one.name not in PYTORCH_BUILDS:
        return one
    return replace(one, line=_LOCAL.sub(r"\g<public>", one.line), version=one.version.partition("+")[0])
