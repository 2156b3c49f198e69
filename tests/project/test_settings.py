"""Settings: what may be said, and what the errors say about the rest."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shipml.errors import ConfigurationError
from shipml.facts.plan import SmokeCheck
from shipml.project.settings import load_settings, read_settings
from shipml.project.settings_shape import SETTINGS, Table, settings_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "shipml.schema.json"

FULL = """
name = "team/iris"
python = "3.11"
base = "debian:bookworm"
command = ["python", "app.py"]
accelerator = "cpu"
platforms = ["linux/amd64", "linux/arm64"]
system-packages = ["libgomp1"]
include = [".env"]
exclude = ["data/**"]
user = 1000
[env]
PORT = 8080
MODE = "fast"
[smoke]
expect = "accuracy"
minimum = { accuracy = 0.9, f1 = 1 }
http = "/health"
port = 8080
timeout = 30
alive = true
command = "python check.py --quick 'a b'"
network = false
skip = "needs a GPU"
[registries.hub]
kind = "hub"
name = "me"
[environments.int]
registry = "hub"
repository = "iris-int"
[environments.prod]
registry = "hub"
"""

WRONG = [
    ('comand = "x"', "comand", 'did you mean "command"?'),
    ("[smoke]\nminimun = {}", "minimun", 'did you mean "minimum"?'),
    ("System_Packages = []", "System_Packages", 'did you mean "system-packages"?'),
    ("python = 3.10", "python is 3.1 (a number)", "in quotes"),
    ('python = "3.11\\n"', "python", "correct it"),
    ("command = []", "command is []", "correct it"),
    ('command = ""', "command", "correct it"),
    ("command = [1]", "command", "correct it"),
    ('name = "Iris"', "name is 'Iris'", "correct it"),
    ("include = '*.env'", "include is '*.env' (a string); wanted: a list", "correct it"),
    ('[smoke]\nport = "80"', "smoke.port is '80' (a string); wanted: a whole number", "correct it"),
    ("[smoke]\nport = true", "smoke.port is true (a boolean)", "correct it"),
    ("[smoke]\ntimeout = 0", "smoke.timeout", "correct it"),
    ("[smoke]\nminimum = { accuracy = 'high' }", "smoke.minimum.accuracy", "correct it"),
    ("[smoke]\nminimum = 3", "smoke.minimum is 3 (a number); wanted: a table", "correct it"),
    ("[smoke]\nexpect = '('", "smoke.expect", "correct it"),
    ("[smoke]\nhttp = 'health'", "smoke.http", "correct it"),
    ("[env]\n'A B' = ''", "'A B'", "rename it"),
    ("[env]\nA = 1.5", "env.A is 1.5", "correct it"),
    ("platforms = ['windows/amd64']", "platforms", "correct it"),
    ("base = 2026-11-21", "base is datetime.date(2026, 11, 21) (a date or time)", "correct it"),
    ("smoke = 1", "smoke is 1", "correct it"),
]


def test_every_setting_is_read() -> None:
    """All keys arrive in the value that the plan is made from."""
    settings = load_settings(tomllib.loads(FULL), "shipml.toml")
    assert settings.command == ("python", "app.py")
    assert settings.environment == (("MODE", "fast"), ("PORT", "8080"))
    assert settings.user == "1000"
    assert settings.smoke == SmokeCheck(
        expect="accuracy",
        minimum=(("accuracy", 0.9), ("f1", 1.0)),
        http="/health",
        port=8080,
        timeout_seconds=30.0,
        alive=True,
        command=("python", "check.py", "--quick", "a b"),
        network=False,
        skip="needs a GPU",
    )
    assert settings.registries == (("hub", (("kind", "hub"), ("name", "me"))),)
    assert settings.environments[0] == ("int", (("registry", "hub"), ("repository", "iris-int")))


@pytest.mark.parametrize(("text", "message", "hint"), WRONG, ids=[row[0] for row in WRONG])
def test_what_cannot_be_meant_is_named_with_its_key_and_the_way_out(text: str, message: str, hint: str) -> None:
    """The error names file, key, what is there and what is wanted; its hint the nearest known key."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tomllib.loads(text), "shipml.toml")
    assert caught.value.message.startswith("shipml.toml: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_keys_in_pyproject_are_named_with_their_table() -> None:
    """In pyproject.toml the path of a key begins with tool.shipml."""
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml: tool\.shipml\.smoke\.port is 0"):
        read_settings(tomllib.loads("[tool.shipml.smoke]\nport = 0"), None)


def test_settings_in_two_files_are_refused_naming_both() -> None:
    """Nobody has to guess which of two files wins."""
    with pytest.raises(ConfigurationError, match=r"shipml\.toml and in \[tool\.shipml\] of pyproject\.toml"):
        read_settings({"tool": {"shipml": {}}}, {})


def test_the_published_schema_is_the_loaders_own() -> None:
    """docs/shipml.schema.json is what the table of settings generates: `python tests/project/test_settings.py`."""
    assert json.loads(PUBLISHED.read_bytes()) == settings_schema()
    Draft202012Validator.check_schema(settings_schema())


def _schema_accepts(document: object) -> bool:
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(settings_schema(), format_checker=checker).is_valid(document)


def _loader_accepts(document: object) -> bool:
    try:
        load_settings(document, "shipml.toml")
    except ConfigurationError as error:
        return "open quotation" in error.message  # beyond what a schema can say
    return True


@pytest.mark.parametrize("text", [FULL, *(row[0] for row in WRONG if "2026" not in row[0])])
def test_loader_and_schema_agree_on_examples(text: str) -> None:
    """What the loader takes the schema takes, and what it refuses the schema refuses."""
    document = tomllib.loads(text)
    assert _schema_accepts(document) == _loader_accepts(document)


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["linux/amd64", "3.11", "3.11\n", "a b", "/x", "(", "x", "X", "1000:1000", "cpu", "hub", "libc6"]),
)
_ANYTHING = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)


def _documents(table: Table) -> st.SearchStrategy[dict[str, Any]]:
    """Documents with known keys, whose values are anything or themselves nearly right."""
    known = {
        name: _ANYTHING | _documents(inner) if isinstance(inner, Table) else _ANYTHING
        for name, inner in table.keys.items()
    }
    if table.every is not None:
        inner = _documents(table.every) if isinstance(table.every, Table) else _ANYTHING
        return st.dictionaries(st.sampled_from(["A", "a_1", "1", "a b", "ä", "x\n"]), inner, max_size=2)
    return st.fixed_dictionaries({}, optional={**known, "unknown": _ANYTHING})


@given(_documents(SETTINGS))
def test_loader_and_schema_agree_on_anything(document: dict[str, Any]) -> None:
    """Over generated documents the two never disagree."""
    assert _schema_accepts(copy.deepcopy(document)) == _loader_accepts(document)


@given(st.data())
def test_loader_and_schema_agree_on_each_key_alone(data: st.DataObject) -> None:
    """One key at a time, so that another's fault does not hide a disagreement."""
    name = data.draw(st.sampled_from(sorted(SETTINGS.keys)))
    inner = SETTINGS.keys[name]
    document = {name: data.draw(_documents(inner) if isinstance(inner, Table) else _ANYTHING)}
    assert _schema_accepts(document) == _loader_accepts(document)


if __name__ == "__main__":
    PUBLISHED.write_text(json.dumps(settings_schema(), indent=2) + "\n")
