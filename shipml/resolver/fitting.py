"""Which wheels run on a base, by their names alone."""

from __future__ import annotations

from collections.abc import Callable

from shipml.lock_file import wheel_tags
from shipml.oci.manifest import Platform
from shipml.plan.suites import PythonBase

__all__ = ["fits"]


def fits(base: PythonBase, platform: Platform) -> Callable[[str], bool]:
    """Whether the wheel of a file name runs on `base` (PEP 425, 427)."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415 - slow to import

    tags = frozenset(wheel_tags(base, platform))

    def fitting(filename: str) -> bool:
        try:
            return not tags.isdisjoint(parse_wheel_filename(filename)[3])
        except InvalidWheelFilename:
            return False

    return fitting
