"""A request of the user's to the server of an image, and what its answer must be: values alone."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["SmokeRequest", "filled", "request_from_json", "variables_of"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class SmokeRequest:
    """One request, and what passes."""

    path: str
    method: str = ""
    """"" is POST where there is a body, and GET where there is none."""
    headers: tuple[tuple[str, str], ...] = ()
    """`${NAME}` in a value is a variable of the run."""
    body: str = ""
    content_type: str = ""
    is_base64: bool = False
    """Whether `body` is the body in base64, where it is not text."""
    file: str = ""
    """The file that is the body, relative to the project; "" once it has been read."""
    form: tuple[tuple[str, str], ...] = ()
    """Fields of a form, `@FILE` being a file's content; () once they are the body."""
    status: int | None = None
    """None accepts 2xx."""
    expect: str = ""
    """Regular expression that the answer must contain."""
    expect_json: str = ""
    """JSON that the answer must hold at least; "" for none."""

    @property
    def verb(self) -> str:
        """The method."""
        return self.method or ("POST" if self.body or self.file or self.form else "GET")

    @property
    def what(self) -> str:
        """Method and path: "POST /predict"."""
        return f"{self.verb} {self.path}"

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return base64.b64decode(self.body) if self.is_base64 else self.body.encode(errors="surrogateescape")

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults."""
        said = ((one.name, getattr(self, one.name), one.default) for one in fields(self))
        return {name: value for name, value, default in said if value != default}


def request_from_json(document: Mapping[str, Any]) -> SmokeRequest:
    """What `to_json` gave; raises KeyError, TypeError, ValueError or AttributeError for everything else."""
    get = document.get
    return SmokeRequest(
        path=str(document["path"]),
        method=str(get("method", "")),
        headers=tuple((str(name), str(value)) for name, value in get("headers", ())),
        body=str(get("body", "")),
        content_type=str(get("content_type", "")),
        is_base64=bool(get("is_base64", False)),
        status=None if get("status") is None else int(document["status"]),
        expect=str(get("expect", "")),
        expect_json=str(get("expect_json", "")),
    )


def filled(text: str, variables: Mapping[str, str]) -> str:
    """A header's value with its variables, of those that are known."""
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), text)


def variables_of(request: SmokeRequest) -> tuple[str, ...]:
    """The names of the variables that its headers take."""
    return tuple(name for _, value in request.headers for name in _VARIABLE.findall(value))
