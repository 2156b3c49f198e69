"""The system calls that Python's os module lacks (some until 3.12), through ctypes. Each raises OSError."""

from __future__ import annotations

import ctypes
import errno
import os

__all__ = [
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "die_with_parent",
    "drop_capabilities",
    "join_new_session_keyring",
    "mount",
    "no_new_privileges",
    "pivot_root",
    "prctl",
    "set_hostname",
    "unmount_lazily",
    "unshare",
]

# linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# linux/mount.h
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
_MNT_DETACH = 2

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_KEYCTL = {"x86_64": 250, "aarch64": 219}  # asm/unistd_64.h, asm-generic/unistd.h
_JOIN_SESSION_KEYRING = 1  # linux/keyctl.h

_KEPT_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31})
"""What Docker leaves to root, without raw sockets, devices and audit: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL,
SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP (linux/capability.h)."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds (CLONE_NEW…) for new ones."""
    _check(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount; empty texts become NULL."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            os.fsencode(options) or None,
        )
    )


def unmount_lazily(target: str) -> None:
    """umount2(2) with MNT_DETACH."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(_MNT_DETACH)))


def pivot_root(new_root: str, put_old: str) -> None:
    """Exchange the root of the mount namespace."""
    _check(_libc.pivot_root(os.fsencode(new_root), os.fsencode(put_old)))


def set_hostname(name: str) -> None:
    """sethostname(2)."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))))


def prctl(option: int, *values: int) -> None:
    """Call prctl with this option."""
    padded = [*values, 0, 0, 0, 0][:4]
    _check(_libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(value) for value in padded)))


def die_with_parent(signal_number: int) -> None:
    """Get this signal when the parent process (its thread that started us) ends."""
    prctl(_PR_SET_PDEATHSIG, signal_number)


def join_new_session_keyring() -> None:
    """Leave the caller's session keyring, with its tickets and tokens, for a new one (session-keyring(7))."""
    number = _KEYCTL.get(os.uname().machine)
    if number is not None and _libc.syscall(ctypes.c_long(number), ctypes.c_long(_JOIN_SESSION_KEYRING), None) < 0:
        code = ctypes.get_errno()
        if code != errno.ENOSYS:  # a kernel without keys has none to give
            raise OSError(code, os.strerror(code))


def no_new_privileges() -> None:
    """Let no later program gain rights by set-user-ID bits or file capabilities."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Leave to root in the sandbox what Docker would; other users have none after the program starts."""
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:  # no codec can be imported in the new root
        last = int(file.read())
    for number in range(last + 1):
        if number not in _KEPT_CAPABILITIES:
            prctl(_PR_CAPBSET_DROP, number)
