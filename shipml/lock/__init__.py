"""The lock as a file: a standard pylock.toml (PEP 751) that also pins the base, under [tool.shipml]."""

from __future__ import annotations

from shipml.lock.choosing import marker_environment, select_wheels, wheel_tags
from shipml.lock.reading import load_lock, locked_image
from shipml.lock.writing import dump_lock

__all__ = ["dump_lock", "load_lock", "locked_image", "marker_environment", "select_wheels", "wheel_tags"]
