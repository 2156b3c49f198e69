"""The requests of `[smoke]`: from a table of the settings to what is sent, with the files of the project in it."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.facts.plan import SmokeCheck
from shipml.facts.smoke_request import SmokeRequest, variables_of

__all__ = ["BODY_BYTES", "stated_requests", "variables_in", "with_bodies", "with_body"]

BODY_BYTES = 256 << 10
"""The most that one request may send: it travels with the image, in a label."""
_JSON, _BINARY = "application/json", "application/octet-stream"


def stated_requests(stated: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> tuple[SmokeRequest, ...]:
    """The requests of `smoke.request`, a table or a list of tables; files are named, and not yet read."""
    tables = [stated] if isinstance(stated, Mapping) else stated
    return tuple(_request(table) for table in tables)


def _request(table: Mapping[str, Any]) -> SmokeRequest:
    expect = table.get("expect", "")
    return SmokeRequest(
        path=table["path"],
        method=table.get("method", ""),
        headers=tuple(sorted(table.get("headers", {}).items())),
        body=_as_json(table["json"]) if "json" in table else "",
        content_type=_JSON if "json" in table else "",
        file=table.get("file", ""),
        form=tuple(table.get("form", {}).items()),
        status=int(table["status"]) if "status" in table else None,
        expect=expect if isinstance(expect, str) else "",
        expect_json="" if isinstance(expect, str) else _as_json(expect),
    )


def _as_json(value: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def variables_in(requests: Sequence[SmokeRequest]) -> tuple[str, ...]:
    """The variables that headers take: whoever runs the test has to give them."""
    return tuple(dict.fromkeys(name for request in requests for name in variables_of(request)))


def with_bodies(check: SmokeCheck, folder: Path) -> SmokeCheck:
    """The check with the files of `folder` that its requests send; errors as of `with_body`."""
    return replace(check, requests=tuple(with_body(request, folder) for request in check.requests))


def with_body(request: SmokeRequest, folder: Path, *, may_leave: bool = False) -> SmokeRequest:
    """The request with its body.

    Args:
        request: as it is stated.
        folder: what its files are relative to.
        may_leave: whether they may lie outside of it.

    Raises:
        ConfigurationError: it has several bodies, a file cannot be read or lies outside, or the body is too large.
    """
    bodies = sum((bool(request.content_type), bool(request.file), bool(request.form)))
    if bodies > 1:
        raise ConfigurationError(
            f"the request {request.what} has more than one body", hint="give it one of json, file and form"
        )

    def read(name: str) -> bytes:
        return _read(folder, name, may_leave=may_leave)

    if request.file:
        content, kind = read(request.file), mimetypes.guess_type(request.file)[0] or _BINARY
    elif request.form:
        content, kind = _multipart(request.form, read)
    else:
        content, kind = request.content, request.content_type
    if len(content) > BODY_BYTES:
        raise ConfigurationError(
            f"the request {request.what} sends {len(content)} bytes; at most {BODY_BYTES} travel with an image",
            hint="send a smaller sample",
        )
    text = _text(content)
    body = base64.b64encode(content).decode() if text is None else text
    return replace(request, body=body, is_base64=text is None, content_type=kind, file="", form=())


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _read(folder: Path, name: str, *, may_leave: bool) -> bytes:
    path = folder / name
    try:
        if not may_leave and not path.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(
                f"the request's file {name} lies outside of the project", hint="put the sample into the project"
            )
        with path.open("rb") as file:
            return file.read(BODY_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"the request's file {name} cannot be read: {error.strerror}", hint="name a file of the project"
        ) from error


def _multipart(form: Sequence[tuple[str, str]], read: Callable[[str], bytes]) -> tuple[bytes, str]:
    """A form as browsers send it (RFC 7578), and its content type; equal fields give equal bytes."""
    fields = [(name, value, read(value[1:]) if value.startswith("@") else value.encode()) for name, value in form]
    boundary = "shipml-" + hashlib.sha256(repr(fields).encode()).hexdigest()[:32]
    parts = []
    for name, value, content in fields:
        head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        if value.startswith("@"):
            kind = mimetypes.guess_type(value)[0] or _BINARY
            head += f'; filename="{_quoted(Path(value[1:]).name)}"\r\nContent-Type: {kind}'
        parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    return name.replace("\\", "%5C").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
