"""What a smoke test demands, as options of the command line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shipml.cli.options import parse_minimum
from shipml.errors import UsageError

if TYPE_CHECKING:
    from shipml.facts.smoke_request import SmokeRequest

__all__ = ["Checks"]

_PANEL, _REQUEST_PANEL = "Smoke test", "A request of yours, in the smoke test"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Checks:
    """What the smoke test demands; each replaces the same setting of the project."""

    expect: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="The output must contain a match", rich_help_panel=_PANEL),
    ] = None
    minimum: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=N",
            help="The output must have a line `NAME: NUMBER` with at least N; repeatable",
            rich_help_panel=_PANEL,
        ),
    ] = None
    http: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="This path must answer, such as /health", rich_help_panel=_PANEL),
    ] = None
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="Port that the server listens on",
            show_default="the image's",
            rich_help_panel=_PANEL,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Time limit", show_default="600", rich_help_panel=_PANEL),
    ] = None
    no_visit: Annotated[
        bool,
        typer.Option(
            "--no-visit", help="Do not open a Streamlit, Gradio or Dash app as a browser does", rich_help_panel=_PANEL
        ),
    ] = False
    predict: Annotated[
        str | None,
        typer.Option(
            metavar="[METHOD] PATH",
            help="Once the server answers, ask it this, such as /predict; it must answer 2xx",
            rich_help_panel=_REQUEST_PANEL,
        ),
    ] = None
    data: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|@FILE", help="Its body: JSON, or the content of a file", rich_help_panel=_REQUEST_PANEL
        ),
    ] = None
    form: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE|NAME=@FILE",
            help="Its body: a field of a form; repeatable",
            rich_help_panel=_REQUEST_PANEL,
        ),
    ] = None
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME: VALUE",
            help="A header; ${NAME} in it is a variable of -e or --env-file; repeatable",
            rich_help_panel=_REQUEST_PANEL,
        ),
    ] = None
    answer: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|REGEX",
            help="What the answer must contain: this part of its JSON, or a match",
            rich_help_panel=_REQUEST_PANEL,
        ),
    ] = None
    status: Annotated[
        int | None,
        typer.Option(
            min=100,
            max=599,
            metavar="N",
            help="The status that it must have",
            show_default="2xx",
            rich_help_panel=_REQUEST_PANEL,
        ),
    ] = None

    def demands(self) -> dict[str, Any]:
        """The fields of SmokeCheck that were given.

        Raises:
            UsageError: an option has another form, or says something of a request that none is made of.
            ConfigurationError: a file of the request cannot be read.
        """
        request = self._request()
        given = {
            "expect": self.expect,
            "minimum": parse_minimum(self.minimum) if self.minimum else None,
            "http": self.http,
            "port": self.port,
            "timeout_seconds": self.timeout,
            "visit": False if self.no_visit else None,
            "requests": (request,) if request else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _request(self) -> SmokeRequest | None:
        from shipml.facts.smoke_request import SmokeRequest
        from shipml.project.smoke_requests import with_body

        if self.predict is None:
            self._require_nothing_of_a_request()
            return None
        method, path = _method_and_path(self.predict)
        is_file = self.data is not None and self.data.startswith("@")
        expects_json = _is_document(self.answer or "")
        request = SmokeRequest(
            path=path,
            method=method or ("POST" if self.data is not None or self.form else ""),
            headers=tuple(_pair(item, ":", "--header", "Accept: text/csv") for item in self.header or ()),
            body="" if self.data is None or is_file else self.data,
            content_type="" if self.data is None or is_file else "application/json",
            file=(self.data or "")[1:] if is_file else "",
            form=tuple(_pair(item, "=", "--form", "image=@sample.jpg") for item in self.form or ()),
            status=self.status,
            expect="" if expects_json else self.answer or "",
            expect_json=self.answer or "" if expects_json else "",
        )
        return with_body(request, Path(), may_leave=True)

    def _require_nothing_of_a_request(self) -> None:
        given = {
            "data": self.data,
            "form": self.form,
            "header": self.header,
            "answer": self.answer,
            "status": self.status,
        }
        for name, value in given.items():
            if value:
                raise UsageError(
                    f"--{name} is about a request, and --predict names none", hint=f"--predict /predict --{name} …"
                )


def _method_and_path(text: str) -> tuple[str, str]:
    method, _, path = text.strip().rpartition(" ")
    if not path.startswith("/") or (method and method.strip().upper() not in _METHODS):
        raise UsageError(f"--predict {text!r} is not a path", hint='for example: --predict /predict, or "PUT /model"')
    return method.strip().upper(), path


def _pair(item: str, separator: str, option: str, example: str) -> tuple[str, str]:
    name, found, value = item.partition(separator)
    if not name.strip() or not found or "\n" in item or "\r" in item:
        raise UsageError(f"{option} {item!r} is not NAME{separator}VALUE", hint=f"for example: {option} '{example}'")
    return name.strip(), value.strip() if separator == ":" else value


def _is_document(text: str) -> bool:
    """Whether it is a table or list of JSON: everything else is a regular expression."""
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False
