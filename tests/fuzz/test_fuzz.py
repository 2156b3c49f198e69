"""Whatever bytes come, readers answer or raise a ShipmlError, and soon: mutations of good input, and old crashes."""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path

import pytest

from shipml.errors import ShipmlError
from tests.fault_cases import CountCases
from tests.fuzz.mutations import mutated
from tests.fuzz.readers import READERS

CASES = Path(__file__).with_name("cases")
SECONDS = float(os.environ.get("FUZZ_SECONDS", "20"))
"""Of all readers together."""
SEED = int(os.environ.get("FUZZ_SEED", "1"))
LONGEST_SECONDS = 5.0


def _read(name: str, data: bytes) -> None:
    """Let a reader read; what is no ShipmlError, or takes long, fails the test and leaves its input behind."""
    started_at = time.process_time()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            READERS[name].read(data, Path(folder))
        except ShipmlError:
            pass
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}; input in {_left(name, data)}") from error
    elapsed_seconds = time.process_time() - started_at
    assert elapsed_seconds < LONGEST_SECONDS, f"{name}: {elapsed_seconds:.1f} s; input in {_left(name, data)}"


def _left(name: str, data: bytes) -> Path:
    with tempfile.NamedTemporaryFile(prefix=f"{name}-", delete=False) as file:
        file.write(data)
    return Path(file.name)


@pytest.mark.parametrize("name", READERS)
def test_good_input_is_read(name: str) -> None:
    """What mutations begin with raises nothing that is not ours."""
    for seed in READERS[name].seeds:
        _read(name, seed)


@pytest.mark.parametrize("name", READERS)
def test_broken_input_is_refused_or_read(name: str, count_cases: CountCases) -> None:
    """As many mutations as fit into this reader's share of the time."""
    dice = random.Random(f"{SEED} {name}")  # noqa: S311  (a dice, no secret)
    ends_at, count = time.monotonic() + SECONDS / len(READERS), 0
    while time.monotonic() < ends_at or not count:
        _read(name, mutated(list(READERS[name].seeds), dice))
        count += 1
    count_cases(count)


@pytest.mark.parametrize("path", sorted(CASES.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_crashes_of_before_stay_away(path: Path) -> None:
    """Input that once crashed a reader, in the folder of its name."""
    _read(path.parent.name, path.read_bytes())
