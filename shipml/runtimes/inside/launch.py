"""The processes of a sandbox: launcher (outside) → init (PID 1 of the sandbox) → program.

When the launcher or shipml dies, init dies; when init dies, the kernel ends every process of the sandbox and drops its
mounts (pid_namespaces(7)). Nothing outside needs cleaning but the memory cgroup's folder, which the launcher removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time

from shipml.runtimes.inside import libc
from shipml.runtimes.inside.mounts import MountError, enter_root, make_root
from shipml.runtimes.inside.program import become
from shipml.runtimes.inside.protocol import (
    PACKET_BYTES,
    Spec,
    decode,
    encode,
)
from shipml.runtimes.inside.sockets import listening

__all__ = ["main"]

_WATCH_SECONDS = 0.05
_SIGNAL_BASE = 128
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h
_BUSY_TRIES = 50
_MOST_LISTENERS = 500


class _FailedError(Exception):
    """The sandbox could not be made: which step, and the kernel's reason."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(step)
        self.step = step
        self.error = error


def main(parent: int, control_descriptor: int, probe_descriptor: int, input_descriptor: int | None = None) -> None:
    """The launcher: reads the specification from standard input, ends when the sandbox or the process `parent` ends.

    The program's standard input is `input_descriptor`, else empty.
    """
    control = socket.socket(fileno=control_descriptor)
    probe = socket.socket(fileno=probe_descriptor)
    control.set_inheritable(False)
    probe.set_inheritable(False)
    init = _Init()
    signal.signal(signal.SIGTERM, init.end)
    spec = Spec.from_json(sys.stdin.buffer.read())
    given = os.open("/dev/null", os.O_RDONLY) if input_descriptor is None else input_descriptor
    os.dup2(given, 0)
    os.close(given)
    leftover = _Leftover(spec.cgroup) if spec.cgroup else None
    cgroup = os.open(f"{spec.cgroup}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) if spec.cgroup else None
    try:
        _make_namespaces(spec)
        libc.die_with_parent(signal.SIGTERM)  # only now: a change of user IDs would undo it
        if os.getppid() == parent and init.start() == 0:
            libc.die_with_parent(signal.SIGKILL)
            if leftover:
                leftover.forget()
            _be_init(spec, control, probe, cgroup)
        if init.wait() == 0:
            leftover = None  # shipml lives, and will ask the cgroup how it went
    except _FailedError as failure:
        _tell_failure(control, failure.step, failure.error)
    finally:
        if leftover:
            leftover.remove()


class _Init:
    """The sandbox's process 1. SIGTERM to the launcher, at any moment, ends it; so the handler raises nothing."""

    def __init__(self) -> None:
        self._process = 0
        self._ended = False

    def start(self) -> int:
        """Fork; 0 in the new process."""
        self._process = os.fork()
        if self._process and self._ended:
            self.end()
        return self._process

    def wait(self) -> int:
        """Wait for its end; returns the wait status, 0 only where it ended well."""
        if not self._process:
            return 1
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        return status

    def end(self, *_: object) -> None:
        self._ended = True
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)


class _Leftover:
    """A folder to be removed. Opened early: init takes the root that our paths start from with it."""

    def __init__(self, path: str) -> None:
        self._name = os.path.basename(path)
        self._parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def forget(self) -> None:
        """Close what is open: the program's process enters a folder of its image's choice before it executes."""
        os.close(self._parent)

    def remove(self) -> None:
        for _ in range(_BUSY_TRIES):
            try:
                os.rmdir(self._name, dir_fd=self._parent)
            except FileNotFoundError:
                return
            except OSError:  # its processes are dead, but not yet counted so
                time.sleep(0.01)
            else:
                return


def _make_namespaces(spec: Spec) -> None:
    launcher = os.getpid()
    ready, go = os.pipe(), os.pipe()
    mapper = os.fork() if spec.mapper != "self" else 0
    if spec.mapper != "self" and mapper == 0:
        _map_for(launcher, spec, ready, go)
    try:
        libc.unshare(libc.CLONE_NEWUSER)
    except OSError as error:
        raise _FailedError("user", error) from error
    try:
        if mapper:
            os.write(ready[1], b"x")
            _, status = os.waitpid(mapper, 0)
            if code := os.waitstatus_to_exitcode(status):
                raise _FailedError("map", OSError(abs(code), os.strerror(abs(code))))
        else:
            _write(f"/proc/{launcher}/setgroups", "deny")
            _write_maps(launcher, spec)
    except OSError as error:
        raise _FailedError("map", error) from error
    for end in (*ready, *go):
        os.close(end)
    kinds = libc.CLONE_NEWNS | libc.CLONE_NEWPID | libc.CLONE_NEWIPC | libc.CLONE_NEWUTS
    try:
        libc.unshare(kinds if spec.network else kinds | libc.CLONE_NEWNET)
    except OSError as error:
        raise _FailedError("namespaces", error) from error
    if spec.mapper != "self":
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        os.setgroups([])


