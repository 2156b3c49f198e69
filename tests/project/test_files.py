"""Which files go along, and as what."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from pathlib import Path

import pytest

from shipml.dockerfile.ignore import IgnorePatterns
from shipml.errors import BuildError, PlanError
from shipml.events import Event, Notice, ignore
from shipml.facts.plan import ApplicationFile
from shipml.project import read_project
from shipml.project.files import FileRules, FoundFiles, find_files
from shipml.store import Store


def walk(folder: Path, *, ignored: list[str] | None = None, include: list[str] | None = None) -> FoundFiles:
    patterns = [*(ignored or []), *(f"!{one}" for one in include or [])]
    rules = FileRules(IgnorePatterns(patterns), IgnorePatterns(include or []))
    return find_files(folder, rules, store=None, emit=ignore)


def paths(found: FoundFiles) -> list[str]:
    return [file.path for file in found.files]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_files_carry_kind_size_mode_and_digest(tmp_path: Path) -> None:
    """Files, empty folders, links and execute bits are found as they are, sorted by path."""
    write(tmp_path, "run.sh", "pkg/a.py")
    (tmp_path / "run.sh").chmod(0o700)
    (tmp_path / "empty").mkdir()
    (tmp_path / "pkg/link").symlink_to("../run.sh")
    assert walk(tmp_path).files == [
        ApplicationFile("empty", "directory"),
        ApplicationFile("pkg", "directory"),
        ApplicationFile("pkg/a.py", "file", 8, digest=walk(tmp_path).files[2].digest),
        ApplicationFile("pkg/link", "symlink", target="../run.sh"),
        ApplicationFile("run.sh", "file", 6, executable=True, digest=walk(tmp_path).files[4].digest),
    ]
    assert str(walk(tmp_path).files[2].digest) == f"sha256:{hashlib.sha256(b'pkg/a.py').hexdigest()}"


def test_odd_names_survive(tmp_path: Path) -> None:
    """Names with blanks, newlines, backslashes and bytes that are not UTF-8 are kept as they are."""
    write(tmp_path, "a b", "new\nline", "back\\slash", "ünï")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).write_text("x")
    assert sorted(map(os.fsencode, paths(walk(tmp_path)))) == sorted(
        [b"a b", b"new\nline", b"back\\slash", "ünï".encode(), b"\xff"]
    )


SECRETS = [
    *(
        ".env",
        ".env.local",
        "sub/.env",
        "server.pem",
        "tls.key",
        "id_rsa",
        "id_ed25519",
        "cert.p12",
        ".netrc",
        ".pypirc",
    ),
    *(
        ".aws/credentials",
        ".azure/x",
        "pip.conf",
        "state.tfstate",
        ".ssh/config",
        "service-account.json",
        "gcp_service_account_1.json",
        ".ENV",
    ),
]
LITTER = [
    *(".git/config", ".hg/x", ".svn/x", "__pycache__/a.pyc", "sub/__pycache__/b.pyc", "a.pyc", ".pytest_cache/x"),
    *(".mypy_cache/x", ".ruff_cache/x", ".ipynb_checkpoints/x", ".tox/x", ".nox/x", "node_modules/x", "p.egg-info/x"),
    *(".DS_Store", "venv/pyvenv.cfg", "venv/lib/x.py", "out/oci-layout", "out/index.json", "out/blobs/x"),
    *("Dockerfile", ".dockerignore", "shipml.toml", "pylock.toml"),
]
KEPT = ["build/model.onnx", "dist/index.html", "env.py", "keys.py", "id_rsa.pub", "sub/Dockerfile", "git/x", "key.txt"]


def test_secrets_and_litter_stay_at_home(tmp_path: Path) -> None:
    """Without any settings no secret, history, environment or cache goes along, and each is reported with a reason."""
    write(tmp_path, *SECRETS, *LITTER, *KEPT, "app.py")
    found = walk(tmp_path)
    files = {file.path for file in found.files if file.kind == "file"}
    assert files == {*KEPT, "app.py"}
    left_out = dict(found.left_out)
    assert left_out[".env"] == "may hold a secret"
    assert left_out["venv"] == "an environment of this machine"
    assert left_out[".git"] == "version control"


def test_requirements_with_a_password_stay_at_home(tmp_path: Path) -> None:
    """A requirements file that names its index with a password is left out; one with a variable is not."""
    (tmp_path / "requirements.txt").write_text("--index-url https://joe:s3cret@example.org/simple\n-r more.txt\nsix\n")
    (tmp_path / "more.txt").write_text("--extra-index-url https://joe:${TOKEN}@example.org/simple\n")
    project = read_project(tmp_path, None)
    assert [file.path for file in project.files] == ["more.txt"]
    assert project.left_out == (("requirements.txt", "may hold a secret"),)


def test_include_names_what_is_to_go_along_all_the_same(tmp_path: Path) -> None:
    """A pattern that names a safely excluded file takes it; wildcards alone do not, nor does a folder around it."""
    write(
        tmp_path, ".env", "data/.env", "data/x", "certs/a.pem", "certs/b.key", "node_modules/m/a.js", "node_modules/b"
    )
    assert ".env" in paths(walk(tmp_path, include=[".env"]))
    assert "data/.env" not in paths(walk(tmp_path, include=["data/**", "*", "data", "**/*"]))
    taken = paths(walk(tmp_path, include=["certs/*.pem", "node_modules/m"]))
    assert {"certs/a.pem", "node_modules/m/a.js", "node_modules/m", "node_modules"} <= set(taken)
    assert not {"certs/b.key", "node_modules/b"} & set(taken)


def test_include_lifts_an_exclusion_of_dockerignore(tmp_path: Path) -> None:
    """What .dockerignore leaves out goes along when the settings name it, with its folders."""
    write(tmp_path, "data/raw/a", "data/raw/b", "app.py")
    found = walk(tmp_path, ignored=["data"], include=["data/raw/a"])
    assert paths(found) == ["app.py", "data", "data/raw", "data/raw/a"]


def test_excluded_folders_leave_no_trace(tmp_path: Path) -> None:
    """An excluded folder is absent, an empty one that is not excluded is there."""
    write(tmp_path, "data/x", "app.py")
    (tmp_path / "keep").mkdir()
    assert paths(walk(tmp_path, ignored=["data"])) == ["app.py", "keep"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "sub/../../outside", ".."])
def test_links_that_leave_the_project_are_refused(tmp_path: Path, target: str) -> None:
    """The error names link and target and what to do."""
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(PlanError) as caught:
        walk(tmp_path)
    assert f"link link points to {target}" in caught.value.message
    assert ".dockerignore" in caught.value.hint
    assert walk(tmp_path, ignored=["link"]).files == []


def test_an_absolute_link_into_the_project_gets_the_command_that_fixes_it(tmp_path: Path) -> None:
    """A link that only needs to be relative is told so."""
    write(tmp_path, "models/a")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/link").symlink_to(tmp_path / "models/a")
    with pytest.raises(PlanError) as caught:
        walk(tmp_path)
    assert caught.value.hint == "make it relative: ln -sfn ../models/a sub/link"


def test_dangling_and_looping_links_are_kept(tmp_path: Path) -> None:
    """Links are not followed: one to itself or to nothing is a link like any other."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nothing").symlink_to("absent")
    (tmp_path / "up").symlink_to(".")
    assert [(file.kind, file.target) for file in walk(tmp_path).files] == [
        ("symlink", "loop"),
        ("symlink", "absent"),
        ("symlink", "."),
    ]


