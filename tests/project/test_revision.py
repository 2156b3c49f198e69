"""The revision, against what the real git says of the same repository."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.events import Event
from shipml.project.git.wildmatch import Pattern
from shipml.project.revision import describe_tag, public_url, read_revision
from tests.project.repositories import committed, git, said_by_git

State = Callable[[Path], Path | None]


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))


def _agrees(folder: Path) -> bool:
    """Whether both say the same; returns whether it is dirty."""
    heard: list[Event] = []
    revision = read_revision(folder, heard.append)
    assert revision is not None, heard
    assert (revision.commit, revision.committed_at_seconds, revision.dirty) == said_by_git(folder)
    return revision.dirty


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")


def _touch(path: Path) -> None:
    os.utime(path, (time.time() + 100, time.time() + 100))


def _many(folder: Path) -> None:
    for number in range(30):
        _write(folder / "app", f"{number}\n" * 50)
        git(folder, "commit", "-qam", f"{number}", when=1_600_000_000 + number)


STATES: dict[str, tuple[bool, State]] = {}


def state(*, dirty: bool) -> Callable[[State], State]:
    """Registers a repository's state by the function that makes it of a clean one; it may return another folder."""

    def add(function: State) -> State:
        STATES[function.__name__.strip("_")] = dirty, function
        return function

    return add


@state(dirty=False)
def _clean(folder: Path) -> None:
    pass


@state(dirty=False)
def _touched(folder: Path) -> None:
    _touch(folder / "app")


@state(dirty=True)
def _edited(folder: Path) -> None:
    _write(folder / "app", "print(22)\n")


@state(dirty=True)
def _edited_to_the_same_size(folder: Path) -> None:
    _write(folder / "app", "print(2)\n")


@state(dirty=True)
def _edited_with_the_old_time(folder: Path) -> None:
    before = (folder / "app").stat()
    _write(folder / "app", "print(2)\n")
    os.utime(folder / "app", ns=(before.st_atime_ns, before.st_mtime_ns))


@state(dirty=True)
def _removed(folder: Path) -> None:
    (folder / "app").unlink()


@state(dirty=True)
def _staged(folder: Path) -> None:
    _write(folder / "app", "2\n")
    git(folder, "add", ".")


@state(dirty=True)
def _staged_and_put_back(folder: Path) -> None:
    _staged(folder)
    _write(folder / "app", "print(1)\n")


@state(dirty=True)
def _staged_removal(folder: Path) -> None:
    git(folder, "rm", "-q", "--cached", "app")
    _write(folder / ".git/info/exclude", "app\n")


@state(dirty=True)
def _intended(folder: Path) -> None:
    _write(folder / "new", "x")
    git(folder, "add", "-N", "new")


@state(dirty=True)
def _index_removed(folder: Path) -> None:
    (folder / ".git/index").unlink()


@state(dirty=True)
def _untracked(folder: Path) -> None:
    _write(folder / "src/new", "x")


@state(dirty=True)
def _untracked_folder(folder: Path) -> None:
    _write(folder / "b/c/new", "x")


@state(dirty=True)
def _untracked_link(folder: Path) -> None:
    (folder / "link").symlink_to("nowhere")


@state(dirty=False)
def _empty_folder(folder: Path) -> None:
    (folder / "b/c").mkdir(parents=True)


@state(dirty=False)
def _named_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


@state(dirty=True)
def _mode_changed(folder: Path) -> None:
    (folder / "app").chmod(0o755)


@state(dirty=False)
def _mode_does_not_count(folder: Path) -> None:
    git(folder, "config", "core.fileMode", "false")
    (folder / "app").chmod(0o755)


@state(dirty=True)
def _file_became_a_link(folder: Path) -> None:
    (folder / "app").rename(folder / "src/b")
    (folder / "app").symlink_to("src/b")
    _write(folder / ".git/info/exclude", "b\n")


@state(dirty=True)
def _file_became_a_pipe(folder: Path) -> None:
    (folder / "app").unlink()
    os.mkfifo(folder / "app")


@state(dirty=True)
def _folder_became_a_link(folder: Path) -> None:
    (folder / "src").rename(folder / ".git/src")
    (folder / "src").symlink_to(".git/src")
    _write(folder / ".git/info/exclude", "src\n")


