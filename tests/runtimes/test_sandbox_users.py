from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipml.oci.layer_writer import LayerWriter
from shipml.runtimes.base import SmokeResult

Run = Callable[..., SmokeResult]
RunAs = Callable[..., dict[str, Any]]
_PROBE = (
    "id -u; id -g; stat -c %u:%a /roots/secret; cat /roots/secret || echo refused; "
    "touch /new && echo 'wrote /'; touch /tmp/new && echo 'wrote /tmp'"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")


@as_root
def test_root_has_all_users(run: Run) -> None:
    """Run by root, user 65532 is another user than root: it neither reads nor writes what is root's."""
    lines = run(_PROBE, User="65532").output.splitlines()
    assert lines[:3] == ["65532", "65532", "0:600"]
    assert "refused" in lines
    assert "wrote /" not in lines
    assert "wrote /tmp" in lines


@as_root
def test_owners_of_the_image_are_kept(run: Run, images: Any) -> None:
    """Run by root, files belong to whom the layer says, and root inside may change that."""
    layer = images.make_layer(lambda writer: writer.file("owned", b"", owner=65532))
    result = run("stat -c %u /owned; busybox chown 4711 /owned; stat -c %u /owned", layer, User="0")
    assert result.output.split() == ["65532", "4711"]


def test_set_user_id_programs_give_nothing(run: Run, images: Any) -> None:
    """No program gains root by its set-user-ID bit."""

    def fill(writer: LayerWriter) -> None:
        writer.file("bin/gain", images.BUSYBOX.read_bytes(), mode=0o4755)

    result = run(
        "/bin/gain 2>/dev/null; busybox grep -E 'NoNewPrivs|CapEff|Uid' /proc/self/status",
        images.make_layer(fill),
        User="worker",
    )
    fields = dict(line.split(":", 1) for line in result.output.splitlines())
    assert fields["NoNewPrivs"].strip() == "1"
    assert int(fields["CapEff"], 16) == 0
    assert set(fields["Uid"].split()) == {"65532"}


def test_root_lacks_dangerous_rights(run: Run) -> None:
    """Root inside keeps the file rights that Docker gives it, and may neither mount nor configure networks."""
    result = run("busybox grep CapBnd /proc/self/status; busybox mount -t tmpfs none /tmp || echo refused", User="root")
    kept = int(result.output.split()[1], 16)
    assert kept & (1 << 21) == 0, "CAP_SYS_ADMIN"
    assert kept & (1 << 1), "CAP_DAC_OVERRIDE"
    assert "refused" in result.output.splitlines()  # stdout and stderr come as they please


@as_root
def test_ordinary_user_with_one_id(run_as: RunAs) -> None:
    """An ordinary user runs images too; without further IDs all files are one user's, which is said."""
    result = run_as(_PROBE, account="nobody", user="worker")
    lines = result["output"].splitlines()
    assert lines[:3] == ["65532", "65532", "65532:600"]
    assert "wrote /tmp" in lines
    assert sum("owns root's files" in notice for notice in result["notices"]) == 1


@as_root
def test_ordinary_user_with_subordinate_ids(run_as: RunAs, account_with_ids: str) -> None:
    """An ordinary user with subordinate IDs gets users that are apart, as root does."""
    result = run_as(_PROBE, account=account_with_ids, user="worker")
    lines = result["output"].splitlines()
    assert lines[:3] == ["65532", "65532", "0:600"]
    assert "refused" in lines
    assert "wrote /" not in lines
    assert not result["notices"]


@as_root
@pytest.mark.parametrize("account", ["nobody"])
def test_memory_limit_of_ordinary_user(run_as: RunAs, account: str) -> None:
    """An ordinary user who may make no control group still has a memory limit."""
    result = run_as(f"exec tail -c {200 << 20} /dev/zero", account=account, memory_bytes=32 << 20)
    assert result["because"] == "killed: it needed more memory than the limit of 32 MiB"


@as_root
def test_ordinary_user_leaves_nothing(run_as: RunAs, open_folder: Path) -> None:
    """After a run of an ordinary user, the store's tmp is empty and its trees are the user's to delete."""
    run_as("echo x > /tmp/x; mkdir -p /tmp/a/b", account="nobody", user="worker")
    home = open_folder / "home-nobody"
    assert not list((home / "tmp").iterdir())
    assert {path.lstat().st_uid for path in home.rglob("*")} == {65534}