def _map_for(launcher: int, spec: Spec, ready: tuple[int, int], go: tuple[int, int]) -> None:
    """A helper that stays outside and writes the launcher's maps once it is inside."""
    del go
    os.close(ready[1])
    code = 0
    if os.read(ready[0], 1):
        try:
            if spec.mapper == "root":
                _write_maps(launcher, spec)
            else:
                for program, rows in (("newuidmap", spec.uid_map), ("newgidmap", spec.gid_map)):
                    numbers = [str(number) for row in rows for number in row]
                    subprocess.run([program, str(launcher), *numbers], check=True, stderr=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            code = 1  # EPERM
        except OSError as error:
            code = error.errno or 1
    os._exit(code)


def _write_maps(process: int, spec: Spec) -> None:
    for name, rows in (("uid_map", spec.uid_map), ("gid_map", spec.gid_map)):
        _write(f"/proc/{process}/{name}", "".join(f"{a} {b} {c}\n" for a, b, c in rows))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _be_init(spec: Spec, control: socket.socket, probe: socket.socket, cgroup: int | None) -> None:
    """PID 1: never returns."""
    code = 1
    try:
        code = _run(spec, control, probe, cgroup)
    except MountError as error:
        _tell_failure(control, error.step, error)
    except OSError as error:
        _tell_failure(control, "inside", error)
    except BaseException as error:  # noqa: BLE001  (in a forked process it would be lost)
        _tell_failure(control, "inside", OSError(0, repr(error)))
    finally:
        os._exit(code)


def _run(spec: Spec, control: socket.socket, probe: socket.socket, cgroup: int | None) -> int:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)  # the program may share our user: it must not end its judge
    libc.join_new_session_keyring()
    if not spec.network:
        _raise_loopback()
    libc.set_hostname("shipml")
    root = make_root(
        spec.layers,
        spec.mount_point,
        shared_memory_bytes=spec.shared_memory_bytes,
        scratch_bytes=spec.scratch_bytes,
    )
    enter_root(root)
    if not spec.command:
        return 0
    _prepare(spec)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    program = os.fork()
    if program == 0:
        signal.set_wakeup_fd(-1)
        try:
            become(spec, control, cgroup)
        except OSError as error:
            _tell_failure(control, "program", error)
        except BaseException as error:  # noqa: BLE001  (in a forked process it would be lost)
            _tell_failure(control, "program", OSError(0, repr(error)))
        finally:
            os._exit(1)
    control.send(encode({"started": program}))
    return _attend(program, spec, control, probe, woken)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _prepare(spec: Spec) -> None:
    """Files and folders that the run needs, written where only this sandbox sees them."""
    for path, content in spec.files.items():
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            os.makedirs(os.path.dirname(f"/{path}"), exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"/{path}")
            _write(f"/{path}", content)
            os.chmod(f"/{path}", 0o644)
    with contextlib.suppress(OSError):  # a file, or in /proc: the program's start then says so
        os.makedirs(spec.working_dir, exist_ok=True)


def _attend(program: int, spec: Spec, control: socket.socket, probe: socket.socket, woken: int) -> int:
    """Serve both sockets and reap orphans until the program ends."""
    poll = select.poll()
    for source in (control.fileno(), probe.fileno(), woken):
        poll.register(source, select.POLLIN)
    out_of_memory = too_many = False
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(_WATCH_SECONDS * 1000)}
        if control.fileno() in ready:
            packet = control.recv(PACKET_BYTES)
            if not packet:
                return 1
            os.kill(program, decode(packet)["signal"])
        if probe.fileno() in ready and not _answer(probe, own_network=not spec.network):
            poll.unregister(probe.fileno())
        if woken in ready:
            os.read(woken, PACKET_BYTES)
        if not (out_of_memory or too_many):
            out_of_memory = spec.memory_bytes is not None and _used_bytes() > spec.memory_bytes
            too_many = sum(map(str.isdigit, os.listdir("/proc"))) > spec.processes
            if out_of_memory or too_many:
                os.kill(-1, signal.SIGKILL)
        exit_code = _reap(program)
        if exit_code is not None:
            control.send(encode({"exit_code": exit_code, "out_of_memory": out_of_memory, "too_many": too_many}))
            return 0


def _reap(program: int) -> int | None:
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return found
            if process == program:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else _SIGNAL_BASE - code
    return found


def _answer(probe: socket.socket, *, own_network: bool) -> bool:
    """One question on the probe socket; False where nobody asks any more."""
    question = probe.recv(PACKET_BYTES)
    if question == b"listening":
        with contextlib.suppress(OSError):
            probe.send(json.dumps(listening(own_network=own_network)[:_MOST_LISTENERS]).encode())
    elif question:
        family = socket.AF_INET6 if question == b"socket6" else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as made:
            socket.send_fds(probe, [b"socket"], [made.fileno()])
    return bool(question)


def _used_bytes() -> int:
    """Memory that only the sandbox holds: its processes' own pages, and what they share or have written to files.

    Files are in memory here, too; a shared page may be of such a file, so the larger of both counts.
    """
    own_kib = shared_kib = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            with contextlib.suppress(OSError), open(f"/proc/{name}/status", encoding="utf-8", errors="replace") as file:
                found = {name: value for name, _, value in (line.partition(":") for line in file)}
                own_kib += int(found.get("RssAnon", "0 kB").split()[0])
                shared_kib += int(found.get("RssShmem", "0 kB").split()[0])
    written_bytes = sum(
        (found.f_blocks - found.f_bfree) * found.f_frsize
        for found in map(os.statvfs, ("/", "/dev/shm"))  # noqa: S108
    )
    return own_kib * 1024 + max(shared_kib * 1024, written_bytes)


def _tell_failure(control: socket.socket, step: str, error: OSError) -> None:
    with contextlib.suppress(OSError):
        control.send(encode({"failed": step, "errno": error.errno or 0, "reason": str(error.strerror)}))
