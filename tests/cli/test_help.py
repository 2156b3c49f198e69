from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from shipml.cli.app import app
from tests.cli.conftest import Run


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its words."""
    shipml: Any = typer.main.get_command(app)
    for name, command in shipml.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {word}", one) for word, one in inner.items())


COMMANDS = dict(commands())


def test_without_words_it_prints_help(shipml: Run) -> None:
    """`shipml` and `shipml cache` show help on stdout and end with 0, as docker does."""
    for words in ([], ["--help"], ["-h"], ["cache"]):
        done = shipml(*words)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: shipml")
        assert done.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(shipml: Run, name: str) -> None:
    """Every command has one sentence, a description for every option, and examples that start with its name."""
    command = COMMANDS[name]
    for parameter in command.params:
        assert getattr(parameter, "help", ""), f"{name}: {parameter.name} has no description"
        assert not parameter.help.endswith(".")
    done = shipml(*name.split(), "--help")
    assert done.returncode == 0
    examples = done.stdout.partition("\nExamples:\n")[2].splitlines()
    assert any(f"shipml {name}" in line for line in examples)
    sentence = done.stdout.splitlines()[2].strip()
    assert sentence[0].isupper()
    assert {"--json", "--quiet", "--verbose", "--progress"} <= {
        word.rstrip(",") for word in done.stdout.split() if word.startswith("--")
    }


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [(("bild",), "'build'"), (("build", "--plattform", "x"), "--platform"), (("cache", "prun"), "'prune'")],
)
def test_a_typo_names_the_nearest(shipml: Run, words: tuple[str, ...], suggestion: str) -> None:
    """Mistyped commands and options end with 2 and a hint that has the right one."""
    done = shipml(*words)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("error: no such ")
    assert second.startswith(f"hint: did you mean {suggestion}? see: shipml")


@pytest.mark.parametrize(
    "words", [["--verison"], ["build", "--builder", "magic"], ["run", "--port", "http"], ["init", "a", "b"]]
)
def test_what_cannot_be_read_ends_with_2(shipml: Run, words: list[str]) -> None:
    """Every misuse has an error line and says where help is."""
    done = shipml(*words)
    assert done.returncode == 2
    assert "see: shipml" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_misuse_is_json_where_json_is_wanted(shipml: Run) -> None:
    """--json counts wherever it stands, but not among the words of the image's program."""
    assert '"kind": "usage"' in shipml("build", "--nonsense", "--json").stdout
    assert shipml("run", "--nonsense", "--", "--json").stdout == ""


@pytest.mark.parametrize("words", [["--help"], ["build", "--help"], ["version"], ["bild"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """Help, version and usage errors import no SDK, no HTTP client, no resolver's library and not Rich."""
    script = (
        "import sys\nfrom shipml.cli.app import run\nrun(sys.argv[1:])\n"
        "print('loaded', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print('ours', *sorted(name for name in sys.modules if name.startswith('shipml')))"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.partition("\nloaded ")[2].split())
    assert not loaded & {"docker", "azure", "urllib3", "packaging", "rich", "pydantic", "elftools", "isal", "asyncio"}
    assert not loaded & {"shipml.api", "shipml.pipeline", "shipml.store", "shipml.plan", "shipml.oci"}


def test_version(shipml: Run) -> None:
    """`--version` and `version` say the same."""
    assert shipml("--version").stdout == shipml("version").stdout
    assert shipml("version").stdout.startswith("shipml 0.")
    assert '"shipml": "0.' in shipml("version", "--json").stdout


def complete(shipml: Run, line: str) -> list[str]:
    """What bash would offer after `line`."""
    words = line.split(" ")
    variables = {"_SHIPML_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return shipml(env=variables).stdout.split()


def test_completion_offers_commands_and_options(shipml: Run) -> None:
    """The shell completes commands, options and values."""
    assert complete(shipml, "shipml b") == ["build"]
    assert "--platform" in complete(shipml, "shipml build --pl")
    assert complete(shipml, "shipml build --builder e") == ["embedded"]


@pytest.mark.broken_images
def test_completion_offers_images(shipml: Run, clean_environment: dict[str, str]) -> None:
    """The shell completes names of images in the store, and makes no store where there is none."""
    from pathlib import Path

    from shipml.oci.digest import Digest
    from shipml.store import Store

    home = Path(clean_environment["SHIPML_HOME"])
    assert complete(shipml, "shipml run ") == []
    assert not home.exists()
    store = Store(home)
    for name in ("iris:latest", "iris:old", "churn:latest"):
        store.tag(name, Digest.of(b""))
    store.close()
    assert sorted(complete(shipml, "shipml run i")) == ["iris", "iris:old"]
    assert complete(shipml, "shipml inspect ch") == ["churn"]


def test_completion_can_be_shown() -> None:
    """`--show-completion` prints a script for the shell that asks."""
    program = shlex.quote(str(Path(sys.executable).with_name("shipml")))
    asked = subprocess.run(
        ["bash", "-c", f"{program} --show-completion; exit $?"], capture_output=True, text=True, check=False
    )
    assert "_SHIPML_COMPLETE" in asked.stdout, asked.stderr
