"""The shape of an image's config (image-spec 1.1, config.md): what every reader of one may rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from shipml.errors import UntrustedInputError

__all__ = ["parse_config"]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_labels(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value)) and all(map(_is_text, value.values()))


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


_Check = Callable[[object], bool]
_DOCUMENT: Mapping[str, tuple[_Check, str]] = {
    "architecture": (_is_text, "a string"),
    "os": (_is_text, "a string"),
    "created": (_is_text, "a string"),
    "config": (_is_table, "an object"),
    "rootfs": (_is_table, "an object"),
    "history": (lambda value: isinstance(value, list) and all(map(_is_table, value)), "a list of objects"),
}
_SETTINGS: Mapping[str, tuple[_Check, str]] = {
    "Env": (_is_texts, "a list of strings"),
    "Entrypoint": (_is_texts, "a list of strings"),
    "Cmd": (_is_texts, "a list of strings"),
    "Labels": (_is_labels, "an object of strings"),
    "ExposedPorts": (_is_table, "an object"),
    "Volumes": (_is_table, "an object"),
    "User": (_is_text, "a string"),
    "WorkingDir": (_is_text, "a string"),
    "StopSignal": (_is_text, "a string"),
}


def parse_config(data: bytes) -> dict[str, Any]:
    """The config document; fields that are null or missing are as the author left them.

    Raises:
        UntrustedInputError: it is not JSON, or a field has another shape, or text that no program can be given (NUL).
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UntrustedInputError("the image's config is not JSON") from error
    if not isinstance(document, dict):
        raise UntrustedInputError("the image's config is not a JSON object")
    _check(document, _DOCUMENT, "")
    _check(document.get("config") or {}, _SETTINGS, "config.")
    return document


def _check(table: Mapping[str, Any], shapes: Mapping[str, tuple[_Check, str]], where: str) -> None:
    for name, (accepts, wanted) in shapes.items():
        value = table.get(name)
        if value is not None and not accepts(value):
            raise UntrustedInputError(
                f"the image's config has {where}{name} = {value!r:.60}; wanted: {wanted}, without NUL",
                hint="have its author make it again, or choose another image",
            )
