from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from shipml.errors import ConfigurationError, UnavailableError, UntrustedInputError
from shipml.events import Event, OutputReceived
from shipml.oci.digest import Digest
from shipml.oci.image import LayerValue
from shipml.oci.layer_writer import LayerWriter
from shipml.oci.manifest import Platform
from shipml.runtimes.base import RunOptions, SmokeResult
from shipml.runtimes.sandbox import Sandbox
from shipml.store import Store

Run = Callable[..., SmokeResult]


def test_output_and_exit_code(run: Run) -> None:
    """Standard output and error are streamed as they come and kept, and exit code 0 passes."""
    events: list[Event] = []
    result = run("echo out; echo err >&2; echo 'accuracy: 0.97'", events=events)
    assert (result.passed, result.exit_code, result.runtime) == (True, 0, "sandbox")
    assert sorted(result.output.splitlines()) == ["accuracy: 0.97", "err", "out"]
    assert result.measures == {"accuracy": 0.97}
    streamed = {e.stream: e.data for e in events if isinstance(e, OutputReceived)}
    assert streamed["stderr"] == b"err\n"


def test_failing_program(run: Run) -> None:
    """A program that fails is a result, not an error."""
    result = run("exit 3")
    assert (result.passed, result.exit_code, result.because) == (False, 3, "exit code 3")


def test_image_config_is_obeyed(run: Run) -> None:
    """User, supplementary groups, environment, working folder, entrypoint and command come from the image."""
    command = 'id -u; id -g; id -G; pwd; echo "$COLOUR $HOME $1"'
    config: dict[str, Any] = {"Env": ["COLOUR=red"], "WorkingDir": "/made/here", "Entrypoint": ["sh", "-c", command]}
    result = run("", User="worker", command=("x", "y"), **config)
    groups = "65532 77" if os.geteuid() == 0 else None
    lines = result.output.splitlines()
    assert lines[:2] == ["65532", "65532"]
    assert groups is None or lines[2] == groups
    assert lines[3:] == ["/made/here", "red /home/worker y"]


