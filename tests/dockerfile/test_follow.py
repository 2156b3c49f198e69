"""Where COPY puts files."""

from __future__ import annotations

import pytest

from shipml.dockerfile.follow import place_files
from shipml.errors import PlanError
from shipml.facts.dockerfile import Copied, FollowedDockerfile
from shipml.facts.plan import ApplicationFile

FILES = tuple(
    ApplicationFile(path, "directory" if path in {"src", "src/lib"} else "file")
    for path in ("app.py", "model.pkl", "requirements.txt", "src", "src/a.py", "src/lib", "src/lib/b.py")
)


def places(*copies: tuple[str, str], working_dir: str = "/srv") -> dict[str, str]:
    dockerfile = FollowedDockerfile("x", working_dir=working_dir, copies=tuple(Copied(*copy, 1) for copy in copies))
    placed = place_files(FILES, dockerfile)
    assert {path for path, _ in placed.places} <= {file.path for file in placed.files}
    elsewhere: dict[str, str] = {}
    for path, place in placed.places:
        elsewhere[path] = " ".join(filter(None, [elsewhere.get(path), place]))
    return {file.path: elsewhere.get(file.path, f"{working_dir.rstrip('/')}/{file.path}") for file in placed.files}


def test_all_of_the_project_lies_in_the_working_directory() -> None:
    """`COPY . .` needs no place of its own for any file, even after `COPY requirements.txt ./`."""
    dockerfile = FollowedDockerfile(
        "x", working_dir="/srv", copies=(Copied("requirements.txt", "/srv/", 1), Copied("", "/srv/", 2))
    )
    placed = place_files(FILES, dockerfile)
    assert placed.files == FILES
    assert placed.places == ()


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        ((("src", "/srv/"),), {"src/a.py": "/srv/a.py", "src/lib": "/srv/lib", "src/lib/b.py": "/srv/lib/b.py"}),
        ((("src/lib", "/opt/lib"),), {"src/lib/b.py": "/opt/lib/b.py"}),
        ((("app.py", "/srv/main.py"),), {"app.py": "/srv/main.py"}),
        ((("app.py", "/srv"),), {"app.py": "/srv/app.py"}),
        ((("*.p*", "/m/"),), {"app.py": "/m/app.py", "model.pkl": "/m/model.pkl"}),
        ((("model.pkl", "/a/"), ("model.pkl", "/b/")), {"model.pkl": "/a/model.pkl /b/model.pkl"}),
        ((("app.py", "/srv/x"), ("model.pkl", "/srv/x")), {"model.pkl": "/srv/x"}),
    ],
)
def test_sources_are_files_folders_and_patterns(copies: tuple[tuple[str, str], ...], expected: dict[str, str]) -> None:
    """A folder's content is copied, a file gets the new name, a file may lie in two places, the last COPY counts."""
    assert places(*copies) == expected


def test_the_root_can_be_the_working_directory() -> None:
    """A Dockerfile without WORKDIR."""
    assert places(("app.py", "/"), working_dir="/") == {"app.py": "/app.py"}


def test_a_source_that_is_not_there_is_an_error() -> None:
    """As it is for docker; the line is named."""
    with pytest.raises(PlanError, match=r"Dockerfile:1 copies gone\.txt"):
        places(("gone.txt", "/srv/"))
