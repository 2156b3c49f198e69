"""What an image of a registry is as a base: its Python, C library and Debian suite, from its config or its files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.bases.image_tree import inside
from shipml.errors import PlanError

__all__ = ["ImageFacts", "environment_of", "facts_of_config", "facts_of_tree"]

_PYTHON = re.compile(r"3\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
_DEBUERREOTYPE, _SUITE = "debian.sh ", re.compile(r"out/? '([a-z]{1,40})'")
"""In the history of images that are made from Debian's official one; the suite comes after it, in the same step."""
_STEP_CHARACTERS = 4096
"""Of a step of the history that are looked at: steps of real images are much shorter."""
_GLIBC = {
    "buster": "2.28", "bullseye": "2.31", "bookworm": "2.36", "trixie": "2.41",
}  # fmt: skip
"""Of released suites: does not change any more."""
_LIBRARY_FOLDERS = (
    "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu",
    "lib64", "usr/lib64", "lib", "usr/lib",
)  # fmt: skip
_GLIBC_BEGINS, _GLIBC_SAYS = b"GNU C Library ", re.compile(rb"[^\n]{0,200}?release version (\d{1,9}\.\d{1,9})")
_GLIBC_TRIES = 100
_READ_BYTES = 64 << 20
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What resolution and layers must know of an image."""

    python: str
    """Full version."""
    interpreter: str
    """Absolute path of the program, links followed."""
    glibc: str
    suite: str
    """Debian code name; "" where it is none."""


def environment_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables that an image's config sets (image-spec, config.md)."""
    settings = config.get("config") or {}
    entries = settings.get("Env") if isinstance(settings, dict) else ()
    texts = entries if isinstance(entries, list) else ()
    pairs = (entry.partition("=") for entry in texts if isinstance(entry, str))
    return {name: value for name, _, value in pairs if name}


def facts_of_config(config: Mapping[str, Any], tag: str) -> ImageFacts | None:
    """What the config alone says: enough for Docker's official Python images and those made from them, else None.

    They set PYTHON_VERSION, and their history names the suite that they were made from, as their tags may do.
    """
    environment = environment_of(config)
    version = _PYTHON.fullmatch(environment.get("PYTHON_VERSION", ""))
    suite = _suite_of_history(config) or next((name for name in _GLIBC if name in re.split(r"[-.]", tag)), "")
    if version is None or suite not in _GLIBC or "/usr/local/bin" not in environment.get("PATH", "").split(":"):
        return None
    minor = ".".join(version[0].split(".")[:2])
    return ImageFacts(version[0], f"/usr/local/bin/python{minor}", _GLIBC[suite], suite)


def _suite_of_history(config: Mapping[str, Any]) -> str:
    history = config.get("history")
    for step in history if isinstance(history, list) else ():
        text = step.get("created_by") if isinstance(step, dict) else ""
        _, made, rest = (text[:_STEP_CHARACTERS] if isinstance(text, str) else "").partition(_DEBUERREOTYPE)
        if made and (match := _SUITE.search(rest)):
            return match[1]
    return ""


def facts_of_tree(root: Path, environment: Mapping[str, str], what: str) -> ImageFacts:
    """What the unpacked image at `root` has; `what` names it in errors.

    Raises:
        PlanError: there is no CPython 3 on its PATH, or its C library is not the GNU one.
    """
    glibc = _glibc(root)
    if glibc is None:
        raise PlanError(
            f"{what} has no GNU C library (Alpine's musl runs other wheels)",
            hint="choose an image made from Debian or Ubuntu, such as python:3.12-slim",
        )
    program = _python_on_path(root, environment.get("PATH") or _DEFAULT_PATH)
    version = _version_of(root, program) if program else None
    if program is None or version is None:
        raise PlanError(
            f"{what} has no Python 3 on its PATH",
            hint="choose an image that has one, such as python:3.12-slim, or a suite",
        )
    return ImageFacts(version, f"/{program}", glibc, _suite_of_release(root))


def _glibc(root: Path) -> str | None:
    for folder in _LIBRARY_FOLDERS:
        found = inside(root, f"{folder}/libc.so.6")
        for text in _read(root / found).split(_GLIBC_BEGINS, _GLIBC_TRIES)[1:] if found is not None else ():
            if match := _GLIBC_SAYS.match(text):
                return match[1].decode()
    return None


def _python_on_path(root: Path, path: str) -> str | None:
    """The first program called python3 or python, links followed: `usr/local/bin/python3.12`."""
    for folder in path.split(":"):
        for name in ("python3", "python"):
            found = inside(root, f"{folder}/{name}")
            if found is not None and re.fullmatch(r"python3\.\d+", posixpath.basename(found)):
                return found
    return None


def _version_of(root: Path, program: str) -> str | None:
    """Its full version: CPython has it as a text of its own, in the program or in the library that it loads."""
    minor = posixpath.basename(program).removeprefix("python")
    says = re.compile(rb"(?<![\d.])(" + re.escape(minor).encode() + rb"\.\d+(?:(?:a|b|rc)\d+)?)\+?\0")
    library = f"libpython{minor}.so.1.0"
    prefix = posixpath.dirname(posixpath.dirname(program))
    for place in (program, f"{prefix}/lib/{library}", *(f"{folder}/{library}" for folder in _LIBRARY_FOLDERS)):
        found = inside(root, place)
        if found is not None and (match := says.search(_read(root / found))):
            return match[1].decode()
    return None


def _suite_of_release(root: Path) -> str:
    """VERSION_CODENAME where the image is a Debian (os-release(5))."""
    found = inside(root, "etc/os-release")
    if found is None:
        return ""
    text = _read(root / found).decode(errors="replace")
    fields = {name: value.strip().strip("\"'") for name, _, value in (line.partition("=") for line in text.split("\n"))}
    return fields.get("VERSION_CODENAME", "") if fields.get("ID") == "debian" else ""


def _read(path: Path) -> bytes:
    if not path.is_file() or path.is_symlink():
        return b""
    with path.open("rb") as file:
        return file.read(_READ_BYTES)
