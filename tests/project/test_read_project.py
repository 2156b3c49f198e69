"""The project as facts: requirements, Python, Procfile, git, and what errors say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shipml.errors import ConfigurationError, UsageError
from shipml.events import Event
from shipml.facts.project import ProcessLine, PythonEvidence
from shipml.project import read_project
from shipml.project.revision import public_url, read_revision


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("__", "/").replace("_txt", ".txt").replace("_toml", ".toml")).write_text(text)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_requirements_and_all_that_they_include_are_facts(tmp_path: Path) -> None:
    """-r and -c are followed from file to file, each once; constraints name no requirement."""
    (tmp_path / "req").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "\ufeff# first\n-r req/base.txt\n--constraint=req/pins.txt\npandas==2.3.3 \\\n  --hash=sha256:00\n"
        "joblib # why\n--index-url https://example.org/simple\n"
    )
    (tmp_path / "req/base.txt").write_text("-r more.txt\r\nnumpy\r\n")
    (tmp_path / "req/more.txt").write_text("-r base.txt\nscipy; python_version > '3'\n")
    (tmp_path / "req/pins.txt").write_text("numpy==2.0\n")
    source = read_project(tmp_path, None).requirements
    assert source is not None
    assert [name for name, _ in source.texts] == ["requirements.txt", "req/base.txt", "req/more.txt", "req/pins.txt"]
    assert source.names == ("scipy; python_version > '3'", "numpy", "pandas==2.3.3", "joblib")


def test_a_missing_include_is_named_with_its_line(tmp_path: Path) -> None:
    """The error says which line of which file wants which file."""
    write(tmp_path, requirements_txt="numpy\n-r dev.txt\n")
    with pytest.raises(ConfigurationError, match=r"requirements\.txt:2 includes dev\.txt, which is not there"):
        read_project(tmp_path, None)


def test_requirements_txt_is_taken_before_pyproject(tmp_path: Path) -> None:
    """With both, requirements.txt counts and the other is remembered as left aside."""
    write(tmp_path, requirements_txt="numpy\n", pyproject_toml='[project]\nname = "x"\ndependencies = ["pandas"]\n')
    project = read_project(tmp_path, None)
    assert project.requirements is not None
    assert project.requirements.path == "requirements.txt"
    assert [one.path for one in project.requirements.left_aside] == ["pyproject.toml"]


def test_changes_that_do_not_concern_dependencies_do_not_change_their_text(tmp_path: Path) -> None:
    """Of pyproject.toml only the dependencies, requires-python and uv's own settings count."""
    text = '[project]\nname = "x"\nversion = "1"\ndependencies = ["pandas"]\n'
    write(tmp_path, pyproject_toml=text)
    first = read_project(tmp_path, None).requirements
    write(tmp_path, pyproject_toml=text.replace('version = "1"', 'version = "2"') + "[tool.black]\nline-length = 1\n")
    assert read_project(tmp_path, None).requirements == first
    write(tmp_path, pyproject_toml=text + '[tool.uv]\nprerelease = "allow"\n')
    assert read_project(tmp_path, None).requirements != first


def test_python_evidence_has_file_and_line_strongest_first(tmp_path: Path) -> None:
    """Settings, .python-version, runtime.txt and requires-python are all found, each with its place."""
    write(
        tmp_path,
        shipml_toml='name = "x"\npython = "3.13"\n',
        runtime_txt="\npython-3.11.4\n",
        pyproject_toml='[project]\nname = "x"\nrequires-python = ">=3.10"\n',
    )
    (tmp_path / ".python-version").write_text("# pyenv\n3.11 # here\n")
    assert read_project(tmp_path, None).python_evidence == (
        PythonEvidence("3.13", "shipml.toml:2", "version"),
        PythonEvidence("3.11", ".python-version:2", "version"),
        PythonEvidence("python-3.11.4", "runtime.txt:2", "version"),
        PythonEvidence(">=3.10", "pyproject.toml:3", "range"),
    )


def test_the_line_is_that_of_the_right_table(tmp_path: Path) -> None:
    """Another tool's key of the same name is not taken for the place."""
    write(tmp_path, pyproject_toml='[tool.poetry]\npython = "^3.9"\n[tool.shipml]\npython = "3.11"\n')
    assert read_project(tmp_path, None).python_evidence == (PythonEvidence("3.11", "pyproject.toml:4", "version"),)


