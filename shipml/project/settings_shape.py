"""Which settings there are, and what each may hold: one table for the loader, the JSON schema and the reference.

A `Shape` says what is wanted in words, in JSON schema (draft 2020-12) and as a test; the three must agree, which
tests/project/test_settings_schema.py checks.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias, TypeGuard

__all__ = ["ORGANISATION", "SETTINGS", "Key", "Shape", "Table", "settings_schema"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What one key may hold."""

    wanted: str
    """In words: "a string" in "wanted: a string"."""
    schema: Mapping[str, Any]
    accepts: Callable[[Any], bool]
    description: str = ""
    may_hold_nul: bool = False
    """Whether texts in it may have NUL characters: JSON."""

    def described(self, description: str) -> Shape:
        """The same shape with what the key is for."""
        return replace(self, description=description)


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its keys, or one shape for all of them where `keys` is empty."""

    keys: Mapping[str, Key]
    description: str = ""
    every: Key | None = None
    """The shape of every value, for tables whose keys the user chooses."""
    name_pattern: str = ""
    """Which keys the user may choose; "" for any."""
    name_wanted: str = ""
    required: tuple[str, ...] = ()
    """Keys that must be there."""
    may_repeat: bool = False
    """Whether a list of such tables may stand in its place."""


Key: TypeAlias = Shape | Table


_NO_NUL: Mapping[str, Any] = {"not": {"pattern": "\\u0000"}}


def _text(wanted: str = "a string", pattern: str = "") -> Shape:
    schema = {"type": "string", **({"pattern": pattern} if pattern else {}), **_NO_NUL}
    return Shape(wanted, schema, lambda value: isinstance(value, str) and re.search(pattern, value) is not None)


def _list_of(item: Shape, wanted: str, least: int = 0) -> Shape:
    schema: dict[str, Any] = {"type": "array", "items": dict(item.schema)}
    if least:
        schema["minItems"] = least
    return Shape(
        wanted,
        schema,
        lambda value: isinstance(value, list) and len(value) >= least and all(item.accepts(one) for one in value),
    )


def _either(first: Shape, second: Shape) -> Shape:
    return Shape(
        f"{first.wanted} or {second.wanted}",
        {"anyOf": [dict(first.schema), dict(second.schema)]},
        lambda value: first.accepts(value) or second.accepts(value),
    )


def _one_of(*choices: str) -> Shape:
    wanted = " or ".join(f'"{choice}"' for choice in choices)
    return Shape(wanted, {"enum": list(choices)}, lambda value: isinstance(value, str) and value in choices)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_port(value: object) -> bool:
    return _is_number(value) and value == int(value) and 1 <= value <= 65535  # noqa: PLR2004


def _is_regex(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        re.compile(value)
    except re.error:
        return False
    return True


_STRING = _text()
_FILLED = _text("non-empty text", r"\S")
_BOOLEAN = Shape("true or false", {"type": "boolean"}, lambda value: isinstance(value, bool))
_NUMBER = Shape("a number", {"type": "number"}, _is_number)
_PORT = Shape("a whole number from 1 to 65535", {"type": "integer", "minimum": 1, "maximum": 65535}, _is_port)
_SECONDS = Shape(
    "a number of seconds above 0",
    {"type": "number", "exclusiveMinimum": 0},
    lambda value: _is_number(value) and value > 0,
)
_WHOLE = Shape("a whole number", {"type": "integer"}, lambda value: _is_number(value) and value == int(value))
_ID = Shape(
    "a whole number from 0 to 4294967294",
    {"type": "integer", "minimum": 0, "maximum": 4294967294},
    lambda value: _is_number(value) and value == int(value) and 0 <= value <= 4294967294,  # noqa: PLR2004
)
_REGEX = Shape("a regular expression", {"type": "string", "format": "regex", **_NO_NUL}, _is_regex)
_PATTERNS = _list_of(_FILLED, "a list of patterns such as those of .dockerignore")
_COMMAND = _either(_FILLED, _list_of(_STRING, "a list of strings, the program first", least=1))

_END = r"$(?!\n)"
"""The end of the string: Python's `$` alone would let a last newline pass, and JSON schema knows no `\\Z`."""
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = _text(
    "a repository name: lower-case letters, digits, and . _ - / between them",
    rf"^{_PATH_PART}(?:/{_PATH_PART})*" + _END,
)

