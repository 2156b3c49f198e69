"""The tools besides pip that Dockerfiles install a project with: uv, poetry, pipenv, pdm, conda and its kin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from shipml.dockerfile.accounts import split_options
from shipml.dockerfile.ran import Ran, RunError

__all__ = ["RUNNERS", "conda", "pipenv", "poetry", "uv", "without_runner"]

_CONDA_VALUES = frozenset({"--name", "--file", "--channel", "--prefix", "--override-channels-dummy"})
_CONDA_FILE = re.compile(r".*\.ya?ml$")
_POETRY_HARMLESS = frozenset(
    {"config", "lock", "check", "env", "cache", "self", "--version", "show", "about", "update"}
)
RUNNERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "uv": ("run",),
        "poetry": ("run",),
        "pipenv": ("run",),
        "pdm": ("run",),
        "conda": ("run",),
        "mamba": ("run",),
        "micromamba": ("run",),
    }
)
"""Programs that run another one in the environment that they made, which here is the image's only one."""
_RUNNER_VALUES = frozenset({"-n", "--name", "-p", "--prefix", "--with", "--extra", "--group", "--project", "--python"})


def without_runner(words: Sequence[str]) -> list[str]:
    """`poetry run gunicorn app:app` → `gunicorn app:app`; `uv run app.py` → `python app.py`."""
    rest = list(words)
    name = rest[0].rpartition("/")[2] if rest else ""
    if name not in RUNNERS or rest[1:2] != ["run"]:
        return rest
    rest = rest[2:]
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option in {"-m", "--module"}:
            return ["python", "-m", *rest]
        if option in _RUNNER_VALUES and rest:
            rest.pop(0)
    if rest and rest[0].endswith(".py"):
        return ["python", *rest]
    return rest


def uv(words: Sequence[str], ran: Ran) -> None:
    """`uv sync`, `uv export`, `uv venv`, `uv python install`."""
    action = next((word for word in words if not word.startswith("-")), "")
    options, _ = split_options(words, "o", frozenset({"--output-file", "--extra", "--group", "--no-group"}))
    if action in {"sync", "export"}:
        ran.extras += _values(words, "--extra")
        ran.dependency_groups += _values(words, "--group", "--only-group")
    if action == "sync":
        ran.project_files.append("pyproject.toml")
        ran.installs_itself |= not options.keys() & {"--no-install-project", "--no-install-workspace"}
    elif action == "export":
        _export(options, ("-o", "--output-file"), ran, "pyproject.toml")
    elif action == "venv":
        ran.environments.append(next((word for word in words[1:] if not word.startswith("-")), ".venv"))
    elif action not in {"python", "cache", "lock", "--version", "tool", "self"}:
        raise RunError(f"uv {action} is not understood")


def poetry(words: Sequence[str], ran: Ran) -> None:
    """`poetry install`, `poetry export`, `poetry config`."""
    action = next((word for word in words if not word.startswith("-")), "")
    options, _ = split_options(
        words, "fo", frozenset({"--output", "--format", "--only", "--with", "--without", "--extras"})
    )
    if action in {"install", "sync", "export"}:
        ran.extras += _values(words, "-E", "--extras")
        ran.dependency_groups += _values(words, "--with", "--only")
    if action in {"install", "sync"}:
        ran.project_files.append("pyproject.toml")
        ran.installs_itself |= "--no-root" not in options
    elif action == "export":
        _export(options, ("-o", "--output"), ran, "pyproject.toml")
    elif action == "build":
        ran.project_files.append("pyproject.toml")
        ran.installs_itself = True
        ran.exported.append("dist/")
    elif action not in _POETRY_HARMLESS:
        raise RunError(f"poetry {action} is not understood")


def pipenv(words: Sequence[str], ran: Ran) -> None:
    """`pipenv install --system --deploy`, `pipenv requirements`."""
    action = next((word for word in words if not word.startswith("-")), "")
    plain = [word for word in words if not word.startswith("-")]
    if action in {"install", "sync"}:
        ran.project_files.append("Pipfile")
        ran.requirements += plain[1:]
    elif action in {"requirements", "lock"}:
        ran.project_files.append("Pipfile")
    elif action not in {"--version", "check", "clean", "graph", ""}:
        raise RunError(f"pipenv {action} is not understood")


def conda(words: Sequence[str], ran: Ran) -> None:
    """`conda env create -f`, `conda install`, `mamba`, `micromamba`: of whatever environment, as an image has one."""
    options, plain = split_options(words, "nfcp", _CONDA_VALUES)
    action = " ".join(plain[: 2 if plain[:1] == ["env"] else 1])
    files = [value for name, value in options.items() if name in {"-f", "--file"} and value]
    packages = plain[len(action.split()) :]
    if action in {"env create", "env update", "create", "install", "update"}:
        named = [one for one in packages if not _CONDA_FILE.fullmatch(one)]
        ran.project_files += [one for one in (*files, *packages) if _CONDA_FILE.fullmatch(one)]
        ran.requirement_files += [one for one in files if one.endswith(".txt")]
        ran.conda_packages += [one for one in named if one not in {"conda", "mamba", "pip"} or action == "create"]
        if action.startswith("env") and not files and not named:
            ran.project_files.append("environment.yml")
    elif action not in {"clean", "init", "config", "activate", "info", "list", "run", "shell", "remove", ""}:
        raise RunError(f"conda {action} is not understood")


def _values(words: Sequence[str], *names: str) -> list[str]:
    """All that options of these names are given: `--with a,b --with=c`."""
    found = []
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names and (equals or at + 1 < len(words)):
            found += re.split(r"[,\s]+", value if equals else words[at + 1])
    return [one for one in found if one and one != "main"]


def _export(options: Mapping[str, str], names: Sequence[str], ran: Ran, file: str) -> None:
    """A requirements file that is written from the project's own file: installing it installs that."""
    ran.project_files.append(file)
    ran.exported += [options[name] for name in names if options.get(name)]
