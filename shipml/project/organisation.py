"""What an organisation sets for all projects of a machine: /etc/shipml.toml, or the file that SHIPML_CONFIG names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError
from shipml.facts.project import Settings
from shipml.project.settings_check import check_settings
from shipml.project.settings_shape import ORGANISATION
from shipml.project.text import parse_toml
from shipml.text import parse_size

__all__ = ["USUAL_FILE", "VARIABLE", "organisation_defaults", "with_defaults"]

VARIABLE = "SHIPML_CONFIG"
USUAL_FILE = Path("/etc/shipml.toml")

_Tables = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


def organisation_defaults(environment: Mapping[str, str] = os.environ, usual_file: Path = USUAL_FILE) -> Settings:
    """The defaults of this machine; empty ones where there is no such file, or SHIPML_CONFIG is "".

    Raises:
        ConfigurationError: the file cannot be read, or holds what cannot be meant; names all of it.
    """
    named = environment.get(VARIABLE)
    if named == "" or (named is None and not usual_file.is_file()):
        return Settings()
    path = Path(named) if named else usual_file
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"cannot read the defaults of the organisation, {path}: {reason}", hint=f"correct or unset {VARIABLE}"
        ) from error
    source = str(path)
    document = parse_toml(source, text)
    check_settings(document, ORGANISATION, source, text)
    return Settings(
        registries=tables(document.get("registries", {})),
        environments=tables(document.get("environments", {})),
        source=source,
        strict_by=source if document.get("strict") else "",
        allowed_bases=tuple(document.get("allowed-bases", ())),
        allowed_by=source if "allowed-bases" in document else "",
        max_store_bytes=parse_size(document.get("cache", {}).get("max-size", "")),
    )


def with_defaults(own: Settings, defaults: Settings) -> Settings:
    """The settings of a project over those of the organisation, table by table and key by key.

    What the organisation forbids (`strict`, `allowed-bases`) stays forbidden, whatever a project says.
    """
    return replace(
        own,
        registries=_merged(own.registries, defaults.registries),
        environments=_merged(own.environments, defaults.environments),
        source=own.source or defaults.source,
        strict_by=defaults.strict_by or own.strict_by,
        allowed_bases=defaults.allowed_bases,
        allowed_by=defaults.allowed_by,
        max_store_bytes=own.max_store_bytes or defaults.max_store_bytes,
    )


def tables(found: Mapping[str, Mapping[str, Any]]) -> _Tables:
    """Tables of tables as values, sorted."""
    return tuple(
        sorted(
            (name, tuple(sorted((key, str(value)) for key, value in table.items()))) for name, table in found.items()
        )
    )


def _merged(own: _Tables, defaults: _Tables) -> _Tables:
    below = dict(defaults)
    merged = {name: {**dict(below.get(name, ())), **dict(values)} for name, values in own}
    return tables({name: dict(values) for name, values in defaults} | merged)
