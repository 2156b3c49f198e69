"""shipml from Python: nothing but its public names, from a folder to a promoted image."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import shipml
from tests.peers.need import need
from tests.peers.registry import Registry
from tests.publish.pushing import new_name

ROOT = Path(__file__).parents[1]


def _prepare(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(root=True)
    monkeypatch.setenv("SHIPML_HOME", str(home))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/none")
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "no-docker"))


def test_every_public_name_is_there() -> None:
    """`__all__` is sorted and complete: each name can be imported and is documented, and every kind of error is in."""
    assert shipml.__all__ == sorted(shipml.__all__)
    for name in shipml.__all__:
        value = getattr(shipml, name)
        assert not isinstance(value, type) or value.__doc__, name
    from shipml import errors

    assert set(errors.__all__) <= set(shipml.__all__)
    assert set(shipml.__all__) <= set(dir(shipml))
    with pytest.raises(AttributeError):
        _ = shipml.Nothing


def test_what_methods_take_and_give_is_public() -> None:
    """Whoever annotates a call of `Shipml` finds its types among the public names."""
    methods = [value for name, value in vars(shipml.Shipml).items() if callable(value) and not name.startswith("_")]
    named = {word for one in methods for text in one.__annotations__.values() for word in re.findall(r"[A-Z]\w+", text)}
    shorthands = {"Any", "Callable", "Folder", "Mapping", "None", "Path", "Request", "Sequence", "Via"}
    assert named - shorthands <= set(shipml.__all__)


def test_names_cost_nothing_until_they_are_used() -> None:
    """`import shipml` imports no other module of shipml."""
    code = "import sys, shipml; print(*[name for name in sys.modules if name.startswith('shipml.')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.engine
@pytest.mark.network
def test_from_a_folder_to_a_promoted_image(
    registry: Registry, shared_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan, build, run, push, promote, inspect: values in and values out, the digest the same all the way."""
    _prepare(shared_home, monkeypatch)
    (tmp_path / "main.py").write_text("print('accuracy: 0.5')\n")
    heard: list[shipml.Event] = []
    target = f"{registry.host}/{new_name()}"
    with shipml.Shipml(shared_home, heard.append) as session:
        plan = session.plan(str(tmp_path))
        assert isinstance(plan, shipml.Plan)
        built = session.build(shipml.PlanRequest(tmp_path, name="contract"), load=False)
        result = session.run(tmp_path)
        assert (result.passed, result.measures) == (True, {"accuracy": 0.5})
        pushed = session.push("contract", shipml.Destination(target, tags=("1",)))
        promoted = session.promote(f"{target}:1", f"{target}-prod:stable")
        assert built.digest == result.digest == pushed.digest == promoted.digest
        described = session.inspect("contract")
        assert described.smoke == session.last_run(built.digest)
        assert session.last_run(shipml.Digest.of(b"another")) is None
        values = (built, result, pushed, promoted, described, session.cache_info(), session.prune(dry_run=True))
        assert all(value.to_json() for value in values)
        assert built.digest in {image.digest for image in session.images()}
        with pytest.raises(shipml.UsageError):
            session.run("no-such-image")
    assert any(isinstance(event, shipml.StepFinished) for event in heard)


@pytest.mark.engine
@pytest.mark.network
def test_the_examples_run(
    registry: Registry, shared_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The programs of docs/python.md run as they stand, with another registry."""
    _prepare(shared_home, monkeypatch)
    shutil.copytree(ROOT / "example_project", tmp_path / "example_project")
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        code = example.replace("localhost:5000/team/iris", f"{registry.host}/{new_name()}")
        exec(compile(code, "docs/python.md", "exec"), {})  # noqa: S102  (our own page)


@pytest.mark.parametrize("damaged", [b"[]", b"{}", b"5", b'"x"', b'{"passed": true}', b'{"passed": "yes"}', b"null"])
def test_damaged_evidence_is_none(damaged: bytes, tmp_path: Path) -> None:
    """A fact of another shape counts as absent: the image is run again before it is pushed."""
    digest = shipml.Digest.of(b"image")
    with shipml.Shipml(tmp_path) as session:
        session.store.keep_fact("smoke", str(digest), value={})
        for path in (tmp_path / "facts/smoke").iterdir():
            path.write_bytes(damaged)
        assert session.last_run(digest) is None


_COUNTING = """
import collections, os, sys
folder, opened = os.path.abspath(sys.argv[1]), collections.Counter()
def hear(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith(folder + "/"):
            opened[path[len(folder) + 1:]] += 1
sys.addaudithook(hear)

from shipml.project import read_project
from pathlib import Path
read_project(Path(folder), None, dockerfile="try")
print(*(f"{name}={count}" for name, count in sorted(opened.items())), sep="\\n")
"""


def test_a_project_is_read_once(tmp_path: Path) -> None:
    """Each file that tells something is opened once to be read, and once more to be hashed for the image."""
    files = {
        "app.py": "import torch\nmodel = torch.nn.Linear(1, 1).cuda()\n",
        "notes.ipynb": '{"cells": [], "metadata": {}}',
        "requirements.txt": "torch\n",
        "pyproject.toml": "[project]\nname = 'x'\n",
        "shipml.toml": "[smoke]\n",
        "Dockerfile": "FROM python:3.12\nCOPY . .\nRUN pip install -r requirements.txt\nCMD python app.py\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run([sys.executable, "-c", _COUNTING, tmp_path], check=True, capture_output=True, text=True)
    counts = {name: int(count) for name, _, count in (line.partition("=") for line in done.stdout.splitlines())}
    assert set(files) <= set(counts)
    assert {name: count for name, count in counts.items() if count > 2} == {}
