"""The build context: what goes in, how it is written, and that it is never held."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from shipml.build_elsewhere.context import (
    ContextEntry,
    folder_context,
    ignore_rules,
    plan_context,
    secrets_in,
    tar_stream,
    tell_secrets,
)
from shipml.errors import BuildError, ConfigurationError
from shipml.events import Event, Notice
from shipml.facts.plan import Plan

_HUGE_BYTES = 2 << 30
_MEASURE = """
import resource, sys
from pathlib import Path
from shipml.build_elsewhere.context import folder_context, ignore_rules, tar_stream
folder = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sent = sum(map(len, tar_stream(folder_context(folder, ignore_rules(folder, folder / "Dockerfile")))))
print(sent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def fill(folder: Path, *paths: str) -> None:
    """Files with their own path as content."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


def sent(folder: Path) -> list[str]:
    """The paths of the context of `folder`, in order."""
    return [entry.path for entry in folder_context(folder, ignore_rules(folder, folder / "Dockerfile"))]


def read(entries: list[ContextEntry]) -> tarfile.TarFile:
    """The entries as tar, read by the standard library."""
    return tarfile.open(fileobj=io.BytesIO(b"".join(tar_stream(entries))))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ("", [".dockerignore", "a", "a/b", "a/b/x.txt", "a/y.py", "z.txt"]),
        ("a\n", [".dockerignore", "z.txt"]),
        ("*\n!z.txt\n", ["z.txt"]),
        ("a\n!a/b/x.txt\n", [".dockerignore", "a", "a/b", "a/b/x.txt", "z.txt"]),
        ("**/*.txt\n", [".dockerignore", "a", "a/b", "a/y.py"]),
        ("# nothing\n/a/b\n", [".dockerignore", "a", "a/y.py", "z.txt"]),
        ("*\n!nothing/below\n", []),
    ],
)
def test_dockerignore(tmp_path: Path, patterns: str, expected: list[str]) -> None:
    """Files go by Docker's rules: negation, `**`, folders; parents come before what is in them."""
    fill(tmp_path, "a/b/x.txt", "a/y.py", "z.txt")
    (tmp_path / ".dockerignore").write_text(patterns)
    assert sent(tmp_path) == expected


def test_a_dockerfile_can_have_rules_of_its_own(tmp_path: Path) -> None:
    """`NAME.dockerignore` beside the Dockerfile is read instead of .dockerignore."""
    fill(tmp_path, "a", "b")
    (tmp_path / ".dockerignore").write_text("a")
    (tmp_path / "gpu.Dockerfile.dockerignore").write_text("*\n!a\n")
    rules = ignore_rules(tmp_path, tmp_path / "gpu.Dockerfile")
    assert [entry.path for entry in folder_context(tmp_path, rules)] == ["a"]


def test_a_pattern_that_docker_refuses_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    (tmp_path / ".dockerignore").write_text("a[")
    with pytest.raises(ConfigurationError, match=r"\.dockerignore"):
        ignore_rules(tmp_path, tmp_path / "Dockerfile")


def test_everything_arrives_as_it_is(tmp_path: Path) -> None:
    """Content, modes, links, empty folders, long and odd names are kept; owners are root, sockets stay here."""
    long_name = "x" * 120
    fill(tmp_path, "run.sh", f"{long_name}/{long_name}", "é\n")
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"raw")
    (tmp_path / "run.sh").chmod(0o751)
    (tmp_path / "empty").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("../outside")
    os.mkfifo(tmp_path / "pipe")
    with read(list(folder_context(tmp_path, ignore_rules(tmp_path, tmp_path / "Dockerfile")))) as tar:
        members = {member.name: member for member in tar}
        assert tar.extractfile(f"{long_name}/{long_name}").read() == f"{long_name}/{long_name}".encode()  # type: ignore[union-attr]
        assert tar.extractfile(os.fsdecode(b"\xff")).read() == b"raw"  # type: ignore[union-attr]
    assert members["run.sh"].mode == 0o751
    assert members["empty"].isdir()
    assert members["empty"].mode == 0o700
    assert members["link"].linkname == "../outside"
    assert "é\n" in members
    assert "pipe" not in members
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}
    assert members["run.sh"].mtime == int((tmp_path / "run.sh").stat().st_mtime)


