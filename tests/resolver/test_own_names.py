"""The project's own names are never looked up on an index, whichever way they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import ConfigurationError
from shipml.project import read_project
from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving

EXTRAS = (
    '[project]\nname = "My_Package"\nversion = "1"\ndependencies = ["base"]\n[project.optional-dependencies]\n'
    'serve = ["web"]\nall = ["mypackage[serve]", "my-package[more]", "tool"]\nmore = ["my_package[all]", "extra"]\n'
)


def names(resolving: Resolving) -> set[str]:
    return {one.name for one in resolving()[1].wheels}


@pytest.fixture
def strangers(index: PackageIndex) -> PackageIndex:
    """An index that has other packages under the project's names."""
    for name in ("my-package", "lib-a", "lib-b"):
        index.add(name, "99.0")
    for name in ("base", "web", "tool", "extra", "mypackage"):
        index.add(name, "1.0")
    return index


@pytest.mark.parametrize("line", ["-e .[all]", "my.package[all]", ".[more]"])
def test_extras_that_name_the_project_itself_are_its_own(
    line: str, strangers: PackageIndex, folder: Path, resolving: Resolving
) -> None:
    """They expand here, also in a circle; the stranger of that name stays out."""
    (folder / "pyproject.toml").write_text(EXTRAS.replace("mypackage[serve]", "my_package[serve]"))
    (folder / "requirements.txt").write_text(f"{line}\n")
    assert names(resolving) == {"base", "web", "tool", "extra"}
    assert not any("my-package" in path for path in strangers.requests)


def _member(folder: Path, path: str, name: str, needs: str, source: str = "") -> None:
    (folder / path / "src" / name.replace("-", "_")).mkdir(parents=True)
    (folder / path / "src" / name.replace("-", "_") / "__init__.py").write_text("")
    (folder / path / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\ndependencies = [{needs}]\n[tool.uv.sources]\n{source}\n'
    )


@pytest.mark.parametrize("is_workspace", [True, False])
def test_local_sources_of_uv_are_the_projects_files(
    is_workspace: bool, strangers: PackageIndex, folder: Path, resolving: Resolving
) -> None:
    """What they depend on is installed, they themselves are on the path, and no index is asked for them."""
    workspace = '[tool.uv.workspace]\nmembers = ["libs/*"]\n' if is_workspace else ""
    lib_a = "{ workspace = true }" if is_workspace else '{ path = "libs/lib-a", editable = true }'
    lib_b = "{ workspace = true }" if is_workspace else '{ path = "../lib-b" }'
    _member(folder, "libs/lib-a", "lib-a", '"lib-b", "web"', f"lib-b = {lib_b}")
    _member(folder, "libs/lib-b", "lib-b", '"tool"')
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["lib-a", "base"]\n'
        f"{workspace}[tool.uv.sources]\nlib-a = {lib_a}\n"
    )
    assert names(resolving) == {"base", "web", "tool"}
    assert not any("lib-" in path for path in strangers.requests)
    declared = read_project(folder, resolving.store).requirements
    assert declared is not None
    assert {"libs/lib-a/src", "libs/lib-b/src"} <= set(declared.source_folders)


@pytest.mark.parametrize("way", ["uv", "requirements"])
def test_a_folder_outside_the_project_is_said_so(way: str, folder: Path, resolving: Resolving) -> None:
    """Only the project's files come into the image."""
    _member(folder.parent, "lib-b", "lib-b", "")
    if way == "requirements":
        (folder / "requirements.txt").write_text("-e ../lib-b\n")
    else:
        (folder / "pyproject.toml").write_text(
            '[project]\nname = "app"\nversion = "1"\ndependencies = ["lib-b"]\n'
            '[tool.uv.sources]\nlib-b = { path = "../lib-b" }\n'
        )
    with pytest.raises(ConfigurationError) as caught:
        resolving()
    assert "shipml build" in caught.value.hint
