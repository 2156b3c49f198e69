"""The commands as users and scripts type them, on a real project, with a real store."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.package_index import serve_index

pytestmark = [pytest.mark.network, pytest.mark.slow]

PROJECT = {
    "requirements.txt": "six==1.17.0\n",
    "app.py": 'import six\nprint("accuracy: 0.95", six.__version__)\n',
    "shipml.toml": "smoke = { minimum = { accuracy = 0.9 } }\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for this file: the base is made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project."""
    folder = tmp_path / "work" / "tiny"
    folder.mkdir()
    for name, text in PROJECT.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def ship(shipml: Run, home: Path, project: Path) -> Run:
    """`shipml` with that store, in the folder above the project."""

    def run(*words: str, cwd: Path = project.parent, **variables: str) -> subprocess.CompletedProcess[str]:
        return shipml(*words, cwd=cwd, env={"SHIPML_HOME": str(home), **variables})

    return run


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """The one document on stdout."""
    return json.loads(done.stdout)


def test_build_and_run(ship: Run) -> None:
    """Build prints the digest alone on stdout; run shows the program's output there, and the verdict on stderr."""
    built = ship("build", "tiny", "-t", "tiny:1", "-t", "tiny")
    assert built.returncode == 0, built.stderr
    digest = built.stdout.strip()
    assert digest.startswith("sha256:")
    assert built.stderr.splitlines()[-1] == "next: shipml run tiny:1"
    assert "built tiny:1, tiny:latest: " in built.stderr
    ran = ship("run", "tiny")
    assert (ran.returncode, ran.stdout) == (0, "accuracy: 0.95 1.17.0\n")
    assert "passed: exit code 0, accuracy 0.95" in ran.stderr
    assert ship("run", digest[:19]).returncode == 0
    assert ship("run", cwd=Path(ran.args[0]).parent).returncode == 0, "the last one built at all"


def test_a_wheel_with_a_wrong_record_is_taken(ship: Run, project: Path) -> None:
    """Its digests are in hex, as some build tools write them; a note says so."""
    (project / "requirements.txt").write_text("odd==1.0\n")
    (project / "app.py").write_text(
        "import odd\nfrom importlib.metadata import files\n"
        "print([f.hash.value for f in files('odd') if f.name == 'odd.py'])\n"
    )
    (project / "shipml.toml").unlink()
    with serve_index() as index:
        index.add("odd", "1.0", record=f"odd.py,sha256={'0' * 64},18\nodd-1.0.dist-info/RECORD,,\n")
        built = ship("build", "tiny", UV_DEFAULT_INDEX=index.url)
    assert built.returncode == 0, built.stderr
    assert "odd-1.0-py3-none-any.whl" in built.stderr
    ran = ship("run", "tiny")
    assert ran.returncode == 0
    assert "0" * 64 not in ran.stdout


def test_build_as_json(ship: Run) -> None:
    """The document has the fields that the reference names; the second build reuses every layer."""
    first, second = as_json(ship("build", "tiny", "--json")), as_json(ship("build", "tiny", "--json"))
    assert first["digest"] == second["digest"]
    assert second["references"] == ["tiny:latest"]
    assert second["builder"] == "embedded"
    assert second["size_bytes"] > sum(layer["size_bytes"] for layer in second["layers"])
    assert {"digest", "diff_id", "size_bytes", "kind", "source", "reused"} == set(second["layers"][0])
    assert all(layer["reused"] for layer in second["layers"])
    assert {"what", "value", "because"} == set(second["decisions"][0])
    assert {"base", "python", "platform", "elapsed_seconds"} <= set(second)


