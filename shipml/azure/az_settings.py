"""What the az CLI keeps in its folder that others may read: the cloud in use, subscriptions.

Formats: `config` is an INI file, `azureProfile.json` is JSON with a byte order mark (azure-cli,
core/cloud.py and core/_profile.py). Tokens are not read here: az itself is asked for those.
"""

from __future__ import annotations

import configparser
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipml.errors import ConfigurationError

__all__ = ["AzSettings", "Subscription"]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription that az knows of."""

    id: str
    name: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class AzSettings:
    """The az CLI's folder; nothing in it need be there."""

    folder: Path

    @classmethod
    def found(cls, environment: Mapping[str, str], home: Path) -> AzSettings:
        """Where az looks: AZURE_CONFIG_DIR, else ~/.azure."""
        named = environment.get("AZURE_CONFIG_DIR")
        return cls(Path(named) if named else home / ".azure")

    def cloud_name(self) -> str:
        """The cloud in use (`az cloud set`), "" where az never chose one."""
        return self._ini("config").get("cloud", "name", fallback="")

    def subscription(self) -> Subscription | None:
        """The one in use (`az account set`).

        Raises:
            ConfigurationError: the file is broken.
        """
        for one in self._profile():
            if one.get("isDefault"):
                return Subscription(
                    str(one.get("id") or ""), str(one.get("name") or ""), str(one.get("tenantId") or "")
                )
        return None

    def _profile(self) -> list[dict[str, Any]]:
        path = self.folder / "azureProfile.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8-sig"))
            found = document["subscriptions"]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _broken(path) from error
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def _ini(self, name: str) -> configparser.ConfigParser:
        path = self.folder / name
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8-sig")
        except (OSError, configparser.Error, UnicodeDecodeError) as error:
            raise _broken(path) from error
        return parser


def _broken(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path}, which az wrote, cannot be read", hint="repair it, or log in again: az login")
