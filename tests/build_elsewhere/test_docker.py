"""The docker builder on real engines: what it makes, what it leaves, and what it says when it fails."""

from __future__ import annotations

import contextlib
import gc
import http.server
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from shipml.build.builder import BuildContext
from shipml.build_elsewhere.built_image import BuiltImage
from shipml.build_elsewhere.docker import DockerBuilder, DockerOptions
from shipml.docker_engine import Engine, connect
from shipml.docker_engine.loading import load_image
from shipml.errors import (
    BuildError,
    ConfigurationError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
)
from shipml.events import (
    Event,
    Notice,
    OutputReceived,
    StepFinished,
    StepProgressed,
)
from shipml.oci.image import read_config
from shipml.oci.reference import Reference
from shipml.store import Store
from tests.peers import engine as peers
from tests.peers.registry import Registry
from tests.runtimes.images import busybox_layer, make_image

pytestmark = [pytest.mark.engine, pytest.mark.slow]

BASE = Reference.parse("shipml-test-busybox:1")
ENGINES = ["docker_20", "docker_28_overlay2", "docker_28_containerd"]
CA = "-----BEGIN CERTIFICATE-----\nonly here\n-----END CERTIFICATE-----\n"


class Bench:
    """A project folder, an engine, and what was told while it was built."""

    def __init__(self, engine: Engine, folder: Path, store: Store) -> None:
        self.engine = engine
        self.folder = folder
        self.events: list[Event] = []
        self.environment: dict[str, str] = {}
        self._store = store

    def file(self, path: str, text: str | bytes) -> None:
        """Write a file of the project."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def build(self, text: str, options: DockerOptions | None = None) -> BuiltImage:
        """Build the Dockerfile `text`, whose first line is FROM the test's base."""
        return self.build_whole(f"FROM {BASE}\n{text}", options)

    def build_whole(
        self, text: str, options: DockerOptions | None = None, listen: Callable[[Event], None] = lambda _: None
    ) -> BuiltImage:
        """Build the Dockerfile `text`, told to `listen` too."""
        self.file("Dockerfile", text)
        self.events.clear()

        def emit(event: Event) -> None:
            self.events.append(event)
            listen(event)

        builder = DockerBuilder(self._store, self.engine, options or DockerOptions(), environment=self.environment)
        return builder.build_folder(BuildContext(self.folder, emit))

    def failure(self, text: str, options: DockerOptions | None = None) -> ShipmlError:
        """The error of a build that must fail."""
        with pytest.raises(ShipmlError) as caught:
            self.build(text, options)
        return caught.value

    @property
    def output(self) -> str:
        """What the build's programs printed."""
        return b"".join(each.data for each in self.events if isinstance(each, OutputReceived)).decode()

    @property
    def steps(self) -> list[str]:
        """What became of each instruction."""
        return [each.detail for each in self.events if isinstance(each, StepFinished) and "/" in each.name]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[[Engine], Bench]]:
    """Makes benches in a folder and a store of their own."""
    folder = tmp_path / "project"
    folder.mkdir()
    store = Store(tmp_path / "home")

    def make(engine: Engine) -> Bench:
        base = make_image([busybox_layer()], Cmd=["sh"], Env=["PATH=/bin"])
        load_image(engine, base, [BASE])
        return Bench(engine, folder, store)

    yield make
    store.close()


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, make_bench: Callable[[Engine], Bench]) -> Iterator[Bench]:
    """A bench on each Docker Engine."""
    host = request.getfixturevalue(request.param).host
    with connect(environment={"DOCKER_HOST": host}, timeout_seconds=10) as engine:
        yield make_bench(engine)


@pytest.fixture
def bench_28(docker_28_overlay2: peers.Engine, make_bench: Callable[[Engine], Bench]) -> Iterator[Bench]:
    """A bench on one engine, where they do not differ."""
    with connect(environment={"DOCKER_HOST": docker_28_overlay2.host}, timeout_seconds=10) as engine:
        yield make_bench(engine)


@pytest.mark.feature("build (docker): a Dockerfile, under every name")
def test_a_dockerfile_becomes_an_image_under_its_names(bench: Bench) -> None:
    """Arguments, labels, stages and settings are honoured; the engine has it under every name; steps are told."""
    bench.file("app.sh", "echo hi\n")
    options = DockerOptions(
        build_arguments=(("GREETING", "hello"),),
        labels=(("team", "iris"),),
        references=(Reference.parse("built:1"), Reference.parse("user/built:latest")),
    )
    image = bench.build('ARG GREETING\nCOPY . /app\nRUN echo "$GREETING" > /said; cat /said\nCMD ["a"]\n', options)
    assert bench.output == "hello\n"
    assert [step.split()[0] for step in bench.steps] == ["FROM", "COPY", "RUN"]
    for name in ("built:1", "user/built:latest"):
        assert bench.engine.image(name).id == image.id
    assert image.facts.config["Labels"]["team"] == "iris"
    assert read_config(image)["config"]["Cmd"] == ["a"]
    assert [layer.diff_id for layer in image.layers] == list(image.facts.diff_ids)
    assert image.base == str(BASE)
    assert "app.sh" in _files(image)


