"""Each hint is carried out as it is written, and must get further."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shipml.cli.app import run

pytestmark = [pytest.mark.network, pytest.mark.slow]

PROGRAM = {"app.py": "print('hello')\n"}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123456\n"


@dataclass(frozen=True)
class Case:
    """A situation that ends in an error with a hint; a base that is unknown ends a plan before anything is fetched."""

    words: str
    files: Mapping[str, str] = field(default_factory=lambda: PROGRAM)
    environment: Mapping[str, str] = field(default_factory=dict)


CASES = {
    "nothing to run": Case("plan . --base debian:none", {"README.md": "# x\n"}),
    "a file is no program": Case("plan . --base debian:none", {**PROGRAM, "shipml.toml": 'command = "app.py --x"\n'}),
    "a line for a shell": Case("plan . --base debian:none", {**PROGRAM, "shipml.toml": 'command = "a && b"\n'}),
    "several programs": Case("plan . --strict --base debian:none", {"one.py": "print(1)\n", "two.py": "print(2)\n"}),
    "a pointer of git-lfs": Case("build . --base debian:none --builder embedded", {**PROGRAM, "m/x.bin": POINTER}),
    "no time": Case("plan . --base debian:trixie", PROGRAM, {"SOURCE_DATE_EPOCH": "yesterday"}),
    "an old Python": Case("plan . --python 3.6", PROGRAM),
    "no such extra": Case(
        "plan . --extra wbe --base debian:none",
        {
            **PROGRAM,
            "pyproject.toml": '[project]\nname = "x"\ndependencies = []\n[project.optional-dependencies]\nweb = []\n',
        },
    ),
    "a typo in a setting": Case("plan . --base debian:none", {**PROGRAM, "shipml.toml": 'comand = "python app.py"\n'}),
    "several platforms": Case("dockerfile . --platform linux/amd64,linux/arm64 --base debian:none"),
    "projects in a folder": Case(
        "plan . --base debian:none",
        {"a/app.py": "1\n", "a/requirements.txt": "", "b/app.py": "1\n", "b/requirements.txt": ""},
    ),
    "no such folder": Case("plan ap --base debian:none", {"app/app.py": "print(1)\n"}),
    "a Dockerfile for an engine": Case(
        "build . --base debian:none", {**PROGRAM, "Dockerfile": "FROM python:3.12\nRUN make\nCMD python app.py\n"}
    ),
    "a Dockerfile that is followed in part": Case(
        "plan . --strict --base debian:none",
        {**PROGRAM, "Dockerfile": "FROM python:3.12\nCOPY . .\nRUN pytest\nCMD python app.py\n"},
    ),
    "nothing built": Case("push . --no-smoke"),
    "no such image": Case("run nothing-here"),
    "corrections refused": Case(
        "plan . --base debian:none", {**PROGRAM, "requirements.txt": "pywin32\n", "shipml.toml": "strict = true\n"}
    ),
    "no such Dockerfile": Case("build . --file Dockrefile"),
    "no such environment": Case("promote 1.0 --from int"),
    "a word before the command": Case("run app.py python app.py"),
    "a group that the base lacks": Case(
        "plan . --base debian:bookworm", {**PROGRAM, "shipml.toml": 'user = "me:us"\n'}
    ),
    "no image's name": Case("build . -t MyTeam/Churn:V1 --base debian:none"),
    "a tag with a slash": Case("build . -t app:feature/x --base debian:none"),
    "an image of nobody": Case("push nothing-here"),
    "a lock that is not there": Case("plan . --locked --base debian:bookworm"),
    "a missing port": Case("serve nothing-here"),
    "a folder that is there": Case("init ."),
    "a name in capitals": Case("build . --name MyApp --builder embedded --base debian:bookworm", {}),
}


Try = Callable[[list[str]], tuple[int, str, str]]
"""Runs a command line: exit code, message and hint of its error."""


@pytest.fixture
def attempt(
    tmp_path: Path, shared_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Try:
    """Commands in an empty folder of a repository, without an engine."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, value in {
        "SHIPML_HOME": str(shared_home),
        "DOCKER_HOST": f"unix://{tmp_path}/nobody",
        "SHIPML_CONFIG": "",
        "CI": "true",
    }.items():
        monkeypatch.setenv(name, value)

    def run_it(words: list[str]) -> tuple[int, str, str]:
        code = run([*words, "--json"])
        output = capfd.readouterr().out
        error = (json.loads(output).get("error") or {}) if output.startswith("{") else {}
        return code, error.get("message", ""), error.get("hint", "")

    return run_it


