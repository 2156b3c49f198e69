"""The version that a project's build backend would compute: from literals, files, git's tags; no code is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from shipml.project.requirements.reader import Folder
from shipml.project.revision import describe_tag
from shipml.project.text import read_any_text

__all__ = ["UNKNOWN_VERSION", "Versions"]

UNKNOWN_VERSION = "0.0.0+unknown"
_LITERAL = re.compile(r"^(?:__version__|VERSION|version)\b[^=\n]*=\s*['\"]([^'\"]+)['\"]", re.MULTILINE)
_FROM_TAGS = re.compile(r"^(?:setuptools[-_]scm|hatch-vcs|versioningit|poetry-dynamic-versioning|versioneer)\b")


class Versions:
    """What a project's files say of its version."""

    def __init__(self, folder: Folder, sources: str, setup: Mapping[str, Any]) -> None:
        """`sources` is the folder of its packages, relative to it; `setup` what setup() is called with."""
        self._folder = folder
        self._sources = sources
        self._setup = setup
        self._tool = _table(folder.pyproject.get("tool"))

    def version(self) -> str:
        """The version, normalised; UNKNOWN_VERSION where nothing shows it."""
        for written in self._written():
            try:
                return str(Version(written.strip()))
            except InvalidVersion:
                continue
        return UNKNOWN_VERSION

    def files(self) -> Iterator[str]:
        """The files, relative to the project, that its backend writes the version to."""
        scm = _table(self._tool.get("setuptools_scm"))
        hatch = _table(_table(_table(_table(self._tool.get("hatch")).get("build")).get("hooks")).get("vcs"))
        for value in (scm.get("version_file"), scm.get("write_to"), hatch.get("version-file")):
            if isinstance(value, str) and value.endswith(".py") and not value.startswith(("/", "..")):
                yield value

    def _written(self) -> Iterator[str]:
        for table in (self._folder.pyproject.get("project"), self._tool.get("poetry")):
            value = _table(table).get("version")
            if isinstance(value, str):
                yield value
        dynamic = _table(_table(_table(self._tool.get("setuptools")).get("dynamic")).get("version"))
        value = self._setup.get("version")
        if isinstance(value, str) and value.startswith(("attr:", "file:")):
            kind, _, value = value.partition(":")
            dynamic = {kind: value.strip()}
        elif isinstance(value, str):
            yield value
        yield from self._of_attribute(str(dynamic.get("attr", "")))
        for file in _texts(dynamic.get("file")):
            yield self._text(file)
        for tool in ("hatch", "pdm"):
            path = _table(_table(self._tool.get(tool)).get("version")).get("path")
            yield from self._literals(path if isinstance(path, str) else "")
        if self._is_from_tags():
            yield _of_tag(describe_tag(self._folder.path))
        yield from self._usual()

    def _of_attribute(self, attribute: str) -> Iterator[str]:
        module = attribute.rpartition(".")[0].replace(".", "/")
        if not module:
            return
        name = attribute.rpartition(".")[2]
        for path in (f"{module}/__init__.py", f"{module}.py"):
            for place in dict.fromkeys((self._sources, "src", ".")):
                yield from _assigned(self._text(f"{place}/{path}"), name)

    def _usual(self) -> Iterator[str]:
        """A literal `__version__` in a package or module at the top: what flit takes."""
        folder = self._folder.path / self._sources
        for name in ("__init__.py", "_version.py", "__about__.py", "version.py"):
            for path in sorted(folder.glob(f"*/{name}")):
                yield from self._literals(str(path.relative_to(self._folder.path)))

    def _is_from_tags(self) -> bool:
        if "setuptools_scm" in self._tool or self._setup.get("use_scm_version"):
            return True
        requires = _table(self._folder.pyproject.get("build-system")).get("requires")
        return any(_FROM_TAGS.match(str(one)) for one in requires if isinstance(requires, list)) if requires else False

    def _literals(self, path: str) -> Iterator[str]:
        if path:
            yield from _LITERAL.findall(self._text(path))

    def _text(self, path: str) -> str:
        inside = Path(path)
        if inside.is_absolute() or ".." in inside.parts:
            return ""
        found = read_any_text(self._folder.path, str(inside))
        return found[0] if found is not None else ""


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _assigned(text: str, name: str) -> Iterator[str]:
    """The literal that a module binds to `name`; tuples are joined with dots, as setuptools does."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if node_value := getattr(node, "value", None):
            for target in targets:
                if isinstance(target, ast.Name) and target.id == name:
                    try:
                        value = ast.literal_eval(node_value)
                    except ValueError:
                        continue
                    yield ".".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _of_tag(described: str) -> str:
    """The version of `TAG-COMMITS-gHASH` as setuptools-scm guesses it: after a tag it is the next one's development."""
    match = re.fullmatch(r"(?:.*?-)?v?(\d.*)-(\d+)-(g[0-9a-f]+)", described)
    if match is None:
        return ""
    tag, commits, commit = match.groups()
    if commits == "0":
        return tag
    following = re.sub(r"(\d+)(?!.*\d)", lambda last: str(int(last[1]) + 1), tag)
    return f"{following}.dev{commits}+{commit}"
