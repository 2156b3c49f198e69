"""Every reader of bytes from outside, with good input to begin with."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shipml.bases.image_facts import environment_of, facts_of_config
from shipml.debian.deb import read_control, read_members
from shipml.debian.index import parse_relations, parse_stanza
from shipml.debian.release import _verified, parse_release
from shipml.http.settings import netrc_credentials, redacted, split_credentials
from shipml.lock import load_lock
from shipml.oci.archive import read_archive
from shipml.oci.config_shape import parse_config
from shipml.oci.digest import Digest
from shipml.oci.documents import open_image, parse_index, parse_manifest
from shipml.oci.layout import read_layout
from shipml.oci.reference import Reference
from shipml.oci.source import Source
from shipml.oci.unpack import unpack_layer
from shipml.plan.command import choose_command
from shipml.plan.completing import complete
from shipml.project import read_project
from shipml.registry.credential_file import read_file, table_of
from shipml.registry.credentials import find_credentials
from shipml.registry.token_service import expires_at_seconds, parse_challenges
from shipml.resolver.pins import known_pins
from shipml.wheels.archive import Archive
from shipml.wheels.elf import elf_files
from tests.fuzz.outside import OUTSIDE

__all__ = ["READERS", "Reader"]


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads bytes, given an empty folder to work in, and bytes that it reads without complaint."""

    read: Callable[[bytes, Path], object]
    seeds: tuple[bytes, ...]


_LAYER = "application/vnd.oci.image.layer.v1.tar"
_D = "sha256:" + "0123456789abcdef" * 4