def test_procfile_lines_are_read(tmp_path: Path) -> None:
    """Each process has its command and line."""
    write(tmp_path, Procfile="# x\nweb: gunicorn app:app\n\nworker:  python w.py\n")
    assert read_project(tmp_path, None).processes == (
        ProcessLine("web", "gunicorn app:app", 2),
        ProcessLine("worker", "python w.py", 4),
    )


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("numpy\npandas\n".encode("utf-16"), "UTF-16"),
        ("numpy\npandas\n".encode("utf-16-le"), "UTF-16"),
        (b"numpy\r\npandas # caf\xe9\r\n", "Windows-1252"),
        (b"\xef\xbb\xbfnumpy\r\npandas\r\n", ""),
    ],
)
def test_requirements_are_read_in_any_encoding(tmp_path: Path, data: bytes, encoding: str) -> None:
    """What is no UTF-8 is read all the same, and said; a byte order mark and Windows' line ends need no word."""
    (tmp_path / "requirements.txt").write_bytes(data)
    declared = read_project(tmp_path, None).requirements
    assert declared is not None
    assert declared.names == ("numpy", "pandas")
    assert [change.before for change in declared.changes] == ([encoding] if encoding else [])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfen\x00u\x00", "shipml.toml is UTF-16"),
        (b"# a\nname = 'caf\xe9'\n", r"shipml.toml is not UTF-8 \(byte 0xe9, line 2\)"),
    ],
)
def test_settings_that_are_no_utf8_are_explained(tmp_path: Path, data: bytes, message: str) -> None:
    """The error names file, byte and line."""
    (tmp_path / "shipml.toml").write_bytes(data)
    with pytest.raises(ConfigurationError, match=message):
        read_project(tmp_path, None)


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    """The error of a settings file says where."""
    write(tmp_path, shipml_toml="name = \n")
    with pytest.raises(ConfigurationError, match=r"shipml\.toml is not valid TOML: .*line 1"):
        read_project(tmp_path, None)


def test_toml_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Windows editors write one."""
    (tmp_path / "shipml.toml").write_bytes(b'\xef\xbb\xbfname = "x"\n')
    assert read_project(tmp_path, None).settings.name == "x"


def test_a_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    """So is a file."""
    with pytest.raises(UsageError, match="does not exist"):
        read_project(tmp_path / "nothing", None)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        read_project(tmp_path / "file", None)


def test_git_gives_commit_time_and_remote(tmp_path: Path) -> None:
    """A clean checkout has its commit; changed and unknown files make it dirty, files of elsewhere do not."""
    folder = tmp_path / "project"
    folder.mkdir()
    write(folder, app="")
    assert read_revision(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert read_revision(folder) is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "x", "--date=2020-01-01T00:00:00Z")
    git(tmp_path, "remote", "add", "origin", "https://joe:s3cret@example.org/team/iris.git?token=x")
    (tmp_path / "elsewhere").touch()
    revision = read_revision(folder)
    assert revision is not None
    assert len(revision.commit) == 40
    assert not revision.dirty
    assert revision.committed_at_seconds > 1_500_000_000
    assert revision.source == "https://example.org/team/iris.git"
    write(folder, new="")
    changed = read_revision(folder)
    assert changed is not None
    assert changed.dirty


def test_nothing_that_a_repository_names_is_run(tmp_path: Path) -> None:
    """Reading the revision runs no file system monitor that the repository's configuration sets."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    monitor = tmp_path / "monitor"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    monitor.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(monitor))
    assert read_revision(tmp_path) is not None
    assert not (tmp_path / "ran").exists()


def test_a_project_without_git_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the program is missing there is no revision, and no complaint."""
    monkeypatch.setenv("PATH", str(tmp_path))
    heard: list[Event] = []
    assert read_project(tmp_path, None, heard.append).revision is None
    assert heard == []


@pytest.mark.parametrize(
    ("remote", "public"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://u:p@example.org:8443/a?x=1#f", "https://example.org:8443/a"),
        ("git@example.org:a/b.git", "https://example.org/a/b.git"),
        ("ssh://git@example.org:22/a/b", "https://example.org/a/b"),
        ("http://example.org/a", "http://example.org/a"),
        ("/srv/git/a", ""),
        ("file:///srv/git/a", ""),
        ("../a", ""),
        ("https://exa mple:port/a", ""),
        ("", ""),
    ],
)
def test_remotes_become_public_urls(remote: str, public: str) -> None:
    """Credentials, queries and local paths never get into a label."""
    assert public_url(remote) == public
