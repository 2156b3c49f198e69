"""Bytecode: unchecked hash-based, the same bytes under all conditions, made without running anything."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import platform
import sys
import threading
from pathlib import Path

import pytest

from shipml import wheels
from shipml.errors import BuildError, UntrustedInputError
from shipml.events import Event, Notice, ignore
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci.image import LayerValue
from shipml.session import Session
from shipml.store import Store
from shipml.wheels import bytecode
from tests.wheels.conftest import MakeLayer
from tests.wheels.making import Member, files, make_zip, save_wheel, wheel_members

MINOR = ".".join(platform.python_version_tuple()[:2])
SITE = f"opt/venv/lib/python{MINOR}/site-packages"
TAG = sys.implementation.cache_tag
SOURCE = (
    b'"""Doc."""\nimport os, sys\nassert sys\nNAMES = {"os", "sys", "path", "zip"}\nok = "os" in {"os", "b", "c"}\n'
)


def locked(folder: Path, *members: Member) -> LockedWheel:
    return save_wheel(folder, make_zip(wheel_members(list(members))))


def layer_by(started: wheels.Interpreter, wheel: LockedWheel, store: Store, python: str = MINOR) -> LayerValue:
    return wheels.layer(
        [wheel],
        kind="wheel",
        python=python,
        interpreter=lambda: started,
        python_version=started.version,
        session=Session(store, HttpClient(), ignore),
    )


def test_pyc_is_what_python_expects(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """Magic number, unchecked-hash flag, source hash, and code with the image's path, docstring and asserts."""
    found = files(make_wheel_layer(locked(tmp_path, Member("demo/a.py", SOURCE))))
    pyc = found[f"{SITE}/demo/__pycache__/a.{TAG}.pyc"].data
    assert pyc[:16] == importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + importlib.util.source_hash(SOURCE)
    path = f"/{SITE}/demo/a.py"
    assert marshal.loads(pyc[16:]) == compile(SOURCE, path, "exec", dont_inherit=True, optimize=0)  # noqa: S302
    assert marshal.loads(pyc[16:]).co_filename == path  # noqa: S302


