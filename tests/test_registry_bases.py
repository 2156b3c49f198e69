"""Builds on images of a registry, and builds that take what the last image in theirs has, with the real registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml import PlanRequest, Shipml
from shipml.errors import TryAgainError
from shipml.events import Event, Notice
from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue, assemble_image, read_config
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import KIND, canonical_json
from shipml.oci.validate import validate
from shipml.registry.transport import RetryPolicy
from shipml.report import BuildReport
from tests.package_index import PackageIndex, serve_index
from tests.peers.engine import Engine
from tests.peers.fault_proxy import Fault, FaultProxy
from tests.peers.python_image import push_hub_python
from tests.peers.registry import Registry

pytestmark = [pytest.mark.slow]

CODE = "import demo, sys\nprint('python', *sys.version_info[:2], 'demo', demo.version)\nprint('accuracy: 1.0')\n"


@pytest.fixture(scope="module")
def index() -> Iterator[PackageIndex]:
    """A package index with one package."""
    with serve_index() as started:
        started.add("demo", "1.0")
        yield started


@pytest.fixture(scope="module")
def hub_python(registry: Registry) -> str:
    """A Python that no suite of Debian has, as Docker Hub has it."""
    return push_hub_python(registry, "3.12")


@pytest.fixture
def proxy(registry: Registry) -> Iterator[FaultProxy]:
    """The way to the registry, on which all requests are seen."""
    with FaultProxy(registry.host) as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, index: PackageIndex, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one package, on a machine whose Docker Hub is the registry, and that has no engine."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.txt").write_text("demo==1.0\n")
    (project / "app.py").write_text(CODE)
    monkeypatch.setenv("SHIPML_HUB_MIRROR", proxy.host)
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setenv("SHIPML_DEBIAN_MIRROR", "http://127.0.0.1:9")  # nothing here needs it
    index.requests.clear()
    return project


class Machine:
    """A user's machine: a home of its own, and what was said on the screen."""

    def __init__(self, home: Path) -> None:
        self.notices: list[str] = []
        self.session = Shipml(home=home, emit=self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event.message)

    def build(self, folder: Path, *names: str, base: str | None = None, check: bool = True) -> BuildReport:
        """`shipml build`."""
        return self.session.build(PlanRequest(folder=folder, base=base), references=names, check=check)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[list[Machine]]:
    """Machines that know nothing of each other."""
    made = [Machine(tmp_path / f"home {number}") for number in ("one", "two", "three")]
    yield made
    for machine in made:
        machine.session.store.close()


@pytest.mark.engine
def test_a_python_that_no_suite_has_comes_from_the_hub(
    folder: Path, hub_python: str, machines: list[Machine], docker_20: Engine
) -> None:
    """A project that wants 3.12 is built on python:3.12-slim, and runs in the sandbox and in an old engine."""
    (folder / ".python-version").write_text("3.12\n")
    session = machines[0].session
    report = machines[0].build(folder, "demo:1")
    assert report.base == hub_python
    result = session.run("demo:1", runtime="sandbox")
    assert result.passed, result.output
    assert "python 3 12 demo 1.0" in result.output
    archive = folder.parent / "image.tar"
    session.build(PlanRequest(folder=folder), references=["demo:1"], outputs=[f"docker-archive:{archive}"])
    docker_20.docker("load", "--input", str(archive))
    assert "python 3 12 demo 1.0" in docker_20.docker("run", "--rm", "--network", "none", "demo:1").stdout


def test_an_image_as_base_stays_whole(folder: Path, hub_python: str, machines: list[Machine]) -> None:
    """Its layers come first and unchanged, all media types are OCI's, what is added breaks no rule of the format."""
    report = machines[0].build(folder, "demo:1", base=hub_python, check=False)
    image = machines[0].session.store.image(report.digest)
    manifest = json.loads(image.manifest)
    types = {manifest["mediaType"], manifest["config"]["mediaType"], *(one["mediaType"] for one in manifest["layers"])}
    assert all(name.startswith("application/vnd.oci.image.") for name in types)
    assert [layer.kind for layer in report.layers] == ["base", "base", "packages", "application"]
    assert validate(image) == []
    environment = read_config(image)["config"]["Env"]
    assert "LD_LIBRARY_PATH=/usr/local/lib" in environment
    assert any(entry.startswith("PATH=/opt/venv/bin:/usr/local/bin:") for entry in environment)