def _tar(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("folder", tarfile.DIRTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, next(iter(names))
            tar.addfile(entry)
    return out.getvalue()


def _zip(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return out.getvalue()


def _deb() -> bytes:
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(_tar({"./control": b"Package: a\nVersion: 1\n"}), mtime=0),
        "data.tar.gz": gzip.compress(_tar({"./usr/share/a": b"a" * 600}), mtime=0),
    }
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def _saved(data: bytes, folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _read_layer(data: bytes, folder: Path) -> None:
    unpack_layer(io.BytesIO(data), _LAYER, folder)


def _read_packed_layer(data: bytes, folder: Path) -> None:
    unpack_layer(io.BytesIO(data), f"{_LAYER}+gzip", folder)


def _read_manifest(data: bytes, _: Path) -> None:
    parse_manifest(data)
    open_image(data, lambda _: io.BytesIO(_CONFIG))


def _read_config(data: bytes, _: Path) -> None:
    config = parse_config(data)
    environment_of(config)
    facts_of_config(config, "3.12-slim")


def _read_wheel(data: bytes, folder: Path) -> None:
    archive = Archive(_saved(data, folder, "a.whl"), "a.whl")
    for entry in archive.entries:
        for _piece in archive.inflated(entry):
            pass
    list(elf_files(archive))


def _read_elf(data: bytes, folder: Path) -> None:
    list(elf_files(Archive(_saved(_zip({"a/b.so": data}), folder, "a.whl"), "a.whl")))


def _read_deb(data: bytes, folder: Path) -> None:
    path = _saved(data, folder, "a.deb")
    read_control(path, "a")
    list(read_members(path, "a"))


def _read_release(data: bytes, _: Path) -> None:
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    parse_release(data.decode(errors="replace"), url="http://deb", codename="trixie", now=now, allow_expired=False)


def _read_stanza(data: bytes, _: Path) -> None:
    text = data.decode(errors="replace")
    parse_relations(text)
    parse_stanza(text, archive="debian")


def _read_layout(data: bytes, folder: Path) -> None:
    _saved(b'{"imageLayoutVersion": "1.0.0"}', folder, "oci-layout")
    _saved(data, folder, "index.json")
    archive = _saved(_tar({"manifest.json": data}), folder, "a")
    for source in (Source("oci", folder, None), Source("docker-archive", archive, None)):
        source.name_of(Digest("0" * 64))
    read_layout(folder)


def _read_challenge(data: bytes, _: Path) -> None:
    text = data.decode("latin-1")
    for challenge in parse_challenges([text]):
        assert challenge.scopes is not None
    expires_at_seconds(text)


def _read_reference(data: bytes, _: Path) -> None:
    Reference.parse(data.decode(errors="replace"))


def _read_url(data: bytes, _: Path) -> None:
    text = data.decode(errors="replace")
    redacted(text)
    split_credentials(text)


def _read_docker_file(data: bytes, folder: Path) -> None:
    path = _saved(data, folder, "config.json")
    for table in ("auths", "credHelpers"):
        table_of(read_file(path, "docker"), table, path)
    find_credentials(Reference.parse("a/b"), environment={"DOCKER_CONFIG": str(folder)}, home=folder)


def _read_netrc(data: bytes, folder: Path) -> None:
    os.environ["NETRC"] = str(_saved(data, folder, "netrc"))
    try:
        netrc_credentials("https://a.example/x")
    finally:
        del os.environ["NETRC"]


def _read_lock(data: bytes, folder: Path) -> None:
    load_lock(data.decode(errors="replace"), folder)


def _of_project(name: str) -> Callable[[bytes, Path], object]:
    def read(data: bytes, folder: Path) -> None:
        if name != "app.py":
            _saved(b"import numpy\nprint(1)\n", folder, "app.py")
        if name == "Dockerfile":
            _saved(b"numpy\n", folder, "requirements.txt")
        _saved(data, folder, name)
        project, _ = complete(read_project(folder, None, dockerfile="try"))
        if project.requirements is not None:
            known_pins(project.requirements)
        choose_command(project)

    return read


_CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/bin:/bin", "PYTHON_VERSION=3.12.1"],
            "Cmd": ["python"],
            "Entrypoint": None,
            "User": "1",
            "WorkingDir": "/app",
            "Labels": {"a": "b"},
            "ExposedPorts": {"80/tcp": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [_D]},
        "history": [{"created_by": "# debian.sh --arch 'amd64' out/ 'bookworm' '@1'"}],
    }
).encode()
_DESCRIPTOR = {"mediaType": f"{_LAYER}+gzip", "digest": _D, "size": 3, "annotations": {"a": "b"}}
_MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": str(Digest.of(_CONFIG)),
            "size": len(_CONFIG),
        },
        "layers": [_DESCRIPTOR],
    }
).encode()
_INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": _D,
                "size": 9,
                "platform": {"os": "linux", "architecture": "amd64"},
            }
        ],
    }
).encode()
_RELEASE = (
    b"Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: trixie\nDate: Sat, 06 Jan 2024 10:00:00 UTC\n"
    b"Valid-Until: Sat, 06 Jan 2034 10:00:00 UTC\nAcquire-By-Hash: yes\nSHA256:\n "
    + b"0" * 64
    + b" 123 main/binary-amd64/Packages.gz\n"
)
_SIGNED = (
    b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + _RELEASE + b"-----BEGIN PGP SIGNATURE-----\n\n"
    b"iHUEARYKAB0WIQRMn2QAAAAAAAAAAAAAAAAAAAAAAAUCZQAAAAAKCRAAAAAAAAAA\n=AAAA\n-----END PGP SIGNATURE-----\n"
)
_STANZA = (
    b"Package: libgl1\nVersion: 1:1.6.0-1+b1\nArchitecture: amd64\n"
    b"Depends: libc6 (>= 2.34), libglx0 (= 1.6.0) | a:any\n"
    b"Provides: b (= 1)\nFilename: pool/main/libg/a.deb\nSize: 88988\nSHA256: " + b"0" * 64 + b"\n"
)
_NOTEBOOK = json.dumps(
    {
        "cells": [{"cell_type": "code", "source": ["import numpy\n"], "outputs": [{"text": ["1"]}], "metadata": {}}],
        "metadata": {"language_info": {"version": "3.11.1"}, "kernelspec": {"name": "python3"}},
        "nbformat": 4,
    }
).encode()
_PIPFILE_LOCK = json.dumps(
    {
        "_meta": {"requires": {"python_version": "3.11"}},
        "default": {"numpy": {"version": "==1.26.4", "hashes": [_D], "markers": "python_version >= '3.9'"}},
    }
).encode()
_PYLOCK = (
    f'lock-version = "1.0"\ncreated-by = "x"\nrequires-python = ">=3.9"\n'
    f'[[packages]]\nname = "six"\nversion = "1.17.0"\n'
    f'wheels = [{{name = "six-1.17.0-py2.py3-none-any.whl", url = "https://a.example/six-1.17.0-py2.py3-none-any.whl", '
    f'size = 11050, hashes = {{sha256 = "{_D[7:]}"}}}}]\n'
)
_OUR_LOCK = (
    f'{_PYLOCK}[tool.shipml]\nplatform = "linux/amd64"\nsuite = "trixie"\ninputs = "{_D}"\n'
    f'[tool.shipml.base]\npython = "3.13.5"\n[[tool.shipml.base.packages]]\nname = "libc6"\nversion = "2.41"\n'
)
_UV_LOCK = (
    b'version = 1\nrequires-python = ">=3.9"\n[[package]]\nname = "six"\nversion = "1.17.0"\n'
    b'source = { registry = "https://a.example/simple" }\n'
    b'wheels = [{ url = "https://a.example/six.whl", hash = "sha256:'
    + b"0" * 64
    + b'", size = 1 }]\n[[package]]\nname = "me"\nversion = "1"\nsource = { virtual = "." }\n'
)
_PYPROJECT = (
    b'[project]\nname = "me"\nversion = "1"\nrequires-python = ">=3.9"\n'
    b"dependencies = [\"numpy>=1; python_version>'3'\"]\n"
    b'[project.scripts]\nrun = "app:main"\n[tool.poetry.dependencies]\n'
    b'python = "^3.9"\nsix = {version = "^1", extras = ["a"]}\n'
    b'[tool.uv.sources]\nsix = { index = "x" }\n[[tool.uv.index]]\nname = "x"\nurl = "https://a.example/simple"\n'
    b'[tool.shipml]\nname = "me"\nenv = { A = "1" }\n[build-system]\nrequires = ["hatchling"]\n'
)
_SETTINGS = (
    b'name = "me"\npython = "3.11"\ncommand = ["python", "app.py"]\nsystem-packages = ["libgl1"]\ninclude = ["a/**"]\n'
    b'env = { A = "1" }\n[smoke]\nexpect = "ok"\nminimum = { accuracy = 0.9 }\ntimeout = 5\n'
    b'[registries.x]\nkind = "generic"\nhost = "a.example"\n[environments.int]\nregistry = "x"\n'
)
_DOCKERFILE = (
    b"# syntax=docker/dockerfile:1\nARG V=3.12\nFROM python:${V}-slim AS a\nWORKDIR /app\nENV A=1 B='x y'\n"
    b"COPY --chown=1:1 requirements.txt .\nRUN --mount=type=cache,target=/root/.cache "
    b"pip install -r requirements.txt \\\n"
    b"  && apt-get update && apt-get install -y libgl1\nCOPY . .\nRUN <<EOF\necho hi\nEOF\nEXPOSE 80\nUSER 1000\n"
    b'HEALTHCHECK CMD true\nENTRYPOINT ["python"]\nCMD ["app.py"]\n'
)
_FOLLOWED = (
    b"FROM python:3.11-slim\nWORKDIR /app\nENV A='x y'\nCOPY . .\nRUN pip install -r requirements.txt 'six>=1'\n"
    b"CMD python app.py --port ${PORT:-80}\n"
)
_REQUIREMENTS = (
    b"--index-url https://u:p@a.example/simple\n-r other.txt\n-c c.txt\nnumpy==1.26.4 --hash=sha256:"
    + b"0" * 64
    + b"\n"
    b"six[a,b]>=1,<2 ; python_version<'3.12' # c\ngit+https://a.example/x.git@v1#egg=x\n-e .\n./local.whl\n"
    b"torch @ https://a.example/torch-2.0-cp311-cp311-linux_x86_64.whl\n"
)
_PLACES = b"/home/me/demo-1.0-py3-none-any.whl\nsix; os_name >= 'a' and python_version > '3'\n"
_PROJECT: dict[str, tuple[bytes, ...]] = {
    "requirements.txt": (_REQUIREMENTS, _PLACES, "numpy\n".encode("utf-16")),
    "pyproject.toml": (_PYPROJECT,),
    "shipml.toml": (_SETTINGS,),
    "Dockerfile": (_DOCKERFILE, _FOLLOWED),
    ".dockerignore": (b"# c\n**/*.pyc\n!a/b\n/x\n[a-z]?*\\*\n", b"a/../b\n**/**/**\n"),
    "Pipfile": (b'[packages]\nsix = "*"\nnumpy = {version = ">=1"}\n[requires]\npython_version = "3.11"\n',),
    "Pipfile.lock": (_PIPFILE_LOCK,),
    "pylock.toml": (_PYLOCK.encode(),),
    "uv.lock": (_UV_LOCK,),
    "poetry.lock": (_UV_LOCK, b'[[package]]\nname = "six"\nversion = "1"\nfiles = [{file = "a", hash = "sha256:0"}]\n'),
    "environment.yml": (
        b"name: x\nchannels: [a]\ndependencies:\n  - python=3.11\n  - numpy>=1\n  - pip:\n      - six==1.17\n",
        b"# platform: linux-64\n@EXPLICIT\nhttps://a.example/numpy-1.26.4-py311h_0.conda#0123\n",
    ),
    "setup.cfg": (b"[metadata]\nname = x\n[options]\ninstall_requires =\n  six\npython_requires = >=3.8\n",),
    "setup.py": (
        b"from setuptools import setup\nsetup(name='x', install_requires=['six'], python_requires='>=3.8')\n",
    ),
    "Procfile": (b"web: gunicorn app:app --bind 0.0.0.0:$PORT\nworker: python app.py\n",),
    "runtime.txt": (b"python-3.11.4\n",),
    ".python-version": (b"3.11.4\n",),
    "app.py": (
        b"import numpy\nfrom flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run()\n",
    ),
    "book.ipynb": (_NOTEBOOK,),
    "model.pkl": (b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00\x8c\x07sklearn\x94\x8c\x051.0.2\x94\x86\x94.",),
}

READERS: dict[str, Reader] = {
    "layer": Reader(_read_layer, (_tar({"a/b": b"x" * 700, "a/.wh.c": b""}),)),
    "packed-layer": Reader(_read_packed_layer, (gzip.compress(_tar({"a/b": b"x" * 700}), mtime=0),)),
    "manifest": Reader(_read_manifest, (_MANIFEST,)),
    "config": Reader(_read_config, (_CONFIG,)),
    "index": Reader(lambda data, _: parse_index(data), (_INDEX,)),
    "layout": Reader(_read_layout, (_INDEX,)),
    "archive": Reader(
        lambda data, folder: read_archive(_saved(data, folder, "a.tar")),
        (
            _tar(
                {
                    "manifest.json": json.dumps([{"Config": "c", "RepoTags": ["a:1"], "Layers": ["l"]}]).encode(),
                    "c": _CONFIG,
                }
            ),
        ),
    ),
    "wheel": Reader(_read_wheel, (_zip({"a/__init__.py": b"x" * 5000, "a-1.dist-info/RECORD": b"a,,\n"}),)),
    "elf": Reader(
        _read_elf, (Path("/bin/true").read_bytes()[:40_000],) if Path("/bin/true").exists() else (b"\x7fELF",)
    ),
    "deb": Reader(_read_deb, (_deb(),)),
    "release": Reader(_read_release, (_RELEASE,)),
    "signed-release": Reader(lambda data, _: _verified(data, "http://deb"), (_SIGNED,)),
    "stanza": Reader(_read_stanza, (_STANZA,)),
    "challenge": Reader(
        _read_challenge,
        (
            b'Bearer realm="https://a.example/t",service="a",scope="repository:x:pull", Basic realm=x',
            b"a.eyJleHAiOjF9.b",
        ),
    ),
    "reference": Reader(_read_reference, (b"a.example:5000/x/y:1@" + _D.encode(), b"[::1]:80/a", b"ubuntu")),
    "url": Reader(_read_url, (b"https://u:p@[::1]:80/a?b#c", b"ssh://git@a.example:x/y")),
    "docker-config": Reader(_read_docker_file, (b'{"auths": {"a": {"auth": "YTpi"}}, "credHelpers": {"b": "c"}}',)),
    "netrc": Reader(_read_netrc, (b"machine a.example login a password b\ndefault login x password y\nmacdef z\n\n",)),
    "lock": Reader(_read_lock, (_OUR_LOCK.encode(),)),
    **{name: Reader(*both) for name, both in OUTSIDE.items()},
    **{f"project-{name.lstrip('.')}": Reader(_of_project(name), seeds) for name, seeds in _PROJECT.items()},
}