def test_test_folders_and_broken_files_have_none(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """No bytecode for tests/ and test/, Python 2, templates and NULs; all others have it, whatever their encoding."""
    members = [
        Member("demo/tests/a.py", b""),
        Member("demo/test/b.py", b""),
        Member("demo/two.py", b"print 'two'\n"),
        Member("demo/template.py", b"{{ name }} = 1 +\n"),
        Member("demo/nul.py", b"x = 1\0\n"),
        Member("demo/utf.py", b"x = '\xff'\n"),
        Member("demo/latin.py", b"# coding: latin-1\nx = '\xe9'\n"),
        Member("demo/test.py", b""),
        Member("demo/testing/c.py", b""),
        Member("demo/empty.py", b""),
        Member("demo/warns.py", b"x = '\\d'\nx is 1\n"),
        Member("demo-1.0.data/scripts/d.py", b""),
    ]
    found = files(make_wheel_layer(locked(tmp_path, *members)))
    compiled = sorted(Path(path).name.split(".")[0] for path in found if path.endswith(".pyc"))
    assert compiled == ["c", "empty", "latin", "test", "warns"]
    assert {f"{SITE}/{member.name}" for member in members[:-1]} < set(found)


def test_nothing_of_the_wheel_is_run(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """Compiling neither runs a module nor imports what would shadow the standard library."""
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')\n".encode()
    make_wheel_layer(locked(tmp_path, *[Member(name, code) for name in ("a.py", "warnings.py", "sitecustomize.py")]))
    assert not mark.exists()


def test_same_bytes_under_other_conditions(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, interpreter: wheels.Interpreter
) -> None:
    """Hash seed, locale, working folder, user settings and what else is compiled do not change a layer's bytes."""
    wheel = locked(
        tmp_path,
        *[Member(f"demo/m{n}.py", SOURCE + f"def f{n}(x=({n}, 'sys')): return x\n".encode()) for n in range(40)],
    )
    first = layer_by(interpreter, wheel, store)
    for name, value in {"PYTHONHASHSEED": "77", "LC_ALL": "C", "PYTHONOPTIMIZE": "2", "TZ": "Asia/Tokyo"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    other = wheels.Interpreter(interpreter.argv, {"HOME": "/nowhere", "LC_ALL": "C", "A": "sys"}, interpreter.version)
    with contextlib.closing(Store(tmp_path / "other")) as elsewhere:
        again = layer_by(other, wheel, elsewhere)
    assert again.digest == first.digest


def test_a_pack_is_used_again(tmp_path: Path, store: Store, interpreter: wheels.Interpreter) -> None:
    """A wheel that was compiled for one layer is not compiled again for another."""
    wheel = locked(tmp_path, Member("demo/a.py", SOURCE))
    layer_by(interpreter, wheel, store)
    other = save_wheel(tmp_path, make_zip(wheel_members([Member("x.txt")], name="other")), name="other")

    def must_not_start() -> wheels.Interpreter:
        raise AssertionError

    made = wheels.layer(
        [wheel, other],
        kind="packages",
        python=MINOR,
        interpreter=must_not_start,
        python_version=interpreter.version,
        session=Session(store, HttpClient(), ignore),
    )
    assert f"{SITE}/demo/__pycache__/a.{TAG}.pyc" in files(made)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import sys; sys.exit('no memory')", "ended .status 1. at the start: no memory"),
        ("import os; os.kill(os.getpid(), 9)", "ended .status -9. at the start"),
        (
            "import sys; sys.stdout.buffer.write((11).to_bytes(4, 'little') + b'cpython-100'); sys.stdout.flush()",
            "by an interpreter that is cpython-100",
        ),
        (
            (
                "import sys; tag = sys.implementation.cache_tag.encode(); "
                "sys.stdout.buffer.write(len(tag).to_bytes(4, 'little') + tag); "
                "sys.stdout.flush(); sys.stdin.buffer.read(4); sys.exit('gave up')"
            ),
            "demo/a.py: gave up",
        ),
    ],
)
def test_an_interpreter_that_fails(
    program: str, message: str, tmp_path: Path, store: Store, interpreter: wheels.Interpreter
) -> None:
    """One that exits, is killed or is another version gives an error that says which wheel and file."""
    broken = wheels.Interpreter((sys.executable, "-c", program), {}, interpreter.version)
    with pytest.raises(BuildError, match=message):
        layer_by(broken, locked(tmp_path, Member("demo/a.py", SOURCE)), store)
    assert not list((store.home / "tmp").iterdir())


def test_the_hash_seed_is_fixed(tmp_path: Path, store: Store, interpreter: wheels.Interpreter) -> None:
    """The interpreter gets its own environment and hash seed 0: before 3.11 the seed orders sets in bytecode."""
    program = "import os, sys; sys.exit(repr(sorted(name for name in os.environ.items() if name[0] != 'LC_CTYPE')))"
    telling = wheels.Interpreter((sys.executable, "-c", program), {"A": "b"}, interpreter.version)
    with pytest.raises(BuildError, match=r"\[\('A', 'b'\), \('PYTHONHASHSEED', '0'\)\]"):
        layer_by(telling, locked(tmp_path, Member("demo/a.py", SOURCE)), store)


def test_an_interpreter_that_is_missing(tmp_path: Path, store: Store) -> None:
    """One that cannot be started gives an error that names it."""
    missing = wheels.Interpreter((str(tmp_path / "python"),), {}, f"{MINOR}.0")
    with pytest.raises(BuildError, match="python that compiles bytecode does not start: No such file"):
        layer_by(missing, locked(tmp_path, Member("demo/a.py", SOURCE)), store)


def test_an_interpreter_that_hangs_is_ended(
    tmp_path: Path, store: Store, interpreter: wheels.Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answers nothing is killed when its time is over, and the error says so."""
    monkeypatch.setattr(bytecode, "_START_SECONDS", 0.5)
    hanging = wheels.Interpreter((sys.executable, "-c", "import time; time.sleep(999)"), {}, interpreter.version)
    with pytest.raises(BuildError, match="took too long"):
        layer_by(hanging, locked(tmp_path, Member("demo/a.py", SOURCE)), store)


def test_a_failure_elsewhere_ends_the_compilers(tmp_path: Path, store: Store, interpreter: wheels.Interpreter) -> None:
    """When one wheel is refused, an interpreter that is still at work for another is killed, not waited for."""
    hanging = wheels.Interpreter((sys.executable, "-c", "import time; time.sleep(999)"), {}, interpreter.version)
    good = [
        save_wheel(tmp_path, make_zip(wheel_members([Member(f"{name}.py", SOURCE)], name=name)), name=name)
        for name in ("one", "two", "three", "four", "five", "six")
    ]
    bad = save_wheel(tmp_path, make_zip(wheel_members([], name="bad", wheel_version="9")), name="bad")
    before = set(threading.enumerate())  # those of other tests' servers
    with pytest.raises(UntrustedInputError, match="format version '9'"):
        wheels.layers(
            [("wheel", good), ("packages", [bad])],
            python=MINOR,
            interpreter=lambda: hanging,
            python_version=interpreter.version,
            session=Session(store, HttpClient(), ignore),
        )
    assert set(threading.enumerate()) <= before


def test_another_patch_version_is_told(tmp_path: Path, store: Store, interpreter: wheels.Interpreter) -> None:
    """Where the compiling interpreter is not exactly the image's, a notice says what that may change."""
    heard: list[Event] = []
    wheels.layer(
        [locked(tmp_path, Member("demo/a.py", SOURCE))],
        kind="wheel",
        python=MINOR,
        interpreter=lambda: interpreter,
        python_version=f"{MINOR}.999",
        session=Session(store, HttpClient(), heard.append),
    )
    (notice,) = [event for event in heard if isinstance(event, Notice)]
    assert notice.level == "warning"
    assert f"for the image's {MINOR}.999" in notice.message
