"""The benchmark over real projects, on a corpus of two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.corpus import Outcome, main, read_table, report

pytestmark = [pytest.mark.network, pytest.mark.slow]

HEADER = "id\tkind\tdep_main\tentry\timports\n"
ROWS = "good\tscript\trequirements.txt\trun.py\tidna\nbad\tweb-flask\trequirements.txt\tProcfile> web: x | app.py\t-\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """One project that works, one that includes a file that is not there."""
    folder = tmp_path / "corpus"
    for name, text in (("good", "idna==3.7\n"), ("bad", "-r gone.txt\n")):
        (folder / name).mkdir(parents=True)
        (folder / name / "requirements.txt").write_text(text)
    (folder / "open.tsv").write_text(HEADER + ROWS)
    return folder


def test_a_corpus_is_run_compared_and_resumed(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shares by kind beside both baselines, each failure with cause and remedy; what has a result is not run again."""
    state = tmp_path / "state"
    arguments = [str(corpus), "--state", str(state), "--timeout", "200", "--plan-only"]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "| all | 2 | 1 (50 %) | 1 (50 %) | 1 (50 %) |" in table
    assert "1 failed, 0 of them without a cause or a remedy" in table
    assert "bad: configuration: requirements.txt:1 includes gone.txt" in table
    result = state / "good.json"
    assert json.loads(result.read_text())["ok"]
    before = result.stat().st_mtime_ns
    assert main([*arguments, "--only", "good"]) == 0
    assert result.stat().st_mtime_ns == before


def test_a_failure_without_a_remedy_counts_against_us() -> None:
    """The report says how many there are."""
    failed = Outcome("x", "script", ok=False, elapsed_seconds=1.0, cause="build: it broke")
    assert not failed.is_explained
    assert "1 failed, 1 of them without a cause or a remedy" in report([failed])


def test_a_row_without_imports_has_none(corpus: Path) -> None:
    """A dash stands for nothing."""
    assert [row.imports for row in read_table(corpus / "open.tsv")] == [("idna",), ()]
