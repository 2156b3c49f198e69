"""A layer holds what an installer writes."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from shipml import wheels
from shipml.errors import UntrustedInputError
from shipml.events import Event, Notice, ignore
from shipml.facts.plan import LockedWheel
from shipml.http import HttpClient
from shipml.oci import manifest as names
from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue
from shipml.session import Session
from shipml.store import Store
from tests.wheels.conftest import MakeLayer
from tests.wheels.making import Member, contents, files, make_zip, record_row, record_text, save_wheel, wheel_members

MINOR = ".".join(platform.python_version_tuple()[:2])
SITE = f"opt/venv/lib/python{MINOR}/site-packages"
TAG = sys.implementation.cache_tag
MODULE = Member("demo/__init__.py", b"answer = 42\n")


def locked(
    folder: Path, *members: Member, entry_points: str = "", name: str = "demo", direct: bool = False
) -> LockedWheel:
    data = make_zip(wheel_members(list(members), entry_points=entry_points, name=name))
    return save_wheel(folder, data, name=name, direct=direct)


def unpack(layer: LayerValue, folder: Path) -> None:
    with layer.open() as stream, tarfile.open(fileobj=stream, mode="r:gz") as archive:
        archive.extractall(folder, filter="fully_trusted")  # noqa: S202  (our own layer)


def record_rows(layer: LayerValue, info: str = "demo-1.0.dist-info") -> dict[str, tuple[str, str]]:
    text = files(layer)[f"{SITE}/{info}/RECORD"].data.decode()
    return {path: (hash_, size) for path, hash_, size in csv.reader(io.StringIO(text))}


def test_schemes_go_where_a_venv_has_them(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """purelib, platlib, scripts, data and headers of `.data` land in the virtual environment's folders."""
    data = "demo-1.0.data"
    wheel = locked(
        tmp_path,
        MODULE,
        Member(f"{data}/purelib/pure.txt", b"1"),
        Member(f"{data}/platlib/plat/lib.so", b"2"),
        Member(f"{data}/scripts/tool", b"3"),
        Member(f"{data}/data/share/demo/x", b"4"),
        Member(f"{data}/data/lib64/y", b"5"),
        Member(f"{data}/headers/demo.h", b"6"),
        Member("other-1.0.data/scripts/z", b"7"),
    )
    found = {path: entry.data for path, entry in files(make_wheel_layer(wheel)).items() if len(entry.data) == 1}
    assert found == {
        f"{SITE}/pure.txt": b"1",
        f"{SITE}/plat/lib.so": b"2",
        "opt/venv/bin/tool": b"3",
        "opt/venv/share/demo/x": b"4",
        "opt/venv/lib/y": b"5",
        f"opt/venv/include/site/python{MINOR}/demo/demo.h": b"6",
        f"{SITE}/other-1.0.data/scripts/z": b"7",
    }


