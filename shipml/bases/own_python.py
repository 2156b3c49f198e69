"""The user's own Pythons: programs of this machine that the user runs anyway, so that shipml may run them too."""

from __future__ import annotations

import os
import platform as host
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from shipml.errors import UnavailableError
from shipml.oci.manifest import Platform
from shipml.wheels.interpreter import Interpreter

__all__ = ["ENVIRONMENT", "OPTIONS", "host_platform", "installed"]

OPTIONS = ("-s", "-S", "-B")
ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_VERSION_SECONDS = 30
_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


def host_platform() -> Platform | None:
    """The platform whose programs run here as they are; None on other systems than Linux."""
    architecture = _ARCHITECTURES.get(host.machine())
    return Platform("linux", architecture) if sys.platform == "linux" and architecture else None


def installed(python: str, *, untrusted: Path | None = None) -> Interpreter:
    """A Python of that minor version: the one that runs shipml, one on PATH, or one of pyenv's or uv's.

    Nothing is downloaded. Folders of PATH that are relative, or lie in `untrusted` (the project, which may come from
    anyone), do not count; nor does a program that leads into it. The programs are started in /, so that no file of
    the project (.python-version) chooses among them.

    Raises:
        UnavailableError: there is none.
    """
    folders = _trusted_folders(untrusted)
    environment = {**ENVIRONMENT, "PATH": os.pathsep.join(folders) or ENVIRONMENT["PATH"]}
    for program in _candidates(python, folders):
        if program != Path(sys.executable) and _is_in(program, untrusted):
            continue
        version = _version_of(program, environment)
        if version.startswith(f"{python}."):
            return Interpreter((str(program), *OPTIONS), environment, version)
    raise UnavailableError(
        f"Python {python} is needed here to compile bytecode, and is not installed",
        hint=f"install it: uv python install {python}",
    )


def _candidates(python: str, folders: list[str]) -> Iterator[Path]:
    if sys.executable and python == ".".join(map(str, sys.version_info[:2])):
        yield Path(sys.executable)
    for folder in folders:
        yield Path(folder, f"python{python}")
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    homes = [Path.home() / ".pyenv" / "versions", Path(data, "uv", "python")]
    if chosen := os.environ.get("UV_PYTHON_INSTALL_DIR"):
        homes.append(Path(chosen))
    for home in filter(Path.is_absolute, homes):
        yield from sorted(home.glob(f"*{python}.*/bin/python{python}"), reverse=True)


def _trusted_folders(untrusted: Path | None) -> list[str]:
    listed = os.environ.get("PATH", "").split(os.pathsep)
    return [folder for folder in listed if Path(folder).is_absolute() and not _is_in(Path(folder), untrusted)]


def _is_in(path: Path, folder: Path | None) -> bool:
    """Whether the path, as written or with its links followed, is in the folder."""
    if folder is None:
        return False
    return Path(os.path.normpath(path)).is_relative_to(folder.absolute()) or path.resolve().is_relative_to(
        folder.resolve()
    )


def _version_of(program: Path, environment: dict[str, str]) -> str:
    """Its full version; "" where it does not say."""
    try:
        done = subprocess.run(
            [program, "-I", "-c", _VERSION],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
