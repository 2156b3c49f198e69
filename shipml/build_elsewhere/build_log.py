"""What a build says, as it says it: steps and output as events, and every line in a file that errors can name."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shipml.build_elsewhere.buildkit_trace import Trace, Vertex, decode_trace
from shipml.events import (
    Emit,
    Notice,
    OutputReceived,
    StepFinished,
    StepProgressed,
    StepStarted,
)

__all__ = ["BuildLog"]

_TAIL_LINES = 400
_LINE_BYTES = 4096
_FULL_ID = 64
_SHOWN_CHARACTERS = 120
_NUMBERED = re.compile(r"\[(?:(?P<stage>[\w.-]+) +)?(?P<number>\d+/\d+)\] (?P<what>.*)", re.DOTALL)
_TRACE_ID = "moby.buildkit.trace"


class BuildLog:
    """Listens to one build, in whatever form the engine or the buildx program reports it."""

    def __init__(self, path: Path, emit: Emit, *, hidden: tuple[str, ...] = ()) -> None:
        """`hidden` are texts that we put into instructions, and that are not shown."""
        self.path = path
        self.image_id = ""
        """As the engine says at the end; "" if it did not."""
        self.failed_step = ""
        self._emit = emit
        self._hidden = hidden
        path.touch(mode=0o600)  # programs in a build may print what is nobody else's business
        self._file = path.open("wb", buffering=0)
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._part = b""
        self._vertices: dict[str, Vertex] = {}
        self._finished: set[str] = set()
        self._amounts: dict[str, dict[str, tuple[int, int]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def tail(self) -> str:
        """The last lines that the build's programs wrote."""
        return "\n".join([*self._tail, self._part.decode("utf-8", "replace")])

    def message(self, message: Mapping[str, Any]) -> None:
        """Take one message of the engine's answer to /build."""
        aux = message.get("aux")
        if message.get("id") == _TRACE_ID and isinstance(aux, str):
            self.trace(decode_trace(aux))
        elif isinstance(aux, dict) and aux.get("ID"):
            self.image_id = str(aux["ID"])
        elif stream := str(message.get("stream") or ""):
            self._classic(stream)

    def note(self, line: str) -> None:
        """Write a line of our own into the file."""
        self._file.write(line.rstrip("\n").encode("utf-8", "replace") + b"\n")

    def output(self, data: bytes) -> None:
        """What a program in the build wrote."""
        self._file.write(data)
        *lines, self._part = (self._part + data).split(b"\n")
        self._part = self._part[-_LINE_BYTES:]
        self._tail.extend(line[-_LINE_BYTES:].decode("utf-8", "replace").rstrip("\r") for line in lines)
        self._emit(OutputReceived("stderr", data))  # ours is what is talked about the result

    def trace(self, trace: Trace) -> None:
        """Take what BuildKit reports."""
        for vertex in trace.vertices:
            self._vertex(vertex)
        for transfer in trace.transfers:
            if transfer.total > 0 and transfer.vertex not in self._finished:
                amounts = self._amounts.setdefault(transfer.vertex, {})
                amounts[transfer.id] = (transfer.current, transfer.total)
                if name := self._step_name(transfer.vertex):
                    done, total = (sum(numbers) for numbers in zip(*amounts.values(), strict=True))
                    self._emit(StepProgressed(name, min(done, total), total))
        for log in trace.logs:
            self.output(log.data)
        for warning in trace.warnings:
            self.note(f"warning: {warning}")
            self._emit(Notice(f"Dockerfile: {warning}", "warning"))

    def _vertex(self, vertex: Vertex) -> None:
        before = self._vertices.get(vertex.digest)
        self._vertices[vertex.digest] = vertex
        name, what = self._words(vertex)
        if vertex.error:
            self.failed_step = self.failed_step or what
            self.note(f"{vertex.name}: {vertex.error}")
        if vertex.digest in self._finished:
            return
        if vertex.started_at is not None and (before is None or before.started_at is None):
            self.note(f"==> {vertex.name}")
            if name:
                self._emit(StepStarted(name, what))
        if vertex.completed_at is not None:
            self._finished.add(vertex.digest)
            if name and not vertex.error:
                elapsed_seconds = max(0.0, vertex.completed_at - (vertex.started_at or vertex.completed_at))
                self._emit(StepFinished(name, f"{what}: reused" if vertex.cached else what, elapsed_seconds))

    def _step_name(self, digest: str) -> str:
        vertex = self._vertices.get(digest)
        return self._words(vertex)[0] if vertex and vertex.started_at is not None else ""

    def _words(self, vertex: Vertex) -> tuple[str, str]:
        """The step's number, "" for those that the user has not written; and its instruction."""
        text = vertex.name
        for hidden in self._hidden:
            text = text.replace(hidden, "")
        match = _NUMBERED.fullmatch(text)
        what = _shown(match["what"] if match else text)
        if not match:
            return "", what
        stage = "" if match["stage"] == "stage-0" else match["stage"]  # BuildKit's name for one without
        return " ".join(filter(None, (stage, match["number"]))), what

    def _classic(self, stream: str) -> None:
        """A line of the builder without BuildKit: `Step 2/5 : RUN …`, ` ---> …`, or output."""
        if found := re.match(r"(?:Step|STEP) (\d+/\d+) ?: (.*)", stream):
            self.failed_step = _shown(found[2])
            self.note(f"==> {stream}")
            self._emit(StepStarted(found[1], self.failed_step))
            self._emit(StepFinished(found[1], self.failed_step, 0.0))
        elif found := re.match(r"(?:Successfully built |--> )?([0-9a-f]{12,64})\s*$", stream):
            self.image_id = f"sha256:{found[1]}" if len(found[1]) == _FULL_ID else found[1]
            self.note(stream)
        elif stream.startswith((" --->", "Removing intermediate container", "Successfully tagged", "COMMIT", "-->")):
            self.note(stream)
        else:
            self.output(stream.encode())


def _shown(instruction: str) -> str:
    """An instruction on one line of bearable length; the file has all of it."""
    line = " ".join(instruction.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
