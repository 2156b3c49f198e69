from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml import PlanRequest
from shipml.cli.checks import Checks
from shipml.cli.options import (
    Planning,
    memory_bytes,
    parse_environment,
    parse_minimum,
    parse_ports,
)
from shipml.cli.text import columns, printable
from shipml.docker_engine.ports import PublishedPort
from shipml.errors import UsageError
from shipml.facts.plan import SmokeCheck
from shipml.text import seconds_text, size_text


def test_planning_options_are_the_fields_of_a_plan_request() -> None:
    """Every option of the planning commands reaches the pipeline under its own name; one more is the pipeline's own."""
    fields = {field.name for field in dataclasses.fields(PlanRequest)}
    assert {field.name for field in dataclasses.fields(Planning)} == fields - {"folder", "must_follow"}


def test_checks_change_only_what_was_given() -> None:
    """Options not given leave the settings' demands alone."""
    settings = SmokeCheck(expect="ready", minimum=(("accuracy", 0.9),))
    assert Checks().demands() == {}
    changed = dataclasses.replace(settings, **Checks(timeout=5, minimum=["f1=0.5"]).demands())
    assert changed == SmokeCheck(expect="ready", minimum=(("f1", 0.5),), timeout_seconds=5)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("1", 1), ("512m", 512 << 20), ("2g", 2 << 30), ("1.5K", 1536), ("64MiB", 64 << 20), ("1 GB", 1 << 30)],
)
def test_memory_is_read_as_docker_does(text: str, size_bytes: int) -> None:
    """Units are powers of 1024, in either case."""
    assert memory_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "0", "-1m", "m", "1x", "1mm", "nan", "1e3"])
def test_what_is_no_memory_is_refused(text: str) -> None:
    """Anything else is a usage error with an example."""
    with pytest.raises(UsageError, match="--memory"):
        memory_bytes(text)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """NAME=VALUE keeps further `=`; NAME alone takes the value from here."""
    monkeypatch.setenv("SHIPML_TEST_TOKEN", "s3cret")
    assert parse_environment(["A=b=c", "E=", "SHIPML_TEST_TOKEN"]) == {
        "A": "b=c",
        "E": "",
        "SHIPML_TEST_TOKEN": "s3cret",
    }


@pytest.mark.parametrize("item", ["=x", "1A=x", "A B=x", "SHIPML_TEST_NOT_SET"])
def test_what_is_no_variable_is_refused(item: str) -> None:
    """Odd names and unset variables are usage errors."""
    with pytest.raises(UsageError):
        parse_environment([item])


def test_minimum() -> None:
    """Measures are numbers, sorted by name."""
    assert parse_minimum(["f1=.5", "accuracy = 9e-1", "loss=-2"]) == (("accuracy", 0.9), ("f1", 0.5), ("loss", -2.0))


@pytest.mark.parametrize("item", ["accuracy", "=0.9", "accuracy=", "accuracy=high", "accuracy=nan"])
def test_what_is_no_minimum_is_refused(item: str) -> None:
    """Anything but NAME=NUMBER is a usage error that shows one."""
    with pytest.raises(UsageError, match="is not NAME=NUMBER"):
        parse_minimum([item])


def test_ports() -> None:
    """A port of the program, behind a port of this machine where that is named; one may be published twice."""
    ports = parse_ports(["8000", "9000:8000", "65535:1"])
    assert ports == (PublishedPort(8000), PublishedPort(8000, 9000), PublishedPort(1, 65535))


@pytest.mark.parametrize(
    "item", ["", "0", "0:80", "80:0", "65536", "80:65536", ":80", "80:", "a", "-1", "80/udp", "0.0.0.0:80:80", "٨٠"]
)
def test_what_is_no_port_is_refused(item: str) -> None:
    """Other forms, other addresses and udp are usage errors that show the right form."""
    with pytest.raises(UsageError, match="names no port") as caught:
        parse_ports([item])
    assert "--publish 9000:8000" in caught.value.hint


def test_one_port_of_this_machine_for_two_of_the_program() -> None:
    """What no engine could do is refused before one is asked."""
    with pytest.raises(UsageError, match="port 9000 of this machine twice"):
        parse_ports(["9000:80", "9000:81"])


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (12_345, "12.3 kB"),
        (109_113_683, "109 MB"),
        (2_500_000_000, "2.50 GB"),
        (7_000_000_000_000, "7000 GB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    """Decimal units, three digits."""
    assert size_text(size_bytes) == text


@given(st.integers(min_value=0, max_value=10**13))
def test_sizes_are_near_the_truth(size_bytes: int) -> None:
    """What is shown is within half a percent, or half a byte."""
    number, unit = size_text(size_bytes).split()
    shown = float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert math.isclose(shown, size_bytes, rel_tol=0.0051, abs_tol=0.5)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0.00 s"), (1.234, "1.23 s"), (12.34, "12.3 s"), (125.2, "2 min 5 s")]
)
def test_times(seconds: float, text: str) -> None:
    """Seconds, then minutes."""
    assert seconds_text(seconds) == text


def test_columns() -> None:
    """Cells stand under one another; no line ends in spaces."""
    assert columns([("a", "long", "x"), ("bbb", "", "")], indent=" ") == [" a    long  x", " bbb"]
    assert columns([]) == []


def test_printable_hides_credentials_and_shows_controls() -> None:
    """Passwords in URLs never reach a terminal, and neither do escape sequences or bidirectional overrides."""
    assert printable("https://u:p@h/x and http://t@i, a@b") == "https://***@h/x and http://***@i, a@b"
    assert printable("a\x1b[2Jb\r\u202ec\n\td") == "a\\x1b[2Jb\\x0d\\x202ec\n\td"


@given(st.text())
def test_printable_text_cannot_move_the_cursor(text: str) -> None:
    """Whatever a stranger's file is called, only line breaks and tabs are left of its controls."""
    assert all(character in "\n\t" or character >= " " for character in printable(text))