def test_a_locked_image_is_not_looked_up_again(
    folder: Path, hub_python: str, machines: list[Machine], proxy: FaultProxy
) -> None:
    """With its digest in pylock.toml, another machine plans without its registry, and makes the same plan."""
    request = PlanRequest(folder=folder, base=hub_python)
    machines[0].session.lock(request)
    first = machines[0].session.plan(request)
    proxy.heal()
    assert machines[1].session.plan(request) == first
    assert proxy.seen == []


def test_a_hub_that_is_down_is_named_with_a_remedy(
    folder: Path, machines: list[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which Python is meant, and how to get it from elsewhere."""
    monkeypatch.setenv("SHIPML_HUB_MIRROR", "127.0.0.1:9")
    machines[0].session._puller.retry = RetryPolicy(attempts=1)
    with pytest.raises(TryAgainError) as caught:
        machines[0].session.plan(PlanRequest(folder=folder, python="3.10"))
    assert "python:3.10-slim" in caught.value.message
    assert "SHIPML_HUB_MIRROR" in caught.value.hint


def test_the_last_image_is_the_cache(
    folder: Path, hub_python: str, machines: list[Machine], proxy: FaultProxy, index: PackageIndex
) -> None:
    """On a fresh machine one changed line costs a manifest, a config, and the upload of one small layer."""
    (folder / "shipml.toml").write_text(f'base = "{hub_python}"\n')
    machines[0].session.lock(PlanRequest(folder=folder))
    machines[0].build(folder, f"{proxy.host}/team/demo:1", check=False)
    machines[0].session.push(f"{proxy.host}/team/demo:1", smoke=False)
    (folder / "app.py").write_text(CODE + "print('changed')\n")
    proxy.heal()
    index.requests.clear()
    fresh = machines[1]
    report = fresh.build(folder, f"{proxy.host}/team/demo:2")
    pulled = [(seen.method, seen.path.rsplit("/", 2)[1]) for seen in proxy.seen if seen.status == 200]
    assert pulled == [("GET", "tags"), ("GET", "manifests"), ("GET", "blobs")], "of the newest tag; its config"
    assert index.requests == []
    assert [layer.reused for layer in report.layers] == [True, True, True, False]
    assert "stay in the registry" in "".join(fresh.notices)
    proxy.heal()
    pushed = fresh.session.push(f"{proxy.host}/team/demo:2", smoke=False)
    assert pushed.uploaded_bytes is not None
    assert pushed.uploaded_bytes < 10_000
    assert sum(seen.body_bytes for seen in proxy.seen) < 20_000
    assert proxy.count("GET", "/blobs/sha256") == 0
    result = fresh.session.run(f"{proxy.host}/team/demo:2", runtime="sandbox")
    assert "changed" in result.output, "what the registry has comes from there when it is needed"
    assert index.requests == []


def test_borrowed_layers_are_shown_and_can_be_refused(
    folder: Path, hub_python: str, machines: list[Machine], proxy: FaultProxy
) -> None:
    """Layers on the word of a last image are named by `inspect`; with `trust_last` off, that image is not asked for."""
    (folder / "shipml.toml").write_text(f'base = "{hub_python}"\n')
    name = f"{proxy.host}/team/borrowed:1"
    machines[0].build(folder, name, check=False)
    assert machines[0].session.inspect(name).borrowed is None
    machines[0].session.push(name, smoke=False)
    taken = machines[1].build(folder, name, check=False)
    borrowed = machines[1].session.inspect(name).borrowed
    assert borrowed is not None
    assert borrowed.reference.startswith(f"{proxy.host}/team/borrowed")
    assert set(borrowed.layers) <= {layer.digest for layer in taken.layers}
    proxy.heal()
    made = machines[2].session.build(PlanRequest(folder=folder), references=[name], check=False, trust_last=False)
    assert proxy.count("GET", "/team/borrowed/") == 0
    assert made.digest == taken.digest
    assert machines[2].session.inspect(name).borrowed is None


def _poisoned(machine: Machine, name: str) -> None:
    """Push an image that says of the layer of packages that it is other bytes, as whoever may write there can."""
    store = machine.session.store
    image = store.image(machine.session.inspect(name).digest)
    layers = list(image.layers)
    number = next(n for n, layer in enumerate(layers) if layer.annotations[KIND] == "packages")
    with store.draft() as draft, LayerWriter(draft.stream) as writer:
        writer.file("opt/venv/POISONED", b"")
        written = writer.close()
        store.adopt(draft, written.digest)
    layers[number] = LayerValue(
        written.digest,
        written.diff_id,
        written.size_bytes,
        lambda: store.open_blob(written.digest),
        annotations=layers[number].annotations,
    )
    config = read_config(image)
    config["rootfs"]["diff_ids"] = [str(layer.diff_id) for layer in layers]
    store.tag(name, store.keep_image(assemble_image(canonical_json(config), layers)))
    machine.session.push(name, smoke=False)


def test_a_lock_binds_what_a_last_image_gives(
    folder: Path, hub_python: str, machines: list[Machine], proxy: FaultProxy
) -> None:
    """Layers that pylock.toml names are taken with its digests only, also where whoever writes to the registry lies."""
    (folder / "shipml.toml").write_text(f'base = "{hub_python}"\n')
    name, lock = f"{proxy.host}/team/bound:1", folder / "pylock.toml"
    request = PlanRequest(folder=folder)
    machines[0].session.lock(request)
    assert "tool.shipml.layers" not in lock.read_text(), "nothing was made yet"
    assert any("--no-cache-from" in text for text in machines[0].notices)
    made = machines[0].build(folder, name, check=False)
    machines[0].session.push(name, smoke=False)
    unbound = lock.read_text()
    machines[0].session.lock(request)
    packages = next(layer for layer in made.layers if layer.kind == "packages")
    assert f'digest = "{packages.digest}"' in lock.read_text()
    taken = machines[1].build(folder, name, check=False)
    assert (taken.digest, [layer.reused for layer in taken.layers]) == (made.digest, [True, True, True, True])
    bound = lock.read_text()
    machines[1].session.lock(request)
    assert lock.read_text() == bound, "what another machine made stays in the lock"
    _poisoned(machines[0], name)
    safe = machines[2].build(folder, name, check=False)
    assert safe.digest == made.digest
    assert any("pylock.toml names" in text for text in machines[2].notices)
    lock.write_text(unbound)
    fooled = Machine(folder.parent / "home four")
    assert fooled.build(folder, name, check=False).digest != made.digest, "without the lock's word it would be taken"
    fooled.session.store.close()


def test_without_a_lock_no_wheel_is_downloaded_either(
    folder: Path, hub_python: str, machines: list[Machine], proxy: FaultProxy, index: PackageIndex
) -> None:
    """A fresh machine resolves only, and comes to the same image as the one that made all of it."""
    made = machines[0].build(folder, f"{proxy.host}/team/unlocked:1", base=hub_python, check=False)
    machines[0].session.push(f"{proxy.host}/team/unlocked:1", smoke=False)
    proxy.heal()
    taken = machines[1].build(folder, f"{proxy.host}/team/unlocked:1", base=hub_python, check=False)
    assert taken.digest == made.digest
    wheel = Digest.of(index.files["demo-1.0-py3-none-any.whl"])
    assert machines[0].session.store.has_blob(wheel)
    assert not machines[1].session.store.has_blob(wheel)
    assert proxy.count("GET", "/team/unlocked/blobs/") == 1, "the config"


def test_a_registry_that_fails_is_no_obstacle(
    folder: Path, hub_python: str, machines: list[Machine], proxy: FaultProxy
) -> None:
    """What it cannot say is made here; a notice names it."""
    machines[0].session.lock(PlanRequest(folder=folder, base=hub_python))
    proxy.hurt(Fault("status", 403), path="/v2/team/", times=1000)
    report = machines[0].build(folder, f"{proxy.host}/team/other:1", base=hub_python, check=False)
    assert [layer.kind for layer in report.layers] == ["base", "base", "packages", "application"]
    assert any(f"{proxy.host}/team/other" in text for text in machines[0].notices)


def test_a_warm_machine_asks_nobody(folder: Path, hub_python: str, machines: list[Machine], proxy: FaultProxy) -> None:
    """Where all layers but the code's are known, the repository is not looked at."""
    machines[0].build(folder, "demo:1", base=hub_python, check=False)
    (folder / "app.py").write_text(CODE + "print('again')\n")
    proxy.heal()
    machines[0].build(folder, f"{proxy.host}/team/warm:1", base=hub_python, check=False)
    assert proxy.seen == []
