"""Fixtures for wheels: a store, and layers of wheels made with the Python that runs the tests."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipml import wheels
from shipml.events import Emit, ignore
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci.image import LayerValue
from shipml.session import Session
from shipml.store import Store

MakeLayer = Callable[..., LayerValue]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def interpreter() -> wheels.Interpreter:
    """The Python that runs the tests."""
    return wheels.Interpreter((sys.executable,), {}, platform.python_version())


@pytest.fixture
def make_wheel_layer(store: Store, interpreter: wheels.Interpreter) -> MakeLayer:
    """Makes one layer of wheels, laid out for Python 3.11 but for the bytecode, which is the running Python's."""

    def make(
        *locked: LockedWheel, kind: str = "wheel", emit: Emit = ignore, into: Store | None = None, python: str = ""
    ) -> LayerValue:
        return wheels.layer(
            locked,
            kind=kind,  # type: ignore[arg-type]
            python=python or ".".join(platform.python_version_tuple()[:2]),
            interpreter=lambda: interpreter,
            python_version=platform.python_version(),
            session=Session(into or store, HttpClient(), emit),
        )

    return make