@pytest.mark.feature("build (docker): steps are reused")
def test_steps_are_reused_until_told_otherwise(bench: Bench) -> None:
    """A second build reuses all and makes the same image; --no-cache runs the steps again."""
    first = bench.build("COPY . /app\nRUN echo once\n")
    assert bench.build("COPY . /app\nRUN echo once\n").id == first.id
    assert bench.output == ""
    bench.build("COPY . /app\nRUN echo once\n", DockerOptions(no_cache=True))
    assert bench.output == "once\n"


@pytest.mark.feature("build (docker): cache mounts")
def test_cache_mounts_last(bench: Bench) -> None:
    """What a step leaves in a cache mount is there in the next build."""
    text = f"ARG N\nRUN --mount=type=cache,target=/c,id=test-{os.urandom(4).hex()} echo $N >> /c/f; cat /c/f\n"
    bench.build(text, DockerOptions(build_arguments=(("N", "1"),)))
    bench.build(text, DockerOptions(build_arguments=(("N", "2"),)))
    assert bench.output == "1\n2\n"


def test_a_target_ends_the_build(bench: Bench) -> None:
    """Only the stages that the target needs are built, and its base alone must be there."""
    text = f"RUN echo first\nFROM {BASE} AS second\nRUN echo second\nFROM no-such-image:1\n"
    bench.build(text, DockerOptions(target="second", no_cache=True))
    assert "second" in bench.output


def test_the_context_is_what_dockers_own_client_sends(bench_28: Bench, docker_28_overlay2: peers.Engine) -> None:
    """With the same .dockerignore, `COPY . .` of either client brings the same files."""
    for path in ("a/b/c.txt", "a/keep.txt", "d.pyc", "deep/e.pyc", "z", "deep/deeper/f"):
        bench_28.file(path, path)
    bench_28.file(".dockerignore", "a\n!a/keep.txt\n**/*.pyc\ndeep/*/f\n")
    ours = bench_28.build("COPY . /ctx\n")
    docker_28_overlay2.docker("build", "--quiet", "--tag", "theirs", str(bench_28.folder))
    theirs = BuiltImage(bench_28.engine, bench_28.engine.image("theirs"), bench_28.folder)
    assert _files(ours) == _files(theirs)


@pytest.mark.feature("build (docker): proxy and private CA, not left in the image")
def test_proxies_reach_the_build_and_do_not_stay(bench: Bench) -> None:
    """A RUN sees the proxies of this machine; neither history, config nor any layer has them."""
    bench.environment = {"HTTPS_PROXY": "http://user:pa55@proxy.example.org:3128", "no_proxy": "localhost"}
    image = bench.build('RUN echo "via $HTTPS_PROXY, not $no_proxy"\n', DockerOptions(no_cache=True))
    assert bench.output == "via http://user:pa55@proxy.example.org:3128, not localhost\n"
    assert b"pa55" not in _all_bytes(image)


@pytest.mark.feature("build (docker): proxy and private CA, not left in the image")
def test_a_private_authority_is_trusted_and_does_not_stay(bench: Bench) -> None:
    """Each RUN finds the bundle where variables say; no byte and no folder of it is in the image or the engine."""
    bundle = bench.folder.parent / "ca.pem"
    bundle.write_text(CA)
    bench.environment = {"SSL_CERT_FILE": str(bundle), "PIP_INDEX_URL": "https://ann:pa55@index.example.org/simple"}
    run = 'RUN tail -n 3 "$SSL_CERT_FILE"; cat "$PIP_CONFIG_FILE"; echo $PIP_CERT\n'
    image = bench.build(run, DockerOptions(no_cache=True))
    assert "only here" in bench.output
    assert "pa55" in bench.output
    assert bench.output.endswith("/dev/shipml/ca.pem\n")
    assert not any("--mount" in step for step in bench.steps)
    everything = _all_bytes(image)
    assert b"only here" not in everything
    assert b"pa55" not in everything
    assert not any("shipml" in path for path in _files(image))
    assert not any(variable.startswith("SSL_CERT") for variable in image.facts.config["Env"])
    with bench.engine.sdk.doing("list its images"):
        assert not bench.engine.sdk.api.images("shipml-build-host")