@state(dirty=False)
def _link_committed(folder: Path) -> None:
    (folder / "link").symlink_to("app")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "y")


@state(dirty=True)
def _link_changed(folder: Path) -> None:
    _link_committed(folder)
    (folder / "link").unlink()
    (folder / "link").symlink_to("src")


@state(dirty=False)
def _detached(folder: Path) -> None:
    git(folder, "checkout", "-q", "--detach")


@state(dirty=False)
def _packed(folder: Path) -> None:
    _many(folder)
    git(folder, "gc", "-q")
    git(folder, "pack-refs", "--all")


@state(dirty=True)
def _packed_and_staged_below(folder: Path) -> Path:
    _many(folder)
    git(folder, "gc", "-q")
    _write(folder / "src/b", "x")
    git(folder, "add", ".")
    return folder / "src"


@state(dirty=False)
def _head_is_a_link(folder: Path) -> None:
    (folder / ".git/HEAD").unlink()
    (folder / ".git/HEAD").symlink_to("refs/heads/main")


@state(dirty=False)
def _worktree(folder: Path) -> Path:
    git(folder, "worktree", "add", "-q", "../tree", "-b", "other")
    git(folder.parent / "tree", "commit", "-q", "--allow-empty", "-m", "y")
    _write(folder / "app", "2")
    return folder.parent / "tree"


@state(dirty=False)
def _separate_git_folder(folder: Path) -> None:
    git(folder, "init", "-q", "--separate-git-dir", "../apart")


@state(dirty=False)
def _cloned_with_borrowed_objects(folder: Path) -> Path:
    git(folder.parent, "clone", "-q", "--shared", "project", "copy")
    return folder.parent / "copy"


@state(dirty=False)
def _cloned_shallow(folder: Path) -> Path:
    _many(folder)
    git(folder.parent, "clone", "-q", "--depth=1", f"file://{folder}", "copy")
    return folder.parent / "copy"


@state(dirty=False)
def _cloned_without_blobs(folder: Path) -> Path:
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(folder.parent, "clone", "-q", "--filter=blob:none", f"file://{folder}", "copy")
    return folder.parent / "copy"


@state(dirty=False)
def _copied(folder: Path) -> Path:
    shutil.copytree(folder, folder.parent / "copy", symlinks=True)
    return folder.parent / "copy"


@state(dirty=False)
def _index_version_4(folder: Path) -> None:
    for number in range(300):
        _write(folder / f"deep/{number % 7}/{number}", f"{number}")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "y")
    git(folder, "update-index", "--index-version=4")


@state(dirty=True)
def _index_version_3(folder: Path) -> None:
    git(folder, "update-index", "--skip-worktree", "app")
    _write(folder / "src/a", "2")


@state(dirty=False)
def _index_split(folder: Path) -> None:
    git(folder, "config", "splitIndex.maxPercentChange", "100")
    for number in range(200):
        _write(folder / f"many/{number:03}", "x")
    git(folder, "add", ".")
    git(folder, "update-index", "--split-index")
    _write(folder / "many/150", "other")
    _write(folder / "many/zz", "other")
    git(folder, "rm", "-q", "-f", "--cached", "many/003", "many/199")
    git(folder, "add", "many/150", "many/zz")
    git(folder, "commit", "-qm", "y")
    assert list((folder / ".git").glob("sharedindex.*"))
    _write(folder / ".git/info/exclude", "003\n199\n")


@state(dirty=True)
def _index_split_and_edited(folder: Path) -> None:
    _index_split(folder)
    _write(folder / "many/120", "y")


@state(dirty=False)
def _assumed_unchanged(folder: Path) -> None:
    git(folder, "update-index", "--assume-unchanged", "app")
    _write(folder / "app", "2")


@state(dirty=False)
def _left_out_of_the_checkout(folder: Path) -> None:
    git(folder, "sparse-checkout", "set", "other")
    assert not (folder / "src").exists()


@state(dirty=False)
def _sparse_index(folder: Path) -> None:
    git(folder, "sparse-checkout", "init", "--cone", "--sparse-index")
    git(folder, "sparse-checkout", "set", "other")


@state(dirty=False)
def _untracked_cache_and_monitor(folder: Path) -> None:
    git(folder, "update-index", "--untracked-cache")
    git(folder, "update-index", "--fsmonitor")


