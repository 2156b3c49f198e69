"""Variables for the program in the image: given by hand, by a file, by the settings; never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipml.cli.variables import read_env_file
from shipml.errors import UsageError
from shipml.events import Event, OutputReceived
from shipml.runtimes.variables import Mask, complete
from tests.cli.conftest import Project, Run

SHOWS = """
import os, shutil
print("the key is", os.environ["MODEL_API_KEY"])
print("shm mib:", shutil.disk_usage("/dev/shm").total >> 20)
"""
SETTINGS = '[smoke]\nenv = ["MODEL_API_KEY"]\nexpect = "the key is k-12345"\n'


@pytest.mark.network
@pytest.mark.slow
def test_a_key_reaches_the_test_and_no_output(shipml: Run, shared_home: Path, make_project: Project) -> None:
    """Where the settings name it, it is taken from our environment; it is judged by its value and never shown."""
    folder = make_project({"app.py": SHOWS, "shipml.toml": SETTINGS})
    home = {"SHIPML_HOME": str(shared_home)}
    assert shipml("build", str(folder), env=home).returncode == 0
    missing = shipml("run", str(folder), "--json", env=home)
    assert missing.returncode == 2
    assert "-e MODEL_API_KEY=" in json.loads(missing.stdout)["error"]["hint"]
    assert shipml("push", str(folder), "127.0.0.1:9/a/b", env=home).returncode == 2
    ran = shipml("run", str(folder), "--shm-size", "100m", env={**home, "MODEL_API_KEY": "k-12345"})
    assert ran.returncode == 0, ran.stderr
    assert "k-12345" not in ran.stdout + ran.stderr
    assert "the key is ***\nshm mib: 100\n" in ran.stdout
    (folder / "keys.env").write_text('# mine\nexport MODEL_API_KEY="k-99999"\n')
    wrong = shipml("run", str(folder), "--env-file", str(folder / "keys.env"), "--json", env=home)
    assert wrong.returncode == 3
    assert "k-99999" not in wrong.stdout + wrong.stderr
    typed = shipml("run", str(folder), "-e", "MODEL_API_KEY=k-12345", "--env-file", str(folder / "keys.env"), env=home)
    assert typed.returncode == 0
    pushed = shipml("push", str(folder), "127.0.0.1:9/a/b", env=home)
    assert pushed.returncode != 2, "the pass with variables is a pass of this image"


def test_a_value_in_pieces_is_masked() -> None:
    """Output comes in pieces of any size."""
    heard: list[Event] = []
    mask = Mask({"KEY": "secret-value", "SHORT": "1"})
    show = mask.emitting(heard.append)
    for piece in (b"a sec", b"ret-va", b"lue and 1 secr"):
        show("stdout", piece)
    mask.flush(heard.append)
    shown = b"".join(event.data for event in heard if isinstance(event, OutputReceived))
    assert shown == b"a *** and 1 secr"
    assert mask.text("secret-value") == "***"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("MODE", "fast", "fast"),
        ("MODEL_DIR", "/app/models/2024-01", "/app/models/2024-01"),
        ("WORKERS", "16384", "16384"),
        ("APP_ENVIRONMENT", "production", "production"),
        ("OPENAI_API_KEY", "abcd", "***"),
        ("db_password", "hunter2", "***"),
        ("GREETING", "3f9a77b1c2d84e5fa6b7c8d9", "***"),
        ("DATABASE", "postgres://me:hunter2@db/x", "***"),
    ],
)
def test_what_is_a_secret(name: str, value: str, shown: str) -> None:
    """A value is hidden for its variable's name or its own looks; others are shown, as docker shows them."""
    assert Mask({name: value}).text(value) == shown


def test_a_password_of_an_address_is_hidden_alone() -> None:
    """A program may take an address apart."""
    assert Mask({"DATABASE": "postgres://me:hunter2@db/x"}).text("as me with hunter2") == "as me with ***"


def test_missing_variables_are_all_named() -> None:
    """What was given wins over our own environment."""
    assert complete({"A": "1"}, ["A", "B"], {"A": "2", "B": "3", "C": "4"}) == {"A": "1", "B": "3"}
    with pytest.raises(UsageError) as caught:
        complete({}, ["A", "B"], {})
    assert "-e A=VALUE -e B=VALUE" in caught.value.hint


def test_env_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes, comments, `export` and names alone, as python-dotenv and docker know them."""
    monkeypatch.setenv("OURS", "from here")
    path = tmp_path / "a.env"
    path.write_text("\ufeff# a comment\n\nA=b=c\nexport B='x y'\nC =\"z\"\nOURS\nE=\n", encoding="utf-8")
    assert read_env_file(path) == {"A": "b=c", "B": "x y", "C": "z", "OURS": "from here", "E": ""}
    path.write_text("A=1\nnot a name=hidden\n")
    with pytest.raises(UsageError, match="line 2") as caught:
        read_env_file(path)
    assert "hidden" not in caught.value.message
    with pytest.raises(UsageError):
        read_env_file(tmp_path / "missing")
