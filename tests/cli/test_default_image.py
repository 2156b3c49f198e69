"""Which image the commands take where none, or a folder, is named; and what they say of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.errors import UsageError
from shipml.images import default_image
from shipml.oci.digest import Digest
from shipml.project.folder import require_project_folder
from shipml.store import StoredImage
from shipml.text import age_text
from tests.cli.conftest import Run

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


def stored(reference: str, source: Path | str) -> StoredImage:
    """An entry of the store."""
    return StoredImage(reference, Digest.of(reference.encode()), str(source), 0.0)


def test_default_image(tmp_path: Path) -> None:
    """What was built here comes before what was built below, and that before anything else."""
    here, below, beside = tmp_path / "a", tmp_path / "a" / "b", tmp_path / "ab"
    images = [stored("tagged:1", ""), stored("beside:1", beside), stored("below:1", below), stored("here:1", here)]
    assert default_image(images, here).reference == "here:1"
    assert default_image(images[:-1], here).reference == "below:1"
    assert default_image(images[:-2], here).reference == "beside:1"
    assert default_image(images[:1], here).reference == "tagged:1"
    with pytest.raises(UsageError):
        default_image([], here)


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "just now"), (130, "2 min ago"), (7300, "2 h ago"), (9e4, "1 day ago")]
)
def test_age(seconds: float, text: str) -> None:
    """An age is told in its largest unit."""
    assert age_text(seconds) == text


def fill(folder: Path, **files: str) -> Path:
    """A folder with these files; `__` stands for the dot of their names."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_folder_of_projects(shipml: Run, tmp_path: Path) -> None:
    """A folder that only holds projects is refused, and each of them is offered."""
    for name in ("one", "two words"):
        fill(tmp_path / "work" / name, requirements__txt="", app__py="print(1)")
    done = shipml("build")
    assert done.returncode == 2
    assert "shipml build ./one" in done.stderr
    assert "shipml build './two words'" in done.stderr


def test_folder_of_programs(shipml: Run, tmp_path: Path) -> None:
    """Folders with a program each are projects, too, though they say nothing of what they need; a package is none."""
    for name in ("one", "two"):
        fill(tmp_path / "work" / name, app__py="print(1)")
    done = shipml("build")
    assert done.returncode == 2
    assert "shipml build ./two" in done.stderr
    (tmp_path / "work" / "two" / "__init__.py").touch()
    assert shipml("plan").returncode == 0


@pytest.mark.parametrize(("typed", "meant"), [("one/app.py", "./one"), ("on", "./one"), ("zzz", "")])
def test_what_is_not_a_folder(shipml: Run, tmp_path: Path, typed: str, meant: str) -> None:
    """A file, or a mistyped name: the hint has the folder that is meant."""
    fill(tmp_path / "work" / "one", app__py="print(1)")
    done = shipml("plan", typed)
    assert done.returncode == 2
    assert meant in done.stderr
    assert not meant or shipml("plan", meant).returncode == 0


@pytest.mark.parametrize("folder", ["/", "~"])
def test_no_project_folder(shipml: Run, tmp_path: Path, folder: str) -> None:
    """The root and a home folder are refused as such, before their files are read."""
    done = shipml("plan", str(tmp_path) if folder == "~" else folder)
    assert done.returncode == 2
    assert "not a project folder" in done.stderr


def test_project_folders(tmp_path: Path) -> None:
    """A project with packages in it, and one whose only program is a notebook, are projects."""
    one = fill(tmp_path / "one", pyproject__toml="")
    fill(one / "a", setup__py="")
    fill(one / "b", setup__py="")
    require_project_folder(one)
    two = fill(tmp_path / "two", nb__ipynb="{}")
    require_project_folder(two)
    require_project_folder(fill(tmp_path / "empty"))


@pytest.mark.network
@pytest.mark.slow
def test_from_the_folder_above(shipml: Run, tmp_path: Path) -> None:
    """As the tutorial types it: build DIR, run; what has changed is said, a name that two folders share is refused."""
    work = tmp_path / "work"
    for name in ("a", "b"):
        fill(work / name / "model", requirements__txt="", app__py=f"print('{name}')")
    assert shipml("build", "./a/model").returncode == 0
    ran = shipml("run")
    assert (ran.returncode, ran.stdout) == (0, "a\n")
    assert "using model:latest" in ran.stderr
    assert "./a/model" in ran.stderr

    (work / "a" / "model" / "app.py").write_text("print('c')")
    changed = shipml("run", "model")
    assert (changed.returncode, changed.stdout) == (0, "a\n")
    assert "app.py" in changed.stderr
    refused = shipml("push", "./a/model", "localhost:1/model")
    assert refused.returncode == 2
    assert "shipml ship ./a/model" in refused.stderr

    assert shipml("build", "./a/model", "-t", "mine").returncode == 0
    moved = shipml("build", "./b/model")
    assert "./a/model" in moved.stderr
    unclear = shipml("run", "model", cwd=work / "a")
    assert unclear.returncode == 2
    assert "./model" in unclear.stderr
    assert "model:latest" in unclear.stderr
    assert shipml("run", "./model", cwd=work / "a").stdout == "c\n"
    assert shipml("build", "./a/model", "-t", "model:1").returncode == 0
    assert shipml("build", "./a/model").returncode == 0
    assert shipml("build", "./b/model", "-t", "model:1").returncode == 0
    assert shipml("run", "model", cwd=work / "a").stdout == "c\n", "another tag of that name is not what was typed"
