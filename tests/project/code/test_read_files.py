"""Files that code reads and the image will lack are said with what reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.events import Event, Notice
from shipml.project import read_project


def missing(folder: Path, code: str) -> list[tuple[str, str]]:
    """(path, `FILE:LINE`) of what the image lacks."""
    (folder / "app.py").write_text(code)
    said: list[Event] = []
    project = read_project(folder, None, said.append)
    notices = [one.message for one in said if isinstance(one, Notice) and " reads " in one.message]
    assert len(notices) == len(project.missing_files)
    return [(one.path, one.reader) for one in project.missing_files]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import joblib\nMODEL = joblib.load('models/x.pkl')\n", [("models/x.pkl", "app.py:2")]),
        ("import pickle\nm = pickle.load(open('m.sav', 'rb'))\n", [("m.sav", "app.py:2")]),
        ("import pandas as pd\ndef f():\n    return pd.read_csv('data/a.csv')\n", [("data/a.csv", "app.py:3")]),
        (
            "import os, torch\nHERE = os.path.dirname(__file__)\ntorch.load(os.path.join(HERE, 'w', 'net.pt'))\n",
            [("w/net.pt", "app.py:3")],
        ),
        ("from keras.models import load_model\nload_model(filepath='net.h5')\n", [("net.h5", "app.py:2")]),
        ("from pathlib import Path\n(Path('a') / 'b.json').read_text()\n", [("a/b.json", "app.py:2")]),
        ("import pandas as pd\npd.read_csv('C:/Users/me/a.csv')\n", [("C:/Users/me/a.csv", "app.py:2")]),
        ("import pandas as pd\npd.read_csv('/content/a.csv')\n", [("/content/a.csv", "app.py:2")]),
        ("import os\nos.chdir('C:\\\\Users\\\\me')\nos.chdir('here')\n", [("C:\\Users\\me", "app.py:2")]),
        ("open('log.txt', 'w')\nopen('log.txt')\n", []),
        ("open('/etc/hosts.conf')\n", []),
        ("import pandas as pd\npd.read_csv('https://example.org/a.csv')\npd.read_csv(f'{1}.csv')\n", []),
        ("try:\n    open('a.json')\nexcept OSError:\n    pass\n", []),
        ("import os\nif os.path.exists('a.json'):\n    open('a.json')\n", []),
        ("open('there.csv')\nopen('sub/../there.csv')\n", []),
        ("import webbrowser\nwebbrowser.open('x.html')\n", []),
    ],
)
def test_what_is_read_and_not_there_is_named(tmp_path: Path, code: str, expected: list[tuple[str, str]]) -> None:
    """By literal names; what is written, asked for before, guarded, or of the system is nothing to say."""
    (tmp_path / "there.csv").write_text("x")
    assert missing(tmp_path, code) == expected


def test_the_reason_is_the_rule_or_the_program_that_writes_it(tmp_path: Path) -> None:
    """A pattern that leaves a file out, and a training script that nobody ran."""
    (tmp_path / ".dockerignore").write_text("models\n")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "x.pkl").write_text("x")
    (tmp_path / "train.py").write_text("import joblib\njoblib.dump(1, 'y.pkl')\n")
    (tmp_path / "app.py").write_text("import joblib\njoblib.load('models/x.pkl')\njoblib.load('y.pkl')\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "z.csv").write_text("z")
    with (tmp_path / "app.py").open("a") as file:
        file.write("open('z.csv')\n")
    first, second, third = read_project(tmp_path, None).missing_files
    assert "sub/z.csv" in third.because
    assert ".dockerignore:1" in first.because
    assert "train.py:2" in second.because
