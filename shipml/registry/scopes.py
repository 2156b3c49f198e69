"""What a request needs to be allowed, as the scopes of the distribution project's token specification name it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Access", "merge_scopes"]


@dataclass(frozen=True, slots=True)
class Access:
    """To one repository, and to those that it mounts from."""

    repository: str
    """Whose credentials are used; "" for none in particular."""
    scopes: tuple[str, ...] = ()
    """As `repository:NAME:pull,push`. The repository's own first: some services read only one."""

    @property
    def reads(self) -> bool:
        """Whether it is enough to be allowed to read."""
        return all(_split(scope)[1] <= {"pull"} for scope in self.scopes)

    @classmethod
    def pull(cls, repository: str) -> Access:
        """To read a repository."""
        return cls(repository, (f"repository:{repository}:pull",))

    @classmethod
    def push(cls, repository: str, mount_from: str = "") -> Access:
        """To write a repository and, with `mount_from`, to read that one."""
        sources = (f"repository:{mount_from}:pull",) if mount_from else ()
        return cls(repository, (f"repository:{repository}:pull,push", *sources))

    @classmethod
    def delete(cls, repository: str) -> Access:
        """To remove from a repository."""
        return cls(repository, (f"repository:{repository}:delete",))


def merge_scopes(demanded: Iterable[str], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """`wanted`, widened by what a registry demands; what is newly demanded stands first."""
    have = dict(map(_split, wanted))
    new: dict[str, set[str]] = {}
    for resource, actions in map(_split, demanded):
        if not actions <= have.get(resource, set()):
            new.setdefault(resource, set(have.get(resource, set()))).update(actions)
    widened = [f"{resource}:{','.join(sorted(actions))}" for resource, actions in new.items()]
    return (*widened, *(scope for scope in wanted if _split(scope)[0] not in new))


def _split(scope: str) -> tuple[str, set[str]]:
    resource, _, actions = scope.rpartition(":")
    return resource, set(actions.split(","))