@state(dirty=False)
def _crlf_of_the_user(folder: Path) -> Path:
    git(folder, "config", "--global", "core.autocrlf", "true")
    git(folder.parent, "clone", "-q", "project", "copy")
    assert (folder.parent / "copy/app").read_bytes().endswith(b"\r\n")
    _touch(folder.parent / "copy/app")
    return folder.parent / "copy"


@state(dirty=False)
def _crlf_by_attributes(folder: Path) -> Path:
    _write(folder / ".gitattributes", "*   eol=crlf\nsrc/** -text\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "y")
    git(folder.parent, "clone", "-q", "project", "copy")
    for name in ("app", "src/a"):
        _touch(folder.parent / "copy" / name)
    return folder.parent / "copy"


@state(dirty=True)
def _crlf_committed_as_text(folder: Path) -> None:
    _write(folder / "win", "a\r\nb\r\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "y")
    _write(folder / ".git/info/attributes", "win text\n")
    _touch(folder / "win")


@state(dirty=False)
def _identifier(folder: Path) -> Path:
    _write(folder / ".gitattributes", "app ident\n")
    _write(folder / "app", "$Id$\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "y")
    git(folder.parent, "clone", "-q", "project", "copy")
    _touch(folder.parent / "copy/app")
    return folder.parent / "copy"


@state(dirty=False)
def _sha256(folder: Path) -> Path:
    other = committed(folder.parent / "other", "--object-format=sha256")
    _many(other)
    git(other, "gc", "-q")
    return other


@state(dirty=False)
def _change_outside_of_the_folder(folder: Path) -> Path:
    _write(folder / "app", "2")
    return folder / "src"


@state(dirty=True)
def _folder_that_is_not_committed(folder: Path) -> Path:
    _write(folder / "b/new", "x")
    return folder / "b"


@state(dirty=False)
def _folder_that_is_ignored(folder: Path) -> Path:
    _write(folder / ".git/info/exclude", "b/\n")
    _write(folder / "b/c/new", "x")
    return folder / "b/c"


@state(dirty=False)
def _reached_through_a_link(folder: Path) -> Path:
    (folder.parent / "way").symlink_to(folder)
    return folder.parent / "way"


def _with_submodule(folder: Path) -> None:
    committed(folder.parent / "part")
    git(folder, "submodule", "--quiet", "add", "../part", "inner")
    git(folder, "commit", "-qm", "y")


@state(dirty=False)
def _submodule(folder: Path) -> None:
    _with_submodule(folder)


@state(dirty=False)
def _submodule_itself(folder: Path) -> Path:
    _with_submodule(folder)
    return folder / "inner"


@state(dirty=True)
def _submodule_edited(folder: Path) -> None:
    _with_submodule(folder)
    _write(folder / "inner/app", "2")


@state(dirty=True)
def _submodule_with_untracked(folder: Path) -> None:
    _with_submodule(folder)
    _write(folder / "inner/new", "2")


@state(dirty=True)
def _submodule_moved(folder: Path) -> None:
    _with_submodule(folder)
    git(folder / "inner", "commit", "-q", "--allow-empty", "-m", "z")


@state(dirty=False)
def _submodule_not_checked_out(folder: Path) -> Path:
    _with_submodule(folder)
    git(folder.parent, "clone", "-q", "project", "copy")
    return folder.parent / "copy"


@state(dirty=True)
def _nested_repository(folder: Path) -> None:
    committed(folder / "nested")


@state(dirty=True)
def _merge_left_open(folder: Path) -> None:
    git(folder, "checkout", "-qb", "b")
    _write(folder / "app", "b\n")
    git(folder, "commit", "-qam", "b")
    git(folder, "checkout", "-q", "main")
    _write(folder / "app", "c\n")
    git(folder, "commit", "-qam", "c")
    with pytest.raises(AssertionError):
        git(folder, "merge", "-q", "b")


@state(dirty=False)
def _own_excludes(folder: Path) -> None:
    excludes = folder.parent / "mine"
    _write(excludes, "*.tmp\n")
    git(folder, "config", "--global", "core.excludesFile", str(excludes))
    _write(folder / "src/x.tmp", "")


@state(dirty=False)
def _own_excludes_in_their_usual_place(folder: Path) -> None:
    _write(Path(os.environ["XDG_CONFIG_HOME"], "git/ignore"), "*.tmp\n")
    _write(folder / "src/x.tmp", "")


@state(dirty=False)
def _worktree_setting_that_points_elsewhere(folder: Path) -> None:
    git(folder, "config", "core.worktree", str(folder))


@pytest.mark.parametrize("name", STATES)
def test_a_repository_reads_as_git_reads_it(name: str, tmp_path: Path) -> None:
    """Commit, time and cleanliness are git's, in every ordinary state of a repository."""
    dirty, make = STATES[name]
    folder = committed(tmp_path / "project")
    assert _agrees(make(folder) or folder) == dirty


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        (rules, path)
        for rules in (
            "new", "/new", "b/", "new/", "b/new", "/b/new", "**/new", "b/**", "**", "*", "*\n!new", "*\n!*/\n!new",
            "b/*\n!b/new", "b\n!b/new", "n[a-f]w", "n[!a-f]w", "n[^x]w", "ne?", "\\new", "n\\ew", "#new", "\\#new",
            "new ", "new\\ ", "!new", "*.py[co]", "b/**/new", "**/b/new", "c/../new", "NEW", "[[:alpha:]]ew", "[]n]ew",
            "new\r", "a**w", "n**", "b?new", "b[/]new", "[", "new\\", "/*\n!/b\n/b/*\n!/b/new",
        )
        for path in ("new", "b/new", "b/c/new", "#new")
    ],
)  # fmt: skip
def test_what_is_ignored_is_what_git_ignores(rules: str, path: str, shared: Path) -> None:
    """Every kind of pattern counts as it does in git, for a file beside it and below."""
    _write(shared / ".git/info/exclude", rules + "\n")
    _write(shared / path, "")
    try:
        _agrees(shared)
    finally:
        top = shared / Path(path).parts[0]
        shutil.rmtree(top) if top.is_dir() else top.unlink()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clean repository that many tests put a file into."""
    return committed(tmp_path_factory.mktemp("shared") / "project")


def test_gitignore_below_wins_over_gitignore_above(tmp_path: Path) -> None:
    """The nearest file of rules decides, unless a folder above is ignored as a whole."""
    folder = committed(tmp_path / "project", **{".gitignore": "*.log\nout/\n", "src/.gitignore": "!keep.log\n/top\n"})
    for name, dirty in (("src/keep.log", True), ("src/x.log", False), ("src/top", False), ("src/d/top", True)):
        _write(folder / name, "")
        assert _agrees(folder) == dirty, name
        (folder / name).unlink()
    _write(folder / "out/.gitignore", "!*\n")
    _write(folder / "out/x", "")
    assert not _agrees(folder)


def test_files_of_git_lfs_are_compared_by_their_pointers(tmp_path: Path) -> None:
    """A large file that git-lfs put there counts as what is committed, though its filter is not run."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'%s'}\nsize 5\n"
    digest = "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7"  # of world
    folder = committed(tmp_path / "project", **{"model.bin": pointer % digest, ".gitattributes": "*.bin filter=lfs\n"})
    git(folder, "rm", "-q", "--cached", "model.bin")
    blob = git(folder, "rev-parse", "HEAD:model.bin").strip()
    git(folder, "update-index", "--add", "--cacheinfo", f"100644,{blob},model.bin")
    for content, dirty in ((b"world", False), (b"w0rld", True), ((pointer % digest).encode(), False)):
        (folder / "model.bin").write_bytes(content)
        revision = read_revision(folder)
        assert revision is not None
        assert revision.dirty == dirty


def test_a_file_with_another_filter_is_unchanged_where_size_and_times_are(tmp_path: Path) -> None:
    """What git itself wrote counts as clean; once touched, a filter's file whose bytes differ counts as changed."""
    folder = committed(tmp_path / "project")
    _write(folder / ".gitattributes", "app filter=turn\n")
    git(folder, "config", "filter.turn.clean", "tr 1 2")
    git(folder, "config", "filter.turn.smudge", "tr 2 1")
    git(folder, "add", "--renormalize", ".")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "y")
    time.sleep(0.05)
    git(folder, "update-index", "--refresh", "--really-refresh")
    (folder / "app").unlink()
    git(folder, "checkout", "-q", "--", "app")
    index = folder / ".git/index"
    os.utime(index, ns=(time.time_ns() + 10**9, time.time_ns() + 10**9))
    revision = read_revision(folder)
    assert revision is not None
    assert not revision.dirty
    _touch(folder / "app")
    touched = read_revision(folder)
    assert touched is not None
    assert touched.dirty


