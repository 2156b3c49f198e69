"""Whose word sends a password somewhere: SHIPML_USERNAME and SHIPML_PASSWORD go where the user says, not a project.

Settings are part of a project, and whoever changes a project (a pull request) could name a registry of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from shipml.errors import NotAllowedError
from shipml.publish.kinds import host_of
from shipml.registry.keychain import REGISTRY_VARIABLE, DockerKeychain

__all__ = ["keychain_for", "variables_host"]

_VARIABLES = ("SHIPML_USERNAME", "SHIPML_PASSWORD")
_ANSWERS = ("send them", "stop")


def variables_host(environment: Mapping[str, str] = os.environ) -> str:
    """The host that SHIPML_REGISTRY names; "" for none.

    Raises:
        UsageError: it does not name a host.
    """
    value = environment.get(REGISTRY_VARIABLE, "").strip()
    return host_of(value) if value else ""


def keychain_for(
    host: str,
    *,
    is_typed: bool,
    ask: Callable[[str, Sequence[str]], int] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> DockerKeychain:
    """What docker's files know, and the two variables if they are for `host`.

    They are for the host that SHIPML_REGISTRY names; without that variable for the host that was typed. A host that
    only the settings of a project name gets them when a person at a terminal agrees.

    Args:
        host: where images go.
        is_typed: whether the command line names it.
        ask: asks a person which of several answers is right; None where nobody can be asked.
        environment: where variables are looked up.

    Raises:
        NotAllowedError: nobody said that `host` may have them.
    """
    bound = variables_host(environment)
    if not bound and not is_typed and all(map(environment.get, _VARIABLES)):
        question = f"only the project's settings name {host}: may it get SHIPML_USERNAME and SHIPML_PASSWORD?"
        if ask is None or ask(question, _ANSWERS) != 0:
            raise NotAllowedError(
                f"SHIPML_USERNAME and SHIPML_PASSWORD are not sent to {host}, which only the project's settings name",
                hint=f"if they are meant for it: export {REGISTRY_VARIABLE}={host}",
            )
    return DockerKeychain(environment_for=bound or host)
