"""`--platform a,b`: every platform is built, one name and one digest stand for all, and other programs read both.

arm64 is built here and never run: this machine has neither such a CPU nor an emulator.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shipml.oci.layout import read_layout
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.registry.keychain import DockerKeychain
from shipml.registry.remote import Registries
from tests.cli.conftest import Run
from tests.peers.engine import run
from tests.peers.need import need
from tests.peers.registry import Registry
from tests.publish.pushing import new_name

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.engine]

HERE = str(Platform.of_this_machine())
BOTH = ("linux/amd64", "linux/arm64")
OTHER = next(platform for platform in BOTH if platform != HERE)
FILES = {
    "requirements.txt": "six==1.17.0\n",
    "app.py": "import os, six\nprint('accuracy: 0.95', six.__version__, os.uname().machine)\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for this file: both bases are made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project whose settings name both platforms."""
    folder = tmp_path / "work" / "tiny"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    (folder / "shipml.toml").write_text(f"platforms = {json.dumps(BOTH)}\n")
    return folder


@pytest.fixture
def ship(shipml: Run, home: Path, project: Path) -> Run:
    """`shipml` with that store and without an engine, in the folder above the project."""
    need(root=True)

    def typed(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        engine = f"unix://{home}/none"
        return shipml(*words, cwd=project.parent, env={"SHIPML_HOME": str(home), "DOCKER_HOST": engine, **variables})

    return typed


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """The one document on stdout."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_both_platforms_are_one_image(ship: Run, tmp_path: Path) -> None:
    """Build, images, inspect, run and --output: the index has the name, and what runs here is what runs."""
    layout, archive = tmp_path / "layout", tmp_path / "image.tar"
    outputs = ("--output", f"oci:{layout}", "--output", f"docker-archive:{archive}")
    built = as_json(ship("build", "tiny", "-t", "tiny:1", "--json", *outputs))
    assert built["platforms"] == list(BOTH)
    assert built["platform"] == HERE
    digests = {one["platform"]: one["digest"] for one in built["images"]}
    assert len({built["digest"], *digests.values()}) == 3
    shared = [{layer["digest"] for layer in one["layers"] if layer["kind"] == "packages"} for one in built["images"]]
    assert shared[0] == shared[1], "wheels for any platform make one layer"

    listed = as_json(ship("images", "--json"))
    assert [one["platforms"] for one in listed if one["digest"] == built["digest"]] == [list(BOTH)]
    described = as_json(ship("inspect", "tiny:1"))
    assert (described["digest"], described["index"]["digest"]) == (digests[HERE], built["digest"])
    ran = as_json(ship("run", "tiny:1", "--json"))
    assert (ran["passed"], ran["digest"]) == (True, digests[HERE])

    for platform in BOTH:
        assert str(read_layout(layout, platform=Platform.parse(platform)).digest) == digests[platform]
        seen = run(["skopeo", "inspect", f"--override-arch={platform[6:]}", "--override-os=linux", f"oci:{layout}"])
        assert json.loads(seen.stdout)["Architecture"] == platform[6:]
    assert json.loads(run(["skopeo", "inspect", f"docker-archive:{archive}"]).stdout)["Architecture"] == HERE[6:]
    assert as_json(ship("cache", "prune", "--json"))["dry_run"] is False
    assert as_json(ship("cache", "info", "--json"))["missing"] == [], "prune keeps what an index needs"


def test_ship_pushes_one_index(ship: Run, registry: Registry) -> None:
    """The registry has an index under each tag, and both images; one was run, and the other is named as not run."""
    repository = new_name()
    where = ("--registry", registry.host, "--repository", repository, "--tag", "1", "--tag", "2", "--json")
    shipped = as_json(ship("ship", "tiny", *where))
    assert shipped["digest"] == shipped["build"]["digest"] == shipped["push"]["digest"]
    assert OTHER in shipped["push"]["smoke"]
    assert shipped["measures"]["accuracy"] == 0.95
    digests = {one["platform"]: one["digest"] for one in shipped["build"]["images"]}
    client = Registries(DockerKeychain(environment={"DOCKER_CONFIG": "/nonexistent"}, home=Path("/nonexistent")))
    for tag in ("1", "2"):
        reference = Reference(registry.host, repository, tag)
        assert str(client.resolve(reference).digest) == shipped["digest"]
        for platform in BOTH:
            image = client.open_image(reference, Platform.parse(platform))
            assert str(image.digest) == digests[platform]
    copy = ["skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{registry.host}/{repository}:1"]
    run([*copy, f"dir:{registry.folder}/copied"])

    again = as_json(ship("push", "tiny", f"{registry.host}/{repository}:2", "--no-overwrite", "--json"))
    assert (again["digest"], again["uploaded_bytes"]) == (shipped["digest"], 0)


def test_a_layout_with_both_is_pushed_whole(ship: Run, registry: Registry, tmp_path: Path) -> None:
    """`push oci:DIR` pushes all that `--output oci:DIR` wrote."""
    layout, repository = tmp_path / "layout", new_name()
    built = as_json(ship("build", "tiny", "--json", "--output", f"oci:{layout}"))
    pushed = as_json(ship("push", f"oci:{layout}", f"{registry.host}/{repository}:1", "--json"))
    assert pushed["digest"] == built["digest"]


def test_promote_copies_both(ship: Run, registry: Registry) -> None:
    """`promote` gives another repository the same index."""
    first, second = new_name(), new_name()
    shipped = as_json(ship("ship", "tiny", "--registry", registry.host, "--repository", first, "--tag", "1", "--json"))
    target = f"{registry.host}/{second}:1"
    promoted = as_json(ship("promote", f"{registry.host}/{first}:1", "--to", target, "--json"))
    assert promoted["digest"] == shipped["digest"]


def test_an_image_with_a_secret_is_not_promoted(ship: Run, project: Path, registry: Registry, tmp_path: Path) -> None:
    """What another program pushed of an image that was built here is refused as `push` refuses it."""
    (project / "app.py").write_text(f"{FILES['app.py']}key = 'AKIA{'QWERTZUIOPASDFGH'}'\n")
    layout, first = tmp_path / "layout", new_name()
    assert ship("build", "tiny", "--output", f"oci:{layout}").returncode == 0
    place = f"{registry.host}/{first}:1"
    run(["skopeo", "copy", "--all", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{place}"])
    refused = ship("promote", place, "--to", f"{registry.host}/{new_name()}:1", "--no-smoke", "--json")
    error = json.loads(refused.stdout)["error"]
    assert (error["kind"], refused.returncode) == ("secret", 1)


def test_what_cannot_run_here_alone_is_not_pushed(ship: Run, registry: Registry) -> None:
    """An image for another machine alone has passed nothing: it takes --no-smoke."""
    assert ship("build", "tiny", "-t", "other:1", "--platform", OTHER).returncode == 0
    where = f"{registry.host}/{new_name()}:1"
    refused = ship("push", "other:1", where, "--json")
    assert refused.returncode != 0
    assert "--no-smoke" in json.loads(refused.stdout)["error"]["hint"]
    assert ship("push", "other:1", where, "--no-smoke").returncode == 0


def test_platforms_are_typed_in_both_forms(ship: Run, project: Path) -> None:
    """Commas and repetition mean the same; `plan` shows each; what makes one image only says so."""
    (project / "shipml.toml").unlink()
    together = as_json(ship("plan", "tiny", "--platform", ",".join(BOTH), "--json"))
    repeated = as_json(ship("plan", "tiny", "--platform", BOTH[0], "--platform", BOTH[1], "--json"))
    assert together == repeated
    assert set(together["platforms"]) == set(BOTH)
    assert ship("plan", "tiny", "--platform", "linux/s390x,linux/arm64").returncode == 2
    for words in (("dockerfile", "tiny"), ("plan", "tiny", "--lock"), ("build", "tiny", "--builder", "docker")):
        refused = ship(*words, "--platform", ",".join(BOTH))
        assert refused.returncode == 2, refused.stderr
        assert f"--platform {BOTH[0]}" in refused.stderr
