"""What a program in the sandbox may take of the machine: no keys, no new namespaces, little of everything else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from shipml.runtimes.base import SmokeResult

Run = Callable[..., SmokeResult]
RunAs = Callable[..., dict[str, Any]]

_PLANT_A_KEY = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
add_key, keyctl = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine]
assert libc.syscall(keyctl, 1, None) >= 0, "no session keyring"
session = ctypes.c_int(-3)
assert libc.syscall(add_key, b"user", b"shipml-planted", b"secret", 6, session) >= 0, "no key"
os.execv(sys.argv[1], sys.argv[1:])
"""
ACCOUNTS = (None, "nobody")


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("user", ["", "0"])
def test_the_callers_keys_are_out_of_reach(run_as: RunAs, account: str | None, user: str) -> None:
    """A key in the caller's session keyring is not listed in the sandbox, for root and for others."""
    python = sys.executable if account is None else "/usr/bin/python3"
    prefix = (python, "-c", _PLANT_A_KEY)
    seen = run_as("cat /proc/keys; echo end", account=account, user=user, prefix=prefix)
    assert seen["output"].endswith("end\n")
    assert "shipml-planted" not in seen["output"]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_no_namespaces_within(run_as: RunAs, account: str | None) -> None:
    """The program cannot make namespaces, in which it would have more rights."""
    seen = run_as("unshare -U true; echo user $?; unshare -n true; echo net $?", account=account, user="0")
    assert "user 1" in seen["output"]
    assert "net 1" in seen["output"]


def test_shared_memory_is_as_small_as_dockers(run: Run) -> None:
    """/dev/shm has 64 MiB: what needs more fails here as it will where the image goes."""
    result = run("dd if=/dev/zero of=/dev/shm/x bs=1M count=65 2>/dev/null; stat -c %s /dev/shm/x")
    assert int(result.output) == 64 << 20


@pytest.mark.parametrize("user", ["", "0"])
def test_a_fork_bomb_is_stopped(run_as: RunAs, user: str) -> None:
    """The number of processes is limited, for root as well, and the machine goes on."""
    seen = run_as("i=0; while [ $i -lt 6000 ]; do sleep 20 & i=$((i+1)); done; echo all", user=user)
    assert not seen["output"].endswith("all\n")
    assert not seen["passed"]


@pytest.mark.parametrize("place", ["/dev/shm", "/tmp"])
@pytest.mark.parametrize("account", ACCOUNTS)
def test_files_count_as_memory(run_as: RunAs, account: str | None, place: str) -> None:
    """What is written is in memory, and within its limit."""
    write = f"dd if=/dev/zero of={place}/x bs=1M count=60; dd if=/dev/zero of=/tmp/y bs=1M count=60; sleep 1; echo done"
    seen = run_as(write, account=account, memory_bytes=100 << 20)
    both_are_there = seen["output"].count("records out") == 2 and seen["output"].endswith("done\n")
    assert not both_are_there


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "USR1", "QUIT"])
def test_the_program_cannot_end_its_judge(run_as: RunAs, account: str | None, name: str) -> None:
    """Signals to process 1, whose user the program may be, change nothing."""
    seen = run_as(f"kill -{name} 1; sleep 0.2; echo accuracy: 0.5; exit 3", account=account, user="0")
    assert (seen["exit_code"], seen["measures"]) == (3, {"accuracy": 0.5})
