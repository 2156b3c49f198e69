"""BuildKit's progress: decoded from bytes that real engines sent, and told as steps and output."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.build_elsewhere.build_log import BuildLog
from shipml.build_elsewhere.buildkit_trace import Trace, Vertex, decode_trace
from shipml.errors import BuildError
from shipml.events import (
    Event,
    OutputReceived,
    StepFinished,
    StepStarted,
)
from shipml.store.logs import log_file

CAPTURED = Path(__file__).parent / "captured"
"""What engines sent for: FROM tbase:1 / RUN echo hello; echo err >&2; exit 3."""
RUN = "RUN echo hello; echo err >&2; exit 3"


@pytest.fixture(params=["20.10", "28.5"])
def messages(request: pytest.FixtureRequest) -> list[str]:
    """The messages of an engine of this version."""
    found: list[str] = json.loads((CAPTURED / f"trace-{request.param}.json").read_text())
    return found


def test_steps_and_logs_are_read(messages: list[str]) -> None:
    """Names, times, what was reused, output and errors are those of the build."""
    traces = [decode_trace(message) for message in messages]
    last = {vertex.digest: vertex for trace in traces for vertex in trace.vertices}
    failed = next(vertex for vertex in last.values() if vertex.error)
    assert failed.name == f"[2/2] {RUN}"
    assert "exit code: 3" in failed.error
    assert failed.started_at is not None
    assert failed.completed_at is not None
    assert 0 < failed.completed_at - failed.started_at < 60
    assert next(vertex for vertex in last.values() if "FROM" in vertex.name).cached
    logs = [log for trace in traces for log in trace.logs]
    assert {(log.vertex, log.stream, log.data) for log in logs} == {
        (failed.digest, 1, b"hello\n"),
        (failed.digest, 2, b"err\n"),
    }


def test_steps_are_told_once(messages: list[str], tmp_path: Path) -> None:
    """Each instruction starts once and ends once; the failed one does not end; internal steps are not told."""
    events: list[Event] = []
    with BuildLog(tmp_path / "log", events.append) as log:
        for message in messages:
            log.message({"id": "moby.buildkit.trace", "aux": message})
    started = [(event.name, event.detail) for event in events if isinstance(event, StepStarted)]
    assert started == [("1/2", "FROM docker.io/library/tbase:1"), ("2/2", RUN)]
    assert [event.name for event in events if isinstance(event, StepFinished)] == ["1/2"]
    assert sorted(event.data for event in events if isinstance(event, OutputReceived)) == [b"err\n", b"hello\n"]
    assert log.failed_step == RUN


def test_the_log_has_everything(messages: list[str], tmp_path: Path) -> None:
    """The file has the steps, also internal ones, their output and the error; only its owner reads it."""
    path = log_file(tmp_path, "My App")
    with BuildLog(path, lambda _: None) as log:
        for message in messages:
            log.message({"id": "moby.buildkit.trace", "aux": message})
    text = path.read_text()
    for part in ("[internal] load", f"==> [2/2] {RUN}", "hello\n", "err\n", "exit code: 3"):
        assert part in text
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent == tmp_path / "logs"


def test_what_we_put_in_is_not_shown(tmp_path: Path) -> None:
    """A flag of ours is cut out of the instruction; the log has it."""
    events: list[Event] = []
    vertex = Vertex("sha256:1", "[stage-0 2/2] RUN --mount=ours pip install x", started_at=1.0)
    with BuildLog(tmp_path / "log", events.append, hidden=("--mount=ours ",)) as log:
        log.trace(Trace((vertex,)))
    assert events == [StepStarted("2/2", "RUN pip install x")]
    assert "--mount=ours" in (tmp_path / "log").read_text()


def test_old_logs_go(tmp_path: Path) -> None:
    """Only the newest logs are kept."""
    for number in range(30):
        path = log_file(tmp_path, f"app{number}")
        path.touch()
    kept = sorted((tmp_path / "logs").iterdir())
    assert len(kept) == 20
    assert path in kept


def test_lines_that_come_in_pieces_are_whole_in_the_tail(tmp_path: Path) -> None:
    """A line that arrives in two messages is one line."""
    with BuildLog(tmp_path / "log", lambda _: None) as log:
        log.output(b"first\nsec")
        log.output(b"ond\nthird")
    assert log.tail == "first\nsecond\nthird"


def test_the_builder_without_buildkit_is_understood(tmp_path: Path) -> None:
    """Steps and the image's id are found in the lines of the classic builder and of podman."""
    events: list[Event] = []
    with BuildLog(tmp_path / "log", events.append) as log:
        for line in ("Step 1/2 : FROM busybox\n", " ---> 0123456789ab\n", "Step 2/2 : RUN echo hi\n", "hi\n"):
            log.message({"stream": line})
        log.message({"stream": "Successfully built fedcba987654\n"})
    assert [event.detail for event in events if isinstance(event, StepStarted)] == ["FROM busybox", "RUN echo hi"]
    assert [event.data for event in events if isinstance(event, OutputReceived)] == [b"hi\n"]
    assert log.image_id == "fedcba987654"


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\xff\x01", b"\x0a\x05abc", b"\xff" * 12, b"\x0b\x00"])
def test_damage_is_said(data: bytes) -> None:
    """Messages that end too early or are no protobuf give an error of ours."""
    with pytest.raises(BuildError, match="cannot be read"):
        decode_trace(base64.b64encode(data).decode())


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    """Any bytes are decoded or refused, in time that grows with their number."""
    with contextlib.suppress(BuildError):
        assert isinstance(decode_trace(base64.b64encode(data).decode()), Trace)


def test_unknown_fields_are_skipped() -> None:
    """A newer engine may send fields that we do not know, of every kind."""
    unknown = b"\xf8\x01\x07" + b"\xf9\x01" + bytes(8) + b"\xfd\x01" + bytes(4) + b"\xfa\x01\x03abc"
    vertex = b"\x0a\x01d" + b"\x1a\x04name" + unknown
    trace = decode_trace(base64.b64encode(unknown + b"\x0a" + bytes([len(vertex)]) + vertex).decode())
    assert trace.vertices == (Vertex("d", "name"),)
