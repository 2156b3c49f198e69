"""Whatever bytes come, readers answer or raise a ShipmlError, and soon: mutations of good input, and old crashes."""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

import pytest

import shipml
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


PARSES = re.compile(
    r"json\.loads|load_toml\(|load_ini\(|ast\.parse\(|\.unpack(?:_from)?\(|tarfile\.open|zipfile\.ZipFile\("
    r"|decompressobj\(|LZMAFile\(|csv\.reader|HeaderParser|yaml\.|genops\(|shlex\.split|b64decode|parse_wheel_filename"
)
"""What a file of shipml has that takes bytes or texts apart."""
NOT_FROM_OUTSIDE = {
    "build_elsewhere/acr_tasks.py": "writes",
    "cli": "what the user types",
    "formats.py": "counted where it is called",
    "docker_engine/container.py": "of the user's own engine",
    "docker_engine/guard.py": "writes a program that reads what shipml wrote",
    "docker_engine/loading.py": "of the user's own engine",
    "oci/layer_writer.py": "writes; what it inflates for that is in tests/oci/test_decompressors.py",
    "oci/validate.py": "for tests and make targets",
    "project/data/__init__.py": "shipml's own tables",
    "resolver/sources.py": "writes",
    "runtimes/inside": "what shipml wrote itself, inside of the sandbox",
    "runtimes/sandbox_network.py": "of shipml's own process in the sandbox",
    "source_builds/inside.py": "what shipml wrote itself, inside of the sandbox",
    "store": "the store's own files, whose damage is in tests/test_store_trust.py",
    "wheels/bytecode.py": "of the compiling Python: tests/test_untrusted_base.py",
}
"""Files and folders that have no reader here, and why."""


def test_good_input_is_read_and_every_parser_has_some() -> None:
    """What mutations begin with raises nothing that is not ours; what parses, and is not called, has a reason."""
    called: set[str] = set()
    before = sys.getprofile()
    sys.setprofile(lambda frame, *_: called.add(frame.f_code.co_filename))
    try:
        for name, reader in READERS.items():
            for seed in reader.seeds:
                _read(name, seed)
    finally:
        sys.setprofile(before)
    root = Path(shipml.__file__).parent
    parsers = {path for path in root.rglob("*.py") if PARSES.search(path.read_text())}
    missing = {str(path.relative_to(root)) for path in parsers if str(path) not in called}
    assert {one for one in missing if not one.startswith(tuple(NOT_FROM_OUTSIDE))} == set()


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
