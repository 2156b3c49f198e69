"""Readers of what comes from elsewhere than the project's files: repositories, settings, servers, programs, images."""

from __future__ import annotations

import atexit
import base64
import contextlib
import datetime as dt
import functools
import gzip
import hashlib
import io
import json
import lzma
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shipml.azure.acr import _refresh_token
from shipml.azure.az_settings import AzSettings
from shipml.build.import_check import read_answers
from shipml.build_elsewhere.build_log import BuildLog
from shipml.build_elsewhere.buildkit_trace import decode_trace
from shipml.build_elsewhere.buildx import _json, _trace
from shipml.build_elsewhere.failures import explain_failure
from shipml.debian.contents import _paths
from shipml.debian.contents import _read as read_contents
from shipml.debian.index import _table_of, _unpacked, parse_installed
from shipml.debian.loader_cache import cache_bytes, read_cache
from shipml.docker_engine.endpoint import endpoints
from shipml.errors import ShipmlError
from shipml.facts.plan import LockedSource, LockedWheel
from shipml.facts.project import Lock, Settings
from shipml.facts.pythons import suite_named
from shipml.facts.requirements import ImportedModule
from shipml.facts.smoke_label import smoke_from_labels
from shipml.http.retry import retry_after_seconds
from shipml.lock.choosing import locked_source, select_files
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.project.organisation import organisation_defaults
from shipml.project.revision import public_url, read_revision
from shipml.registry.client import _digest_of, _tags_in
from shipml.registry.credential_helper import _read as read_helper
from shipml.registry.errors import Response, error_codes, said
from shipml.resolver.address_errors import explain_address
from shipml.resolver.errors import explain
from shipml.resolver.index_logins import asked_keyring, index_logins
from shipml.resolver.pip_settings import pip_indexes
from shipml.resolver.release_lookup import releases_of
from shipml.resolver.source_metadata import requirements_of_source
from shipml.resolver.uv import _annotated, _document, settings_of_uv
from shipml.resolver.uv_building import refuse_building
from shipml.runtimes.accounts import resolve_user
from shipml.runtimes.diagnose import Failure, remedy
from shipml.runtimes.inside.import_probe import MARK
from shipml.runtimes.smoke import OutputLog
from shipml.secrets.scan import scan_environment, scan_text
from shipml.source_builds.attempt import Outcome, _answer
from shipml.source_builds.checking import checked_wheel
from shipml.source_builds.remedies import cause, remedies
from shipml.source_builds.requirements import unmet_requirements
from shipml.source_builds.source import read_source
from shipml.store import Store
from shipml.wheels.archive import Archive
from shipml.wheels.facts import facts_of_text
from shipml.wheels.install import placement_of
from tests.project.repositories import committed, git

__all__ = ["OUTSIDE"]

_D = "sha256:" + "0123456789abcdef" * 4
Read = Callable[[bytes, Path], object]


