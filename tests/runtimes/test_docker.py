"""The runtime `docker`, on every engine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shipml.docker_engine import Engine, connect
from shipml.docker_engine.container import Container, ContainerOptions
from shipml.docker_engine.loading import load_image
from shipml.docker_engine.ports import PublishedPort
from shipml.errors import ConfigurationError, UnavailableError, UsageError
from shipml.events import Event, Notice, OutputReceived
from shipml.facts.plan import SmokeCheck
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.runtimes import choose
from shipml.runtimes.background import Background
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.docker import DockerRuntime
from shipml.runtimes.sandbox import Sandbox
from shipml.store import Store
from tests.runtimes.images import busybox_layer, make_image, shell_image

pytestmark = [pytest.mark.engine, pytest.mark.slow]

Run = Callable[..., SmokeResult]
_ENGINES = ["docker_20", "docker_28_overlay2", "docker_28_containerd", "podman_service"]
_PORT = 18_091
_OTHER_PORT = 18_092
_SERVES = f"trap exit TERM; httpd -f -p {_PORT} -h /roots & wait"
"""A server that ends as soon as it is told to: the first process of a container does not by itself."""
_SAYS_HELLO = f"echo hello | nc -l -p {_PORT}; echo answered: 1"
"""To whom asks first, and ends then."""


@pytest.fixture(params=_ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine in turn; no container is left on it after a test."""
    host = request.getfixturevalue(request.param).host
    with connect(environment={"DOCKER_HOST": host}, timeout_seconds=10) as connected:
        yield connected
        assert _containers(connected) == []


def _containers(engine: Engine) -> list[str]:
    return [container["Id"] for container in engine.sdk.api.containers(all=True)]


@pytest.fixture
def run(engine: Engine) -> Run:
    """Runs a shell command; keywords: those of RunOptions and of SmokeCheck, Config's, `events`."""

    def run_command(line: str, *, events: list[Event] | _Asker | None = None, **settings: Any) -> SmokeResult:
        names = ("memory_bytes", "environment", "cpus", "gpus", "volumes", "ports", "shared_memory_bytes")
        options = {name: settings.pop(name) for name in names if name in settings}
        config = {name: settings.pop(name) for name in list(settings) if name[0].isupper()}
        check = SmokeCheck(**({"timeout_seconds": 30.0} | settings))
        heard = events if events is not None else []
        image = shell_image(line, **config)
        runtime = DockerRuntime(engine)
        runtime.check(image)
        return runtime.run(image, RunOptions(check, **options), heard.append)

    return run_command


@pytest.mark.feature("run: exit code and measures")
def test_a_program_passes_by_its_exit_code_and_measures(run: Run, engine: Engine) -> None:
    """Output of both streams comes as it is written, measures are read, the result names image and runtime."""
    events: list[Event] = []
    result = run("echo accuracy: 0.97; echo warning >&2", events=events, minimum=(("accuracy", 0.9),))
    assert result.passed, result
    assert (result.runtime, result.exit_code, result.measures["accuracy"]) == ("docker", 0, 0.97)
    streams = {(event.stream, event.data) for event in events if isinstance(event, OutputReceived)}
    assert streams == {("stdout", b"accuracy: 0.97\n"), ("stderr", b"warning\n")}
    assert engine.find_image(str(engine.id_of(shell_image("echo accuracy: 0.97; echo warning >&2")))) is not None


def test_a_program_that_fails(run: Run) -> None:
    """An exit code other than 0 is a result, not an error."""
    result = run("echo sorry; exit 3")
    assert (result.passed, result.exit_code, result.output) == (False, 3, "sorry\n")


@pytest.mark.parametrize(("command", "exit_code"), [("/no/such/program", 127), ("/roots/public", 126)])
def test_a_program_that_cannot_start(run: Run, command: str, exit_code: int) -> None:
    """A missing or not executable program is told apart from one that ran and failed."""
    result = run("", command=(command,))
    assert (result.passed, result.exit_code) == (False, exit_code)
    assert "the program cannot start" in result.because
    assert command in result.because