_JSON_VALUE = Shape("a JSON value", {}, lambda value: not isinstance(value, (dt.date, dt.time)), may_hold_nul=True)
_HTTP_PATH = _text('a path that starts with "/"', "^/")
_REQUEST = Table(
    {
        "path": _HTTP_PATH.described("Path that is asked."),
        "method": _text("a method such as POST", "^[A-Z]{1,20}" + _END).described(
            "POST where there is a body, else GET."
        ),
        "headers": Table({}, "Headers; ${NAME} in a value is a variable of whoever runs the test.", every=_STRING),
        "json": _JSON_VALUE.described("Body, as JSON."),
        "file": _FILLED.described("File of the project that is the body."),
        "form": Table({}, 'Fields of a form that is the body; "@FILE" is a file of the project.', every=_STRING),
        "status": Shape(
            "a whole number from 100 to 599",
            {"type": "integer", "minimum": 100, "maximum": 599},
            lambda value: _is_number(value) and value == int(value) and 100 <= value <= 599,  # noqa: PLR2004
        ).described("Status that the answer must have (2xx unless said)."),
        "expect": Shape(
            "a regular expression, or a table or list of JSON",
            {"anyOf": [dict(_REGEX.schema), {"type": ["array", "object"]}]},
            lambda value: isinstance(value, (dict, list)) or (_REGEX.accepts(value) and "\0" not in value),
            may_hold_nul=True,
        ).described("What the answer must contain: a regular expression, or the part of its JSON that must be there."),
    },
    "A request that the server must answer; several are a list: [[smoke.request]].",
    required=("path",),
    may_repeat=True,
)
_SMOKE = Table(
    {
        "expect": _REGEX.described("Regular expression that the output must contain."),
        "minimum": Table({}, "Measures that the output must show, and the least each must reach.", every=_NUMBER),
        "http": _text('a path that starts with "/"', "^/").described("Path that must answer 2xx or 3xx."),
        "port": _PORT.described("Where it answers."),
        "timeout": _SECONDS.described("Time limit in seconds (600 unless said)."),
        "alive": _BOOLEAN.described("Whether still running at the time limit passes."),
        "command": _COMMAND.described("Run this instead of the image's own command."),
        "network": _BOOLEAN.described("Whether the program may reach the network while it is tested."),
        "env": _list_of(
            _text("the name of a variable", r"^[A-Za-z_][A-Za-z0-9_]*" + _END), "a list of names of variables"
        ).described("Variables that the program gets from the environment of `shipml run`, `push` and `ship`."),
        "request": _REQUEST,
        "visit": _BOOLEAN.described(
            "Whether Streamlit, Gradio and Dash apps are visited once as a browser does (yes)."
        ),
        "skip": _FILLED.described("The reason why this image is not to be run."),
    },
    "What `shipml run` demands of the image.",
)
_REGISTRY = Table(
    {
        "kind": _one_of("hub", "acr", "generic").described("Which registry it is."),
        "host": _FILLED.described("Host name, with the port where it is not 443."),
        "name": _FILLED.described("Name of the Azure registry, or of the user or organisation on Docker Hub."),
        "repository": _NAME.described("Repository to push to."),
        "username": _FILLED.described("Who logs in."),
        "immutable": _BOOLEAN.described("Whether tags there must not move."),
    },
    "A registry to push to.",
)
_ENVIRONMENT = Table(
    {
        "registry": _FILLED.described("Name of a [registries.NAME] table, or a host."),
        "name": _FILLED.described("Name of the Azure registry, or of the user or organisation on Docker Hub."),
        "repository": _NAME.described("Repository of this environment."),
        "immutable": _BOOLEAN.described("Whether tags there must not move."),
        "tag": _text("a tag", r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}" + _END).described("Tag of this environment."),
    },
    "Where images of this environment live.",
)
_STRICT = _BOOLEAN.described("Whether what would be corrected is refused, as with --strict.")
_REGISTRIES = Table({}, "Registries by a name of your own.", every=_REGISTRY)
_ENVIRONMENTS = Table({}, "Where images go, by environment: dev, int, prod or any other name.", every=_ENVIRONMENT)

