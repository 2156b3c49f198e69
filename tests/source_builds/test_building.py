"""Sources become wheels in the real sandbox, on Debian's base, with Debian's compilers and the index's build tools."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shipml import PlanRequest, Shipml
from shipml.errors import BuildError, ResolutionError, UnavailableError
from shipml.events import Event, Notice, StepFinished
from shipml.facts.plan import LockedSource, LockedWheel, Plan
from shipml.facts.project import Lock, Project
from shipml.facts.pythons import suite_named
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.prepare import plan_of, prepare
from shipml.session import Session
from shipml.source_builds import build_wheels
from shipml.source_builds.building import Building
from shipml.source_builds.kept import Built
from shipml.store import Store
from tests.package_index import serve_index
from tests.peers.python_image import push_hub_python
from tests.peers.registry import Registry
from tests.source_builds.conftest import MakeSource, archive

HERE = Platform.of_this_machine()
BOOKWORM = suite_named("bookworm")
needs_network = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(300)]
BACKEND = """\
import base64, hashlib, os, zipfile

FILES = {
    "tiny.py": b"answer = 42",
    "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n",
    "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}


def build_wheel(folder, settings=None, metadata=None):
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as made:
        record = ""
        for path, data in FILES.items():
            made.writestr(zipfile.ZipInfo(path), data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(data)}\\n"
        made.writestr(zipfile.ZipInfo("tiny-1.0.dist-info/RECORD"), record + "tiny-1.0.dist-info/RECORD,,\\n")
    return name
"""
NATIVE = """\
#include <Python.h>
#include <lzma.h>

static PyObject *version(PyObject *self, PyObject *none) { return PyUnicode_FromString(lzma_version_string()); }
static PyMethodDef methods[] = {{"version", version, METH_NOARGS, ""}, {0, 0, 0, 0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", "", -1, methods};
PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
"""
IN_TREE = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": BACKEND,
}


def _planned(session: Shipml, request: PlanRequest) -> Plan:
    """The plan that a build makes: with its sources built."""
    return plan_of(request, prepare(session.session, request))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: base and compilers are unpacked once."""
    return tmp_path_factory.mktemp("home")


class Builds:
    """Builds sources, and hears of it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.heard: list[Event] = []
        self._project = Project(folder)

    def __call__(self, *sources: LockedSource, wheels: Sequence[LockedWheel] = (), platform: Platform = HERE) -> Lock:
        assert BOOKWORM is not None
        self.heard.clear()
        lock = Lock(tuple(wheels), "bookworm", "3.11", platform, Digest("3" * 64), sources=tuple(sorted(sources)))
        return build_wheels(
            lock, self._project, suite=BOOKWORM, session=Session(self.store, HttpClient(), self.heard.append)
        )

    @property
    def built(self) -> list[str]:
        """The steps of builds that ended well."""
        return [one.name for one in self.heard if isinstance(one, StepFinished) and one.name.startswith("build ")]

    @property
    def notices(self) -> str:
        """All that was said."""
        return "\n".join(one.message for one in self.heard if isinstance(one, Notice))


@pytest.fixture
def build(home: Path, tmp_path: Path) -> Iterator[Builds]:
    """Builds there."""
    store = Store(home)
    yield Builds(store, tmp_path)
    store.close()


def test_a_lock_without_sources_stays_as_it_is(build: Builds) -> None:
    """Nothing is asked for, and nothing is heard."""
    lock = build()
    assert (lock.sources, lock.wheels, build.heard) == ((), (), [])


def test_another_platform_is_refused_by_name(build: Builds, make_source: MakeSource) -> None:
    """Each package is named, with the way out."""
    other = Platform("linux", "arm64" if HERE.architecture == "amd64" else "amd64")
    sources = (make_source("a", "1", {"setup.py": ""}), make_source("b", "2", {"setup.py": ""}))
    with pytest.raises(UnavailableError, match=f"a==1, b==2, .* not for {other}") as caught:
        build(*sources, platform=other)
    assert "--builder docker" in caught.value.hint


def test_rust_is_refused_before_anything_is_fetched(build: Builds, make_source: MakeSource) -> None:
    """Crates would have to come over the network."""
    with pytest.raises(BuildError, match="its source is in Rust"):
        build(make_source("crab", "1", {"setup.py": "", "Cargo.toml": ""}))


class Circle(Building):
    """`a` builds `z` on its way, `z` waits for `b`, and then `b` wants `a`."""

    def _step(self, source: LockedSource, stack: tuple[str, ...]) -> Built:
        if source.name == "z":
            while "b" not in self._jobs:
                time.sleep(0.001)
        if source.name == "b":
            while "z" not in self._waiting:
                time.sleep(0.001)
        wanted = {"a": "z", "z": "b", "b": "a"}[source.name]
        return self._once(self._sources[wanted], (*stack, source.name))


@pytest.mark.timeout(60)
def test_sources_that_need_each_other_are_refused(build: Builds, make_source: MakeSource, tmp_path: Path) -> None:
    """Also where one of them is built on the way of another: nobody waits for ever."""
    assert BOOKWORM is not None
    sources = tuple(make_source(name, "1", {"setup.py": ""}) for name in "abz")
    building = Circle(
        Lock((), "bookworm", "3.11", HERE, Digest("3" * 64), sources=sources),
        Project(tmp_path),
        BOOKWORM,
        None,
        session=Session(build.store, HttpClient(), build.heard.append, allow_expired=False, upgrade=False),
    )
    with pytest.raises(ResolutionError, match="the sources of a, b, z need each other"):
        building.run()


class TestInTheSandbox:
    """All with the real base."""

    pytestmark = needs_network

    def test_a_pure_source_is_built_once(self, build: Builds, make_source: MakeSource) -> None:
        """By its own backend, without compilers; a second time the wheel is there, and a decision says why it is."""
        source = make_source("tiny", "1.0", IN_TREE)
        lock = build(source)
        (wheel,) = lock.wheels
        assert (wheel.name, wheel.version, wheel.filename) == ("tiny", "1.0", "tiny-1.0-py3-none-any.whl")
        assert build.store.has_blob(wheel.digest, wheel.size_bytes)
        assert [(one.what, one.value) for one in lock.decisions] == [("built", "tiny 1.0")]
        assert "without a compiler" in lock.decisions[0].because
        assert lock.sources == ()
        assert build.built == ["build tiny"]
        assert build(source) == lock
        assert build.built == []

    def test_there_is_no_network_and_no_root(self, build: Builds, make_source: MakeSource) -> None:
        """What a build runs is a stranger's program."""
        spy = (
            "import os, socket\n"
            "def refused(action):\n"
            "    try:\n        action()\n    except OSError:\n        return True\n"
            "assert os.getuid() != 0\n"
            "assert refused(lambda: socket.create_connection(('192.0.2.1', 80), 2))\n"
            "assert refused(lambda: open('/usr/bin/new', 'w')) and refused(lambda: open('/build/new', 'w'))\n"
            "assert not [name for name in os.environ if 'TOKEN' in name or 'SHIPML' in name]\n"
        )
        assert build(make_source("tiny", "1.0", {**IN_TREE, "backend.py": spy + BACKEND})).wheels

    def test_another_package_than_was_asked_for_is_refused(self, build: Builds, make_source: MakeSource) -> None:
        """The name and version of the wheel are those of the lock."""
        with pytest.raises(BuildError, match=r"the source of other==1\.0 built tiny==1\.0"):
            build(make_source("other", "1.0", IN_TREE))

    def test_a_broken_wheel_is_refused(self, build: Builds, make_source: MakeSource) -> None:
        """What a build makes is trusted no more than what an index has."""
        evil = BACKEND.replace('"tiny.py": ', '"../tiny.py": ')
        with pytest.raises(BuildError, match=r"is broken: .*component"):
            build(make_source("tiny", "1.0", {**IN_TREE, "backend.py": evil}))

    def test_a_setup_py_that_fails_gives_one_cause_and_its_log(self, build: Builds, make_source: MakeSource) -> None:
        """Its last exception; the whole log lies in a file that the hint names."""
        setup = "print('as ever')\nraise RuntimeError('the moon is in the wrong place')\n"
        with pytest.raises(BuildError) as caught:
            build(make_source("moody", "1.0", {"setup.py": setup}))
        message = caught.value.message
        assert message.startswith("moody==1.0 has no wheel for Python 3.11, and building it failed: RuntimeError: the")
        log = Path(caught.value.hint.rpartition(": ")[2])
        assert log.read_text().startswith("as ever")
        assert log.stat().st_mode & 0o077 == 0

    def test_tools_of_its_day_and_those_that_it_forgot(self, build: Builds, make_source: MakeSource) -> None:
        """A module that setup.py imports in passing is added, setuptools is that of the upload, setup_requires too."""
        setup = (
            "def build():\n    import toml\n"
            "build()\n"
            "import setuptools\nassert int(setuptools.__version__.split('.')[0]) < 70, setuptools.__version__\n"
            "setuptools.setup(name='aged', version='1.0', py_modules=['aged'], setup_requires=['idna'])\n"
        )
        lock = build(make_source("aged", "1.0", {"setup.py": setup, "aged.py": ""}))
        assert "its build imports toml" in build.notices
        assert "its build imports toml" in lock.decisions[0].because

    def test_c_code_is_compiled_and_what_it_lacks_is_found(self, build: Builds, make_source: MakeSource) -> None:
        """Its header comes from the Debian package that has it; the wheel is the same bytes when it is built again."""
        setup = (
            "from setuptools import Extension, setup\n"
            "native = Extension('_native', ['native.c'], libraries=['lzma'])\n"
            "setup(name='native', version='1.0', ext_modules=[native])\n"
        )
        source = make_source("native", "1.0", {"setup.py": setup, "native.c": NATIVE})
        (wheel,) = build(source).wheels
        assert "it needs the header lzma.h" in build.notices
        assert wheel.filename == f"native-1.0-cp311-cp311-linux_{_MACHINES[HERE.architecture]}.whl"
        with zipfile.ZipFile(build.store.blob_path(wheel.digest)) as made:
            (library,) = [one for one in made.namelist() if one.endswith(".so")]
            assert b"/tmp/build" not in made.read(library)
        for fact in (build.store.home / "facts" / "built-wheel-1").iterdir():
            fact.unlink()
        assert build(source).wheels == (wheel,)
        assert build.built == ["build native"]


_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@pytest.mark.network
@pytest.mark.slow
def test_a_project_with_an_sdist_only_package_is_built_and_runs(home: Path, tmp_path: Path) -> None:
    """What never had a wheel (docopt) is built into one, and the image runs with it."""
    folder = tmp_path / "cli"
    folder.mkdir()
    (folder / "requirements.txt").write_text("docopt==0.6.2\n")
    (folder / "app.py").write_text("import docopt\nprint('version:', docopt.__version__)\nprint('accuracy: 1')\n")
    with Shipml(home=home) as session:
        report = session.build(PlanRequest(folder=folder, python="3.11"), load=False)
        assert ("built", "docopt 0.6.2") in [(one.what, one.value) for one in report.decisions]
        result = session.run(str(folder), runtime="sandbox")
        assert result.passed, result.output
        assert "version: 0.6.2" in result.output
        assert "sdist = " in session.lock(PlanRequest(folder=folder, python="3.11")).read_text()
        with pytest.raises(UnavailableError, match=r"built from source on this machine: docopt==0\.6\.2"):
            session.dockerfile(PlanRequest(folder=folder, python="3.11"))
        locked = _planned(session, PlanRequest(folder=folder, locked=True))
        assert {one.name: one.filename for one in locked.wheels}["docopt"] == "docopt-0.6.2-py2.py3-none-any.whl"


@pytest.mark.network
@pytest.mark.slow
def test_what_a_source_needs_without_saying_is_resolved_too(home: Path, tmp_path: Path) -> None:
    """Requirements that setup.py computes come out when it is built: then all is resolved again, and said."""
    setup = (
        "from setuptools import setup\n"
        "setup(name='sly', version='1.0', py_modules=['sly'], install_requires=['idna' + '==3.7'])\n"
    )
    folder = tmp_path / "sly"
    folder.mkdir()
    (folder / "app.py").write_text("import sly\n")
    with serve_index() as index, Shipml(home=home) as session:
        index.files["sly-1.0.tar.gz"] = archive("sly", "1.0", {"setup.py": setup, "sly.py": "import idna\n"})
        (folder / "requirements.txt").write_text(f"--extra-index-url {index.url}\nsly==1.0\n")
        heard: list[Event] = []
        session.session = replace(session.session, emit=heard.append)
        plan = _planned(session, PlanRequest(folder=folder, python="3.11"))
        assert {f"{one.name}=={one.version}" for one in plan.wheels} >= {"sly==1.0", "idna==3.7"}
        said = [one.message for one in heard if isinstance(one, Notice) and "resolved again" in one.message]
        assert [text.partition(":")[0] for text in said] == ["sly 1.0 needs idna==3.7"]


@pytest.mark.engine
@pytest.mark.network
@pytest.mark.slow
def test_an_image_as_base_gets_debian_s_compilers(
    registry: Registry, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own Python builds, with the compilers of the suite that it is made of."""
    name = push_hub_python(registry, "3.12")
    monkeypatch.setenv("SHIPML_HUB_MIRROR", registry.host)
    folder = tmp_path / "based"
    folder.mkdir()
    (folder / "app.py").write_text("import _native\n")
    setup = (
        "from setuptools import Extension, setup\n"
        "native = Extension('_native', ['native.c'], libraries=['lzma'])\n"
        "setup(name='native', version='1.0', ext_modules=[native])\n"
    )
    code = (
        "#include <lzma.h>\nconst char *PyInit__native(void) { return lzma_version_string(); }\n"  # no Python.h there
    )
    with serve_index() as index, Shipml(home=home) as session:
        index.files["native-1.0.tar.gz"] = archive("native", "1.0", {"setup.py": setup, "native.c": code})
        (folder / "requirements.txt").write_text(f"--extra-index-url {index.url}\nnative==1.0\n")
        plan = _planned(session, PlanRequest(folder=folder, base=name))
        assert "cp312" in next(one.filename for one in plan.wheels if one.name == "native")