@pytest.mark.feature("run: memory limit")
def test_memory_runs_out(run: Run, engine: Engine) -> None:
    """A program that needs more than its memory limit is killed, and the reason is named."""
    result = run("x=aaaaaaaa; while true; do x=$x$x; done", memory_bytes=32 << 20)
    assert (result.passed, result.exit_code) == (False, 137)
    assert "memory" in result.because
    if not engine.is_podman:  # it does not say so in its API
        assert "the limit of 32 MiB" in result.because


@pytest.mark.feature("run: time limit")
def test_the_time_limit_ends_a_program(run: Run) -> None:
    """What still runs at the time limit fails, unless the check wants it alive."""
    assert "still running" in run("trap exit TERM; sleep 60 & wait", timeout_seconds=0.5).because
    assert run("trap exit TERM; sleep 60 & wait", timeout_seconds=0.5, alive=True).passed


@pytest.mark.parametrize("engine", ["docker_20", "podman_service"], indirect=True)
def test_a_program_that_does_not_listen_is_killed(run: Run, engine: Engine) -> None:
    """What takes no notice of SIGTERM is ended all the same."""
    assert "still running" in run("trap '' TERM; sleep 60", timeout_seconds=0.5).because
    assert _containers(engine) == []


@pytest.mark.feature("run: no network unless asked")
def test_no_network_unless_asked(run: Run) -> None:
    """Without network there is only the loopback; a private CA and proxies come with the network only."""
    result = run("cat /proc/net/route; env; ls /run")
    assert len([line for line in result.output.splitlines() if line.startswith(("eth", "ens"))]) == 0
    assert "proxy" not in result.output.lower()
    assert "shipml/" not in result.output