def test_no_header_is_of_the_pax_kind(tmp_path: Path) -> None:
    """BuildKit would take a first header of that kind for the Dockerfile."""
    fill(tmp_path, "é" * 80, "a")
    entries = list(folder_context(tmp_path, ignore_rules(tmp_path, tmp_path / "Dockerfile")))
    data = b"".join(tar_stream([ContextEntry.of_bytes("Dockerfile", b"FROM scratch\n"), *entries]))
    kinds = {data[at + 156 : at + 157] for at in range(0, len(data), 512) if data[at + 257 : at + 262] == b"ustar"}
    assert kinds <= {b"0", b"5", b"2", b"L", b"K"}
    assert data.startswith(b"Dockerfile\0")


def test_a_plan_sends_its_files_alone(plan: Plan, folder: Path) -> None:
    """What is in the folder but not in the plan stays here, and modes are those of every builder."""
    (folder / ".env").write_text("SECRET=1")
    (folder / "go.sh").chmod(0o700)
    entries = list(plan_context(plan, folder))
    assert [entry.path for entry in entries] == [file.path for file in plan.application]
    assert {entry.path: oct(entry.mode) for entry in entries}["go.sh"] == "0o755"


def test_files_with_the_names_of_secrets_are_found(tmp_path: Path) -> None:
    """Keys, .env files and what lies in folders for credentials are named."""
    fill(tmp_path, ".env", "id_rsa", "tls/server.key", ".aws/config", "app.py", "key.py", "monkey")
    entries = folder_context(tmp_path, ignore_rules(tmp_path, tmp_path / "Dockerfile"))
    assert sorted(secrets_in(entries)) == [".aws/config", ".env", "id_rsa", "tls/server.key"]


def test_secrets_are_told_in_words_that_can_be_printed() -> None:
    """Five by name, the rest counted; a name that is no UTF-8 breaks no terminal, whichever builder tells of it."""
    told: list[Event] = []
    tell_secrets([os.fsdecode(b"\xff.pem"), *"abcde"], told.append, "are sent away")
    tell_secrets([], told.append, "are sent away")
    said = "\N{REPLACEMENT CHARACTER}.pem, a, b, c, d and 1 more may hold secrets, and are sent away"
    assert told == [Notice(f"{said}: name them in .dockerignore", "warning")]


def test_a_file_that_shrinks_is_said(tmp_path: Path) -> None:
    """A file that is shorter than it was is an error that names it, not a broken archive."""
    fill(tmp_path, "log")
    entry = next(folder_context(tmp_path, ignore_rules(tmp_path, tmp_path / "Dockerfile")))
    (tmp_path / "log").write_text("")
    with pytest.raises(BuildError, match="log became shorter"):
        list(tar_stream([entry]))


def test_a_file_that_vanishes_is_said(tmp_path: Path) -> None:
    """A file that is gone when its turn comes is an error that names it."""
    fill(tmp_path, "gone")
    entry = next(folder_context(tmp_path, ignore_rules(tmp_path, tmp_path / "Dockerfile")))
    (tmp_path / "gone").unlink()
    with pytest.raises(BuildError, match="cannot read gone"):
        list(tar_stream([entry]))


@pytest.mark.slow
def test_a_huge_context_is_not_held(tmp_path: Path) -> None:
    """Sending 2 GiB adds less than 50 MB to the memory of the process."""
    with (tmp_path / "weights.bin").open("wb") as file:
        file.truncate(_HUGE_BYTES)
    done = subprocess.run([sys.executable, "-c", _MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    sent_bytes, grown_bytes = map(int, done.stdout.split())
    assert sent_bytes > _HUGE_BYTES
    assert grown_bytes < 50_000_000