def test_pipes_and_sockets_are_left_out_with_a_notice(tmp_path: Path) -> None:
    """What is no file is never opened; the user is told."""
    os.mkfifo(tmp_path / "pipe")
    heard: list[Event] = []
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "sock"))
        found = find_files(tmp_path, FileRules(IgnorePatterns([]), IgnorePatterns([])), store=None, emit=heard.append)
    assert found.files == []
    assert sorted(event.message for event in heard if isinstance(event, Notice)) == [
        "pipe is a named pipe and was left out",
        "sock is a socket and was left out",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files_are_named(tmp_path: Path) -> None:
    """A file without read permission gives an error that names it."""
    write(tmp_path, "secret")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(BuildError, match="cannot read secret"):
        walk(tmp_path)


def test_digests_of_large_files_are_remembered_until_they_change(tmp_path: Path) -> None:
    """A large file is not read again while size, times and inode are the same; a changed one is."""
    folder = tmp_path / "project"
    folder.mkdir()
    store = Store(tmp_path / "home")
    weights = folder / "model.bin"
    weights.write_bytes(b"a" * (1 << 21))
    an_hour_ago = time.time() - 3600
    os.utime(weights, (an_hour_ago, an_hour_ago))
    first = read_project(folder, store).files[0]
    facts = list((tmp_path / "home/facts/file").iterdir())
    assert len(facts) == 1
    facts[0].write_text(f'"sha256:{"0" * 64}"')
    assert read_project(folder, store).files[0].digest != first.digest  # the fact was believed, nothing was read
    weights.write_bytes(b"b" * (1 << 21))
    os.utime(weights, (an_hour_ago, an_hour_ago))
    changed = read_project(folder, store).files[0]
    assert changed.digest is not None
    assert changed.digest.hex == hashlib.sha256(b"b" * (1 << 21)).hexdigest()
    store.close()


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path) -> None:
    """Within the resolution of time stamps a file could change unseen, so its digest is not kept."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"a" * (1 << 21))
    store = Store(tmp_path / "home")
    read_project(folder, store)
    assert not (tmp_path / "home/facts/file").exists()
    store.close()
