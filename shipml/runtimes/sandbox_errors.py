"""Why a sandbox cannot be made on this machine, and the way out: the kernel says EPERM for a dozen reasons."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from shipml.errors import UnavailableError

__all__ = ["WAY_OUT", "explain"]

WAY_OUT = "run the image with Docker: shipml build --output docker-archive:image.tar && docker load -i image.tar"
_SYSCTLS = (
    # path below /proc/sys, value that forbids, value that allows
    ("user/max_user_namespaces", "0", "28633"),
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
)
_WHAT = {
    "user": "make a user namespace",
    "map": "set the users of a user namespace",
    "namespaces": "make mount, process and network namespaces",
    "private": "mount in a namespace of its own",
    "overlay": "mount an overlay file system",
    "proc": "mount /proc in a namespace of its own",
    "dev": "set up /dev",
}


def explain(failed: str, number: int, reason: str, *, proc: Path = Path("/proc")) -> UnavailableError:
    """The error for a sandbox whose step `failed` (see `inside.protocol`) ended with the errno `number`."""
    message = f"cannot run here: the kernel does not let shipml {_WHAT.get(failed, 'set up the sandbox')} ({reason})"
    if sysctl := _forbidding(proc):
        name, allows = sysctl
        shown = f"{message}; the setting {name} forbids it"
        return UnavailableError(shown, hint=f"run: sudo sysctl -w {name}={allows}; or {WAY_OUT}")
    if _in_container():
        hint = "this is a container: start it with --privileged, or with --security-opt seccomp=unconfined "
        hint += f"--security-opt systempaths=unconfined; or {WAY_OUT}"
    elif failed == "overlay":
        hint = f"Linux 5.11 or newer is needed, this is {os.uname().release}; or {WAY_OUT}"
    elif number == errno.ENOSPC:
        hint = f"raise the limits in /proc/sys/user: sudo sysctl -w user.max_user_namespaces=28633; or {WAY_OUT}"
    else:
        hint = WAY_OUT
    return UnavailableError(message, hint=hint)


def _forbidding(proc: Path) -> tuple[str, str] | None:
    """The first kernel setting that forbids user namespaces to this user: its name, and the value that allows them."""
    for path, forbids, allows in _SYSCTLS:
        if os.geteuid() == 0 and path != "user/max_user_namespaces":
            continue
        try:
            value = (proc / "sys" / path).read_text().strip()
        except OSError:
            continue
        if value == forbids:
            return path.replace("/", "."), allows
    return None


def _in_container() -> bool:
    return (
        Path("/.dockerenv").exists()
        or Path("/run/.containerenv").exists()
        or not {"container", "KUBERNETES_SERVICE_HOST"}.isdisjoint(os.environ)
    )
