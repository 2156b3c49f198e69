from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.events import Event, Notice
from shipml.runtimes import memory
from shipml.runtimes.base import SmokeResult

Run = Callable[..., SmokeResult]
_STUBBORN = "trap '' TERM; while true; do sleep 1; done"


def _alive(marker: str) -> list[str]:
    """Processes whose command line or environment has the marker, zombies aside."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if marker.encode() in text:
            found.append(folder.name)
    return found


def _gone(marker: str) -> bool:
    return _soon(lambda: not _alive(marker))


def _control_groups(start: str) -> list[str]:
    """Folders of control groups whose names begin so; os.walk passes over those of others that go meanwhile."""
    return [name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names if name.startswith(start)]


def _soon(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so, for which the kernel gets ten seconds."""
    deadline = time.monotonic() + 10
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def marker() -> str:
    """A text that no other process has."""
    return f"marker-{uuid.uuid4().hex}"


def test_time_limit(run: Run, marker: str) -> None:
    """A program that ignores SIGTERM is killed after its time, and fails."""
    result = run(f": {marker}; {_STUBBORN}", timeout_seconds=0.3)
    assert (result.passed, result.exit_code) == (False, None)
    assert result.because == "it was still running at the time limit of 0.3 s"
    assert not _alive(marker)


def test_program_may_tidy_up_at_the_time_limit(run: Run) -> None:
    """At the time limit SIGTERM comes first, and the program's last words are kept."""
    result = run("trap 'echo bye; exit 0' TERM; echo on; while true; do sleep 0.05; done", timeout_seconds=2.0)
    assert result.output == "on\nbye\n"


def test_alive_passes(run: Run) -> None:
    """What still runs at the time limit passes where that is wanted, unless its output lacks what it must have."""
    assert run("sleep 60", timeout_seconds=0.3, alive=True).passed
    assert not run("sleep 60", timeout_seconds=0.3, alive=True, expect="ready").passed


def test_children_end_with_the_program(run: Run, marker: str) -> None:
    """Daemons that the program leaves behind are gone when it ends, and do not delay the end."""
    started = time.monotonic()
    result = run(f"X={marker} sh -c '{_STUBBORN}' & exit 0")
    assert result.passed
    assert time.monotonic() - started < 25
    assert not _alive(marker)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_us(
    start: Callable[..., subprocess.Popen[bytes]], marker: str, number: signal.Signals
) -> None:
    """When shipml is killed or interrupted, every process of the sandbox ends, and no control group stays."""
    with start(f"echo begun; X={marker} sh -c '{_STUBBORN}'", memory_bytes=64 << 20) as process:
        assert process.stderr
        assert process.stderr.readline() == b"begun\n"
        assert _alive(marker)
        process.send_signal(number)
        process.communicate()
    assert _gone(marker)
    assert _gone(f"\0{process.pid}\0")  # the last argument of the process between
    assert _soon(lambda: not _control_groups(f"shipml-{process.pid}-"))


def test_launcher_killed_from_outside(start: Callable[..., subprocess.Popen[bytes]], marker: str) -> None:
    """When something kills the process between, the program ends too, and shipml says so."""
    with start(f"echo begun; X={marker} sh -c '{_STUBBORN}'") as process:
        assert process.stderr
        assert process.stderr.readline() == b"begun\n"
        (launcher,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(launcher), signal.SIGKILL)
        out, _ = process.communicate()
    assert b"the sandbox ended without saying how" in out
    assert _gone(marker)


def test_memory_limit(run: Run) -> None:
    """A program that needs more than its limit is killed, and the reason is given."""
    events: list[Event] = []
    result = run(f"exec tail -c {200 << 20} /dev/zero", memory_bytes=32 << 20, events=events)
    assert (result.passed, result.exit_code) == (False, 137)
    assert result.because == "killed: it needed more memory than the limit of 32 MiB"
    assert any(isinstance(e, Notice) and "32 MiB" in e.message for e in events)


def test_memory_limit_without_control_groups(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no control group can be made, shipml watches the use itself, over all processes together."""
    monkeypatch.setattr(memory, "_MOUNT", tmp_path)
    events: list[Event] = []
    result = run(f"tail -c {200 << 20} /dev/zero & wait", memory_bytes=32 << 20, events=events)
    assert (result.passed, result.exit_code) == (False, 137)
    assert result.because == "killed: it needed more memory than the limit of 32 MiB"
    assert any(isinstance(e, Notice) and "by shipml" in e.message for e in events)


def test_enough_memory(run: Run) -> None:
    """A program within its limit does not notice it."""
    assert run("head -c 4194304 /dev/zero | tail -c 1", memory_bytes=64 << 20).passed