def test_environment_does_not_leak(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this machine's environment nothing arrives; what the options add does."""
    monkeypatch.setenv("SHIPML_TEST_SECRET", "s3cret")
    result = run("env; cat /proc/1/environ", environment={"ADDED": "yes"})
    assert "s3cret" not in result.output
    assert "ADDED=yes" in result.output.splitlines()


def test_checks_command_replaces_the_images(run: Run) -> None:
    """The check's command runs instead of the image's Cmd, as `docker run IMAGE COMMAND` does."""
    assert run("echo image", command=("echo", "check")).output == "check\n"


@pytest.mark.parametrize("folder", ["/proc/self/fd/3", "/proc/self/fd/4/x", "/proc/1/root", "/sys/../proc/self/fd/0"])
def test_a_working_folder_that_is_not_one(run: Run, folder: str) -> None:
    """Descriptors of the launcher are no way out: such an image runs in its own root, or not at all and says why."""
    result = run("ls -d /roots; pwd", WorkingDir=folder)
    assert result.exit_code in {0, 126, 127}
    assert result.output.startswith("/roots") if result.exit_code == 0 else "working folder" in result.because


def test_layer_trees_stay_as_they_are(run: Run, store: Store) -> None:
    """What the program writes, changes and removes is gone afterwards: a second run finds the image as it was."""
    command = "ls /roots; echo x > /roots/public; rm /roots/secret; touch /new; cat /roots/public"
    first, second = run(command), run(command)
    assert first.output == second.output == "public\nsecret\nx\n"
    (tree,) = (store.home / "roots").iterdir()
    assert (tree / "root" / "roots" / "public").read_bytes() == b"shown"
    assert not list((store.home / "tmp").iterdir())


def test_layer_trees_are_closed_to_other_users(run: Run, store: Store) -> None:
    """Set-user-ID programs of an image are out of reach for other users of the machine."""
    run("true")
    (tree,) = (store.home / "roots").iterdir()
    assert stat.S_IMODE(tree.stat().st_mode) == 0o700


def test_upper_layers_hide_and_replace(run: Run, images: ModuleType) -> None:
    """A whiteout hides a file, an opaque folder what was in it, an upper file the lower one."""

    def fill(writer: LayerWriter) -> None:
        writer.file("roots/.wh.secret", b"")
        writer.file("roots/public", b"replaced")
        writer.file("etc/.wh..wh..opq", b"")
        writer.file("etc/only", b"")

    result = run("ls /roots /etc; cat /roots/public", images.make_layer(fill), User="0")
    assert result.output.split() == ["/etc:", "hosts", "only", "/roots:", "public", "replaced"]


def test_accounts_that_an_upper_layer_hides(run: Run, images: ModuleType) -> None:
    """A user is looked up in the accounts that the image shows, not in those that an upper layer took away."""
    for hiding in ("etc/.wh.passwd", "etc/.wh..wh..opq", ".wh.etc"):
        with pytest.raises(ConfigurationError, match="'worker' is not in its /etc/passwd"):
            run("true", images.make_layer(lambda writer, name=hiding: writer.file(name, b"")), User="worker")


def test_sixty_layers(run: Run, images: ModuleType) -> None:
    """An image of 60 layers runs: the mount options fit in their page although the paths are long."""
    layers = [images.make_layer(lambda writer, n=n: writer.file(f"many/{n:02}", b"")) for n in range(59)]
    assert len(run("ls /many", *layers).output.split()) == 59


def test_same_layer_twice(run: Run, images: ModuleType) -> None:
    """An image may name a layer twice, which the kernel would refuse."""
    layer = images.make_layer(lambda writer: writer.file("twice", b"2"))
    assert run("cat /twice", layer, images.make_layer(lambda writer: writer.file("between", b"")), layer).output == "2"


def test_devices_and_folders(run: Run) -> None:
    """A program finds /proc, /dev with its usual nodes, shared memory, a loopback network, and localhost."""
    result = run(
        "set -e; echo x > /dev/null; head -c 4 /dev/urandom > /dev/shm/r; test -c /dev/tty; test -d /dev/pts; "
        "echo fd > /dev/stdout; test -d /proc/self; echo t > /tmp/t; cat /etc/hosts; ifconfig lo; hostname"
    )
    assert result.exit_code == 0, result.output
    assert "localhost" in result.output
    assert "UP LOOPBACK RUNNING" in result.output


def test_root_inside_cannot_change_the_machine(run: Run) -> None:
    """Even root inside writes neither to /proc/sys nor to a device's inode (here what it is: failing does no harm)."""
    setting = "/proc/sys/kernel/core_pattern"
    result = run(f'v=$(cat {setting}); echo "$v" > {setting}; busybox chmod 666 /dev/null', User="0")
    assert not result.passed
    assert result.output.count("Read-only file system") == 2


def test_network_is_off(run: Run) -> None:
    """Without network there is no interface but loopback, and this machine's own ports cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run(f"ls /sys/class/net; nc -w 1 127.0.0.1 {port} < /dev/null || echo unreachable")
    assert result.output.split()[0] == "lo"
    assert "unreachable" in result.output


def test_network_can_be_allowed(run: Run) -> None:
    """With network the machine's own is used, and its resolver settings are there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run(f"cat /etc/resolv.conf; cat /proc/net/tcp | busybox grep -ci 0100007F:{port:04X}", network=True)
    assert result.output.startswith(Path("/etc/resolv.conf").read_text())
    assert result.exit_code == 0, "the machine's listening socket is seen"


def test_private_ca_and_proxy_reach_the_program(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With network the machine's CA bundle and proxies are handed on; the layers never see them."""
    bundle = tmp_path / "private.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nprivate\n")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("https_proxy", "http://proxy.example.org:3128")
    result = run('cat "$SSL_CERT_FILE" "$REQUESTS_CA_BUNDLE"; echo "$https_proxy"', network=True)
    assert result.output.count("private\n") == 2
    assert "http://proxy.example.org:3128" in result.output


def test_server_answers(run: Run) -> None:
    """A server passes as soon as its port answers inside the sandbox's own network, and is then stopped."""
    result = run("mkdir /tmp/w; echo hello > /tmp/w/health; exec httpd -f -p 9000 -h /tmp/w", http="/health", port=9000)
    assert result.passed, result
    assert result.exit_code is None
    assert result.because == "http://127.0.0.1:9000/health answered 200"
    assert result.elapsed_seconds < 20


def test_server_uses_the_exposed_port(run: Run) -> None:
    """Without a port in the check, the one that the image exposes is asked, and $PORT names it."""
    result = run("exec httpd -f -p 7777 -h /roots", http="/public", ExposedPorts={"7777/tcp": {}})
    assert result.because == "http://127.0.0.1:7777/public answered 200"


def test_server_with_wrong_path(run: Run) -> None:
    """A server that answers 404 until the time limit fails, and the answer is said."""
    result = run("exec httpd -f -p 8080 -h /roots", http="/nothing", timeout_seconds=1.0, alive=True)
    assert (result.passed, result.because) == (
        False,
        "http://127.0.0.1:8080/nothing answered 404 within 1 s",
    )


def test_server_that_ends(run: Run) -> None:
    """A server that ends before it answers fails with its exit code."""
    result = run("exit 4", http="/")
    assert result.because == "the program ended before http://127.0.0.1:8080/ answered, exit code 4"


def test_port_of_another_server(run: Run) -> None:
    """With this machine's network, a port that is taken is refused: another server's answer would count."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(UnavailableError, match="is taken"):
        run("sleep 9", http="/", port=server.getsockname()[1], network=True)


@pytest.mark.parametrize(
    ("entrypoint", "exit_code", "because"),
    [
        (["nothing-here"], 127, "nothing-here is not found in the image's PATH (/bin)"),
        (["/roots/public"], 126, "/roots/public cannot be executed (Permission denied)"),
        (["/no/such"], 127, "/no/such is not found"),
        (["/script"], 126, "/script names an interpreter or loader that the image lacks"),
        (["/text"], 126, "/text is not a program for this CPU, and has no #! line"),
    ],
)
def test_program_that_cannot_start(
    run: Run, images: ModuleType, entrypoint: list[str], exit_code: int, because: str
) -> None:
    """A program that is missing or cannot be executed gives a shell's exit code and the reason."""

    def fill(writer: LayerWriter) -> None:
        writer.file("script", b"#!/usr/bin/python\n", mode=0o755)
        writer.file("text", b"print()\n", mode=0o755)

    result = run("", images.make_layer(fill), Entrypoint=entrypoint, Env=["PATH=/bin"])
    assert (result.exit_code, result.because) == (exit_code, f"the program cannot start: {because}")


def test_image_without_command(store: Store, images: ModuleType) -> None:
    """An image that says nothing to run needs a command."""
    with pytest.raises(ConfigurationError, match="has no command"):
        Sandbox(store).run(images.make_image([images.busybox_layer()]), RunOptions())


def test_links_of_the_image_lead_nowhere_else(run: Run, images: ModuleType, tmp_path: Path) -> None:
    """An image whose /proc, /etc and working folder are links to this machine's folders touches none of them."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "passwd").write_text("owner:x:0:0::/:/bin/sh\n")

    def fill(writer: LayerWriter) -> None:
        writer.file("bin/busybox", images.BUSYBOX.read_bytes(), mode=0o755)
        for name in ("proc", "dev", "sys", "etc", "app"):
            writer.symlink(name, str(victim))

    image = images.make_image([images.make_layer(fill)], Cmd=["/bin/busybox", "echo", "ran"], WorkingDir="/app")
    result = run("", image=image)
    assert [file.name for file in victim.iterdir()] == ["passwd"]
    assert result.exit_code in (0, 126)
    with pytest.raises(ConfigurationError, match="'owner' is not in its /etc/passwd"):
        run("", image=images.make_image([images.make_layer(fill)], Cmd=["x"], User="owner"))


def test_layer_that_lies_about_its_content(store: Store, images: ModuleType) -> None:
    """A layer whose content is not what the config's diff id says is refused, and no tree of that name is kept."""
    true = images.busybox_layer()
    false = LayerValue(true.digest, Digest.of(b"other"), true.size_bytes, true.opener)
    with pytest.raises(UntrustedInputError, match=r"not sha256:.* as the image's config says"):
        Sandbox(store).run(images.make_image([false], Cmd=["true"]), RunOptions())
    assert not list((store.home / "roots").iterdir())


def test_image_of_another_platform(store: Store, images: ModuleType) -> None:
    """An image for another CPU cannot run here, and that is said before anything is unpacked."""
    other = "arm64" if Platform.of_this_machine().architecture == "amd64" else "amd64"
    image = images.make_image([], platform=Platform("linux", other), Cmd=["true"])
    with pytest.raises(UnavailableError, match=f"the image is for linux/{other}, this machine is linux/"):
        Sandbox(store).check(image)


def test_forbidden_user_namespaces(run_as: Callable[..., dict[str, Any]]) -> None:
    """Where the kernel allows no user namespaces, the error names the setting and the command that changes it."""
    shell = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "sh", "-c", shell, "sh")
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a user namespace in which to forbid more of them")
    error = run_as("true", prefix=prefix)["error"]
    assert error["kind"] == "unavailable"
    assert "the setting user.max_user_namespaces forbids it" in error["message"]
    assert "sudo sysctl -w user.max_user_namespaces=" in error["hint"]
    assert "docker load" in error["hint"]