@pytest.mark.parametrize("name", CASES)
def test_a_hint_gets_further(name: str, attempt: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command, option, setting and variable that it names ends elsewhere, or well."""
    case = CASES[name]
    for variable, value in case.environment.items():
        monkeypatch.setenv(variable, value)
    _write(case.files)
    words = shlex.split(case.words)
    code, message, hint = attempt(words)
    assert code
    remedies = list(_remedies(hint, words))
    assert remedies, hint
    for settings, variables, command in remedies:
        _write(case.files)
        _set(settings)
        with monkeypatch.context() as changed:
            for variable, value in variables.items():
                changed.setenv(variable, value)
            code, later, _ = attempt(command)
        assert code == 0 or later != message, (settings, variables, command)


Remedy = tuple[str, Mapping[str, str], list[str]]
"""A line for shipml.toml, variables, and the command to type."""


def _remedies(hint: str, words: list[str]) -> Iterator[Remedy]:
    """What a hint says to do, each way out by itself."""
    for setting in re.findall(r"\b(?:command|exclude|user|strict|name) = (?:\[[^\]]*\]|\"[^\"]*\"|\w+)", hint):
        yield setting, {}, words
    for name, value in re.findall(r"export (\w+)=((?:\$\([^)]*\)|\S)+)", hint):
        done = subprocess.run(["bash", "-c", f"echo {value}"], capture_output=True, text=True, check=True)
        yield "", {name: done.stdout.strip()}, words
    for command in re.findall(r"\bshipml ((?:(?! and shipml)[^;,])+)", hint):
        yield "", {}, shlex.split(command.partition(" #")[0])
    without_commands = re.sub(r"\bshipml [^;,]*", "", hint)
    for options in re.findall(r"--[a-z][\w-]*(?: [\w./:*=-]+)*", without_commands):
        yield "", {}, _with_options(words, shlex.split(options), is_omitted="omit --" in hint)
    for meant in re.findall(r"(?:did you mean:?|write) \"?([\w./:-]+)", hint):
        yield from _meant(meant, words)


def _with_options(words: list[str], options: list[str], *, is_omitted: bool) -> list[str]:
    """The words with these options in place of those of the same name, or without them."""
    found = list(words)
    for name in (one for one in options if one.startswith("--")):
        if name in found:
            at = found.index(name)
            del found[at : at + 2]
    return found if is_omitted else [*found, *options]


def _meant(meant: str, words: list[str]) -> Iterator[Remedy]:
    """A word of the command, or the key of the settings, as it was meant."""
    settings = Path("shipml.toml")
    if settings.exists():
        yield f"\0{meant}", {}, words
        return
    typed = min(words[1:], key=lambda word: _distance(word, meant))
    yield "", {}, [meant if word == typed else word for word in words]


def _distance(one: str, other: str) -> int:
    return len(set(one) ^ set(other))


def _write(files: Mapping[str, str]) -> None:
    """Make the folder as the case has it."""
    Path("shipml.toml").unlink(missing_ok=True)
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    if not Path(".git").exists():
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)


def _set(setting: str) -> None:
    """Write a line of the settings in place of the one of its key; NUL and a key: the first line gets that key."""
    if not setting:
        return
    path = Path("shipml.toml")
    lines = path.read_text().splitlines() if path.exists() else []
    if setting.startswith("\0"):
        lines[0] = f"{setting[1:]} ={lines[0].partition('=')[2]}"
    else:
        lines = [setting, *(line for line in lines if line.partition("=")[0] != setting.partition("=")[0])]
    path.write_text("".join(f"{line}\n" for line in lines))
