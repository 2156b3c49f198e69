"""System calls that a program in a container does not need: refused, as Docker's default profile refuses them.

A filter for seccomp(2), written as classic BPF (linux/filter.h, linux/seccomp.h). It lists what is refused, not what is
allowed: what a later kernel adds stays with that kernel's own checks.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from shipml.runtimes.inside import libc

__all__ = ["refuse_system_calls"]

_REFUSED = {
    # name: x86_64 (asm/unistd_64.h), others (asm-generic/unistd.h)
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mbind": (237, 235),
    "migrate_pages": (256, 238),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "set_mempolicy": (238, 237),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sysfs": (139, None),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_MACHINES = {"x86_64": (0xC000003E, 0, 56), "aarch64": (0xC00000B7, 1, 220)}
"""AUDIT_ARCH (linux/audit.h), column above, number of clone(2)."""
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020000
"""The CLONE_NEW… flags, as Docker masks them."""
_X32 = 0x40000000

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NR, _ARCH, _ARG0 = 0, 4, 16  # offsets in struct seccomp_data
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_PR_SET_SECCOMP, _FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_system_calls() -> None:
    """Install the filter for this process and what it becomes, where machine and kernel have a use for it.

    Needs `no_new_privileges` before it.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return
    code = _program(*machine)
    program = _Program(len(code) // 8, code)
    try:
        libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.addressof(program))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):  # a kernel without seccomp
            raise


def _program(audit_arch: int, column: int, clone: int) -> bytes:
    """The instructions: (code, jump if true, jump if false, value), jumps counted from the next one."""
    numbers = sorted(number for row in _REFUSED.values() if (number := row[column]) is not None)
    refuse, no_such = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    lines = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, audit_arch), refuse, (_LOAD, 0, 0, _NR)]
    lines += [(_AT_LEAST, 0, 1, _X32), refuse]
    lines += [(_EQUAL, 0, 1, _CLONE3), no_such]  # its flags are behind a pointer: the C library then takes clone
    for number in numbers:
        lines += [(_EQUAL, 0, 1, number), refuse]
    lines += [(_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _ARG0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), refuse]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
