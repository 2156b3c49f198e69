from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shipml.errors import UnavailableError, UsageError
from shipml.runtimes import RUNTIMES, choose
from shipml.runtimes import sandbox_errors as obstacles
from shipml.runtimes.sandbox import Sandbox
from shipml.store import Store


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("user/max_user_namespaces", "0"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
    ],
)
def test_settings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    """The kernel setting that forbids sandboxes to an ordinary user is named with the command that changes it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path = tmp_path / "sys" / setting
    path.parent.mkdir(parents=True)
    path.write_text(f"{value}\n")
    error = obstacles.explain("map", errno.EPERM, "Operation not permitted", proc=tmp_path)
    name = setting.replace("/", ".")
    assert f"the setting {name} forbids it" in error.message
    assert error.hint.startswith(f"run: sudo sysctl -w {name}=")


def test_old_kernel(tmp_path: Path) -> None:
    """Where the overlay cannot be mounted, the kernel version that is needed is named."""
    error = obstacles.explain("overlay", errno.EPERM, "Operation not permitted", proc=tmp_path)
    assert "5.11" in error.hint or "container" in error.hint
    assert "docker load" in error.hint


def test_choice(tmp_path: Path, images: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is the sandbox, unknown names are usage errors, and an engine that is not there says so."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    store = Store(tmp_path)
    image = images.make_image([], Cmd=["true"])  # type: ignore[attr-defined]
    assert isinstance(choose("auto", image, store), Sandbox)
    assert set(RUNTIMES) == {"sandbox", "docker"}
    with pytest.raises(UsageError, match="'podman'"):
        choose("podman", image, store)
    with pytest.raises(UnavailableError, match="no Docker Engine is running"):
        choose("docker", image, store)
    store.close()
