"""A stand-in for all of Docker Hub's python:X.Y-slim, complete enough for real projects.

Unlike `python_image`, which holds as little as Python needs, these have a whole Debian 12 (dpkg's status, shell, apt)
below a pyenv Python with ssl, sqlite3, hashlib, pip and the loader's cache written, as Hub's own have them.
"""

from __future__ import annotations

import functools
import gzip
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from shipml.oci.digest import Digest
from shipml.oci.layer_writer import LayerWriter
from tests.peers.cache import kept, mmdebstrap
from tests.peers.need import need
from tests.peers.python_image import push_docker_image
from tests.peers.registry import Registry

__all__ = ["available_pythons", "push_complete_python"]

_RUNTIME_LIBRARIES = (
    "ca-certificates", "libbz2-1.0", "libcrypt1", "libexpat1", "libffi8", "libgdbm6", "liblzma5", "libncursesw6",
    "libnsl2", "libreadline8", "libsqlite3-0", "libssl3", "libtirpc3", "libuuid1", "netbase", "tzdata", "zlib1g",
)  # fmt: skip
"""What Python's own modules are linked with; Hub's image keeps the same after its compilers are gone."""
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_LEFT_OUT = re.compile(
    r"/(?:tests?|__pycache__|config-\d[^/]*|lib-dynload/_(?:tkinter|test[^/]*)\.[^/]+)(?:/|$)|\.a$|libpython3\.so$"
    r"|site-packages/(?!(?:pip|setuptools|wheel|pkg_resources)(?:-[^/]*)?(?:/|$))"
)
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


def available_pythons() -> dict[str, Path]:
    """The Pythons that pyenv has, newest patch release of each: "3.8" → its folder."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = {}
    for folder in sorted(root.glob("3.*"), key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)]):
        minor = ".".join(folder.name.split(".")[:2])
        if (folder / "bin" / f"python{minor}").exists():
            found[minor] = folder
    return found


def push_complete_python(registry: Registry, minor: str) -> str:
    """Put `library/python:X.Y-slim` into a registry that stands in for Docker Hub; returns its short name."""
    home = available_pythons()[minor]
    blobs = [
        kept("hub-debian-bookworm-1.tar.gz", _make_system).read_bytes(),
        kept(f"hub-complete-python-{home.name}-2.tar.gz", functools.partial(_make_python, home)).read_bytes(),
    ]
    config = _config(home.name, [str(Digest.of(gzip.decompress(data))) for data in blobs])
    for tag in (f"{minor}-slim", f"{minor}-slim-bookworm", minor):
        push_docker_image(registry, "library/python", tag, config, blobs)
    return f"python:{minor}-slim"


def _make_system(target: Path) -> None:
    tar = _system_tar(target.parent)
    with tar.open("rb") as source, gzip.open(target, "wb", compresslevel=6) as compressed:
        shutil.copyfileobj(source, compressed)
    tar.unlink()


def _system_tar(folder: Path) -> Path:
    tar = folder / "hub-debian.tar"
    tar.unlink(missing_ok=True)
    hooks = ['rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*']
    if _CA_BUNDLE.exists():
        hooks.append(f'cp {_CA_BUNDLE} "$1{_CA_BUNDLE}"')
    mmdebstrap(
        tar,
        "bookworm",
        _RUNTIME_LIBRARIES,
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "info")),
        *(f"--customize-hook={hook}" for hook in hooks),
    )
    return tar


def _make_python(home: Path, target: Path) -> None:
    """The layer of /usr/local, and the loader's cache that knows its libraries."""
    need("strip", "ldconfig", "tar", root=True)
    system = kept("hub-debian-bookworm-1.tar.gz", _make_system)
    with tempfile.TemporaryDirectory(dir=target.parent) as root, target.open("wb") as file, LayerWriter(file) as layer:
        subprocess.run(["tar", "-xzf", str(system), "-C", root, "--exclude=./dev/*"], check=True)
        for name, path in _files(home):
            data = _stripped(path) if _is_library(path) else path.read_bytes()
            inside = Path(root, "usr/local", name)
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_bytes(data)
            executable = os.access(path, os.X_OK) or _is_library(path)
            layer.file(f"usr/local/{name}", data, mode=0o755 if executable else 0o644)
        minor = ".".join(home.name.split(".")[:2])
        for alias in ("python3", "python"):
            layer.symlink(f"usr/local/bin/{alias}", f"python{minor}")
        subprocess.run(["ldconfig", "-r", root], check=True)
        layer.file("etc/ld.so.cache", Path(root, "etc/ld.so.cache").read_bytes())
        layer.close()


def _files(home: Path) -> Iterator[tuple[str, Path]]:
    """Program, library, headers and standard library: name below /usr/local → its file."""
    minor = ".".join(home.name.split(".")[:2])
    yield f"bin/python{minor}", home / "bin" / f"python{minor}"
    for path in sorted([*(home / "lib").rglob("*"), *(home / "include").rglob("*")]):
        name = path.relative_to(home).as_posix()
        if path.is_file() and not path.is_symlink() and not _LEFT_OUT.search(f"/{name}"):
            yield name, path


def _is_library(path: Path) -> bool:
    return ".so" in path.name


def _stripped(path: Path) -> bytes:
    with tempfile.NamedTemporaryFile() as target:
        subprocess.run(["strip", "-o", target.name, str(path)], capture_output=True, check=True)
        return Path(target.name).read_bytes()


def _config(version: str, diff_ids: list[str]) -> dict[str, object]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH={_PATH}", "LANG=C.UTF-8", f"PYTHON_VERSION={version}"], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [
            {"created_by": "# debian.sh --arch 'amd64' out/ 'bookworm' '@1762202650'"},
            {"created_by": f"ENV PYTHON_VERSION={version}", "empty_layer": True},
            {"created_by": "RUN /bin/sh -c set -eux; ldconfig # buildkit"},
        ],
    }
