"""A stand-in for Docker Hub's python:X.Y-slim: pyenv's Python in /usr/local on this machine's C library.

Config, history, places and media types are as Hub's official images have them; it holds as little as Python needs.
"""

from __future__ import annotations

import functools
import gzip
import io
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import urllib3

from shipml.oci.digest import Digest
from shipml.oci.layer_writer import LayerWriter
from tests.peers.cache import kept
from tests.peers.need import missing, need
from tests.peers.registry import Registry

__all__ = ["push_docker_image", "push_hub_python"]

_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LEFT_OUT = re.compile(
    r"/(?:tests?|__pycache__|site-packages|ensurepip|pkgconfig|config-\d.*|idlelib|tkinter|turtledemo|lib2to3|pydoc_data"
    r"|lib-dynload/_(?:ssl|hashlib|tkinter|curses.*|dbm|gdbm|sqlite3|test.*)\.[^/]+)(?:/|$)|\.a$|libpython3\.so$"
)
_LIBRARIES = ("libc.so.6", "libm.so.6", "libz.so.1", "libbz2.so.1.0", "liblzma.so.5", "libffi.so.8", "libgcc_s.so.1")
_HERE = Path("/lib/x86_64-linux-gnu")
_LOADER = "ld-linux-x86-64.so.2"


def push_hub_python(registry: Registry, minor: str, *, more: Mapping[str, bytes] = MappingProxyType({})) -> str:
    """Put `library/python:X.Y-slim` into a registry that stands in for Docker Hub; returns its short name.

    The files `more` (path → content) are in a layer of their own on top.
    """
    home = _pyenv(minor)
    writers: dict[str, Callable[[LayerWriter], None]] = {
        "system": _write_system,
        home.name: functools.partial(_write_python, home),
    }
    blobs = [
        kept(f"hub-python-{name}-1", functools.partial(_write_layer, write)).read_bytes()
        for name, write in writers.items()
    ]
    tag = f"{minor}-slim"
    if more:
        out = io.BytesIO()
        with LayerWriter(out) as layer:
            for path, data in more.items():
                layer.file(path, data)
            layer.close()
        blobs.append(out.getvalue())
    config = _config(home.name, [str(Digest.of(gzip.decompress(data))) for data in blobs])
    push_docker_image(registry, "library/python", tag, config, blobs)
    return f"python:{tag}"


def push_docker_image(
    registry: Registry, repository: str, tag: str, config: Mapping[str, object], blobs: Sequence[bytes]
) -> None:
    """Put an image of these gzipped layers into a registry, with Docker's media types."""
    config_bytes = json.dumps(config).encode()
    for data in (*blobs, config_bytes):
        _put_blob(registry, repository, data)
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": str(Digest.of(config_bytes)), "size": len(config_bytes)},
        "layers": [{"mediaType": _LAYER, "digest": str(Digest.of(data)), "size": len(data)} for data in blobs],
    }
    answer = urllib3.request(
        "PUT",
        f"{registry.url}/v2/{repository}/manifests/{tag}",
        body=json.dumps(manifest).encode(),
        headers={"Content-Type": _MANIFEST},
    )
    assert answer.status == 201, answer.data


def _pyenv(minor: str) -> Path:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = sorted(root.glob(f"{minor}.*/bin/python{minor}"))
    if not found or not (_HERE / _LOADER).exists():
        missing(f"pyenv has no Python {minor}, or this is no Debian on amd64")
    need("strip")
    return found[-1].parent.parent


def _write_layer(write: Callable[[LayerWriter], None], target: Path) -> None:
    with target.open("wb") as file, LayerWriter(file) as layer:
        write(layer)
        layer.close()


def _write_system(layer: LayerWriter) -> None:
    """The C library and what Python's modules need, /usr merged as Debian has it."""
    for name in ("dev", "etc", "proc", "root", "sys", "usr/lib/x86_64-linux-gnu", "usr/lib64"):
        layer.directory(name)
    layer.directory("tmp", mode=0o1777)
    layer.symlink("lib", "usr/lib")
    layer.symlink("lib64", "usr/lib64")
    layer.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    layer.file("etc/group", b"root:x:0:\n")
    for name in _LIBRARIES:
        layer.file(f"usr/lib/x86_64-linux-gnu/{name}", (_HERE / name).read_bytes(), mode=0o755)
    layer.file(f"usr/lib64/{_LOADER}", (_HERE / _LOADER).read_bytes(), mode=0o755)


def _write_python(home: Path, layer: LayerWriter) -> None:
    """Program, library and standard library, without what a slim image lacks and what tests don't use."""
    minor = ".".join(home.name.split(".")[:2])
    layer.directory("usr/local/bin")
    layer.file(f"usr/local/bin/python{minor}", (home / "bin" / f"python{minor}").read_bytes(), mode=0o755)
    layer.symlink("usr/local/bin/python3", f"python{minor}")
    for path in sorted((home / "lib").rglob("*")):
        name = f"usr/local/{path.relative_to(home).as_posix()}"
        if _LEFT_OUT.search(name) or path.is_symlink():
            continue
        if path.is_dir():
            layer.directory(name)
        else:
            layer.file(name, _stripped(path) if ".so" in path.name else path.read_bytes(), mode=0o644)


def _stripped(path: Path) -> bytes:
    with tempfile.NamedTemporaryFile() as target:
        subprocess.run(["strip", "-o", target.name, str(path)], capture_output=True, check=True)
        return Path(target.name).read_bytes()


def _config(version: str, diff_ids: list[str]) -> dict[str, object]:
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    # Hub's has ran ldconfig instead of the last of these.
    environment = [f"PATH={path}", "LANG=C.UTF-8", f"PYTHON_VERSION={version}", "LD_LIBRARY_PATH=/usr/local/lib"]
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": environment, "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [
            {"created_by": "# debian.sh --arch 'amd64' out/ 'bookworm' '@1762202650'"},
            {"created_by": f"ENV PYTHON_VERSION={version}", "empty_layer": True},
            {"created_by": "RUN /bin/sh -c set -eux; # buildkit"},
        ],
    }


def _put_blob(registry: Registry, repository: str, data: bytes) -> None:
    begun = urllib3.request("POST", f"{registry.url}/v2/{repository}/blobs/uploads/")
    place = begun.headers["Location"]
    separator = "&" if "?" in place else "?"
    done = urllib3.request(
        "PUT",
        f"{place}{separator}digest={Digest.of(data)}",
        body=data,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert done.status == 201, done.data
