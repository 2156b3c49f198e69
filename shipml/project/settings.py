"""Settings: `[tool.shipml]` of pyproject.toml, or shipml.toml with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from shipml.errors import ConfigurationError
from shipml.facts.plan import SmokeCheck
from shipml.facts.project import Settings
from shipml.project.organisation import organisation_defaults, tables, with_defaults
from shipml.project.settings_check import check_settings
from shipml.project.settings_shape import SETTINGS
from shipml.project.smoke_requests import stated_requests, variables_in
from shipml.text import parse_size

__all__ = ["load_settings", "read_settings"]

_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


def read_settings(
    pyproject: Mapping[str, Any] | None, shipml: Mapping[str, Any] | None, texts: Mapping[str, str] = _NO_TEXTS
) -> Settings:
    """The settings of a project with these documents (None: there is no such file), over the organisation's.

    `texts` has what the files hold, by name, for the lines of what is wrong in them.

    Raises:
        ConfigurationError: both files have settings, or what they hold cannot be meant.
    """
    tool = (pyproject or {}).get("tool", {})
    table = tool.get("shipml") if isinstance(tool, Mapping) else None
    if table is not None and shipml is not None:
        raise ConfigurationError(
            "there are settings in shipml.toml and in [tool.shipml] of pyproject.toml",
            hint="keep them in one of the two",
        )
    source, document = ("pyproject.toml", table) if table is not None else ("shipml.toml", shipml)
    own = Settings() if document is None else load_settings(document, source, texts.get(source, ""))
    return with_defaults(own, organisation_defaults())


def load_settings(
    document: Any,  # noqa: ANN401 - whatever the file holds
    source: str,
    text: str = "",
) -> Settings:
    """The settings in a document that was read from the file `source`, which holds `text`.

    Raises:
        ConfigurationError: unknown keys (names the nearest known ones), or values of another shape; all of them.
    """
    check_settings(document, SETTINGS, source, text)
    get = document.get
    command = get("command")
    return Settings(
        name=get("name"),
        python=get("python"),
        base=get("base"),
        command=tuple(command) if isinstance(command, list) else (),
        command_line=command if isinstance(command, str) else None,
        accelerator=get("accelerator"),
        platforms=tuple(get("platforms", ())),
        system_packages=tuple(get("system-packages", ())),
        extras=tuple(get("extras", ())),
        groups=tuple(get("groups", ())),
        include=tuple(get("include", ())),
        exclude=tuple(get("exclude", ())),
        environment=tuple(sorted((name, _as_text(value)) for name, value in get("env", {}).items())),
        user=_as_text(get("user")) if "user" in document else None,
        smoke=_smoke(get("smoke", {})),
        allowed_secrets=tuple(get("secrets", {}).get("allow", ())),
        max_store_bytes=parse_size(get("cache", {}).get("max-size", "")),
        registries=tables(get("registries", {})),
        environments=tables(get("environments", {})),
        source=source,
        strict_by=source if get("strict") else "",
    )


def _smoke(table: Mapping[str, Any]) -> SmokeCheck:
    command, requests = table.get("command", ()), stated_requests(table.get("request", ()))
    return SmokeCheck(
        expect=table.get("expect", ""),
        minimum=tuple(sorted((name, float(value)) for name, value in table.get("minimum", {}).items())),
        http=table.get("http", ""),
        port=int(table["port"]) if "port" in table else None,
        timeout_seconds=float(table.get("timeout", SmokeCheck().timeout_seconds)),
        alive=table.get("alive", False),
        command=tuple(command) if not isinstance(command, str) else _split(command),
        network=table.get("network", False),
        env=tuple(dict.fromkeys((*table.get("env", ()), *variables_in(requests)))),
        skip=table.get("skip", ""),
        requests=requests,
        visit=table.get("visit", True),
    )


def _split(command: str) -> tuple[str, ...]:
    import shlex

    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigurationError(
            f"smoke.command is {command!r}, which has an open quotation", hint="close it, or write a list of strings"
        ) from error


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)