def test_build_to_stdout_is_an_archive(ship: Run, shipml: Run, home: Path, project: Path) -> None:
    """`--output -` writes a docker archive to stdout, and nothing else there."""
    done = subprocess.run(
        [ship("version").args[0], "build", "tiny", "--output", "-"],
        capture_output=True,
        check=True,
        cwd=project.parent,
        env={"SHIPML_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home)},
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        assert {"manifest.json", "index.json", "oci-layout"} <= set(archive.getnames())
    assert b"sha256:" in done.stderr


def test_an_archive_and_json_cannot_share_stdout(ship: Run) -> None:
    """Two documents on one stream are refused before any work."""
    assert ship("build", "tiny", "--output", "-", "--json").returncode == 2
    assert ship("build", "tiny", "--output", "-", "--output", "docker-archive:-").returncode == 2


def test_plan(ship: Run, project: Path) -> None:
    """Plan prints the same bytes twice, says why, and builds nothing; --lock writes the lock that --locked wants."""
    ship("plan", "tiny")
    first, second = ship("plan", "tiny"), ship("plan", "tiny")
    assert first.stdout == second.stdout
    assert ", because " in first.stdout
    assert "six==1.17.0" in first.stdout
    assert ship("plan", "tiny", "--locked").returncode != 0
    locked = ship("plan", "tiny", "--lock", "--json")
    assert Path(as_json(locked)["lock"]).name == "pylock.toml"
    assert (project / "pylock.toml").is_file()
    assert ship("plan", "tiny", "--locked").returncode == 0


def test_dockerfile(ship: Run) -> None:
    """Dockerfile prints one to stdout; --json wraps it."""
    text = ship("dockerfile", "tiny").stdout
    assert "\nFROM " in text
    assert as_json(ship("dockerfile", "tiny", "--json"))["dockerfile"].strip() == text.strip()


def test_images_and_inspect(ship: Run) -> None:
    """Images lists names, platforms and sizes; inspect has the layers and the config."""
    digest = ship("build", "tiny", "-t", "listed:1", "-q").stdout.strip()
    assert "listed:1" in ship("images", "-q").stdout.split()
    line = next(line for line in ship("images").stdout.splitlines() if line.startswith("listed:1 "))
    assert digest[:19] in line
    assert next(one for one in as_json(ship("images", "--json")) if one["reference"] == "listed:1")["digest"] == digest
    inspected = as_json(ship("inspect", "listed:1"))
    assert inspected["digest"] == digest
    assert inspected["config"]["config"]["WorkingDir"] == "/app"


def test_cache(ship: Run, shipml: Run) -> None:
    """Info counts what is there; prune leaves images whole; an empty store is no error."""
    ship("build", "tiny", "-q")
    assert as_json(ship("cache", "info", "--verify", "--json"))["whole"] is True
    assert "complete" in ship("cache", "info").stdout
    assert as_json(ship("cache", "prune", "--dry-run", "--json"))["dry_run"] is True
    assert ship("cache", "prune").returncode == 0
    assert ship("run", "tiny").returncode == 0
    assert shipml("cache", "info").returncode == shipml("images").returncode == 0


def test_a_store_that_lacks_a_blob_is_told(ship: Run, home: Path) -> None:
    """Cache info ends with 1 and names the missing blob, as text and as one JSON document."""
    inspected = as_json(ship("build", "tiny", "-t", "broken", "--json"))
    blob = home / "blobs" / "sha256" / inspected["layers"][-1]["digest"].removeprefix("sha256:")
    kept = blob.read_bytes()
    blob.unlink()
    try:
        assert ship("cache", "info").returncode == 1
        document = as_json(ship("cache", "info", "--json"))
        assert document["whole"] is False
        assert document["error"]["kind"] == "store"
    finally:
        blob.write_bytes(kept)


def test_exit_code_1_when_requirements_cannot_be_met(ship: Run, project: Path) -> None:
    """A version that does not exist is a resolution error."""
    (project / "requirements.txt").write_text("six==99.1\n")
    done = ship("build", "tiny", "--json")
    assert (done.returncode, as_json(done)["error"]["kind"]) == (1, "resolution")


def test_exit_code_2_when_settings_are_wrong(ship: Run, project: Path) -> None:
    """An unknown key names the nearest known one."""
    (project / "shipml.toml").write_text('comand = "python app.py"\n')
    done = ship("plan", "tiny")
    assert done.returncode == 2
    assert "command" in done.stderr


def test_exit_code_3_when_the_smoke_test_fails(ship: Run) -> None:
    """A measure below its minimum fails with the run's document and the error in one."""
    ship("build", "tiny", "-q")
    done = ship("run", "tiny", "--minimum", "accuracy=0.99", "--json")
    assert done.returncode == 3
    document = as_json(done)
    assert document["passed"] is False
    assert document["measures"] == {"accuracy": 0.95}
    assert document["error"]["exit_code"] == 3
    assert "accuracy: 0.95 1.17.0\n" in done.stderr
    failed = ship("run", "tiny", "--", "python", "-c", "raise SystemExit(7)")
    assert failed.returncode == 3
    assert "7" in failed.stderr


def test_exit_code_75_when_the_index_is_away(ship: Run, project: Path) -> None:
    """An index that refuses connections is a reason to try again."""
    (project / "requirements.txt").write_text("six==1.16.0\n")
    done = ship("plan", "tiny", "--json", UV_DEFAULT_INDEX="http://127.0.0.1:9/simple", UV_HTTP_RETRIES="0")
    assert (done.returncode, as_json(done)["error"]["kind"]) == (75, "try-again")


def test_another_command_is_not_judged_by_the_settings(ship: Run) -> None:
    """What follows `--` runs instead, options and all; only the demands that were typed count."""
    ship("build", "tiny", "-q")
    done = ship("run", "tiny", "--", "python", "-c", "import sys; print(sys.argv)", "--json", "-q")
    assert (done.returncode, done.stdout) == (0, "['-c', '--json', '-q']\n")
    assert ship("run", "tiny", "--expect", "no such", "--", "python", "-c", "print(1)").returncode == 3


def test_environment_reaches_the_program_and_no_listing(ship: Run) -> None:
    """--env NAME takes the value from here, so that a secret is in no process list."""
    ship("build", "tiny", "-q")
    show = ("--", "python", "-c", "import os; print(os.environ['A'], os.environ['TOKEN'])")
    done = ship("run", "tiny", "-e", "A=1", "-e", "TOKEN", *show, TOKEN="s3cret")
    assert done.stdout == "1 ***\n"  # it reaches the program, and no log


DAMAGES = (b"[]", b"{}", b"5", b'"x"', b"NaN", b'{"a":' * 5000, b"[[1]]")


@pytest.mark.parametrize("turn", range(2))
def test_damaged_facts_change_nothing(ship: Run, home: Path, turn: int) -> None:
    """With every fact of the store damaged, each in another way, a build succeeds and makes the same image."""
    digest = ship("build", "tiny", "-q").stdout
    for number, fact in enumerate(sorted((home / "facts").glob("*/*.json"))):
        fact.write_bytes(DAMAGES[(number + turn * len(DAMAGES) // 2) % len(DAMAGES)])
    again = ship("build", "tiny", "-q")
    assert (again.returncode, again.stdout) == (0, digest), again.stderr


def test_what_was_changed_in_the_store_is_made_again(ship: Run, home: Path) -> None:
    """A smoke test judges the bytes of the digest, and a build replaces layers that were damaged."""
    assert ship("build", "tiny").returncode == 0
    assert ship("run", "tiny").returncode == 0
    (module,) = (home / "roots").glob("*/root/opt/venv/lib/python3*/site-packages/six.py")
    module.write_text("raise SystemExit(5)\n")
    assert ship("run", "tiny").returncode == 0
    layer = as_json(ship("inspect", "tiny"))["layers"][-1]["digest"].removeprefix("sha256:")
    blob = home / "blobs" / "sha256" / layer
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(data)
    assert ship("build", "tiny").returncode == 0
    assert as_json(ship("cache", "info", "--verify", "--json"))["whole"]
