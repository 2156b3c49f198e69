"""A local socket whose connections are `ssh HOST docker system dial-stdio`, as the docker client itself does it.

The user's own ssh program brings their agent, keys, aliases and jump hosts; the SDK's paramiko would know none of them.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path
from urllib.parse import urlsplit

from shipml.errors import UnavailableError

__all__ = ["SshTunnel"]

_COMPLAINT_BYTES = 4096


class SshTunnel:
    """Listens at `url` until it is closed, or this process ends."""

    def __init__(self, ssh_url: str, connect_timeout_seconds: float) -> None:
        """Nothing is started before someone connects.

        Raises:
            UnavailableError: there is no ssh program.
        """
        if shutil.which("ssh") is None:
            raise UnavailableError(
                f"{ssh_url} needs the ssh program", hint="install it: sudo apt install openssh-client"
            )
        self._argv = _argv(ssh_url, connect_timeout_seconds)
        folder = Path(tempfile.mkdtemp(prefix="shipml-ssh-"))
        self._complaints = folder / "complaints"
        self._complaints.touch()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "s"))
        self._listener.listen()
        self.url = f"unix://{folder / 's'}"
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        threading.Thread(target=_serve, args=(self._listener, self._argv, self._complaints), daemon=True).start()

    def close(self) -> None:
        """Listen no more; ssh ends with the connections that it serves."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._remove()

    @property
    def complaint(self) -> str:
        """What ssh last said on stderr."""
        with contextlib.suppress(OSError):
            return self._complaints.read_text(errors="replace")[-_COMPLAINT_BYTES:].strip()
        return ""


def _argv(ssh_url: str, connect_timeout_seconds: float) -> list[str]:
    parts = urlsplit(ssh_url)
    argv = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, round(connect_timeout_seconds))}", "-T"]
    if parts.username:
        argv += ["-l", parts.username]
    if parts.port:
        argv += ["-p", str(parts.port)]
    host = ["-H", f"unix://{parts.path}"] if parts.path.strip("/") else []
    return [*argv, "--", parts.hostname or "", "docker", *host, "system", "dial-stdio"]


def _serve(listener: socket.socket, argv: list[str], complaints: Path) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError), complaints.open("wb") as stderr:
            process = subprocess.Popen(
                argv, stdin=connection.fileno(), stdout=connection.fileno(), stderr=stderr, start_new_session=True
            )
            threading.Thread(target=process.wait, daemon=True).start()  # no zombie
