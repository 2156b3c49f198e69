"""The benchmark over real projects, on a corpus of two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.corpus.__main__ import main
from benchmarks.corpus.outside import outside_reason
from benchmarks.corpus.projects import Row, lay_out, read_table, spread
from benchmarks.corpus.report import line_of, report
from benchmarks.corpus.trial import Result, Step

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


@pytest.mark.network
@pytest.mark.slow
def test_a_corpus_is_run_compared_and_resumed(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shares by kind beside both baselines, each failure with cause and remedy; what has a result is not run again."""
    state = tmp_path / "state"
    arguments = [str(corpus), "--state", str(state), "--timeout", "200", "--last-step", "plan", "--baselines"]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert "| all | 2 | 1 (50 %) | 0 (0 %) | 0 | 0 | 0 | 1 | 1 (50 %) | 1 (50 %) |" in table
    assert "1 failed, 0 of them without a cause or a remedy; 2 stubs" in table
    assert "bad: requirements.txt:1 includes gone.txt" in table
    result = state / "good.json"
    assert json.loads(result.read_text())["verdict"] == "planned"
    assert [json.loads(line)["id"] for line in (state / "results.jsonl").read_text().splitlines()] == ["bad", "good"]
    before = result.stat().st_mtime_ns
    assert main([*arguments, "--only", "good"]) == 0
    assert result.stat().st_mtime_ns == before


def test_a_failure_without_a_remedy_counts_against_us() -> None:
    """The report says how many there are."""
    step = Step("build", 1, 1.0, kind="build", message="it broke")
    failed = Result("x", "script", is_own_code=True, verdict="failed-build", steps=(step,))
    assert not failed.is_explained
    assert "1 failed, 1 of them without a cause or a remedy" in report([failed])
    assert "it broke" in line_of(failed)


def test_a_row_without_imports_has_none(corpus: Path) -> None:
    """A dash stands for nothing."""
    assert [row.imports for row in read_table(corpus / "open.tsv")] == [("idna",), ()]


def test_the_projects_own_code_is_taken_where_it_is(corpus: Path, tmp_path: Path) -> None:
    """A checkout of that id comes before the dependency files with a stub."""
    (tmp_path / "checkouts" / "good").mkdir(parents=True)
    (tmp_path / "checkouts" / "good" / "theirs.py").write_text("print(1)\n")
    good, bad = read_table(corpus / "open.tsv")
    folder = tmp_path / "work"
    assert lay_out(good, corpus, tmp_path / "checkouts", folder)
    assert [path.name for path in folder.iterdir()] == ["theirs.py"]
    assert not lay_out(bad, corpus, tmp_path / "checkouts", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["app.py", "requirements.txt"]


def test_the_first_projects_stand_for_all() -> None:
    """Every eighth comes first, none twice."""
    rows = [Row(f"p{number:02}", "script", "", "", ()) for number in range(20)]
    ordered = spread(rows)
    assert [row.id for row in ordered[:3]] == ["p00", "p08", "p16"]
    assert sorted(row.id for row in ordered) == [row.id for row in rows]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", "no network"),
        ("pymongo.errors.ServerSelectionTimeoutError: localhost:27017", "a service does not answer"),
        ("KeyError: 'OPENAI_API_KEY'", "a credential is missing"),
        ("    name = input()\nEOFError: EOF when reading a line", "it asks a person"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'models/gone.pkl'", "the repository lacks gone.pkl"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/here.csv'", ""),
        ("ImportError: cannot import name 'fit' from 'model' (/app/model.py)", "the project's own fault: fit"),
        ("ImportError: cannot import name 'url_quote' from 'werkzeug.urls' (/opt/venv/…)", ""),
        ("ModuleNotFoundError: No module named 'numpy'", ""),
    ],
)
def test_reasons_outside_are_told_from_our_own(words: str, reason: str, tmp_path: Path) -> None:
    """What is missing in the repository is outside; a module or a file that is there is not."""
    (tmp_path / "here.csv").write_text("1\n")
    assert outside_reason(words, tmp_path) == reason
