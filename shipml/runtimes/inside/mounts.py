"""The root file system: an overlay of the layers, its upper folder in memory, and what Linux programs expect in it."""

from __future__ import annotations

import contextlib
import os
import stat

from shipml.runtimes.inside.libc import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
    pivot_root,
    unmount_lazily,
)

__all__ = ["MountError", "enter_root", "make_root"]

_FOLDER_MODE = 0o755
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_READ_ONLY = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""Below /proc: what root could change of the machine, since the IDs of the sandbox's root may be the machine's."""
_HIDDEN = (
    *("acpi", "asound", "kcore", "key-users", "keys", "latency_stats", "sched_debug", "scsi", "slabinfo"),
    *("timer_list", "timer_stats"),
)
"""Below /proc: what tells of the machine and of its users, as Docker hides it."""
_STATVFS_TO_MOUNT = ((os.ST_NOSUID, MS_NOSUID), (os.ST_NODEV, MS_NODEV), (os.ST_NOEXEC, MS_NOEXEC))


class MountError(OSError):
    """A part of the file system could not be made; `step` says which: "private", "overlay", "proc", "dev"."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.step = step


def make_root(layers: tuple[str, ...], mount_point: str, *, shared_memory_bytes: int, scratch_bytes: int | None) -> str:
    """Mount everything below `mount_point` (topmost layer first); returns the root's path.

    `shared_memory_bytes` is the size of /dev/shm, `scratch_bytes` that of all else that is written; both are memory.

    Raises:
        MountError: the kernel refuses.
    """
    _try("private", "none", "/", flags=MS_REC | MS_PRIVATE)
    scratch = "mode=755" if scratch_bytes is None else f"mode=755,size={scratch_bytes}"
    _try("private", "tmpfs", mount_point, "tmpfs", MS_NOSUID | MS_NODEV, scratch)
    for name in ("layers", "upper", "work", "root"):
        os.mkdir(f"{mount_point}/{name}")
        os.chmod(f"{mount_point}/{name}", _FOLDER_MODE)
    root = f"{mount_point}/root"
    _mount_overlay(layers, mount_point)
    for name in ("proc", "dev", "sys"):
        _make_folder(root, name)
    _try("proc", "proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in _READ_ONLY:
        if os.path.exists(f"{root}/proc/{name}"):
            _bind_read_only(f"{root}/proc/{name}", f"{root}/proc/{name}")
    _make_devices(f"{root}/dev", shared_memory_bytes)
    for name in _HIDDEN:
        _hide(f"{root}/proc/{name}", f"{root}/dev/null")
    with contextlib.suppress(OSError):  # it goes with the network namespace: not available with the machine's network
        mount("sysfs", f"{root}/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    return root


def enter_root(root: str) -> None:
    """Make `root` the root of this mount namespace and let go of the old one (pivot_root(2), NOTES)."""
    os.chdir(root)
    pivot_root(".", ".")
    unmount_lazily(".")
    os.chdir("/")


def _mount_overlay(layers: tuple[str, ...], mount_point: str) -> None:
    # Options fit in one page (4 KiB): short links, and names relative to their folder.
    os.chdir(f"{mount_point}/layers")
    for number, layer in enumerate(layers):
        os.symlink(layer, str(number))
    if not layers:
        os.mkdir("0", 0o755)
    lower = ":".join(str(number) for number in range(max(1, len(layers))))
    options = f"lowerdir={lower},upperdir={mount_point}/upper,workdir={mount_point}/work,userxattr"
    _try("overlay", "overlay", f"{mount_point}/root", "overlay", MS_NODEV, options)
    os.chdir("/")


def _make_folder(root: str, name: str) -> None:
    path = f"{root}/{name}"
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            return
        os.unlink(path)
    except FileNotFoundError:
        pass
    os.mkdir(path, 0o755)


def _make_devices(dev: str, shared_memory_bytes: int) -> None:
    _try("dev", "tmpfs", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k")
    for name in _DEVICES:
        os.close(os.open(f"{dev}/{name}", os.O_CREAT | os.O_CLOEXEC, 0o666))
        _bind_read_only(f"/dev/{name}", f"{dev}/{name}")
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"{dev}/{name}")
    os.symlink("pts/ptmx", f"{dev}/ptmx")
    for name in ("shm", "pts"):
        os.mkdir(f"{dev}/{name}", 0o755)
    _try(
        "dev", "tmpfs", f"{dev}/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=1777,size={shared_memory_bytes}"
    )
    _try("dev", "devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")


def _hide(path: str, nothing: str) -> None:
    if os.path.isdir(path):
        _try("proc", "tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=0")
    elif os.path.exists(path):
        _try("proc", nothing, path, flags=MS_BIND)


def _bind_read_only(source: str, target: str) -> None:
    """Bind, then protect: a device stays writable, its owner, mode and times do not."""
    _try("dev", source, target, flags=MS_BIND)
    found = os.statvfs(target).f_flag
    # flags that the outer mount has must not be dropped in a user namespace
    kept = sum(flag for seen, flag in _STATVFS_TO_MOUNT if found & seen)
    _try("dev", "none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


def _try(  # noqa: PLR0917  (as mount(2), behind the step)
    step: str, source: str, target: str, kind: str = "", flags: int = 0, options: str = ""
) -> None:
    try:
        mount(source, target, kind, flags, options)
    except OSError as error:
        raise MountError(step, error) from error