@pytest.mark.feature("run: private CA and proxy")
def test_private_ca_and_proxy_reach_the_program(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    """With network the CA bundle and the proxies of this machine are in the container, and not in the image."""
    bundle = tmp_path / "private.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nprivate\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    line = 'cat "$SSL_CERT_FILE" "$REQUESTS_CA_BUNDLE"; echo "$https_proxy"'
    result = run(line, network=True, User="65532")
    assert result.output.count("private\n") == 2, result
    assert "http://proxy.example.org:3128" in result.output
    image = engine.image(str(engine.id_of(shell_image(line, User="65532"))))
    assert "private" not in json.dumps(dict(image.config)).replace("private.pem", "")
    assert "cat: can't open" in run(line, User="65532").output


@pytest.mark.feature("run: a server by HTTP")
def test_a_server_answers(run: Run) -> None:
    """A server passes as soon as its path answers, and is ended then."""
    result = run(f"echo up; {_SERVES}", http="/public", port=_PORT)
    assert result.passed, result
    assert "answered 200" in result.because
    assert result.output == "up\n"


def test_a_server_that_answers_badly(run: Run) -> None:
    """404 at the path until the time is over fails, with the answer named."""
    result = run(_SERVES, http="/none", port=_PORT, timeout_seconds=1.0)
    assert not result.passed
    assert "answered 404" in result.because


def test_the_port_of_a_server_is_the_images(run: Run) -> None:
    """The port comes from the image's exposed ports, and the test adds no $PORT that the image does not have."""
    settings = {"ExposedPorts": {f"{_PORT}/tcp": {}}, "http": "/public"}
    assert run(f'test -z "$PORT" || exit 1; {_SERVES}', **settings).passed


@pytest.mark.feature("run: variables, volumes, CPU limit")
def test_environment_volume_and_cpu(run: Run, engine: Engine) -> None:
    """Variables and volumes are handed on, and a limit of CPU time is taken."""
    assert engine.endpoint.socket
    folder = engine.endpoint.socket.parent / "volume"  # one that an engine in a chroot sees, too
    folder.mkdir(exist_ok=True)
    (folder / "data.txt").write_text("from outside\n")
    volume = f"{folder}:/data:ro"
    result = run('cat /data/data.txt; echo "$A"', environment={"A": "b c"}, volumes=(volume,), cpus=0.5)
    assert result.output == "from outside\nb c\n", result


class _Asker:
    """Listens to events; asks the port that a notice names."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.answer = b""
        self._thread: threading.Thread | None = None

    def append(self, event: Event) -> None:
        """Take an event."""
        if not isinstance(event, Notice) or not event.message.startswith(f"port {_PORT} "):
            return
        self.notices.append(event)
        port = int(found[1]) if (found := re.search(r"127\.0\.0\.1:(\d+)", event.message)) else _PORT
        self._thread = threading.Thread(target=self._ask, args=(port,))
        self._thread.start()

    def _ask(self, port: int) -> None:
        deadline = time.monotonic() + 20
        while not self.answer and time.monotonic() < deadline:
            time.sleep(0.05)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as connection:
                self.answer = connection.recv(100)

    def wait(self) -> None:
        """Until it has asked."""
        assert self._thread, "no notice of a port"
        self._thread.join()


@pytest.mark.feature("run: published ports")
@pytest.mark.parametrize("host_port", [None, _OTHER_PORT])
def test_a_published_port(run: Run, engine: Engine, host_port: int | None) -> None:
    """A published port is at 127.0.0.1, and named; an engine without bridge has the program's own port instead."""
    asker = _Asker()
    result = run(_SAYS_HELLO, ports=(PublishedPort(_PORT, host_port),), events=asker)
    asker.wait()
    assert asker.answer == b"hello\n"
    assert result.measures == {"answered": 1}
    (notice,) = asker.notices
    if engine.has_bridge:
        assert f"127.0.0.1:{host_port or ''}" in notice.message
    else:
        assert "neither mapped" in notice.message
        assert notice.level == ("warning" if host_port else "info")


@pytest.mark.feature("run: published ports")
def test_a_server_is_kept_up(engine: Engine, run: Run) -> None:
    """`shipml serve` reaches it through a published port for as long as it wants; /dev/shm is as large as asked."""
    image = shell_image(_SERVES, ExposedPorts={f"{_PORT}/tcp": {}})
    options = RunOptions(SmokeCheck(timeout_seconds=30))
    background = Background(lambda emit: DockerRuntime(engine).running(image, options, emit), options, lambda _: None)
    try:
        reach = background.wait_until_up()
        with reach.connect() as connection:
            connection.sendall(b"GET /public HTTP/1.0\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.")
        assert not background.has_ended
    finally:
        background.close()
    size = "busybox df -m /dev/shm | tail -1 | { read a size b; echo mib: $size; }"
    assert run(size, shared_memory_bytes=96 << 20).measures == {"mib": 96}


def test_a_port_that_is_published_and_asked(run: Run) -> None:
    """The check asks the published port where that is the one that the server listens at, else its own beside it."""
    for port in (PublishedPort(_PORT, _PORT), PublishedPort(_OTHER_PORT)):
        result = run(_SERVES, http="/public", port=_PORT, ports=(port,))
        assert result.passed, result


@pytest.mark.parametrize("engine", ["podman_service"], indirect=True)
def test_a_published_port_is_at_no_other_address(engine: Engine) -> None:
    """Whoever is not on this machine does not reach the program."""
    image = shell_image(f"httpd -f -p {_PORT} -h /roots")
    load_image(engine, image, [])
    ports = (PublishedPort(_PORT), PublishedPort(_PORT, _OTHER_PORT))
    with Container(engine, str(engine.id_of(image)), ContainerOptions(network="bridge", ports=ports)):
        (container,) = _containers(engine)
        bindings = engine.sdk.api.port(container, _PORT)
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1", "127.0.0.1"]
    assert str(_OTHER_PORT) in [binding["HostPort"] for binding in bindings]


@pytest.mark.parametrize("engine", ["podman_service"], indirect=True)
def test_a_port_that_is_taken(run: Run) -> None:
    """A port of this machine that another program has is an error with its way out, and no container is left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UnavailableError, match="the port is taken") as caught:
            run("true", ports=(PublishedPort(_PORT, taken.getsockname()[1]),))
    assert "another port" in caught.value.hint


def test_without_gpu(run: Run) -> None:
    """A GPU that is not there is an error of this machine, with the way out."""
    with pytest.raises(UnavailableError, match="GPU"):
        run("true", gpus="all")
    with pytest.raises((ConfigurationError, UnavailableError)):
        run("true", gpus="many")


def test_an_image_that_only_the_engine_has(engine: Engine) -> None:
    """An image is run by its name or id, with a digest in the result; an unknown name is the user's matter."""
    image = shell_image("echo named: 1", Labels={"test": "named"})
    load_image(engine, image, [Reference.parse("only:here")])
    runtime = DockerRuntime(engine)
    for name in ("only:here", str(engine.id_of(image))):
        result = runtime.run_named(name, RunOptions())
        assert result.passed
        assert result.digest in {image.digest, engine.id_of(image)}
    with pytest.raises(UsageError, match="never:made"):
        runtime.run_named("never:made", RunOptions())


def test_what_cannot_run_is_refused_before_any_work(engine: Engine) -> None:
    """Another platform, no command, or a check without sense: nothing is loaded or started."""
    runtime = DockerRuntime(engine)
    other = "arm64" if engine.platform.architecture == "amd64" else "amd64"
    with pytest.raises(UnavailableError, match=other):
        runtime.check(make_image([busybox_layer()], platform=Platform("linux", other)))
    with pytest.raises(ConfigurationError, match="no command"):
        runtime.run(make_image([busybox_layer()]), RunOptions())
    with pytest.raises(ConfigurationError, match="regular expression"):
        runtime.run(shell_image("true"), RunOptions(SmokeCheck(expect="(")))


def test_an_engine_without_bridge_lends_its_network(run: Run, engine: Engine) -> None:
    """Where an engine cannot publish ports, the notice says whose network the program has."""
    events: list[Event] = []
    run("true", network=True, events=events)
    said = any(isinstance(event, Notice) and "no bridge" in event.message for event in events)
    assert said is not engine.has_bridge


def test_choice_of_the_users_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """`--runtime docker` takes the engine that docker would; what the sandbox cannot run goes there by itself."""
    monkeypatch.setenv("DOCKER_HOST", engine.endpoint.url)
    image = shell_image("echo chosen: 1")
    runtime = choose("docker", image, store)
    assert runtime.run(image, RunOptions(), lambda _: None).measures == {"chosen": 1}
    with pytest.raises(UnavailableError, match="no GPUs"):
        Sandbox(store).run(image, RunOptions(gpus="all"))
    with pytest.raises(UnavailableError, match="no published ports") as caught:
        Sandbox(store).run(image, RunOptions(ports=(PublishedPort(_PORT),)))
    assert "--runtime docker" in caught.value.hint


_RUNS = """
import sys
from shipml.docker_engine import connect
from shipml.events import OutputReceived
from shipml.facts.plan import SmokeCheck
from shipml.runtimes.base import RunOptions
from shipml.runtimes import choose
from shipml.runtimes.docker import DockerRuntime
from shipml.runtimes.sandbox import Sandbox
from shipml.store import Store
from tests.runtimes.images import shell_image

def emit(event):
    if isinstance(event, OutputReceived):
        print("begun", flush=True)

engine = connect(environment={"DOCKER_HOST": sys.argv[1]}, timeout_seconds=10)
DockerRuntime(engine).run(shell_image("echo begun; sleep 300"), RunOptions(SmokeCheck(timeout_seconds=300)), emit)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.feature("run: nothing left after kill and Ctrl-C")
def test_a_killed_run_leaves_no_container(engine: Engine, number: signal.Signals) -> None:
    """Neither Ctrl-C nor kill -9 of the process leaves a container, running or stopped."""
    process = subprocess.Popen(
        [sys.executable, "-c", _RUNS, engine.endpoint.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"begun\n"
        assert len(_containers(engine)) == 1
        os.killpg(process.pid, number)
        process.wait()
    deadline = time.monotonic() + 30
    while _containers(engine) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _containers(engine) == []


def test_what_a_crash_left_is_swept(engine: Engine, run: Run) -> None:
    """A container whose process is gone, together with its guard, is removed by the next run; others' are not."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    image = shell_image("sleep 300")
    load_image(engine, image, [])
    name = str(engine.id_of(image))
    left = engine.sdk.api.create_container(
        name, labels={"shipml.run-by": f"{os.uname().nodename}/{int(ended.stdout)}"}, name="shipml-run-left"
    )["Id"]
    with Container(engine, name, ContainerOptions()):
        assert len(_containers(engine)) == 2
        run("true")
        assert left not in _containers(engine)
        assert len(_containers(engine)) == 1, "the one that runs is left alone"
