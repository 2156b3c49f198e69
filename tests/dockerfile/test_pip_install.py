"""One table of `pip install …` as people write it: in a Dockerfile, a notebook, a requirements file."""

from __future__ import annotations

import pytest

from shipml.dockerfile.pip_install import PipInstall, find_pip_installs, without_redirections

CASES: dict[str, list[PipInstall]] = {
    "pip install a": [PipInstall(("a",))],
    "RUN pip3.11 install --no-cache-dir --upgrade pip 'b>=1,<2'": [PipInstall(("pip", "b>=1,<2"))],
    "!pip install -qU a[x]==1.0 b>=2": [PipInstall(("a[x]==1.0", "b>=2"))],
    "%pip install a": [PipInstall(("a",))],
    "! {sys.executable} -m pip install a": [PipInstall(("a",))],
    "$ sudo -H python3 -m pip install a": [PipInstall(("a",))],
    "python -u -m pip --no-cache-dir install a": [PipInstall(("a",))],
    "PIP_NO_CACHE_DIR=1 pip install a": [PipInstall(("a",))],
    "/opt/venv/bin/pip install a": [PipInstall(("a",))],
    "uv pip install --system a": [PipInstall(("a",))],
    "uv add a": [PipInstall(("a",))],
    "conda install -y -c conda-forge a": [PipInstall(("a",), constraints=("conda-forge",))],
    "pip install -r requirements.txt -c c.txt": [PipInstall(files=("requirements.txt",), constraints=("c.txt",))],
    "pip install -rdev.txt --requirement=more.txt": [PipInstall(files=("dev.txt", "more.txt"))],
    "pip install -i https://i.example.org/simple a": [
        PipInstall(("a",), index_options=("--index-url https://i.example.org/simple",))
    ],
    "pip install a --extra-index-url=https://i.example.org/w -f links": [
        PipInstall(("a",), index_options=("--extra-index-url https://i.example.org/w", "--find-links links"))
    ],
    "pip install -e . ./lib dist/b-1.0-py3-none-any.whl": [
        PipInstall(editable=(".",), places=("./lib", "dist/b-1.0-py3-none-any.whl"))
    ],
    "pip install -e git+https://g.example.org/a#egg=a": [PipInstall(editable=("git+https://g.example.org/a#egg=a",))],
    "pip install git+https://g.example.org/a.git@v1 'b @ https://g.example.org/b.zip'": [
        PipInstall(("git+https://g.example.org/a.git@v1", "b @ https://g.example.org/b.zip"))
    ],
    "pip install .[all]": [PipInstall(places=(".[all]",))],
    "pip install pip install a==1.0 -f links": [PipInstall(("a==1.0",), index_options=("--find-links links",))],
    "pip install --upgrade pip3 install a": [PipInstall(("a",))],
    "pip install install": [PipInstall(("install",))],
    "pip install --no-deps a": [PipInstall(("a",), others=("--no-deps",))],
    "pip install --target /x a": [PipInstall(("a",), others=("--target",))],
    "pip install a > /dev/null": [PipInstall(("a",))],
    "pip install a >/dev/null 2>&1": [PipInstall(("a",))],
    "pip install a &> /dev/null": [PipInstall(("a",))],
    "pip install a 2> errors.txt >> log.txt": [PipInstall(("a",))],
    "pip install 'a > 1.0' 'b >2'": [PipInstall(("a > 1.0", "b >2"))],
    "pip install a | tail -n 1": [PipInstall(("a",))],
    "apt-get update && pip install a; pip install b || true": [PipInstall(("a",)), PipInstall(("b",))],
    "pip install \"a; python_version < '3.12'\" && echo done": [PipInstall(("a; python_version < '3.12'",))],
    "pip install a 'b": [PipInstall(("a", "b"))],
    "!pip install a  # for the plots": [PipInstall(("a",))],
    "pip install -r": [PipInstall(lacking="-r")],
    "pip uninstall -y a": [],
    "pip list": [],
    "use pip install a": [],
    "echo 'pip install a && pip install b'": [],
    "pip": [],
    "": [],
}


@pytest.mark.parametrize("text", CASES)
def test_what_a_command_installs(text: str) -> None:
    """Options in every spelling, chains, redirections, quotes, and what is no installation."""
    assert find_pip_installs(text) == CASES[text]


@pytest.mark.parametrize("text", ["pip install a", "pip install 'a>=1'", "pip install a > log.txt", "a>/dev/nullable"])
def test_only_silence_is_taken_away(text: str) -> None:
    """A file that is written matters to whoever reads it."""
    assert without_redirections(text) == text
