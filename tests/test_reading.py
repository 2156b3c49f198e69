"""A project is read once a command: what is understood, hashed and scanned is one state of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shipml.reading import read_data, reading_once

_COUNT = """
import collections, os, sys
from pathlib import Path

root, home = map(os.path.realpath, sys.argv[1:])
opened = collections.Counter()

def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(root + os.sep) and os.path.isfile(path):
            opened[path] += 1

sys.addaudithook(watch)
from shipml.project import read_project
from shipml.store import Store

store = Store(Path(home))
read_project(Path(root), store, dockerfile="try")
print(sorted(os.path.basename(path) for path, times in opened.items() if times != 1), len(opened))
"""


def test_each_file_is_opened_once(tmp_path: Path) -> None:
    """Settings, requirements, Dockerfile and code: every reader shares what the first one read."""
    project = tmp_path / "project"
    project.mkdir()
    texts = {
        "app.py": "import helper\nprint(helper.x)\n",
        "helper.py": "x = 1\n",
        "requirements.txt": "six\n",
        "shipml.toml": 'name = "one"\n',
        "Dockerfile": "FROM python:3.11-slim\nCOPY . /app\nCMD python app.py\n",
        "Procfile": "web: python app.py\n",
    }
    for name, text in texts.items():
        (project / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, str(project), str(tmp_path / "home")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"[] {len(texts)}\n", done.stderr


def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    """A folder of large files is read again rather than held in memory; small ones are known."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"1")
    large.write_bytes(bytes(17 << 20))
    with reading_once():
        assert (read_data(small), len(read_data(large))) == (b"1", 17 << 20)
        small.write_bytes(b"2")
        large.write_bytes(b"3")
        assert (read_data(small), read_data(large)) == (b"1", b"3")