def test_modes(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """Files have 0644, those with an execute bit and all scripts 0755, folders 0755."""
    wheel = locked(
        tmp_path,
        Member("demo/a.txt", b"1", mode=0o100600),
        Member("demo/run", b"2", mode=0o100700),
        Member("demo/odd", b"3", mode=0o104777),
        Member("demo-1.0.data/scripts/tool", b"4", mode=0o100644),
    )
    found = {Path(path).name: entry.mode for path, entry in contents(make_wheel_layer(wheel)).items()}
    assert (found["a.txt"], found["run"], found["odd"], found["tool"]) == (0o644, 0o755, 0o755, 0o755)
    assert found["demo"] == found["site-packages"] == found["bin"] == 0o755


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (b"#!python\nprint(1)\n", b"#!/opt/venv/bin/python\nprint(1)\n"),
        (b"#!pythonw -u\r\nprint(1)\n", b"#!/opt/venv/bin/python\nprint(1)\n"),
        (b"#!python", b"#!/opt/venv/bin/python\n"),
        (b"#!/bin/sh\necho 1\n", b"#!/bin/sh\necho 1\n"),
        (b"\x7fELF\x02", b"\x7fELF\x02"),
    ],
)
def test_shebangs_of_scripts(script: bytes, expected: bytes, tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """`#!python` and `#!pythonw` become the environment's interpreter, and RECORD lists what was written."""
    layer = make_wheel_layer(locked(tmp_path, Member("demo-1.0.data/scripts/tool", script)))
    assert files(layer)["opt/venv/bin/tool"].data == expected
    assert record_rows(layer)["../../../bin/tool"] == record_row("", expected)[1:]


def test_metadata_that_was_edited_after_record_is_taken(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """As torch 1.11 has it; the image's RECORD lists what is there."""
    rows = [record_row(member.name, member.data) for member in wheel_members([MODULE])[:-1]]
    other = [
        (name, hash_, str(int(size) + 6 * name.endswith("METADATA")) if size else size) for name, hash_, size in rows
    ]
    wheel = save_wheel(tmp_path, make_zip(wheel_members([MODULE], record=record_text(other))))
    layer = make_wheel_layer(wheel)
    path = "demo-1.0.dist-info/METADATA"
    assert record_rows(layer)[path] == record_row("", files(layer)[f"{SITE}/{path}"].data)[1:]


def test_windows_binaries_that_were_signed_after_record_are_taken(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """As debugpy 1.6 has them; the image's RECORD lists what is there."""
    signed = Member("demo/x.pyd", b"MZ signed")
    whole = wheel_members([MODULE, signed])[:-1]
    rows = [record_row(one.name, b"MZ" if one.name == signed.name else one.data) for one in whole]
    layer = make_wheel_layer(save_wheel(tmp_path, make_zip(wheel_members([MODULE, signed], record=record_text(rows)))))
    assert record_rows(layer)[signed.name] == record_row("", signed.data)[1:]


def test_what_is_listed_and_not_there_is_let_pass(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """As easyocr 1.7 has it; the image's RECORD does not list it."""
    rows = [record_row(member.name, member.data) for member in wheel_members([MODULE])[:-1]]
    record = record_text([*rows, record_row("demo/gone.txt", b"gone")])
    layer = make_wheel_layer(save_wheel(tmp_path, make_zip(wheel_members([MODULE], record=record))))
    assert "demo/__init__.py" in record_rows(layer)
    assert "demo/gone.txt" not in record_rows(layer)


def test_programs_of_entry_points_run(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """Console and GUI entry points, with attributes and extras, become programs that call their function."""
    module = Member(
        "demo/main.py", b"class App:\n    @staticmethod\n    def run():\n        print('ran')\n        return 7\n"
    )
    points = "[console_scripts]\nDemo-run = demo.main:App.run\n[gui_scripts]\ndemo.gui=demo.main : App.run [extra, b]\n"
    layer = make_wheel_layer(locked(tmp_path, MODULE, module, entry_points=points))
    unpack(layer, tmp_path / "root")
    for name in ("Demo-run", "demo.gui"):
        program = tmp_path / "root/opt/venv/bin" / name
        assert os.access(program, os.X_OK)
        assert program.read_bytes().startswith(b"#!/opt/venv/bin/python\n")
        result = subprocess.run(
            [sys.executable, program],
            env={"PYTHONPATH": str(tmp_path / "root" / SITE)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.stdout, result.returncode) == ("ran\n", 7)


def test_an_entry_point_replaces_a_script_of_its_name(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """Where a wheel brings a script that an entry point makes too, the entry point wins, as with pip."""
    script = Member("demo-1.0.data/scripts/tool", b"#!python\nold\n")
    layer = make_wheel_layer(locked(tmp_path, MODULE, script, entry_points="[console_scripts]\ntool = demo:answer\n"))
    assert b"from demo import answer" in files(layer)["opt/venv/bin/tool"].data


def test_record_lists_all_that_was_written(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """RECORD is sorted, lists each file with hash and size, bytecode and itself without, and no signature."""
    signed = wheel_members([MODULE, Member('demo-1.0.dist-info/licenses/a, "b".txt', b"free")])
    signed.append(Member("demo-1.0.dist-info/RECORD.jws", b"{}"))
    layer = make_wheel_layer(save_wheel(tmp_path, make_zip(signed)))
    rows = record_rows(layer)
    assert list(rows) == sorted(rows)
    written = {os.path.relpath(path, SITE): entry.data for path, entry in files(layer).items()}
    assert set(rows) == set(written)
    for path, data in written.items():
        bare = path.endswith((".pyc", "RECORD"))
        assert rows[path] == (("", "") if bare else record_row(path, data)[1:])


def test_installer_and_origin(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """INSTALLER names shipml; a wheel asked for by URL has a direct_url.json, one from a path without the path."""
    info = f"{SITE}/demo-1.0.dist-info"
    plain = locked(tmp_path, MODULE)
    assert files(make_wheel_layer(plain))[f"{info}/INSTALLER"].data == b"shipml\n"
    assert f"{info}/direct_url.json" not in files(make_wheel_layer(plain))
    direct = locked(tmp_path, MODULE, direct=True)
    origin = json.loads(files(make_wheel_layer(direct))[f"{info}/direct_url.json"].data)
    assert origin["url"] == f"file:///{direct.filename}"
    assert origin["archive_info"]["hashes"] == {"sha256": direct.digest.hex}


def test_bytecode_that_a_wheel_brings_is_left_out(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """A .pyc of unknown origin is neither copied nor listed."""
    layer = make_wheel_layer(locked(tmp_path, MODULE, Member(f"demo/__pycache__/evil.{TAG}.pyc", b"evil")))
    assert not [path for path in files(layer) if "evil" in path]
    assert not [path for path in record_rows(layer) if "evil" in path]


def test_pip_and_importlib_metadata_know_the_packages(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """`pip list`, `pip check` and importlib.metadata of the unpacked layer see name, version and files."""
    unpack(make_wheel_layer(locked(tmp_path, MODULE)), tmp_path / "root")
    site = str(tmp_path / "root" / SITE)
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--path", site, "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        check=True,
    )
    assert json.loads(listed.stdout) == [{"name": "demo", "version": "1.0"}]
    code = (
        "import importlib.metadata as m, demo; d = m.distribution('demo'); print(demo.answer, len(d.files), d.version)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": site}, capture_output=True, text=True, check=True
    )
    assert result.stdout == "42 6 1.0\n"


def test_the_packages_layer_is_a_virtual_environment(make_wheel_layer: MakeLayer) -> None:
    """Even without wheels it has pyvenv.cfg, the interpreter's links, lib64 and an empty site-packages."""
    found = contents(make_wheel_layer(kind="packages"))
    assert {path: entry.target for path, entry in found.items() if entry.target} == {
        "opt/venv/bin/python": f"/usr/bin/python{MINOR}",
        "opt/venv/bin/python3": "python",
        f"opt/venv/bin/python{MINOR}": "python",
        "opt/venv/lib64": "lib",
    }
    assert found["opt/venv/pyvenv.cfg"].data.decode() == (
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {platform.python_version()}\n"
    )
    assert SITE in found


def test_the_later_wheel_wins_a_shared_path(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """Of two wheels with one path the later by name is taken with its bytecode; a notice says so unless equal."""
    same, path = Member("shared/same.py", b"x = 1\n"), "shared/other.py"
    one = locked(tmp_path, same, Member(path, b"who = 'alpha'\n"), name="alpha")
    two = locked(tmp_path, same, Member(path, b"who = 'beta'\n"), name="beta")
    heard: list[Event] = []
    layer = make_wheel_layer(two, one, kind="packages", emit=heard.append)
    assert files(layer)[f"{SITE}/{path}"].data == b"who = 'beta'\n"
    assert b"beta" in files(layer)[f"{SITE}/shared/__pycache__/other.{TAG}.pyc"].data
    notices = [event for event in heard if isinstance(event, Notice)]
    assert [notice.level for notice in notices] == ["warning"]
    assert "alpha and beta both install" in notices[0].message
    assert record_rows(layer, "alpha-1.0.dist-info")[path] == record_row("", b"who = 'alpha'\n")[1:]


def test_a_file_where_another_wheel_has_a_folder_is_refused(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """Two wheels that cannot both be unpacked give an error that names them."""
    one = locked(tmp_path, Member("shared", b"1"), name="alpha")
    two = locked(tmp_path, Member("shared/a.txt", b"2"), name="beta")
    with pytest.raises(UntrustedInputError, match="is a file in one and a folder in the other of alpha and beta"):
        make_wheel_layer(one, two, kind="packages")


def test_known_layers_need_no_wheel(tmp_path: Path, store: Store, make_wheel_layer: MakeLayer) -> None:
    """A second time nothing is downloaded; a pruned layer is made again, with the same bytes, when it is opened."""
    wheel = locked(tmp_path, MODULE)
    first = make_wheel_layer(wheel)
    with first.open() as stream:
        data = stream.read()
    for blob in (store.home / "blobs" / "sha256").iterdir():
        blob.unlink()
    second = make_wheel_layer(wheel)
    assert second == first
    assert not list((store.home / "blobs" / "sha256").iterdir())
    with second.open() as stream:
        assert stream.read() == data
    assert Digest.of(data) == first.digest


def test_annotations(tmp_path: Path, make_wheel_layer: MakeLayer) -> None:
    """A layer says its kind, what is in it, its cache key and which interpreter compiled."""
    layer = make_wheel_layer(locked(tmp_path, MODULE))
    assert layer.annotations[names.KIND] == "wheel"
    assert layer.annotations[names.SOURCE] == "demo==1.0"
    assert len(layer.annotations[names.KEY]) == 64
    assert layer.annotations[names.BYTECODE] == f"cpython-{platform.python_version()}"


def test_what_the_key_depends_on(tmp_path: Path, store: Store, interpreter: wheels.Interpreter) -> None:
    """The key changes with the wheel, the kind and the Python version, not with the order of wheels."""

    def key(*members: LockedWheel, kind: str = "packages", version: str = platform.python_version()) -> str:
        made = wheels.layer(
            members,
            kind=kind,  # type: ignore[arg-type]
            python=MINOR,
            interpreter=lambda: interpreter,
            python_version=version,
            session=Session(store, HttpClient(), ignore),
        )
        return made.annotations[names.KEY]

    one, two = locked(tmp_path, MODULE, name="alpha"), locked(tmp_path, Member("two.py", b""), name="beta")
    assert key(one, two) == key(two, one)
    different = {key(one), key(two), key(one, two), key(one, kind="wheel"), key(one, version=f"{MINOR}.999")}
    assert len(different) == 5
