"""No input costs more than a second and 200 MB: what is endless, nested or repeated, where patterns may backtrack."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipml.errors import ShipmlError
from tests.fault_cases import CountCases
from tests.fuzz.readers import READERS

SIZE_BYTES = 80_000
LIMIT_SECONDS, LIMIT_BYTES = 1.0, 200 << 20
SHARE_SECONDS = float(os.environ.get("BUDGET_SECONDS", "10")) / len(READERS)
"""Of each reader; its inputs come in another order with each FUZZ_SEED."""
UNITS = (
    *(b"[", b'{"a":', b"(", b"{", b'"', b"'", b"\\", b"a", b" ", b"\n", b"\r", b"\t", b",", b"/", b"../", b"*", b"**/"),
    *(b"-", b"0", b"#\n", b"a\n", b"a=", b"a = 1\n", b"[a]\n", b"a.", b"${", b"$(", b"%(", b"&& ", b"; ", b"|| a"),
    *(b"debian.sh ", b"@", b":", b"http://", b"a@", b"<<", b"\0", b"\xff", b"=", b"!", b"a b\n", b"\n\n", b"-e .\n"),
    *(b"a = [\n", b"(a)+", b"*a", b"a,a\n", b" a\n", b"RUN a\n", b"  - a\n", b'a = """\n', b"\\\n", b"a:1\n", b"a/"),
    *(b"error: ", b"No such file ", b"Traceback ", b"lib", b".so", b"%", b"AKIA", b"ghp_", b"eyJ", b"-----BEGIN "),
)


def _peak_bytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) << 10


def _check(name: str, data: bytes, what: str) -> None:
    """Let a reader read, and compare what it took with the limits."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew (proc(5))
    before_bytes, before_seconds = _peak_bytes(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="budget-") as folder, contextlib.suppress(ShipmlError):
        READERS[name].read(data, Path(folder))
    took_seconds, took_bytes = time.process_time() - before_seconds, _peak_bytes() - before_bytes
    assert took_seconds < LIMIT_SECONDS, f"{name}: {took_seconds:.1f} s for {what}"
    assert took_bytes < LIMIT_BYTES, f"{name}: {took_bytes >> 20} MiB for {what}"


def _inputs(seeds: tuple[bytes, ...]) -> Iterator[tuple[str, bytes]]:
    for unit in UNITS:
        run = unit * (SIZE_BYTES // len(unit))
        yield f"{unit!r} repeated", run
        for number, seed in enumerate(seeds):
            middle = len(seed) // 2
            yield f"{unit!r} repeated after seed {number}", seed + run
            yield f"{unit!r} repeated in seed {number}", seed[:middle] + run + seed[middle:]
            for where, document in _with_text(seed, run.decode("latin-1")):
                yield f"{unit!r} repeated at {where} of seed {number}", document
    for number, seed in enumerate(seeds):
        yield f"seed {number} repeated", seed * (SIZE_BYTES // (len(seed) or 1))


def _with_text(seed: bytes, text: str) -> Iterator[tuple[str, bytes]]:
    """A JSON document with a long text in place of each of its own."""
    try:
        document = json.loads(seed)
    except ValueError:
        return
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            waiting.append(node[key])
            places += [(node, key)] if isinstance(node[key], str) else []
    for node, key in places:
        kept, node[key] = node[key], text
        yield str(key), json.dumps(document).encode()
        node[key] = kept


@pytest.mark.parametrize("name", READERS)
def test_no_input_costs_more_than_its_size_allows(name: str, count_cases: CountCases) -> None:
    """Repetitions of all that means something somewhere, alone and within sound input."""
    inputs = list(_inputs(READERS[name].seeds))
    random.Random(os.environ.get("FUZZ_SEED", "1")).shuffle(inputs)  # noqa: S311  (a dice, no secret)
    gc.collect()
    ends_at, count = time.monotonic() + SHARE_SECONDS, 0
    for what, data in inputs:
        _check(name, data, what)
        count += 1
        if time.monotonic() > ends_at:
            break
    count_cases(count)