_CACHE = Table(
    {
        "max-size": _text('a size such as "20 GB"', r"^[0-9]+(?:\.[0-9]+)? ?[kKmMgGtT]?[bB]?" + _END).described(
            "After a build, the least recently used downloads go until the store is this small."
        )
    },
    "shipml's store on this machine.",
)

_CHOSEN = _list_of(_text("a name", r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?" + _END), "a list of names")
ORGANISATION = Table(
    MappingProxyType(
        {
            "strict": _STRICT,
            "allowed-bases": _list_of(
                _FILLED, 'a list of patterns such as ["debian:*", "registry.example.org/base/*"]', least=1
            ).described("The only bases that images may be built on; no project changes that."),
            "cache": _CACHE,
            "registries": _REGISTRIES,
            "environments": _ENVIRONMENTS,
        }
    ),
    "Defaults of an organisation: /etc/shipml.toml, or the file that SHIPML_CONFIG names.",
)

SETTINGS = Table(
    MappingProxyType(
        {
            "name": _NAME.described("Name of the image's repository."),
            "python": _text('a version in quotes, such as "3.11"', r"^3\.[0-9]{1,2}(?:\.[0-9]{1,3})?" + _END).described(
                "Python version of the image."
            ),
            "base": _FILLED.described("What the image is built on, such as debian:bookworm or python:3.12-slim."),
            "command": _COMMAND.described("What the image runs."),
            "accelerator": _one_of("cpu", "cuda").described("Which builds of GPU libraries are wanted."),
            "platforms": _list_of(
                _one_of("linux/amd64", "linux/arm64"), 'a list of "linux/amd64" and "linux/arm64"', least=1
            ).described("Platforms to build for."),
            "system-packages": _list_of(
                _text("a package name", r"^[a-z0-9][a-z0-9+.-]+" + _END), "a list of Debian package names"
            ).described("Debian packages that the program needs."),
            "extras": _CHOSEN.described("Extras of pyproject.toml that the image gets."),
            "groups": _CHOSEN.described("Dependency groups of pyproject.toml that the image gets."),
            "include": _PATTERNS.described("Files to send although a rule leaves them out."),
            "exclude": _PATTERNS.described("Files not to send."),
            "env": Table(
                {},
                "Environment variables of the image.",
                every=_either(_STRING, _WHOLE),
                name_pattern=r"^[A-Za-z_][A-Za-z0-9_]*" + _END,
                name_wanted="letters, digits and _",
            ),
            "user": _either(
                _text(
                    "a user name or UID[:GID]", r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?" + _END
                ),
                _ID,
            ).described("User that the image runs as (65532 unless said)."),
            "smoke": _SMOKE,
            "secrets": Table(
                {
                    "allow": _list_of(
                        _text("FILE:LINE or sha256:…", r"."), 'a list such as ["config.yaml:3", "sha256:…"]'
                    ).described(
                        "What looks like a secret and may be in the image: FILE:LINE, or the hash of the secret."
                    )
                },
                "Secrets in the image's files.",
            ),
            "strict": _STRICT,
            "cache": _CACHE,
            "registries": _REGISTRIES,
            "environments": _ENVIRONMENTS,
        }
    ),
    "Settings of shipml: [tool.shipml] in pyproject.toml, or shipml.toml.",
)


def settings_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of shipml.toml, the same as of [tool.shipml]."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "shipml.toml",
        **_schema(SETTINGS),
    }


def _schema(key: Key) -> dict[str, Any]:
    described = {"description": key.description} if key.description else {}
    if isinstance(key, Shape):
        return {**described, **key.schema}
    schema: dict[str, Any] = {"type": "object", **described}
    if key.keys:
        schema["properties"] = {name: _schema(inner) for name, inner in key.keys.items()}
        schema["additionalProperties"] = False
    if key.every is not None:
        schema["additionalProperties"] = _schema(key.every)
    if key.name_pattern:
        schema["propertyNames"] = {"pattern": key.name_pattern}
    if key.required:
        schema["required"] = list(key.required)
    if not key.may_repeat:
        return schema
    one = {name: value for name, value in schema.items() if name != "description"}
    return {**described, "anyOf": [one, {"type": "array", "items": one}]}
