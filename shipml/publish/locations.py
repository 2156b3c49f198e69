"""The registries and environments that a project's settings name, and the words `hub`, `acr` and hosts → one place."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shipml.errors import ConfigurationError, UsageError
from shipml.facts.project import Settings
from shipml.oci.reference import DOCKER_HUB, Reference
from shipml.publish.kinds import host_of

__all__ = ["Location", "acr_hosts", "check_reserved", "environment", "locate", "only_registry"]

_RESERVED = ("hub", "acr")
_TRUE = "True"
"""As settings keep `true` in a table of texts."""


@dataclass(frozen=True, slots=True)
class Location:
    """A registry, and what is known of where in it images go; "" for what is not."""

    registry: str
    """Its host, `docker.io` for Docker Hub."""
    namespace: str = ""
    """The user or organisation on Docker Hub."""
    repository: str = ""
    tag: str = ""
    username: str = ""
    """Who logs in there."""
    is_typed: bool = False
    """Whether the command line names the registry itself, not the settings of a project."""
    immutable: bool = False
    """Whether tags there must not move."""

    def reference(self, repository: str = "", tag: str = "") -> Reference:
        """An image there: this location's own repository and tag, else those given.

        Raises:
            UsageError: no repository is known, or none can be named so.
        """
        repository = self.repository or repository
        if not repository:
            raise UsageError(
                f"it is not said which repository of {self.registry} is meant", hint="add --repository NAME"
            )
        if self.registry == DOCKER_HUB and "/" not in repository and self.namespace:
            repository = f"{self.namespace}/{repository}"
        return Reference.parse(f"{self.registry}/{repository}:{self.tag or tag or 'latest'}")


def locate(word: str, settings: Settings, name: str = "") -> Location:
    """What `--registry` means: a [registries.NAME] of the settings, one of their environments, hub, acr, or a host.

    Args:
        word: as it was typed.
        settings: the project's.
        name: what `--name` says: of an Azure registry, or the user or organisation on Docker Hub.

    Raises:
        UsageError: it means nothing.
        ConfigurationError: the settings contradict themselves.
    """
    check_reserved(settings)
    if table := dict(settings.registries).get(word):
        return _of_table(word, dict(table), settings, name)
    if word in dict(settings.environments):
        return environment(word, settings, name)
    registry = host_of(word, name)
    return Location(registry, namespace=name if registry == DOCKER_HUB else "", is_typed=True)


def check_reserved(settings: Settings) -> None:
    """Make sure that `hub` and `acr` mean what they mean everywhere: a project must not redirect them.

    Raises:
        ConfigurationError: a table of that name says which registry it is.
    """
    for word in _RESERVED:
        table = dict(dict(settings.registries).get(word, ()))
        if "host" in table or table.get("kind", word) != word or word in dict(settings.environments):
            raise ConfigurationError(
                f"{settings.source}: {word} is a reserved name, which the settings must not give another registry",
                hint=f"name the table otherwise, such as [registries.team], and push with: --registry team;"
                f" [registries.{word}] may have name, repository and username",
            )


def environment(word: str, settings: Settings, name: str = "") -> Location:
    """Where the images of an environment live.

    Raises:
        UsageError: the settings do not say.
        ConfigurationError: they contradict themselves.
    """
    table = dict(dict(settings.environments).get(word, ()))
    if not table:
        raise UsageError(
            f"[environments.{word}] is not configured",
            hint=f'write it into {settings.source or "shipml.toml"}: environments.{word} = {{ registry = "HOST",'
            f' repository = "NAME" }}; or name both: shipml promote HOST/INT-NAME:TAG --to HOST/PROD-NAME:TAG',
        )
    name = name or table.get("name", "")
    registry = table.get("registry", "")
    if registry and registry in dict(settings.environments) and registry not in dict(settings.registries):
        raise ConfigurationError(
            f"{settings.source}: environments.{word}.registry names {registry!r}, which is an environment",
            hint="name a [registries.NAME] table, hub, or a host",
        )
    found = locate(registry, settings, name) if registry else only_registry(settings, name)
    immutable = table.get("immutable") == _TRUE
    if found is None:
        raise ConfigurationError(
            f"{settings.source}: environments.{word} names no registry", hint='add: registry = "HOST"'
        )
    return replace(
        found,
        repository=table.get("repository") or found.repository,
        tag=table.get("tag") or found.tag,
        is_typed=False,
        immutable=found.immutable or immutable,
    )


def only_registry(settings: Settings, name: str = "") -> Location | None:
    """The registry of the settings where there is one only."""
    tables = dict(settings.registries)
    found = locate(next(iter(tables)), settings, name) if len(tables) == 1 else None
    return replace(found, is_typed=False) if found else None


def acr_hosts(settings: Settings, variables_host: str) -> tuple[str, ...]:
    """Hosts that the settings say are of Azure's registries, although nothing in their names does.

    Tokens of Azure go there only when SHIPML_REGISTRY (`variables_host`) names the host, too: settings are a project's.
    """
    tables = [dict(table) for _, table in settings.registries]
    named = tuple(table["host"] for table in tables if table.get("kind") == "acr" and table.get("host"))
    return tuple(host for host in named if host.lower() == variables_host)


def _of_table(word: str, table: dict[str, str], settings: Settings, name: str) -> Location:
    kind, host = table.get("kind", word if word in _RESERVED else ""), table.get("host", "")
    is_typed = word == "hub" or (word == "acr" and bool(name or not table.get("name")))
    name = name or table.get("name", "")
    if not host and kind not in {"hub", "acr"}:
        raise ConfigurationError(
            f"{settings.source}: registries.{word} names no registry", hint='add: host = "HOST", or: kind = "hub"'
        )
    registry = host_of(host or kind, name)
    return Location(
        registry,
        namespace=name if registry == DOCKER_HUB else "",
        repository=table.get("repository", ""),
        username=table.get("username", ""),
        is_typed=is_typed,
        immutable=table.get("immutable") == _TRUE,
    )