@pytest.mark.feature("build (docker): a failed step is explained, its log kept")
def test_a_failed_step_is_named_with_its_log(bench: Bench) -> None:
    """The error names the instruction and the program's words; the file that it names has the whole output."""
    error = bench.failure("RUN echo before; echo 'ValueError: no flowers' >&2; exit 3\n")
    assert type(error) is BuildError
    assert "`RUN echo before;" in error.message
    assert error.message.endswith("ValueError: no flowers")
    log = Path(error.hint.rpartition("the whole log: ")[2]).read_text()
    assert "before\n" in log
    assert "exit code: 3" in log


@pytest.mark.parametrize(
    ("run", "kind", "cause"),
    [
        ("RUN yes > /dev/full", BuildError, "disk is full"),
        ("RUN sh -c 'kill -9 $$' || exit $?", BuildError, "memory ran out"),
        ('RUN ["/app/foreign"]', UnavailableError, "another kind of machine"),
        ("RUN echo 'ImportError: libGL.so.1: cannot open shared object file'; false", BuildError, "libGL.so.1"),
        ("RUM x", BuildError, "RUM"),
    ],
)
def test_what_goes_wrong_inside_is_recognised(bench: Bench, run: str, kind: type[ShipmlError], cause: str) -> None:
    """A full disk, a killed program, a program for another machine, a missing library, a typing error."""
    bench.file("foreign", _FOREIGN_PROGRAM)
    (bench.folder / "foreign").chmod(0o755)
    error = bench.failure(f"COPY . /app\n{run}\n")
    assert type(error) is kind
    assert cause in error.message
    assert "the whole log: " in error.hint


_FOREIGN_PROGRAM = (
    b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (183).to_bytes(2, "little") + bytes(44)
)
"""The header of an arm64 program."""


def test_a_base_that_does_not_exist_is_named(bench_28: Bench, registry: Registry) -> None:
    """A base that its registry lacks is the Dockerfile's fault, and is found before the context is sent."""
    error = bench_28.failure(f"FROM {registry.host}/no/such-base:9\n")
    assert type(error) is ConfigurationError
    assert f"{registry.host}/no/such-base:9" in error.message
    assert not bench_28.steps


def test_a_registry_that_limits_is_said(bench_28: Bench) -> None:
    """429 of the base's registry is temporary, and logging in is the way out."""
    with _registry_that_limits() as host:
        error = bench_28.failure(f"FROM {host}/team/base:1\n")
    assert type(error) is TryAgainError
    assert "limits how often" in error.message
    assert "docker login" in error.hint


def test_our_own_failure_is_not_the_engines(bench_28: Bench) -> None:
    """A file that goes away while the context is sent is named as such."""
    bench_28.file("a", bytes(3 << 20))
    bench_28.file("b", "b")

    def listen(event: Event) -> None:
        if isinstance(event, StepProgressed) and event.done > 1 << 20:
            (bench_28.folder / "b").unlink(missing_ok=True)

    with pytest.raises(BuildError, match="cannot read b"):
        bench_28.build_whole(f"FROM {BASE}\n", listen=listen)


def test_secrets_in_the_context_are_warned_of(bench_28: Bench) -> None:
    """A .env file that the Dockerfile could copy is named once; in .dockerignore it is not."""
    bench_28.file(".env", "A=1")
    bench_28.build("")
    assert [each.message for each in bench_28.events if isinstance(each, Notice) and ".env" in each.message]
    bench_28.file(".dockerignore", ".env")
    bench_28.build("")
    assert not [each for each in bench_28.events if isinstance(each, Notice)]


