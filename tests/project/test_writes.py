"""Which files a program writes, read from its code."""

from __future__ import annotations

import ast

import pytest

from shipml.project.code.writes import written_files

HEAD = 'import os\nfrom pathlib import Path\nNAME = "m.joblib"\nHERE = Path(__file__).resolve().parent\n'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('open("a.txt", "w")', "a.txt"),
        ('open("a.txt", mode="ab")', "a.txt"),
        ("joblib.dump(model, NAME)", "m.joblib"),
        ('joblib.dump(model, filename="./out/m.pkl")', "out/m.pkl"),
        ('frame.to_csv("out/x.csv")', "out/x.csv"),
        ('torch.save(model.state_dict(), Path("models") / "m.pt")', "models/m.pt"),
        ('model.save(os.path.join("models", NAME))', "models/m.joblib"),
        ('(HERE / "w.bin").write_bytes(b"")', "src/w.bin"),
        ('Path("a.json").open("w")', "a.json"),
        ('open(os.path.join(os.path.dirname(__file__), "b"), "x")', "src/b"),
        ('booster.save_model(fname="b.json")', "b.json"),
    ],
)
def test_what_is_written(line: str, expected: str) -> None:
    """Literals, constants and paths of them, in the calls that write."""
    tree = ast.parse(HEAD + line)
    assert (expected, "src/train.py:5") in list(written_files("src/train.py", tree))


@pytest.mark.parametrize("line", ['open("a.txt")', 'open("a.txt", "rb")', 'open(name, "w")', "A = A\nopen(A, 'w')"])
def test_what_is_not(line: str) -> None:
    """Reading writes nothing, and what only runs tell is not guessed."""
    assert list(written_files("train.py", ast.parse(line))) == []
