"""The tree of errors: every class has its exit code, its own kind, and stands in the documentation of the module."""

from __future__ import annotations

import re

import pytest

from shipml import errors
from shipml.errors import ShipmlError

EXIT_CODES = {
    "BuildError": 1,
    "PlanError": 1,
    "ResolutionError": 1,
    "ImportCheckError": 1,
    "SecretError": 1,
    "UntrustedInputError": 1,
    "StoreError": 1,
    "UsageError": 2,
    "ConfigurationError": 2,
    "UnavailableError": 2,
    "SmokeTestError": 3,
    "NotAllowedError": 4,
    "TryAgainError": 75,
    "CancelledError": 130,
}
CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_the_table_is_complete() -> None:
    """Every class has an exit code in the table, and the table names no other."""
    assert {kind.__name__ for kind in CLASSES} - {"ShipmlError"} == set(EXIT_CODES)


@pytest.mark.parametrize("name", EXIT_CODES)
def test_exit_codes_are_those_of_the_table(name: str) -> None:
    """Scripts rely on them: they never change."""
    kind: type[ShipmlError] = getattr(errors, name)
    assert kind.exit_code == EXIT_CODES[name]
    assert kind("x").to_json()["exit_code"] == EXIT_CODES[name]


def test_kinds_are_unique() -> None:
    """The kind in `--json` tells each class from all others."""
    kinds = [kind.kind for kind in CLASSES]
    assert len(set(kinds)) == len(kinds)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", kind) for kind in kinds)


def test_the_module_draws_its_own_tree() -> None:
    """The docstring names every class once, below its parent, with its exit code."""
    lines = [line for line in (errors.__doc__ or "").splitlines() if re.search(r"[├└]──", line)]
    drawn = {match[1]: int(match[2]) for line in lines if (match := re.search(r"── (\w+) +(\d+) ", line))}
    assert drawn == EXIT_CODES
    stack: list[tuple[int, str]] = [(-1, "ShipmlError")]
    for line in lines:
        match = re.search(r"── (\w+)", line)
        assert match is not None
        while stack[-1][0] >= match.start():
            stack.pop()
        assert getattr(errors, match[1]).__base__.__name__ == stack[-1][1]
        stack.append((match.start(), match[1]))


def test_errors_carry_message_and_hint() -> None:
    """What happened and what to do are apart, and both are in the JSON."""
    error = errors.StoreError("the disk is full", hint="shipml cache prune")
    assert str(error) == error.message == "the disk is full"
    assert error.to_json() == {
        "kind": "store",
        "message": "the disk is full",
        "hint": "shipml cache prune",
        "exit_code": 1,
    }
    assert errors.PlanError("x").hint == ""