@pytest.mark.parametrize(
    "remote",
    [
        "oauth2:TOKEN@github.com:a/b",
        "u:TOKEN@h/p",
        "u:TOKEN@h:p/q",
        "https:/u:TOKEN@h/p",
        "https:u:TOKEN@h/p",
        "https://user:1/TOKEN@h/a",
        "https://h/x:TOKEN@github.com/a",
        "https://h/x:TOKEN%40github.com/a",
        "https://u:TO#TOKEN@h/a",
        "https://u:p?TOKEN@h/a",
        "https://u@v:TOKEN@h/a",
        "git@h:a/https://u:TOKEN@h/a",
        "git@h:a?token=TOKEN",
        "git@h:a#TOKEN",
        "ext::sh -c TOKEN",
        "https://u:TOKEN\\@h/a",
        "https://TOKEN\n@h/a",
    ],
)
def test_no_form_of_a_remote_keeps_its_token(remote: str) -> None:
    """A password or token is in no public URL, in whatever form it was written."""
    assert "TOKEN" not in public_url(remote)


@given(
    before=st.sampled_from(["https://", "http://", "ssh://", "git+ssh://", "https:/", "https:", "git://", "", "//"]),
    user=st.text("ab:/@?#%\\ ", max_size=6),
    after=st.text("ab:/@?#%.", max_size=8),
)
def test_what_stands_before_an_at_sign_is_never_public(before: str, user: str, after: str) -> None:
    """Whatever is written before the last @ of a remote is dropped, with it or with the whole."""
    assert "TOKEN" not in public_url(f"{before}{user}TOKEN{user}@{after}")


