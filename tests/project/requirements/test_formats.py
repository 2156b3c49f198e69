"""Versions and files in the words of other tools, in the terms of PEP 440 and PEP 508."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from shipml.errors import ConfigurationError
from shipml.facts.requirements import Requirements
from shipml.project import read_project
from shipml.project.requirements.poetry import dependency_text, specifier


def declared(folder: Path, **files: str) -> Requirements:
    """What a project with these files asks for; `_` stands for the dot before an ending."""
    for name, text in files.items():
        stem, _, ending = name.rpartition("_")
        path = folder / (f"{stem}.{ending}" if stem else name)
        path.write_text(text)
    (folder / "app.py").touch()
    found = read_project(folder, None).requirements
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("poetry", "pep440"),
    [
        ("^1.2.3", ">=1.2.3,<2.0"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1.0"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1.2", ">=1.2,<1.3"),
        ("~1", ">=1,<2.0"),
        ("^2.0.0a1", ">=2.0.0a1,<3.0"),
        ("1.2.*", "==1.2.*"),
        ("1.2.3", "==1.2.3"),
        ("*", ""),
        (">=1.2 <2", ">=1.2,<2"),
        (">=3.10,<3.11", ">=3.10,<3.11"),
        ("^1 || ^2", ">=2,<3.0"),
        ("~=1.4", "~=1.4"),
    ],
)
def test_poetrys_versions(poetry: str, pep440: str) -> None:
    """Caret, tilde, wildcard and ranges; of alternatives the newest."""
    assert specifier(poetry) == pep440
    SpecifierSet(pep440)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"version": "^1.0", "extras": ["a", "b"]}, "x[a,b]>=1.0,<2.0"),
        ({"version": "*", "python": "<3.9"}, "x ; python_version < '3.9'"),
        ({"version": "1.0", "markers": "os_name == 'a' or os_name == 'b'", "platform": "linux"}, None),
        ({"git": "https://example.org/x.git", "tag": "v1"}, "x @ git+https://example.org/x.git@v1"),
        ({"git": "git@example.org:a/x.git"}, "x @ git+ssh://git@example.org/a/x.git"),
        ({"url": "https://example.org/x-1.tar.gz"}, "x @ https://example.org/x-1.tar.gz"),
        ({"path": "../x", "develop": True}, "-e ../x"),
    ],
)
def test_poetrys_descriptions(value: dict[str, object], text: str | None) -> None:
    """Extras, markers, repositories, addresses and folders become one requirement."""
    found = dependency_text("x", value)
    assert found is not None
    if text is not None:
        assert found == text
    if not found.startswith("-e "):
        Requirement(found)


@pytest.mark.parametrize(
    ("conda", "taken"),
    [
        ("numpy=1.21", "numpy==1.21.*"),
        ("numpy=1.21.2", "numpy==1.21.2"),
        ("numpy==1.21", "numpy==1.21"),
        ("numpy=1.21=py39_0", "numpy==1.21"),
        ("numpy=1.21.*", "numpy==1.21.*"),
        ("numpy >=1.20,<2", "numpy>=1.20,<2"),
        ("numpy 1.21.2", "numpy==1.21.2"),
        ("conda-forge::numpy", "numpy"),
        ("pytorch-cpu=1.10", "torch==1.10.*"),
        ("librosa", "librosa"),
        ("brotlipy=0.7.0=py39", "brotli"),
        ("python-fastjsonschema=2.16", "fastjsonschema==2.16.*"),
        ("docker-py=5.0.3", "docker"),
        ("pyodbc=4.0.0_unsupported=py38_0", "pyodbc"),
        ("importlib_metadata=2.0.0=1", "importlib-metadata==2.0.0"),
        ("opencv=4.5.1=py38h578d9bd_0", "opencv-python-headless==4.5.1.*"),
        ("pytables=3.6.1=py38h9fd0a39_0", "tables==3.6.1"),
        ("msgpack-python=1.0.1=py38hff7bd54_0", "msgpack==1.0.1"),
        ("backports.tempfile=1.0", "backports.tempfile==1.0.*"),
    ],
)
def test_condas_versions(conda: str, taken: str, tmp_path: Path) -> None:
    """One equals sign is a prefix, two are exact, a build makes it exact."""
    assert declared(tmp_path, environment_yml=f"dependencies:\n  - '{conda}'\n").names == (taken,)


@pytest.mark.parametrize(
    "conda",
    [
        "pcre=8.44=he6710b0_0",
        "qtwebkit=5.212=0",
        "numpy-base=1.19.2=py38hfa32c7d_0",
        "mkl_fft=1.2.0=py38h23d657b_0",
        "unheard-of-library=1.2=h7b6447c_0",
    ],
)
@pytest.mark.parametrize("file", ["environment.yml", "requirements.txt"])
def test_what_conda_has_and_no_index_is_left_out(conda: str, file: str, tmp_path: Path) -> None:
    """Native packages, by name and by a build that names no Python, in an environment and in a list of `conda list`."""
    text = f"dependencies:\n  - numpy\n  - {conda}\n" if file == "environment.yml" else f"numpy\n{conda}\n"
    requirements = declared(tmp_path, **{file.replace(".", "_"): text})
    assert requirements.names == ("numpy",)
    assert [change.kind for change in requirements.changes if change.before == conda] != []


def test_a_broken_environment_is_named_with_its_line(tmp_path: Path) -> None:
    """Nothing is constructed from YAML, and its errors have a place."""
    with pytest.raises(ConfigurationError, match=r"environment\.yml:2 is not valid YAML"):
        declared(tmp_path, environment_yml="name: x\n\t- a\n")
    tagged = "dependencies:\n  - !!python/object/apply:os.system ['touch pwned']\n  - numpy\n"
    assert declared(tmp_path, environment_yml=tagged).names == ("numpy",)
    assert not (tmp_path / "pwned").exists()


def test_what_uv_alone_understands_is_left_to_it(tmp_path: Path) -> None:
    """With [tool.uv.sources] the file itself is handed over, and only its own parts are in the digest."""
    text = '[project]\nname = "x"\ndependencies = ["torch", "sklearn"]\n[tool.uv.sources]\ntorch = { index = "a" }\n'
    found = declared(tmp_path, pyproject_toml=text)
    assert found.as_it_stands
    assert found.names == ("torch", "sklearn")
    assert found.changes == ()
    assert [name for name, _ in found.inputs] == ["pyproject.toml", "pyproject.toml [tool.uv]"]


def test_dynamic_dependencies_are_read_where_setuptools_reads_them(tmp_path: Path) -> None:
    """`dependencies = {file = [...]}`; what only a build backend knows is left to uv."""
    text = '[project]\nname = "x"\ndynamic = ["dependencies"]\n'
    assert declared(tmp_path, pyproject_toml=text).as_it_stands
    text += '[tool.setuptools.dynamic]\ndependencies = {file = ["deps.in"]}\n'
    found = declared(tmp_path, pyproject_toml=text, deps_in="numpy\npandas # why\n")
    assert found.names == ("numpy", "pandas")
    assert found.requirements[1].source == "deps.in:2"


def test_a_pinned_requirements_file_is_as_good_as_a_lock(tmp_path: Path) -> None:
    """It is taken before the lock of another tool; one without pins gives way to it."""
    project = '[project]\nname = "x"\ndependencies = ["numpy"]\n'
    lock = 'version = 1\n[[package]]\nname = "numpy"\nversion = "2.1.0"\nsource = { registry = "x" }\n'
    pinned = declared(tmp_path, pyproject_toml=project, uv_lock=lock, requirements_txt="numpy==2.0.0\n")
    assert (pinned.path, pinned.locked_by, pinned.constraints) == ("requirements.txt", "", ())
    (tmp_path / "requirements.txt").write_text("numpy\n")
    locked = declared(tmp_path)
    assert (locked.path, locked.locked_by) == ("pyproject.toml", "uv.lock")
    assert locked.constraints_text == "numpy==2.1.0\n"


def test_a_file_that_is_left_aside_may_be_broken(tmp_path: Path) -> None:
    """Only the file that counts must make sense."""
    found = declared(
        tmp_path, requirements_txt="numpy\n", setup_cfg="no section\n", Pipfile="[", environment_yml="a: ["
    )
    assert found.names == ("numpy",)


def test_setup_py_is_never_run(tmp_path: Path) -> None:
    """It is read as a tree: names, literals, and the requirements file that it opens."""
    text = (
        "open('ran', 'w')\nfrom setuptools import setup\nsetup(install_requires=open('deps_req.txt').read().split())\n"
    )
    found = declared(tmp_path, setup_py=text, deps_req_txt="numpy\n")
    assert found.names == ("numpy",)
    assert not (tmp_path / "ran").exists()


def test_what_is_said_in_a_comment_changes_nothing(tmp_path: Path) -> None:
    """The text for uv, and with it the key of a resolution, depends on what is asked for alone."""
    first = declared(tmp_path, requirements_txt="numpy==2.0 # a\n\npandas\n").text
    assert declared(tmp_path, requirements_txt="# b\nnumpy==2.0\npandas\n").text == first


def test_a_remark_does_not_go_on_in_the_next_line(tmp_path: Path) -> None:
    """As pip reads it: a backslash at the end of a comment takes no requirement with it."""
    found = declared(tmp_path, requirements_txt="# of C:\\wheels\\\nflask\nnumpy \\\n# of C:\\wheels\\\npandas\n")
    assert found.names == ("flask", "numpy", "pandas")


@pytest.mark.parametrize("meta", ["[]", '{"requires": 3}'])
def test_a_damaged_pipfile_lock_is_named(tmp_path: Path, meta: str) -> None:
    """Whatever stands where its head should be."""
    with pytest.raises(ConfigurationError, match=r"Pipfile.lock is damaged"):
        declared(tmp_path, Pipfile_lock=f'{{"_meta": {meta}, "default": {{}}}}')


def test_a_build_alone_is_no_version(tmp_path: Path) -> None:
    """Conda's build strings say nothing of a version, with alternatives or without."""
    text = "dependencies:\n  - numpy =py27|py36\n"
    assert declared(tmp_path, environment_yml=text).names == ("numpy",)


