"""What `COPY --from` takes over from another stage: files of the project, and what was installed there. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace

from shipml.facts.dockerfile import Copied, FollowedDockerfile

__all__ = ["is_tool", "taken_over", "together", "without_tools"]

_UV_IMAGE = re.compile(r"(?:ghcr\.io/astral-sh|docker\.io/astral|astral)/uv(?:[:@].*)?")
_SYSTEM = re.compile(r"/(?:usr/)?(?:bin|sbin|lib|lib64|share|include)(?:/|$)|/etc(?:/|$)")
"""Where packages of Debian put their files."""
_TOOLS = frozenset({"poetry", "pipenv", "pdm", "virtualenv", "pipx", "uv", "poetry-plugin-export"})


def is_tool(image: str, sources: Sequence[str]) -> bool:
    """Whether only uv is taken from its own image: it served to install."""
    return _UV_IMAGE.fullmatch(image) is not None and all(re.fullmatch(r"/uvx?", one) for one in sources)


def taken_over(stage: FollowedDockerfile, source: str, target: str) -> FollowedDockerfile | None:
    """What a stage holds at `source`, as copied to `target`.

    Args:
        stage: where it is copied from; each of its instructions is understood.
        source: a path in it.
        target: absolute; ends with "/" where it is a folder.

    Returns:
        A Dockerfile that has nothing else; None where the stage does not have it.
    """
    path = posixpath.normpath(posixpath.join("/", source)) if source else "/"
    copies = tuple(one for copied in stage.copies for one in _moved(copied, path, target))
    has_packages = _holds_packages(stage, path)
    if not copies and (not has_packages or _SYSTEM.match(path)):
        return None
    found = FollowedDockerfile("", copies=copies, skipped=stage.skipped)
    if not has_packages:
        return found
    return replace(
        found,
        requirement_files=stage.requirement_files,
        constraint_files=stage.constraint_files,
        requirements=stage.requirements,
        index_options=stage.index_options,
        project_files=stage.project_files,
        extras=stage.extras,
        groups=stage.groups,
        conda_packages=stage.conda_packages,
        installs_itself=stage.installs_itself,
        environments=(*stage.environments, *((target.rstrip("/"),) if path in stage.environments else ())),
    )


def _moved(copied: Copied, path: str, target: str) -> list[Copied]:
    """A COPY of the stage, as far as it lies at `path`."""
    there = copied.destination.rstrip("/")
    name = posixpath.basename(copied.source)
    if copied.destination.endswith("/") and re.search(r"\.\w+$", name) and "*" not in name:
        there = f"{there}/{name}"  # a file in a folder
    below = path.rstrip("/") + "/"
    if there == path:
        return [Copied(copied.source, target, copied.line)]
    if f"{there}/".startswith(below):
        ending = "/" if copied.destination.endswith("/") and there == copied.destination.rstrip("/") else ""
        return [Copied(copied.source, f"{target.rstrip('/')}/{there.removeprefix(below)}{ending}", copied.line)]
    if path.startswith(f"{there}/"):
        return [Copied(posixpath.join(copied.source, path.removeprefix(f"{there}/")), target, copied.line)]
    return []


def _holds_packages(stage: FollowedDockerfile, path: str) -> bool:
    """Whether what the stage installed may lie there: all that was not copied into it."""
    if not (stage.requirement_files or stage.requirements or stage.project_files or stage.conda_packages):
        return False
    if path == "/" or "python" in path or "site-packages" in path or path.startswith(("/usr/local", "/root/.local")):
        return True
    homes = (*stage.environments, f"{stage.working_dir.rstrip('/')}/.venv")
    if any(f"{home}/".startswith(f"{path.rstrip('/')}/") or path.startswith(f"{home}/") for home in homes):
        return True
    return not any(_moved(copied, path, "/x/") for copied in stage.copies)


def together(one: FollowedDockerfile, other: FollowedDockerfile) -> FollowedDockerfile:
    """A stage with what it takes over from another, each installation once."""
    return replace(
        one,
        copies=(*one.copies, *other.copies),
        requirement_files=tuple(dict.fromkeys((*one.requirement_files, *other.requirement_files))),
        constraint_files=tuple(dict.fromkeys((*one.constraint_files, *other.constraint_files))),
        requirements=tuple(dict.fromkeys((*one.requirements, *other.requirements))),
        index_options=tuple(dict.fromkeys((*one.index_options, *other.index_options))),
        project_files=tuple(dict.fromkeys((*one.project_files, *other.project_files))),
        extras=tuple(dict.fromkeys((*one.extras, *other.extras))),
        groups=tuple(dict.fromkeys((*one.groups, *other.groups))),
        conda_packages=tuple(dict.fromkeys((*one.conda_packages, *other.conda_packages))),
        installs_itself=one.installs_itself or other.installs_itself,
        environments=tuple(dict.fromkeys((*one.environments, *other.environments))),
        skipped=tuple(dict.fromkeys((*one.skipped, *other.skipped))),
    )


def without_tools(found: FollowedDockerfile) -> FollowedDockerfile:
    """Without poetry and its like among the packages, where they served to install the project."""
    if not found.project_files:
        return found
    kept = [one for one in found.requirements if re.split(r"[<>=!~\[ ]", one[0])[0].lower() not in _TOOLS]
    return replace(found, requirements=tuple(kept))