def test_secret_mounts_need_buildx(bench_28: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the program the error names it, before any work."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    error = bench_28.failure("RUN --mount=type=secret,id=token cat /run/secrets/token\n")
    assert type(error) is UnavailableError
    assert "buildx" in error.message
    assert "apt install docker-buildx" in error.hint


@pytest.mark.feature("build (docker): secret mounts, with buildx")
def test_secret_mounts_go_through_buildx(
    bench_28: Bench, docker_28_overlay2: peers.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the program a secret is there in its RUN and nowhere else, and steps are told as always."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    _install_buildx(docker_28_overlay2, tmp_path)
    monkeypatch.setenv("DOCKER_HOST", docker_28_overlay2.host)
    (tmp_path / "token").write_text("t0ken")
    options = DockerOptions(
        secrets=(f"id=token,src={tmp_path}/token",),
        references=(Reference.parse("with-secret:1"),),
        build_arguments=(("A", "b"),),
        no_cache=True,
    )
    image = bench_28.build("ARG A\nRUN --mount=type=secret,id=token cat /run/secrets/token; echo $A\n", options)
    assert bench_28.output == "t0kenb\n"
    assert any(step.startswith("RUN") for step in bench_28.steps)
    assert bench_28.engine.image("with-secret:1").id == image.id
    assert b"t0ken" not in _all_bytes(image)
    error = bench_28.failure("RUN --mount=type=secret,id=token echo 'OSError: broken'; exit 1\n", options)
    assert "OSError: broken" in error.message


@pytest.mark.parametrize("name", ["docker_20", "podman_service"])
@pytest.mark.feature("build (docker): without BuildKit")
def test_without_buildkit(name: str, request: pytest.FixtureRequest, make_bench: Callable[[Engine], Bench]) -> None:
    """The classic builder (DOCKER_BUILDKIT=0) and podman build Dockerfiles, too, and explain failures."""
    host = request.getfixturevalue(name).host
    with connect(environment={"DOCKER_HOST": host}, timeout_seconds=10) as engine:
        bench = make_bench(engine)
        bench.environment = {"DOCKER_BUILDKIT": "0"}
        bench.file("app.sh", "echo hi\n")
        options = DockerOptions(references=(Reference.parse("classic:1"),), no_cache=True)
        image = bench.build("COPY . /app\nRUN sh /app/app.sh\n", options)
        assert "hi\n" in bench.output
        assert bench.engine.image("classic:1").id == image.id
        error = bench.failure("RUN echo 'KeyError: x'; exit 4\n", options)
        assert "KeyError: x" in error.message


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_stops_in_the_middle(make_bench: Callable[[Engine], Bench]) -> None:
    """The build ends soon with an error that is worth trying again, names the engine and keeps the log."""
    with (
        peers.engine_2010() as peer,
        connect(environment={"DOCKER_HOST": peer.host}, timeout_seconds=10) as engine,
    ):
        bench = make_bench(engine)

        def listen(event: Event) -> None:
            if isinstance(event, OutputReceived):
                threading.Thread(target=peer.stop).start()

        with pytest.raises(TryAgainError) as caught:
            bench.build_whole(f"FROM {BASE}\nRUN echo begun; sleep 120\n", listen=listen)
        assert peer.host in caught.value.message
        assert "begun" in Path(caught.value.hint.rpartition("the whole log: ")[2]).read_text()
    del engine, bench, caught
    gc.collect()  # the SDK leaves the socket of a vanished engine open: it shall not be found in another test


def test_the_usual_frontend_is_not_fetched(bench_28: Bench) -> None:
    """`# syntax=docker/dockerfile:1` needs no registry: the engine's own frontend reads the file."""
    text = f"# syntax=docker/dockerfile:1\nFROM {BASE}\nRUN <<EOF\necho from a document\nEOF\n"
    bench_28.build_whole(text, DockerOptions(no_cache=True))
    assert bench_28.output == "from a document\n"


def test_another_dockerfile_outside_the_folder(bench_28: Bench, tmp_path: Path) -> None:
    """--file may name a Dockerfile that is no part of the context."""
    other = tmp_path / "Other"
    other.write_text(f"FROM {BASE}\nCOPY . /ctx\n")
    bench_28.file("a", "a")
    image = bench_28.build("RUN false\n", replace(DockerOptions(), file=other))
    assert "a" in _files(image)


def _files(image: BuiltImage) -> set[str]:
    """Names of what is in the layers above the base's."""
    names: set[str] = set()
    for layer in list(image.layers)[1:]:
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            names |= {Path(member.name).name for member in tar if not member.isdir()}
    return names


def _all_bytes(image: BuiltImage) -> bytes:
    """Config and unpacked layers."""
    parts = [image.config]
    for layer in list(image.layers)[1:]:
        with layer.open() as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                parts.append(member.name.encode())
                if file := tar.extractfile(member):
                    parts.append(file.read())
    return b"\n".join(parts)


def _install_buildx(engine: peers.Engine, config: Path) -> None:
    """The engine's buildx as a plugin of this machine's docker."""
    plugin = config / "cli-plugins" / "docker-buildx"
    plugin.parent.mkdir()
    plugin.write_text("#!/bin/sh\nexec " + " ".join(engine.buildx_argv()) + ' "$@"\n')
    plugin.chmod(0o755)
    subprocess.run(["docker", "buildx", "version"], check=True, capture_output=True)


@contextlib.contextmanager
def _registry_that_limits() -> Iterator[str]:
    """A server that answers as Docker Hub does to those who ask too often."""
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your pull rate limit"}]})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = 200 if self.path == "/v2/" else 429
            headers: Mapping[str, str] = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body.encode())

        do_HEAD = do_GET  # noqa: N815  (the name that http.server looks for)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
