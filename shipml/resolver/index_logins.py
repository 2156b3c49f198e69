"""Who one is to the package indexes: read where uv reads it, so that our own downloads know what uv knows.

Sources, by uv's documentation (docs.astral.sh/uv/concepts/authentication): URLs with credentials, in settings,
variables and requirements; UV_INDEX_NAME_USERNAME and _PASSWORD for an index that has a name; the keyring program where
uv is told to ask it. ~/.netrc is read by `http` itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shipml.facts.requirements import Requirements
from shipml.formats import load_toml
from shipml.http.logins import Keyring, Login, keyring_program
from shipml.reading import read_regular
from shipml.resolver.pip_settings import pip_indexes

__all__ = ["asked_keyring", "index_logins", "unset_variables", "without_known_logins"]

_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
_MIRROR = "SHIPML_PYTORCH_INDEX"
_NAMED = re.compile(r"(?:(?P<name>[\w.-]+)=)?(?P<url>https?://\S+)")
_URL = re.compile(r"https?://[^\s;,\"']+")
_LOGIN = re.compile(r"https?://(\S+)@")
_SET = re.compile(r"\$\{([A-Z0-9_]+)\}")


def index_logins(
    declared: Requirements | None, folder: Path, environment: Mapping[str, str] = os.environ
) -> list[Login]:
    """The logins that the project, uv's settings and the environment give; the project's first."""
    found = []
    lines = (*declared.options, *(one.line for one in declared.requirements)) if declared is not None else ()
    for line in lines:
        found += [("", url) for url in _URL.findall(_SET.sub(lambda match: environment.get(match[1], ""), line))]
    for name in (*_VARIABLES, _MIRROR):
        for word in re.split(r"[\s,]+", environment.get(name, "")):
            match = _NAMED.fullmatch(word)
            found += [(match["name"] or "", match["url"])] if match else []
    found += [("", url) for url in pip_indexes(environment).urls]
    for settings in _settings(folder, environment):
        found += _of_settings(settings)
    logins = [_login(name, url, environment) for name, url in found]
    return list(dict.fromkeys(one for one in logins if one.user))


def unset_variables(declared: Requirements, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The variables that options and addresses name (`${TOKEN}`) and that are not set."""
    lines = (*declared.options, *(one.line for one in declared.requirements if "://" in one.line))
    names = (name for line in lines for name in _SET.findall(line))
    return tuple(dict.fromkeys(name for name in names if name not in environment))


def without_known_logins(text: str, declared: Requirements | None, environment: Mapping[str, str] = os.environ) -> str:
    """`text` without the users and passwords of the URLs that the project and the environment name, however odd."""
    lines = [*declared.options, *(one.line for one in declared.requirements)] if declared is not None else []
    lines += [_SET.sub(lambda match: environment.get(match[1], ""), line) for line in lines]
    lines += [value for name, value in environment.items() if name.startswith(("UV_", "PIP_", "SHIPML_"))]
    lines += pip_indexes(environment).urls
    spans = {match[1] for line in lines for match in _LOGIN.finditer(line)}
    for span in sorted(spans, key=len, reverse=True):
        text = text.replace(f"{span}@", "")
    return text


def asked_keyring(environment: Mapping[str, str] = os.environ) -> Keyring | None:
    """The keyring program, where the user's own variable or settings of uv say to ask it; a project cannot."""
    said = environment.get("UV_KEYRING_PROVIDER", "")
    for settings in _settings(None, environment):
        pip = settings.get("pip")
        said = said or str(settings.get("keyring-provider") or "")
        said = said or str((pip if isinstance(pip, dict) else {}).get("keyring-provider") or "")
    return keyring_program if said == "subprocess" else None


def _login(name: str, url: str, environment: Mapping[str, str]) -> Login:
    variable = f"UV_INDEX_{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}"
    if not name:
        return Login(url)
    return Login(url, environment.get(f"{variable}_USERNAME", ""), environment.get(f"{variable}_PASSWORD", ""))


def _of_settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, URL) of the indexes in uv's settings (docs.astral.sh/uv/reference/settings)."""
    pip = settings.get("pip")
    for table in (settings, pip if isinstance(pip, dict) else {}):
        indexes = table.get("index")
        for one in indexes if isinstance(indexes, list) else ():
            if isinstance(one, dict) and isinstance(one.get("url"), str):
                yield str(one.get("name") or ""), one["url"]
        for key in ("index-url", "extra-index-url", "find-links"):
            value = table.get(key)
            urls = value if isinstance(value, list) else [value]
            yield from (("", url) for url in urls if isinstance(url, str))


def _settings(folder: Path | None, environment: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """The settings of uv, those of the project first; files that cannot be read say nothing, as uv will say why.

    None for `folder` leaves out the project and the folders above it.
    """
    if environment.get("UV_NO_CONFIG", "").lower() in ("1", "true", "yes"):
        return
    tops = (folder.absolute(), *folder.absolute().parents) if folder is not None else ()
    if named := environment.get("UV_CONFIG_FILE"):
        paths = [Path(named)]
    else:
        user = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config", "uv", "uv.toml")
        near = [parent / name for parent in tops for name in ("uv.toml", "pyproject.toml")]
        paths = [*near, user, Path("/etc/uv/uv.toml")]
    for path in paths:
        try:
            document = load_toml((read_regular(path) or b"").decode("utf-8-sig"))
        except ValueError:
            continue
        table = document.get("tool", {}) if path.name == "pyproject.toml" else {"uv": document}
        found = table.get("uv") if isinstance(table, dict) else None
        if isinstance(found, dict):
            yield found
