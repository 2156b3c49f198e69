"""Servers in the sandbox: where they listen is seen, not guessed, and a last word ends the wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shipml.errors import ConfigurationError
from shipml.events import Event, Notice
from shipml.runtimes.base import SmokeResult

Run = Callable[..., SmokeResult]
_SERVE = "exec httpd -f -h /roots -p"


def test_the_program_gets_no_port_of_its_own(run: Run) -> None:
    """The test sets no variable that the image does not have."""
    assert run('echo "PORT=$PORT"; exec httpd -f -p 8080 -h /roots', http="/public").output == "PORT=\n"


@pytest.mark.parametrize("address", ["9123", "0.0.0.0:9123", "[::]:9123"])
def test_a_server_is_found_where_it_listens(run: Run, address: str) -> None:
    """Another port than the one that the image exposes is seen, and asked."""
    result = run(f"{_SERVE} {address}", http="/public", ExposedPorts={"8080/tcp": {}})
    assert (result.passed, "9123" in result.because) == (True, True)


def test_a_port_that_is_demanded_is_the_only_one(run: Run) -> None:
    """With a port in the check a server elsewhere does not pass."""
    result = run(f"{_SERVE} 9123", http="/public", port=8080, timeout_seconds=2)
    assert not result.passed
    assert "9123" in result.hint


def test_a_server_on_loopback_alone_fails(run: Run) -> None:
    """What nothing outside the container reaches fails, well before the time limit, and its address is named."""
    began = time.monotonic()
    addresses = ["127.0.0.1:8080", "127.0.0.1:9123", "[::1]:8080"]
    with ThreadPoolExecutor() as pool:  # all that they do is to wait
        results = pool.map(lambda address: run(f"{_SERVE} {address}", http="/public", timeout_seconds=60), addresses)
        for address, result in zip(addresses, results, strict=True):
            assert not result.passed
            assert address in result.because
            assert "0.0.0.0" in result.hint
    assert time.monotonic() - began < 30


def test_a_server_that_moves_from_loopback_passes(run: Run) -> None:
    """A program may listen on loopback first: what counts is where it listens in the end."""
    moved = f"httpd -f -p 127.0.0.1:8080 -h /roots & sleep 2; kill $!; sleep 0.2; {_SERVE} 8080"
    assert run(moved, http="/public", timeout_seconds=30).passed


def test_equal_refusals_end_the_wait(run: Run) -> None:
    """A few equal 404s are an answer; the hint names the option for another path."""
    began = time.monotonic()
    result = run(f"{_SERVE} 8080", http="/nothing", timeout_seconds=60)
    assert (result.passed, time.monotonic() - began < 30) == (False, True)
    assert "404" in result.because
    assert "--http" in result.hint


def test_any_answer_passes_where_the_path_is_a_guess(run: Run) -> None:
    """Where nothing is known of its paths, a server that answers works."""
    assert run(f"{_SERVE} 8080", http="/nothing", any_answer=True).passed


def test_what_is_waited_for_is_said(run: Run) -> None:
    """While a server is silent, it is said what is waited for, and for how long."""
    events: list[Event] = []
    run("sleep 30", http="/health", timeout_seconds=4, events=events)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any("/health" in text and "of 4 s" in text for text in notices)


def test_an_expression_that_never_ends_is_stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regular expression that backtracks without end is an error of the settings, not a hang."""
    monkeypatch.setattr("shipml.runtimes.smoke._SEARCH_SECONDS", 0.5)
    with pytest.raises(ConfigurationError):
        run(f"echo {'a' * 40}!", expect="(a+)+$")