def _saved(data: bytes, folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _text(read: Callable[[str], object]) -> Read:
    return lambda data, _: read(data.decode(errors="replace"))


def _answer_of(read: Callable[[Response], object]) -> Read:
    return lambda data, _: read(Response(400, {}, data, "https://r.example/v2/"))


@functools.cache
def _repository() -> Path:
    """A repository with loose objects, a pack, deltas, rules and packed names."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-repository-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    committed(folder, **{"long": "".join(f"{n}\n" for n in range(3000)), ".gitattributes": "*.py text eol=lf\n"})
    (folder / "long").write_text("".join(f"{n}\n" for n in range(3001)))
    (folder / ".gitignore").write_text("build/\n!keep\n**/x[a-z]*\n\\#y\n")
    git(folder, "commit", "-qam", "y")
    git(folder, "gc", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "z")
    return folder


def _git(path: str) -> Read:
    def read(data: bytes, folder: Path) -> None:
        copy = folder / "project"
        shutil.copytree(_repository(), copy, symlinks=True)
        place = next(copy.glob(path))
        place.chmod(0o644)
        place.write_bytes(data)
        read_revision(copy)

    return read


def _git_seed(path: str) -> bytes:
    return next(_repository().glob(path)).read_bytes()


_GIT = {
    "git-head": ".git/HEAD",
    "git-branch": ".git/refs/heads/main",
    "git-config": ".git/config",
    "git-index": ".git/index",
    "git-object": ".git/objects/[0-9a-f][0-9a-f]/*",
    "git-pack": ".git/objects/pack/*.pack",
    "git-pack-index": ".git/objects/pack/*.idx",
    "git-packed-refs": ".git/packed-refs",
    "git-ignore": ".gitignore",
    "git-attributes": ".gitattributes",
}


def _read_pip_conf(data: bytes, folder: Path) -> None:
    pip_indexes({"PIP_CONFIG_FILE": str(_saved(data, folder, "pip.conf")), "HOME": str(folder)})


def _read_uv_settings(name: str) -> Read:
    def read(data: bytes, folder: Path) -> None:
        home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
        _saved(data, folder, name)
        index_logins(None, folder, home)
        list(settings_of_uv(folder / "below", home))
        _saved(data, folder, "config/uv/uv.toml")
        asked_keyring(home)
        refuse_building(folder, home)

    return read


def _read_organisation(data: bytes, folder: Path) -> Settings:
    return organisation_defaults({}, _saved(data, folder, "shipml.toml"))


def _read_az(data: bytes, folder: Path) -> None:
    for name in ("azureProfile.json", "config"):
        settings = AzSettings(_saved(data, folder, name).parent)
        for read in (settings.cloud_name, settings.subscription):
            with contextlib.suppress(ShipmlError):
                read()


def _read_context(data: bytes, folder: Path) -> None:
    name = hashlib.sha256(b"a").hexdigest()
    _saved(data, folder, f"contexts/meta/{name}/meta.json")
    endpoints({"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": "a"}, folder)


def _read_uv_lock(data: bytes, folder: Path) -> None:
    bookworm = suite_named("bookworm")
    assert bookworm is not None
    document = _document(data)
    list(releases_of(document, {}))
    _, sources = select_files(document, bookworm, Platform("linux", "amd64"), folder)
    for source in sources:
        locked_source(*source, folder)


def _read_uv_words(text: str) -> None:
    bookworm = suite_named("bookworm")
    assert bookworm is not None
    explain(text, bookworm, Platform("linux", "amd64"))
    explain_address(text, None)
    list(_annotated(text))


def _read_sdist(name: str) -> Read:
    def read(data: bytes, folder: Path) -> None:
        path = _saved(data, folder, name)
        for one in (requirements_of_source, read_source):
            try:
                one(path, name)
            except ShipmlError:
                continue

    return read


def _read_member_of_sdist(member: str) -> Read:
    read = _read_sdist("demo-1.zip")
    return lambda data, folder: read(_zip({member: data}), folder)


def _read_wheel(member: str) -> Read:
    """A sound wheel with another file of metadata."""

    def read(data: bytes, folder: Path) -> None:
        name = "demo-1.0-py3-none-any.whl"
        path = _saved(_zip({**_WHEEL, member: data}), folder, name)
        wheel = LockedWheel("demo", "1.0", f"https://a.example/{name}", None, Digest("0" * 64), name)
        placement_of(Archive(path, name), wheel, python="3.11")

    return read


def _read_built(data: bytes, folder: Path) -> None:
    """A wheel that a build left, with these metadata."""
    bookworm, name, store = suite_named("bookworm"), "demo-1.0-py3-none-any.whl", Store(folder / "home")
    assert bookworm is not None
    try:
        digest = store.put_blob(_zip({**_WHEEL, "demo-1.0.dist-info/METADATA": data}))
        url = "https://a.example/demo-1.0.tar.gz"
        source = LockedSource("demo", "1.0", url, None, Digest("1" * 64), "demo-1.0.tar.gz")
        empty = Lock((), "bookworm", "3.11", Platform("linux", "amd64"), Digest("2" * 64))
        wheel = checked_wheel(source, Outcome("", name, digest, len(data)), bookworm, empty.platform, store)
        unmet_requirements(replace(empty, sources=(source,)), replace(empty, wheels=(wheel,)), bookworm, store)
    finally:
        store.close()


_WHEEL = {
    "demo/__init__.py": b"",
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    "demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "demo-1.0.dist-info/entry_points.txt": b"[console_scripts]\nrun = demo:main [x]\n[gui_scripts]\ng=demo.a:b.c\n",
    "demo-1.0.dist-info/RECORD": b"demo/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n,,\n",
}


def _zip(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return out.getvalue()


def _tar_gz(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


_SDIST = {
    "demo-1/PKG-INFO": b"Metadata-Version: 2.1\nName: demo\nVersion: 1\nRequires-Dist: six>=1; python_version>'3'\n",
    "demo-1/setup.py": b"from setuptools import setup\nimport numpy\nR = ['six']\nsetup(install_requires=R)\n",
    "demo-1/pyproject.toml": b"[build-system]\nrequires=['x']\nbuild-backend='x'\n[project]\ndependencies=['six']\n",
    "demo-1/setup.cfg": b"[options]\ninstall_requires =\n  six\n",
    "demo-1/demo.egg-info/requires.txt": b"six\n[a:python_version>'3']\nb\n",
}


def _read_packages(data: bytes, folder: Path) -> None:
    _table_of(_saved(data or b"\n", folder, "Packages"))
    for stanza in data.decode(errors="replace").split("\n\n"):
        parse_installed(stanza)


def _read_packed(path: str) -> Read:
    return lambda data, _: read_contents(_unpacked(data, path), "x86_64-linux-gnu")


def _read_contents(data: bytes, _: Path) -> None:
    read_contents(iter([data[:100], data[100:]]), "x86_64-linux-gnu")
    _paths(iter([data]), ["/include/zlib.h", "/libz.so"])


def _read_accounts(text: str) -> None:
    for user in ("", "worker", "1000:1000", "worker:staff"):
        resolve_user(user, text, text)


def _read_output(text: str) -> None:
    log = OutputLog()
    log.feed("stdout", text.encode())
    log.close()
    check = smoke_from_labels({})
    for code in (1, 127, 139):
        remedy(Failure(kind="exit", exit_code=code, words=text, program="python"), check)


def _read_probe(text: str) -> None:
    modules = [ImportedModule(name="numpy", source="app.py:1")]
    list(read_answers(text, modules, "crash it ended"))


def _read_build_log(text: str) -> None:
    explain_failure(text, text)
    list(remedies(text))
    cause(text)
    _answer(text.encode())


def _read_trace(data: bytes, folder: Path) -> None:
    with BuildLog(folder / "log", lambda _: None) as log:
        log.trace(decode_trace(base64.b64encode(data).decode()))
        for line in data.splitlines():
            if (status := _json(line)) is not None:
                log.trace(_trace(status))
                log.message(status)


def _read_label(data: bytes, _: Path) -> None:
    smoke_from_labels({"io.shipml.smoke": data.decode(errors="replace")})


def _read_fact(data: bytes, folder: Path) -> None:
    store = Store(folder / "home")
    try:
        store.keep_fact("native", "k", 1)
        for path in (folder / "home/facts").rglob("*"):
            if path.is_file():
                path.write_bytes(data)
        store.fact("native", "k")
    finally:
        store.close()


def _read_jwt(data: bytes, _: Path) -> None:
    _refresh_token(Response(200, {}, data, "https://r.example/oauth2/exchange"), "r.example")


def _scan(text: str) -> None:
    list(scan_text("a.py", text))
    list(scan_environment("shipml.toml", [("API_KEY", text)]))


def _varint_message() -> bytes:
    """A trace of BuildKit with a vertex: two fields of text."""
    name = b"[1/2] RUN x"
    vertex = b"\x0a\x47" + _D.encode() + b"\x1a" + bytes([len(name)]) + name
    return b"\x0a" + bytes([len(vertex)]) + vertex


_TIME = dt.datetime(2025, 1, 1, tzinfo=dt.UTC).isoformat().encode()
_RAW_JSON = (
    b'{"vertexes":[{"digest":"sha256:0","name":"[1/2] RUN x","started":"' + _TIME + b'"}],'
    b'"logs":[{"vertex":"sha256:0","stream":1,"data":"aGk="}],"statuses":[{"vertex":"a","id":"b","current":1}]}'
)
_UV_LOCK = (
    b'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "six"\nversion = "1.17.0"\n'
    b'sdist = { url = "https://a.example/six-1.17.0.tar.gz", size = 5, upload-time = 2024-12-04T17:35:26Z, '
    b'hashes = { sha256 = "' + b"0" * 64 + b'" } }\n'
)
_UV_WORDS = (
    (
        b"  x No solution found when resolving:\n  `-> Because there is no version of nump==1 and you require "
        b"nump==1, we can conclude that your requirements are unsatisfiable.\n"
    ),
    b"error: Failed to fetch: `https://u:p@a.example/simple/`\n  Caused by: HTTP status client error (401) for url\n",
    b"six==1.17.0    # via -r a.txt, pandas[x]\n",
)
_LOADER_CACHE = cache_bytes({"liba.so": "/usr/lib/liba.so", "libb.so.1": "/lib/libb.so.1"}, "amd64")
_AZ_PROFILE = b'\xef\xbb\xbf{"subscriptions": [{"id": "a", "name": "b", "tenantId": "c", "isDefault": true}]}'
_PROBE = "".join(
    MARK + json.dumps(one) + "\n"
    for one in ({"begin": "numpy"}, {"end": "numpy", "error": "ImportError", "text": "x", "missing": "y"})
).encode()
_PEM = b"-----BEGIN OPENSSH " + b"PRIVATE KEY-----\n" + b"QUJD" * 30 + b"\n-----END OPENSSH " + b"PRIVATE KEY-----\n"

OUTSIDE: dict[str, tuple[Read, tuple[bytes, ...]]] = {
    **{name: (_git(path), (_git_seed(path),)) for name, path in _GIT.items()},
    "git-remote": (_text(public_url), (b"https://u:t@a.example/x.git", b"git@a.example:x/y", b"ssh://a.example:22/x")),
    "pip.conf": (_read_pip_conf, (b"[global]\nindex-url = https://a.example/simple\nextra-index-url =\n  http://b\n",)),
    "uv.toml": (
        _read_uv_settings("uv.toml"),
        (b'keyring-provider = "subprocess"\nno-binary-package = ["x"]\n[[index]]\nname = "a"\nurl = "https://a"\n',),
    ),
    "uv-in-pyproject": (
        _read_uv_settings("pyproject.toml"),
        (b'[tool.uv]\nno-binary = true\n[tool.uv.pip]\nextra-index-url = ["https://u:p@a.example/"]\n',),
    ),
    "organisation": (
        _read_organisation,
        (b'strict = true\nallowed-bases = ["debian:*"]\n[registries.a]\nhost = "x"\n',),
    ),
    "az-settings": (_read_az, (_AZ_PROFILE, b"[cloud]\nname = AzureCloud\n")),
    "docker-context": (_read_context, (b'{"Endpoints": {"docker": {"Host": "tcp://a:1", "SkipTLSVerify": true}}}',)),
    "uv-answer": (_read_uv_lock, (_UV_LOCK,)),
    "uv-words": (_text(_read_uv_words), _UV_WORDS),
    "sdist-tar": (_read_sdist("demo-1.tar.gz"), (_tar_gz(_SDIST),)),
    "sdist-zip": (_read_sdist("demo-1.zip"), (_zip(_SDIST),)),
    **{
        f"sdist-{name.rpartition('/')[2]}": (_read_member_of_sdist(name), (content,))
        for name, content in _SDIST.items()
    },
    **{f"wheel-{name.rpartition('/')[2]}": (_read_wheel(name), (content,)) for name, content in _WHEEL.items()},
    "built-wheel": (
        _read_built,
        (_WHEEL["demo-1.0.dist-info/METADATA"] + b"Requires-Dist: six>=1; os_name >= 'a' and extra == ''\n",),
    ),
    "native-facts": (
        _text(facts_of_text),
        (b'{"recipe": "1", "wheels": {"' + b"0" * 64 + b'": [["amd64"], [["liba.so", "b.so"]], ["c.so"]]}}',),
    ),
    "debian-packages": (
        _read_packages,
        (b"Package: a\nStatus: install ok installed\nVersion: 1-1\nArchitecture: amd64\nProvides: b (= 1), c\n\n",),
    ),
    "debian-contents": (_read_contents, (b"usr/include/zlib.h libdevel/zlib1g-dev\nusr/lib/libz.so libs/a,b/c\n",)),
    "debian-gz": (_read_packed("Contents-amd64.gz"), (gzip.compress(b"usr/lib/libz.so libs/a\n" * 50, mtime=0),)),
    "debian-xz": (_read_packed("Contents-amd64.xz"), (lzma.compress(b"usr/lib/libz.so libs/a\n" * 50),)),
    "loader-cache": (lambda data, _: read_cache(data, "amd64"), (_LOADER_CACHE,)),
    "accounts": (
        _text(_read_accounts),
        (b"root:x:0:0::/root:/bin/sh\nworker:x:1000:1000::/home:\nstaff:x:50:worker\n",),
    ),
    "registry-error": (
        _answer_of(lambda answer: (said(answer, ["s"]), error_codes(answer))),
        (b'{"errors": [{"code": "DENIED", "message": "m"}]}', b'{"error_description": "x"}'),
    ),
    "registry-tags": (
        _answer_of(lambda answer: list(_tags_in(Response(200, {}, answer.data, answer.url)))),
        (b'{"tags": ["a"]}',),
    ),
    "registry-headers": (
        lambda data, _: (
            retry_after_seconds({"Retry-After": data.decode("latin-1")}),
            _digest_of(Response(200, {"Docker-Content-Digest": data.decode("latin-1")}, b"", "")),
        ),
        (b"5", b"Wed, 21 Oct 2015 07:28:00 GMT", _D.encode()),
    ),
    "azure-token": (_read_jwt, (b'{"refresh_token": "a.b.c"}',)),
    "credential-helper": (lambda data, _: read_helper(data), (b'{"ServerURL": "a", "Username": "b", "Secret": "c"}',)),
    "smoke-label": (_read_label, (b'{"expect":"a","minimum":[["accuracy",0.5]],"port":80,"timeout_seconds":5}',)),
    "program-output": (_text(_read_output), (b"accuracy: 0.93\nModuleNotFoundError: No module named 'x'\n",)),
    "import-probe": (_text(_read_probe), (_PROBE,)),
    "build-log": (
        _text(_read_build_log),
        (b"fatal error: zlib.h: No such file\ncannot find -lz\nE: Unable to locate x\n",),
    ),
    "build-trace": (_read_trace, (_varint_message(), _RAW_JSON)),
    "fact": (_read_fact, (b'{"machines": ["amd64"], "needed": [], "provided": []}',)),
    "secrets": (_text(_scan), (_PEM, b"AWS = 'AKIA" + b"IOSFODNN7AAAAAAA'\npassword = 'abc123def456'\n")),
}
