"""Nothing of a project runs at `shipml plan`: neither what its repository names, nor what uv would build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.events import Event
from shipml.project.git.bounded import GitError
from shipml.project.git.delta import apply_delta
from shipml.project.revision import read_revision
from tests.cli.conftest import Run
from tests.project.repositories import committed, git

Attack = Callable[[Path, str], None]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Registers what makes a repository hostile; it is given a program that leaves a mark."""
    ATTACKS[function.__name__.strip("_")] = function
    return function


def _settings(**values: str) -> Attack:
    def apply(folder: Path, program: str) -> None:
        for name, value in values.items():
            git(folder, "config", name.replace("__", ".").replace("_", "-"), value.replace("PROGRAM", program))

    return apply


def _filter(folder: Path, program: str, key: str = "clean") -> None:
    git(folder, "config", f"filter.evil.{key}", program)
    git(folder, "config", "filter.evil.required", "true")
    os.utime(folder / "app.py", (1, 1))


@attack
def _filter_by_attributes(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py filter=evil\n")
    _filter(folder, program)


@attack
def _filter_by_own_attributes(folder: Path, program: str) -> None:
    (folder / ".git/info/attributes").write_text("* filter=evil\n")
    _filter(folder, program)


@attack
def _filter_as_process(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py filter=evil\n")
    _filter(folder, program, "process")


@attack
def _smudge(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py filter=evil\n")
    _filter(folder, program, "smudge")
    (folder / "app.py").unlink()
    (folder / "app.py").write_text("print(2)\n")


@attack
def _filter_called_lfs(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py filter=lfs\n")
    git(folder, "config", "filter.lfs.clean", program)
    os.utime(folder / "app.py", (1, 1))


@attack
def _filter_of_a_nested_repository(folder: Path, program: str) -> None:
    inner = committed(folder / "inner", **{"app.py": "1\n", ".gitattributes": "* filter=evil\n"})
    git(folder, "add", "inner")
    git(folder, "commit", "-qm", "y")
    _filter(inner, program)


@attack
def _lazy_fetch(folder: Path, program: str) -> None:
    head = git(folder, "rev-parse", "HEAD").strip()
    _settings(extensions__partialClone="origin", remote__origin__url="ssh://x@localhost/x")(folder, program)
    git(folder, "config", "remote.origin.promisor", "true")
    git(folder, "config", "core.repositoryFormatVersion", "1")
    git(folder, "config", "core.sshCommand", f"{program} #")
    (folder / ".git/objects" / head[:2] / head[2:]).unlink()


@attack
def _lazy_fetch_by_another_transport(folder: Path, program: str) -> None:
    _lazy_fetch(folder, program)
    git(folder, "config", "remote.origin.url", f"ext::{program}")
    git(folder, "config", "protocol.ext.allow", "always")


@attack
def _hooks(folder: Path, program: str) -> None:
    for name in ("post-index-change", "fsmonitor-watchman", "pre-commit", "post-checkout", "reference-transaction"):
        shutil.copy(program, folder / ".git/hooks" / name)
    os.utime(folder / "app.py", (1, 1))


@attack
def _hooks_elsewhere(folder: Path, program: str) -> None:
    hooks = folder / "hooks"
    hooks.mkdir()
    shutil.copy(program, hooks / "post-index-change")
    git(folder, "config", "core.hooksPath", str(hooks))
    os.utime(folder / "app.py", (1, 1))


@attack
def _monitor(folder: Path, program: str) -> None:
    git(folder, "update-index", "--fsmonitor")
    git(folder, "config", "core.fsmonitor", program)


@attack
def _included_settings(folder: Path, program: str) -> None:
    (folder / ".gitattributes").write_text("*.py filter=evil\n")
    (folder / "more").write_text(f'[filter "evil"]\n\tclean = {program}\n')
    git(folder, "config", "include.path", "../more")
    git(folder, "config", f"includeIf.gitdir:{folder}/.path", str(folder / "more"))
    os.utime(folder / "app.py", (1, 1))


@attack
def _work_tree_elsewhere(folder: Path, program: str) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / ".gitattributes").write_text("* filter=evil\n")
    (other / "app.py").write_text("print(1)\n")
    _filter(folder, program)
    git(folder, "config", "core.worktree", str(other))


@attack
def _objects_of_elsewhere(folder: Path, program: str) -> None:
    (folder / ".git/objects/info").mkdir(exist_ok=True)
    (folder / ".git/objects/info/alternates").write_text("/dev\n../../objects\n/nowhere\n")
    git(folder, "config", "core.alternateRefsCommand", program)


@attack
def _submodule_with_a_command(folder: Path, program: str) -> None:
    text = f'[submodule "x"]\n\tpath = x\n\turl = ext::{program}\n\tupdate = !{program}\n'
    (folder / ".gitmodules").write_text(text)
    _settings(submodule__x__update="!PROGRAM", submodule__x__url="ext::PROGRAM")(folder, program)


ATTACKS["programs_of_the_display"] = _settings(
    core__pager="PROGRAM", pager__log="PROGRAM", pager__status="PROGRAM", alias__log="!PROGRAM",
    alias__status="!PROGRAM", diff__external="PROGRAM", diff__evil__textconv="PROGRAM", core__editor="PROGRAM",
    log__showSignature="true", gpg__program="PROGRAM", gpg__ssh__program="PROGRAM", sequence__editor="PROGRAM",
)  # fmt: skip
ATTACKS["programs_of_remotes"] = _settings(
    credential__helper="!PROGRAM", uploadpack__packObjectsHook="PROGRAM", core__askPass="PROGRAM",
    core__sshCommand="PROGRAM", core__gitProxy="PROGRAM", remote__origin__url="ext::PROGRAM",
    remote__origin__uploadpack="PROGRAM", remote__origin__vcs="evil", status__submoduleSummary="true",
)  # fmt: skip


@pytest.fixture
def marking(tmp_path: Path) -> str:
    """A program that leaves a mark wherever it is called."""
    program = tmp_path / "marking"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_of_a_repository_runs(name: str, tmp_path: Path, marking: str, shipml: Run) -> None:
    """Whatever its configuration, attributes, hooks and submodules name: planning starts none of it."""
    folder = committed(tmp_path / "project", **{"app.py": "print(1)\n"})
    ATTACKS[name](folder, marking)
    (tmp_path / "ran").unlink(missing_ok=True)
    shipml("plan", str(folder), "--python", "3.99")  # which ends before anything is asked for, but after git is
    assert not (tmp_path / "ran").exists()


SETUP = "open({mark!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='evil', version='1')\n"
WAYS = {
    "requirement": ("--no-binary evil\nevil @ file://{evil}\n", ""),
    "requirement_split": ("--no-binary \\\n evil\nevil @ file://{evil}\n", ""),
    "editable": ("-e {evil}\n", ""),
    "setting": ("evil @ file://{evil}\n", 'no-binary-package = ["evil"]\n'),
    "setting_of_pip": ("evil @ file://{evil}\n", '[pip]\nno-binary = ["evil"]\n'),
    "source_on_an_index": ("--no-index\n--find-links {links}\nevil\n", 'no-binary-package = ["evil"]\n'),
}


@pytest.mark.parametrize("way", WAYS)
def test_uv_builds_nothing_outside_of_the_sandbox(way: str, tmp_path: Path) -> None:
    """Neither options of requirements nor settings of uv in the project have a package's setup.py run."""
    evil, links, folder = tmp_path / "evil", tmp_path / "links", tmp_path / "project"
    for one in (evil, links, folder):
        one.mkdir()
    (evil / "setup.py").write_text(SETUP.format(mark=str(tmp_path / "ran")))
    with tarfile.open(links / "evil-1.tar.gz", "w:gz") as archive:
        archive.add(evil, "evil-1")
    text, settings = WAYS[way]
    (folder / "uv.toml").write_text(settings)
    code = (
        "import sys; from pathlib import Path; from shipml.resolver.uv import Uv\n"
        f"Uv(Path({str(folder)!r}), Path({str(tmp_path / 'cache')!r}))"
        f"._compile('-', {text.format(evil=evil, links=links)!r}, '--only-binary', ':all:')"
    )
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, cwd=folder)
    assert not (tmp_path / "ran").exists()


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _bomb(folder: Path) -> None:
    head = git(folder, "rev-parse", "HEAD").strip()
    path = folder / ".git/objects" / head[:2] / head[2:]
    path.chmod(0o644)
    path.write_bytes(zlib.compress(b"commit 999999999999\0" + b"a" * (100 << 20)))


def _huge(path: Path) -> None:
    with path.open("r+b" if path.exists() else "wb") as stream:
        stream.truncate(1 << 40)


def _put(name: str, text: str) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        (folder / ".git" / name).write_text(text)

    return put


def _endless_packed_refs(folder: Path) -> None:
    (folder / ".git/refs/heads/main").unlink()
    _huge(folder / ".git/packed-refs")


def _links(folder: Path) -> None:
    (folder / ".git/HEAD").unlink()
    (folder / ".git/HEAD").symlink_to("HEAD")


BROKEN: dict[str, Callable[[Path], None]] = {
    "head_is_a_pipe": lambda folder: _pipe(folder / ".git/HEAD"),
    "index_is_a_pipe": lambda folder: _pipe(folder / ".git/index"),
    "config_is_a_pipe": lambda folder: _pipe(folder / ".git/config"),
    "branch_is_a_pipe": lambda folder: _pipe(folder / ".git/refs/heads/main"),
    "ignore_is_a_pipe": lambda folder: _pipe(folder / ".git/info/exclude"),
    "index_is_endless": lambda folder: _huge(folder / ".git/index"),
    "config_is_endless": lambda folder: _huge(folder / ".git/config"),
    "head_is_endless": lambda folder: _huge(folder / ".git/HEAD"),
    "packed_refs_are_endless": _endless_packed_refs,
    "index_is_cut_off": lambda folder: os.truncate(folder / ".git/index", 60),
    "index_claims_too_much": lambda folder: _index(folder, b"DIRC\0\0\0\2\xff\xff\xff\xff"),
    "index_without_end": lambda folder: _index(folder, b"DIRC\0\0\0\4\0\0\0\2" + b"\xff" * 200),
    "index_of_another_version": lambda folder: _index(folder, b"DIRC\0\0\0\x09\0\0\0\0" + b"\0" * 20),
    "branches_in_a_circle": _put("refs/heads/main", "ref: refs/heads/main\n"),
    "branch_outside": _put("HEAD", "ref: refs/../../../etc/passwd\n"),
    "branch_that_is_no_name": _put("HEAD", "ref: /etc/passwd\n"),
    "branch_without_commit": _put("refs/heads/main", "zzzz\n"),
    "commit_missing": _put("refs/heads/main", "1" * 40 + "\n"),
    "commit_is_a_bomb": _bomb,
    "head_links_to_itself": _links,
    "config_of_another_form": _put("config", "[core\n"),
    "reftable": _put("config", "[core]\nrepositoryformatversion = 1\n[extensions]\nrefStorage = reftable\n"),
    "unknown_objects": _put("config", "[extensions]\nobjectFormat = md5\n"),
}


def _index(folder: Path, data: bytes) -> None:
    (folder / ".git/index").write_bytes(data)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_repository_gives_no_revision_and_a_notice(name: str, tmp_path: Path) -> None:
    """What cannot be read within limits is told once; nothing hangs, and nothing fails."""
    folder = committed(tmp_path / "project")
    BROKEN[name](folder)
    heard: list[Event] = []
    assert read_revision(folder, heard.append) is None
    assert len(heard) == 1


@pytest.mark.parametrize(
    "delta",
    [
        b"",
        b"\x04",
        b"\x04\xff",
        b"\x04\x05\x00",
        b"\x04\xff\xff\xff\xff\x7f",
        b"\x04\x02\x80",
        b"\x05\x00",
        b"\xff" * 20,
    ],
)
def test_a_broken_delta_is_an_error(delta: bytes) -> None:
    """Deltas that are cut off, too large, or for something else are refused."""
    with pytest.raises(GitError):
        apply_delta(b"base", delta, 1000)
