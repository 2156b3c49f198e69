"""Input that once ended in an internal error, or was built although nothing could run it: a clear error each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.build.import_check import read_answers
from shipml.errors import UntrustedInputError
from shipml.facts.requirements import ImportedModule
from shipml.folders import remove_tree
from shipml.oci.digest import Digest
from shipml.oci.image import ImageValue, assemble_image, read_config
from shipml.oci.manifest import canonical_json
from shipml.runtimes.inside.import_probe import MARK
from tests.cli.conftest import Project, Run

MakeImage = Callable[..., ImageValue]

SETTINGS = {
    "a variable": '[env]\nA = "x\\u0000y"\n',
    "a command": 'command = ["python", "a\\u0000b"]\n',
    "a command line": 'command = "python a\\u0000b"\n',
    "a pattern": 'include = ["a\\u0000b"]\n',
    "the smoke test": '[smoke]\ncommand = ["a\\u0000b"]\n',
}


@pytest.mark.parametrize("what", SETTINGS)
def test_nul_in_settings(shipml: Run, make_project: Project, what: str) -> None:
    """No program can be given NUL: the plan says where it stands."""
    folder = make_project({"app.py": "print(1)\n", "shipml.toml": SETTINGS[what]})
    done = shipml("plan", str(folder), "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "configuration")


@pytest.mark.parametrize("packages", ['[1, "x"]', "5", '"x"', "[[]]"])
def test_a_lock_of_no_packages(shipml: Run, make_project: Project, packages: str) -> None:
    """What stands where packages belong is named, not passed over."""
    lock = f'lock-version = "1.0"\ncreated-by = "x"\npackages = {packages}\n'
    done = shipml("plan", str(make_project({"app.py": "print(1)\n", "pylock.toml": lock})), "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"]) == (2, "configuration")
    assert "pylock.toml" in error["message"]


def test_a_folder_too_deep(shipml: Run, make_project: Project) -> None:
    """A project 1500 folders deep is refused."""
    folder = make_project({"app.py": "print(1)\n"})
    start = Path.cwd()
    try:
        os.chdir(folder)
        for _ in range(1500):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(start)
    done = shipml("plan", str(folder), "--json")
    remove_tree(folder)  # pytest could not
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (1, "plan")


CONFIGS = [
    {"Env": 5},
    {"Env": [5]},
    {"Env": ["A=x\0y"]},
    {"Cmd": "true"},
    {"Cmd": ["a\0b"]},
    {"Entrypoint": {"a": 1}},
    {"WorkingDir": "/a\0b"},
    {"WorkingDir": 5},
    {"User": []},
    {"Labels": ["a"]},
    {"Labels": {"a": 5}},
    {"ExposedPorts": [80]},
    5,
]


def _write_layout(image: ImageValue, folder: Path) -> None:
    """As `write_layout`, for an image that no writer would take."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for data in (image.manifest, image.config, *(layer.open().read() for layer in image.layers)):
        (blobs / Digest.of(data).hex).write_bytes(data)
    entry = {"mediaType": image.media_type, "digest": str(image.digest), "size": len(image.manifest)}
    (folder / "index.json").write_bytes(canonical_json({"schemaVersion": 2, "manifests": [entry]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


@pytest.mark.broken_images
@pytest.mark.parametrize("settings", CONFIGS)
def test_configs_of_another_shape(shipml: Run, make_image: MakeImage, tmp_path: Path, settings: object) -> None:
    """An image whose config no engine could obey is named as such before anything of it is sent or run."""
    image = make_image()
    document = {**read_config(image), "config": settings}
    broken = assemble_image(canonical_json(document), image.layers)
    with pytest.raises(UntrustedInputError):
        read_config(broken)
    _write_layout(broken, tmp_path / "layout")
    done = shipml("push", f"oci:{tmp_path / 'layout'}", "127.0.0.1:1/a", "--no-smoke", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (1, "untrusted-input")


def test_a_config_without_settings(make_image: MakeImage) -> None:
    """Null and missing fields are fine: an image need not say anything."""
    image = make_image()
    for settings in (None, {"Env": None, "Cmd": None, "Labels": None}):
        document = {**read_config(image), "config": settings}
        assert read_config(assemble_image(canonical_json(document), image.layers))["config"] == settings


def test_cache_from_both_ways(shipml: Run, make_project: Project) -> None:
    """To take layers from an image and from none cannot both be meant."""
    done = shipml("build", str(make_project({"app.py": ""})), "--no-cache-from", "--cache-from", "a.example/b")
    assert done.returncode == 2


@pytest.mark.parametrize("name", ["shipml.toml", "pyproject.toml", ".dockerignore"])
def test_settings_that_are_links_out_of_the_project(
    shipml: Run, make_project: Project, tmp_path: Path, name: str
) -> None:
    """Messages quote such files, so what lies elsewhere is not read as one: its lines could be anybody's passwords."""
    secret = tmp_path / "secret"
    secret.write_text('password = "MARKHUNTER2"\n[tool.shipml]\nname = "MARKHUNTER2 [x"\n')
    folder = make_project({"app.py": "print(1)\n"})
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    for command in ("plan", "build"):
        done = shipml(command, str(folder), "--json")
        assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "configuration")
        assert "MARKHUNTER2" not in done.stdout + done.stderr


@pytest.mark.timeout(30)
def test_settings_of_uv_that_never_end(shipml: Run, make_project: Project) -> None:
    """A named pipe where uv looks for its settings is refused; uv would wait for somebody to write into it."""
    folder = make_project({"app.py": "import six\n", "requirements.txt": "six==1.17.0\n"})
    os.mkfifo(folder / "uv.toml")
    done = shipml("plan", str(folder), "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "configuration")


def test_probes_that_the_program_forges() -> None:
    """What is imported may print the probe's mark itself, with anything behind it."""
    module = ImportedModule(name="demo", source="app.py:1")
    for forged in ("{", "[]", "5", '{"end": 5}', '{"end": "demo", "error": {}}', '{"begin": null}', "[" * 9000):
        assert list(read_answers(f"{MARK}{forged}\n", [module], "time")) == []