def test_an_environment_that_includes_requirements_txt_is_the_larger_list(tmp_path: Path) -> None:
    """It counts, and so does what it includes; conda's lines of backports are nothing that the index has."""
    names = ("scipy", "backports=1.0", "backports.functools_lru_cache=1.6")
    lines = "".join(f"  - {name}\n" for name in names)
    text = f"dependencies:\n{lines}  - pip:\n    - -r requirements.txt\n"
    found = declared(tmp_path, environment_yml=text, requirements_txt="numpy==1.26.4\n")
    assert (found.path, found.names) == ("environment.yml", ("scipy", "numpy==1.26.4"))


@pytest.mark.parametrize(
    "include", ["-r ../outside/netrc", "-c ../outside/netrc", "-r ../outside/a.txt", "-r link.txt"]
)
def test_what_lies_outside_of_the_project_is_not_quoted(include: str, tmp_path: Path) -> None:
    """Nothing of a file elsewhere gets into a message, unless it is a requirements file through and through."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "project").mkdir()
    secret = "machine index.corp login bob password hunter2-is-long\n"
    for name in ("netrc", "a.txt"):
        (tmp_path / "outside" / name).write_text(secret)
    (tmp_path / "project/.dockerignore").write_text("link.txt\n")
    (tmp_path / "project/link.txt").symlink_to(tmp_path / "outside/a.txt")
    with pytest.raises(ConfigurationError) as caught:
        declared(tmp_path / "project", requirements_txt=f"numpy\n{include}\n")
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert "requirements.txt:2" in caught.value.message
    (tmp_path / "outside/a.txt").write_text("scipy==1.10.0\n")
    assert "scipy==1.10.0" in declared(tmp_path / "project", requirements_txt="-r ../outside/a.txt\n").names
