"""Imports are tried in the image."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shipml.build.import_check import ImportFailure, read_answers
from shipml.build.import_demands import demand_of
from shipml.facts.requirements import ImportedModule
from shipml.runtimes.inside import import_probe

PROBE = Path(import_probe.__file__).read_text(encoding="utf-8")


def probe(folder: Path, *modules: ImportedModule) -> dict[str, ImportFailure]:
    """What the probe finds with this machine's Python and the modules in `folder`."""
    wanted = json.dumps([[module.name, list(module.members)] for module in modules])
    done = subprocess.run(
        [sys.executable, "-c", PROBE, wanted], capture_output=True, text=True, check=False, cwd=folder
    )
    ending = f"crash signal {-done.returncode}"
    return {failure.module.name: failure for failure in read_answers(done.stdout, modules, ending)}


def module(name: str, *members: str) -> ImportedModule:
    return ImportedModule(name, f"{name}.py:3", members=members)


def test_what_can_be_imported_is_no_failure(tmp_path: Path) -> None:
    """Modules, their attributes, their submodules, and a star."""
    found = probe(tmp_path, module("json", "loads", "decoder"), module("os.path", "join"), module("email", "*", "mime"))
    assert found == {}


@pytest.mark.parametrize(
    ("text", "members", "sentence", "remedy"),
    [
        (None, (), "imports m, which is not in the image", "add the package that has m"),
        ("import nowhere_at_all", (), "ModuleNotFoundError: No module named 'nowhere_at_all'", "nowhere_at_all"),
        ("x = 1", ("gone",), "cannot import name 'gone' from 'm'", "pin a version of m"),
        (
            "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
            (),
            "libGL.so.1: cannot open",
            "the Debian package that has libGL.so.1",
        ),
        ("raise ValueError('numpy.dtype size changed')", (), "ValueError: numpy.dtype size changed", "fit each other"),
        ("import os; os.abort()", (), "at which Python crashes", "fit each other"),
        ("raise SystemExit(3)", (), "SystemExit: 3", "fit each other"),
    ],
)
def test_a_failing_import_has_a_cause_and_a_remedy(
    text: str | None, members: tuple[str, ...], sentence: str, remedy: str, tmp_path: Path
) -> None:
    """Nothing there, something below missing, a name gone, a library missing, an error, a crash, an exit."""
    if text is not None:
        (tmp_path / "m.py").write_text(text)
    failure = probe(tmp_path, module("m", *members))["m"]
    assert failure.sentence.startswith("m.py:3 ")
    assert sentence in failure.sentence
    assert remedy in failure.remedy


def test_modules_that_print_do_not_disturb(tmp_path: Path) -> None:
    """Lines of others, and a sys.stdout of their own, change no answer."""
    (tmp_path / "m.py").write_text("import io, sys\nprint('no line end', end='')\nsys.stdout = io.StringIO()\n")
    assert set(probe(tmp_path, module("m"), module("gone_too"))) == {"gone_too"}


def test_an_import_that_does_not_come_back_is_named() -> None:
    """The one that had begun; those after it were not tried."""
    text = f"{import_probe.MARK}{json.dumps({'begin': 'm'})}\n"
    (failure,) = read_answers(text, (module("m"), module("later")), "time")
    assert failure.sentence == "m.py:3 imports m, which did not come back in time"
    assert "there is no network" in failure.remedy


@pytest.mark.parametrize(
    ("raises", "wants"),
    [
        ("raise OSError('Could not find kaggle.json. Make sure it is in /root/.kaggle')", "a credential of Kaggle"),
        ("raise LookupError('\\n' + '*' * 70 + '\\n  Resource stopwords not found.\\n  Please')", "NLTK's stopwords"),
        ("raise OSError('[E050] Can\\'t find model \\'en_core_web_sm\\'.')", "spaCy's model en_core_web_sm"),
        ("import os; os.environ['SERVICE_TOKEN_NAME']", "the variable SERVICE_TOKEN_NAME"),
        ("raise ValueError('api_key client option must be set')", "a credential"),
        ("raise ConnectionRefusedError(111, 'Connection refused')", "a service that answers while it is imported"),
        ("open('/data/rates.csv')", "the file /data/rates.csv"),
        ("raise ValueError('numpy.dtype size changed, may indicate binary incompatibility')", ""),
        ("raise AttributeError('module numpy has no attribute float')", ""),
        ("raise ImportError('cannot import name credentials')", ""),
        ("{}['a']", ""),
    ],
)
def test_demands_are_told_from_faults_of_versions(raises: str, wants: str, tmp_path: Path) -> None:
    """Data, credentials, variables and services are wanted; no version of a package would help there."""
    (tmp_path / "m.py").write_text(f"{raises}\n")
    (failure,) = probe(tmp_path, module("m")).values()
    demand = demand_of(failure.error, failure.text, "m")
    assert (demand.wants if demand else "") == wants
    assert "***" not in failure.sentence


INSTALLED = {
    "web": {"web/__init__.py": "from tool.urls import quote\n"},
    "tool": {
        "tool/__init__.py": "def make(kind): pass\nclass Part:\n    def __init__(self, size): pass\n",
        "tool/urls.py": "",
        "tool/proto.py": "def register(name): raise TypeError('Descriptors cannot be created directly')\n",
    },
    "attributes": {"attributes.py": "import tool\ntool.gone\n"},
    "keywords": {"keywords.py": "from tool import make\nmake(colour=1)\n"},
    "positions": {"positions.py": "import tool\ntool.Part()\n"},
    "generated": {"generated_pb2.py": "from tool import proto\nproto.register('x')\n"},
    "refusing": {"refusing.py": "raise ImportError('refusing needs tool<2, found tool==3.0')\n"},
    "lazy": {
        "lazy.py": "try:\n    import web\nexcept ImportError as error:\n    raise RuntimeError('no web') from error\n"
    },
    "deep": {"deep.py": "import tool.wrappers\n"},
    "careless": {"careless.py": "import nowhere_at_all\n"},
}
"""Packages of an image, with their files."""


@pytest.mark.parametrize(
    ("wanted", "packages", "named"),
    [
        (module("web"), ("web",), ("tool",)),
        (module("attributes"), ("attributes",), ("tool",)),
        (module("keywords"), ("keywords",), ("tool",)),
        (module("positions"), ("positions",), ("tool",)),
        (module("generated_pb2"), ("generated", "tool"), ()),
        (module("refusing"), ("refusing",), ()),
        (module("lazy"), ("lazy",), ()),
        (module("deep"), ("deep",), ("tool",)),
        (module("careless"), ("careless",), ()),
        (module("tool", "lost"), (), ("tool",)),
    ],
    ids=lambda value: value.name if isinstance(value, ImportedModule) else "",
)
def test_a_failure_names_the_packages_that_it_came_through(
    wanted: ImportedModule,
    packages: tuple[str, ...],
    named: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the files of the frames and RECORD; what lacks something is known by the exception, not by its words."""
    site = tmp_path / "site-packages"
    for name, files in INSTALLED.items():
        for path, text in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        (site / f"{name}-1.0.dist-info").mkdir()
        (site / f"{name}-1.0.dist-info" / "RECORD").write_text("".join(f"{path},sha256=x,1\n" for path in files))
    monkeypatch.setenv("PYTHONPATH", str(site))
    failure = probe(tmp_path, wanted)[wanted.name]
    assert (failure.traces[0].packages, failure.traces[0].named) == (packages, named)
    if wanted.name == "lazy":
        assert (failure.traces[1].packages, failure.traces[1].named) == (("lazy", "web"), ("tool",))
