"""The image's program: how its process becomes what the image says, and how it is found."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket

from shipml.runtimes.inside.libc import drop_capabilities, no_new_privileges
from shipml.runtimes.inside.protocol import DEFAULT_PATH, Spec, encode
from shipml.runtimes.inside.seccomp import refuse_system_calls

__all__ = ["become"]

_NOT_EXECUTABLE = 126
_NOT_FOUND = 127


def become(spec: Spec, control: socket.socket, cgroup: int | None) -> None:
    """Replace this process by the program; where that fails, say why and exit 126 or 127 as a shell does."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) is not None:
            signal.signal(number, signal.SIG_DFL)
    os.setsid()
    if cgroup is not None:
        os.write(cgroup, b"0")
        os.close(cgroup)  # it leads to the machine's control groups, and the image chooses the working folder
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if spec.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (spec.file_bytes, spec.file_bytes))
    drop_capabilities()
    if spec.mapper != "self":
        os.setgroups(spec.groups)
        os.setresgid(spec.group_id, spec.group_id, spec.group_id)
        os.setresuid(spec.user_id, spec.user_id, spec.user_id)
    resource.setrlimit(resource.RLIMIT_NPROC, (spec.processes, spec.processes))
    no_new_privileges()
    refuse_system_calls()
    os.umask(0o022)
    exit_code, cause = _NOT_EXECUTABLE, ""
    try:
        os.chdir(spec.working_dir)
        exit_code, cause = _execute(spec)
    except OSError as error:
        cause = f"its working folder {spec.working_dir} cannot be entered ({error.strerror})"
    control.send(encode({"cause": cause}))
    os._exit(exit_code)


def _execute(spec: Spec) -> tuple[int, str]:
    """Try each folder of the image's PATH as execvp(3) does; returns only if none has the program."""
    name = spec.command[0]
    path = spec.environment.get("PATH", DEFAULT_PATH)
    candidates = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in path.split(":")]
    refused = ""
    for candidate in candidates:
        try:
            os.execve(candidate, spec.command, dict(spec.environment))  # noqa: S606
        except OSError as error:
            if error.errno == errno.ENOENT and os.path.lexists(candidate):
                refused = f"{candidate} names an interpreter or loader that the image lacks"
            elif error.errno == errno.ENOEXEC:
                refused = f"{candidate} is not a program for this CPU, and has no #! line"
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR):
                refused = refused or f"{candidate} cannot be executed ({error.strerror})"
    if refused:
        return _NOT_EXECUTABLE, refused
    where = "" if "/" in name else f" in the image's PATH ({path})"
    return _NOT_FOUND, f"{name} is not found{where}"
