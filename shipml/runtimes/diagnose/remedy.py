"""The next step after a run that failed: by what the runtime found out, then by the program's own words."""

from __future__ import annotations

import difflib

from shipml.facts.plan import SmokeCheck
from shipml.runtimes.diagnose.failure import Failure
from shipml.runtimes.diagnose.files import mentioned_file, missing_file, unwritable_file
from shipml.runtimes.diagnose.native import gpu, memory, signal
from shipml.runtimes.diagnose.network import network, port
from shipml.runtimes.diagnose.programs import (
    is_shell,
    missing_data,
    missing_library,
    missing_module,
    missing_program,
    wrong_arguments,
)
from shipml.runtimes.diagnose.variables import missing_variable
from shipml.text import listed

__all__ = ["remedy"]


def remedy(failure: Failure, check: SmokeCheck, image: str = "IMAGE") -> str:
    """The next step: the command or the change that gets further; `image` as it is typed, "" for the default one."""
    image = f" {image}" if image else ""
    by_kind = {
        "did-nothing": "call what it is to do where it starts, or name another command: "
        + failure.settings.setting('command = "…"'),
        "expected": "compare the output above with `expect` in [smoke], or --expect; `\\` escapes what is special",
        "memory": f"allow more: shipml run{image} --memory {_doubled(failure)}; or let the program load less at once",
        "processes": "let the program start fewer processes and threads",
        "still-running": _still_running(failure, check, image),
        "no-answer": _no_answer(failure, check, image),
        "http-refused": f'ask a path that answers: shipml run{image} --http /PATH, or smoke.http = "/PATH"; '
        "for no request at all: smoke.alive = true",
        "unreachable": _unreachable(failure),
        "unanswered": _unanswered(check, image),
        "cannot-start": _cannot_start(failure, image),
        "measure": _measure(failure, check),
    }
    return by_kind.get(failure.kind) or _of_words(failure, check, image) or _otherwise(failure, image)


def _otherwise(failure: Failure, image: str) -> str:
    if failure.kind == "question":
        return (
            f"look at it yourself: shipml serve{image}; then correct the program, or what is expected, and build again"
        )
    if failure.kind == "http-failed":
        return f'look at it yourself: shipml serve{image}; or ask another path: --http /PATH, smoke.http = "/PATH"'
    return "correct the program and build again: shipml build"


def _doubled(failure: Failure) -> str:
    return f"{max(2 * failure.memory_bytes >> 20, 1)}m" if failure.memory_bytes else "4g"


def _still_running(failure: Failure, check: SmokeCheck, image: str) -> str:
    if failure.listeners:
        where = listed(failure.listeners, most=3)
        only = "" if any(not one.startswith(("127.", "[::1]", "::1")) for one in failure.listeners) else " only"
        bind = " let it listen on 0.0.0.0 in its code, build again, and" if only else ""
        return (
            f'it listens at {where}{only}:{bind} test it as a server: shipml run{image} --http /, or smoke.http = "/"'
        )
    return (
        f"give it more time: shipml run{image} --timeout {check.timeout_seconds * 2:g}; "
        "for a program that is meant to go on: smoke.alive = true and a timeout"
    )


def _no_answer(failure: Failure, check: SmokeCheck, image: str) -> str:
    if failure.listeners:
        return f"it listens at {listed(failure.listeners, most=3)}: name the port: shipml run{image} --port PORT"
    return (
        f"it opened no port: give it more time (shipml run{image} --timeout {check.timeout_seconds * 2:g}), "
        "or make it listen on 0.0.0.0:$PORT"
    )


def _unreachable(failure: Failure) -> str:
    port = failure.listeners[0].rpartition(":")[2] if failure.listeners else "8080"
    return (
        f'let it listen on all addresses, such as host="0.0.0.0", port={port} in its code, or --host 0.0.0.0; '
        "then build again"
    )


def _unanswered(check: SmokeCheck, image: str) -> str:
    more = f"give it more time: shipml run{image} --timeout {check.timeout_seconds * 2:g}"
    return more if check.requests else f"{more}; or leave the visit out: --no-visit, smoke.visit = false"


def _cannot_start(failure: Failure, image: str) -> str:
    if is_shell(failure.program):
        return "images have no shell unless asked: shipml build --with-shell; or start the program itself"
    look = "python -c \"import os; print(os.environ['PATH'])\""
    return f"see where programs are looked for: shipml run{image} -- {look}; then correct `command`"


def _measure(failure: Failure, check: SmokeCheck) -> str:
    if not failure.measure:
        return "improve the model, or lower `minimum` in [smoke]"
    near = difflib.get_close_matches(failure.measure, failure.measures, n=1, cutoff=0.5)
    least = dict(check.minimum).get(failure.measure, 0.0)
    if near:
        return f"did you mean {near[0]}? --minimum '{near[0]}={least:g}', or minimum in [smoke]"
    return f'print it on a line of its own: print(f"{failure.measure}: {{value}}")'


def _of_words(failure: Failure, check: SmokeCheck, image: str) -> str:
    """From what the program said, the telling first; then from its exit code."""
    found = (
        missing_data(failure)
        or missing_program(failure)
        or missing_library(failure)
        or gpu(failure, image)
        or port(failure, check, image)
        or unwritable_file(failure, image)
        or memory(failure, image)
        or missing_variable(failure, image)
        or network(failure, check, image)
    )
    return (
        found
        or missing_file(failure)
        or missing_module(failure)
        or mentioned_file(failure)
        or wrong_arguments(failure)
        or signal(failure, image)
    )