@given(st.text("ab*?[]!^-\\", max_size=8), st.text("ab-]", min_size=1, max_size=6))
def test_no_pattern_is_an_error(line: str, name: str) -> None:
    """Every line is a pattern, or none."""
    pattern = Pattern.of(line.encode())
    assert pattern is None or pattern.matches((name.encode(),), is_folder=False) in (True, False)


def test_patterns_take_no_time() -> None:
    """Many stars do not make matching slow, in a name and between folders."""
    begun = time.monotonic()
    within = Pattern.of(b"*a" * 100 + b"b")
    between = Pattern.of(b"**/a/" * 100 + b"b")
    assert within is not None
    assert between is not None
    assert not within.matches((b"a" * 250,), is_folder=False)
    assert not between.matches((b"a",) * 1000, is_folder=False)
    assert time.monotonic() - begun < 1


def test_another_users_repository_is_not_used_unless_it_is_safe(tmp_path: Path) -> None:
    """As in git, safe.directory has to name what another user put there; the owner of the project's own is fine."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files to others")
    folder = committed(tmp_path / "project")
    os.chown(folder / ".git", 4711, 4711)
    heard: list[Event] = []
    assert read_revision(folder, heard.append) is None
    assert len(heard) == 1
    git(folder, "config", "--global", "safe.directory", str(folder))
    assert read_revision(folder) is not None
    git(folder, "config", "--global", "safe.directory", "/elsewhere")
    os.chown(folder, 4711, 4711)
    assert read_revision(folder) is not None


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("annotated", [False, True])
def test_the_nearest_tag_is_gits(tmp_path: Path, annotated: bool, packed: bool) -> None:
    """A tag, plain or annotated, loose or packed, is described as git does, at it and some commits later."""
    folder = committed(tmp_path / "repository")
    said = []
    for number in range(3):
        if number == 1:
            git(folder, "tag", *(("-a", "-m", "one") if annotated else ()), "v1.2.0")
            git(folder, "tag", "other")
        if packed:
            git(folder, "pack-refs", "--all")
        said.append((describe_tag(folder), number))
        _write(folder / "app", f"{number}\n")
        git(folder, "commit", "-qam", f"{number}", when=1_600_000_100 + number)
    real = git(folder, "describe", "--tags", "--long", "--match", "*[0-9]*")
    assert [one for one, _ in said[:1]] == [""]
    assert said[1][0].startswith("v1.2.0-0-g")
    assert describe_tag(folder) == (real or "").strip()
