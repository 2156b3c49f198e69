"""PyTorch's own index among a project's options: its builds are found otherwise, and nothing else comes from it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipml.project.inputs.base import Line

__all__ = ["split_options"]

_PYTORCH = re.compile(
    r"(?:-i|--index-url|--pypi-url|--extra-index-url|-f|--find-links)[ \t=]+[\"']?https?://download\.pytorch\.org/whl/?"
    r"(?:(?P<backend>cpu|cu\d+)/?)?(?:(?:torch_)?stable\.html)?[\"']?"
)


def split_options(options: Iterable[Line]) -> tuple[tuple[Line, ...], tuple[tuple[str, str], ...]]:
    """The options without those that name PyTorch's index, and which parts of it those named, and where.

    It also holds some releases of what PyTorch needs: as an index of equal rank it would hide all others of these.
    """
    kept, named = [], []
    for option in options:
        match = _PYTORCH.fullmatch(option.text.strip())
        if match is None:
            kept.append(option)
        else:
            named.append((match["backend"] or "", option.source))
    return tuple(kept), tuple(named)
