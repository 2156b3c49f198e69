"""Keeps uv from building on this machine, whatever the project says: a build runs the package's own code.

`--only-binary :all:` alone is not enough: uv takes `no-binary` of a package, in its settings or among the
requirements, for an exception to it. Paths and repositories are built to learn their name and version.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from shipml.errors import ConfigurationError
from shipml.folders import is_folder, is_there
from shipml.formats import load_toml
from shipml.reading import read_regular

__all__ = ["is_from_index", "refuse_building", "without_building"]

_KEYS = ("no-binary", "no-binary-package")
_OPTION = re.compile(r"\s*--(?:no|only)-binary(?:[\s=]|$)")
_EDITABLE = re.compile(r"^\s*(?:-e|--editable)[\s=]+")
_OWN = ("UV_NO_CONFIG", "UV_CONFIG_FILE")


def without_building(text: str) -> str:
    """Requirements without --no-binary, --only-binary and -e: uv builds what is editable even where it may not build.

    shipml says itself what may be built, and where.
    """
    lines = re.sub(r"\\\r?\n", " ", text).splitlines(keepends=True)
    return "".join(_EDITABLE.sub("", line) for line in lines if not _OPTION.match(line))


def is_from_index(line: str) -> bool:
    """Whether a requirement names nothing but a package: not a path, an address, or an option."""
    try:
        return Requirement(re.split(r"\s--|\s#", line, maxsplit=1)[0]).url is None
    except InvalidRequirement:
        return False


def refuse_building(folder: Path, environment: Mapping[str, str]) -> None:
    """Raise ConfigurationError where the settings of uv that lie in `folder` or above have it build packages.

    The user's own settings (~/.config/uv, UV_NO_BINARY_PACKAGE) are the user's own choice. What is not a file of a
    sensible size, such as a named pipe, is refused as well: uv would wait for it.
    """
    if any(environment.get(name) for name in _OWN):
        return
    top = folder.absolute()
    for place in (top, *top.parents):
        for name in ("uv.toml", "pyproject.toml"):
            settings = _settings(place / name)
            if keys := sorted(_building(settings)):
                raise ConfigurationError(
                    f"{place / name} has uv build packages from source ({', '.join(keys)}), which would run their code",
                    hint=f"remove it from {name}: shipml builds what has no wheel in its sandbox",
                )


def _settings(path: Path) -> Mapping[str, Any]:
    """The settings in one file; none where it cannot be read: uv says why."""
    data = read_regular(path)
    if data is None and is_there(path) and not is_folder(path) and os.access(path, os.R_OK):
        raise ConfigurationError(f"{path} is not a file of settings", hint=f"remove it: {path.name} is what uv reads")
    try:
        document = load_toml((data or b"").decode("utf-8-sig"))
    except ValueError:
        return {}
    for key in ("tool", "uv") if path.name == "pyproject.toml" else ():
        document = document.get(key, {})
        if not isinstance(document, dict):
            return {}
    return document


def _building(settings: Mapping[str, Any]) -> Iterable[str]:
    pip = settings.get("pip")
    for prefix, table in (("", settings), ("pip.", pip if isinstance(pip, dict) else {})):
        yield from (prefix + key for key in _KEYS if table.get(key))
