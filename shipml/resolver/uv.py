"""Running uv: the only module that does.

uv's cache lies under SHIPML_HOME, unless UV_CACHE_DIR says otherwise. uv's settings (UV_*, uv.toml, proxies,
SSL_CERT_FILE) apply as they do to uv, and where they name no index, those of pip do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from shipml.errors import ResolutionError, UnavailableError
from shipml.facts.pythons import PythonBase
from shipml.facts.requirements import Requirements
from shipml.formats import load_toml
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.reading import read_regular
from shipml.resolver.index_logins import asked_keyring
from shipml.resolver.pip_settings import pip_indexes, variables_for_uv
from shipml.resolver.uv_building import is_from_index, refuse_building, without_building

__all__ = ["Question", "Uv", "UvError", "dated_arguments", "python_arguments", "settings_of_uv"]

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_NEWEST_GLIBC_OF_UV = 40
_TRIPLES = {"amd64": "x86_64", "arm64": "aarch64"}
_NOT_ABOUT_RESULTS = ("UV_CACHE_DIR", "UV_CONCURRENT_", "UV_HTTP_", "UV_LINK_MODE", "UV_NO_PROGRESS", "UV_PYTHON")
_NOT_FOR_UV = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
    "UV_WORKING_DIR",
)


class UvError(Exception):
    """uv failed: its words are in `stderr`, which may hold credentials."""

    def __init__(self, stderr: str) -> None:
        super().__init__("uv failed")
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class Question:
    """One resolution that uv is asked for."""

    declared: Requirements
    base: PythonBase
    platform: Platform
    as_of: datetime | None = None
    """What was uploaded later does not count."""
    exempt: tuple[str, ...] = ()
    """Names for which `as_of` does not hold: their versions are fixed anyway."""
    own_days: tuple[tuple[str, datetime], ...] = ()
    """Names for which another day counts than `as_of`: what was uploaded later is left out."""
    constraints: tuple[str, ...] = ()
    """Besides those that are declared."""
    overrides: tuple[str, ...] = ()
    """Taken whatever the project or a package says (uv's --overrides)."""
    prereleases: tuple[str, ...] = ()
    """Names of which a pre-release may be taken, besides those that the project itself asks for in one."""
    links: Path | None = None
    """A folder of wheels that count as if the index had them."""
    pages: tuple[str, ...] = field(default=(), repr=False)
    """Addresses of lists of wheels that count likewise; may hold credentials."""

    def because_of(self, *constraints: str) -> Question:
        """The same question with more constraints."""
        return replace(self, constraints=(*self.constraints, *constraints))

    def day_of(self, name: str) -> datetime | None:
        """As of when that package is taken; None for today."""
        return None if name in self.exempt else dict(self.own_days).get(name, self.as_of)


class Uv:
    """uv, for one project."""

    def __init__(self, folder: Path, cache: Path, *, upgrade: bool = False) -> None:
        self._folder = folder
        self._cache = cache
        self._upgrade = upgrade
        self.without_sources: tuple[str, ...] = ()
        """Packages for which the project's own [tool.uv.sources] do not count."""

    def resolve(self, question: Question) -> dict[str, Any]:
        """The answer as a pylock.toml document.

        Raises:
            UvError: there is none.
            ResolutionError: uv's answer cannot be read.
            UnavailableError: there is no uv.
        """
        return _document(self._ask(question, "--format", "pylock.toml", "--no-annotate"))

    def parents(self, question: Question) -> dict[str, tuple[str, ...]]:
        """Who wants each package of the answer: names; what is asked for by the project itself has none."""
        text = self._ask(question, "--annotation-style", "line", "--no-strip-extras").decode("utf-8", "replace")
        return dict(_annotated(text))

    def files_of(self, lines: Sequence[str], options: Sequence[str], *arguments: str) -> dict[str, Any]:
        """The files of these requirements, without what they depend on, as a pylock.toml document; nothing is built.

        Raises:
            UvError: there are none, or a line is not the name of a package.
        """
        if not all(is_from_index(line) for line in lines):
            raise UvError("only packages of an index are looked at without building")
        text = "".join(f"{line}\n" for line in (*options, *lines))
        return _document(self._compile("-", text, "--no-deps", "--format", "pylock.toml", *arguments))

    def version_of(self, name: str, options: Sequence[str], *arguments: str) -> str:
        """The version of `name` alone (a requirement) that has a wheel and that uv takes under `arguments`.

        Raises:
            UvError: there is none.
        """
        asked = ("--only-binary", ":all:", "--prerelease", "explicit", *arguments)
        return str(self.files_of([name], options, *asked)["packages"][0]["version"])

    def _ask(self, question: Question, *arguments: str) -> bytes:
        declared = question.declared
        constraints = declared.constraints_text + "".join(f"{line}\n" for line in question.constraints)
        overrides = "".join(f"{line}\n" for line in question.overrides)
        with tempfile.TemporaryDirectory(prefix="shipml-") as scratch:
            files = [
                part
                for name, text in (("constraints", constraints), ("overrides", overrides))
                if text
                for part in (f"--{name}", _written(Path(scratch, f"{name}.txt"), text))
            ]
            return self._compile(
                declared.path if declared.as_it_stands else "-",
                "" if declared.as_it_stands else declared.whole_text,
                *(declared.uv_choices if declared.as_it_stands else ()),
                *(*python_arguments(question.base, question.platform), "--only-binary", ":all:"),
                *dated_arguments(question),
                *_prerelease_arguments(question),
                *(("--find-links", str(question.links)) if question.links is not None else ()),
                *(part for name in self.without_sources for part in ("--no-sources-package", name)),
                *(*files, *arguments),
                pages=question.pages,
            )

    def _compile(self, path: str, text: str, *arguments: str, pages: Sequence[str] = ()) -> bytes:
        """Run `uv pip compile` once; `pages` may hold credentials, so they are not arguments."""
        refuse_building(self._folder, os.environ)
        done = subprocess.run(
            [
                *(_program(), "pip", "compile", path, "--python", sys.executable, "--no-python-downloads"),
                *("--no-header", "--no-progress", "--color", "never"),
                *(["--refresh"] if self._upgrade else []),
                *arguments,
            ],
            cwd=self._folder,
            env=self._environment(pages, text.splitlines()),
            capture_output=True,
            check=False,
            input=without_building(text).encode(),
        )
        if done.returncode != 0:
            raise UvError(done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def _environment(self, pages: Sequence[str], lines: Sequence[str]) -> dict[str, str]:
        """The user's environment, without what speaks of this machine's Pythons, with the indexes that pip is told."""
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_UV}
        kept |= variables_for_uv(lines)
        if pages:
            links = [one for one in (kept.get("UV_FIND_LINKS"), *pages) if one]
            kept["UV_FIND_LINKS"] = ",".join(links)
        # Said either way, so that a project's own settings cannot make uv ask the user's keyring.
        kept["UV_KEYRING_PROVIDER"] = "subprocess" if asked_keyring() else "disabled"
        return {"UV_CACHE_DIR": str(self._cache), **kept}


def python_arguments(base: PythonBase, platform: Platform) -> tuple[str, ...]:
    """What tells uv which Python and platform wheels are for."""
    glibc = min(int(base.glibc.partition(".")[2]), _NEWEST_GLIBC_OF_UV)
    target = f"{_TRIPLES[platform.architecture]}-manylinux_2_{glibc}"
    return ("--python-version", base.release, "--python-platform", target)


def dated_arguments(question: Question) -> Iterator[str]:
    """What tells uv as of when the index counts."""
    if question.as_of is not None:
        yield from ("--exclude-newer", question.as_of.strftime(_TIME))
        for name in question.exempt:
            yield from ("--exclude-newer-package", f"{name}=9999-01-01T00:00:00Z")
    for name, day in question.own_days:
        if name not in question.exempt:
            yield from ("--exclude-newer-package", f"{name}={day.strftime(_TIME)}")


def _prerelease_arguments(question: Question) -> Iterator[str]:
    """What keeps uv from pre-releases that nobody asks for; a choice of the user's own stands."""
    chosen = any("prerelease" in text for name, text in question.declared.inputs if "uv" in name)
    if chosen or os.environ.get("UV_PRERELEASE"):
        return
    yield from ("--prerelease", "explicit")
    for name in question.prereleases:
        yield from ("--prerelease-package", f"{name}=allow")


def _written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def _document(output: bytes) -> dict[str, Any]:
    try:
        return load_toml(output.decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise ResolutionError(f"uv wrote a lock that is not TOML: {error}", hint="update uv") from error


def _annotated(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(name, parents) of lines as `numpy==1.21.5    # via pandas, -r requirements.txt`."""
    for line in text.splitlines():
        requirement, found, parents = line.partition("# via ")
        name = requirement.partition("==")[0].partition(" @ ")[0].partition("[")[0].strip()
        if found and name and not name.startswith("#"):
            names = (one.strip().partition("[")[0] for one in parents.split(","))
            yield name, tuple(one for one in names if one and not one.startswith("-") and "(" not in one)


def _program() -> str:
    """The uv that was installed with shipml, else the one on PATH."""
    for folder in (Path(sys.prefix, "bin"), Path(sys.executable).parent):
        if os.access(folder / "uv", os.X_OK):
            return str(folder / "uv")
    found = shutil.which("uv")
    if found is None:
        raise UnavailableError("uv is not installed, and shipml resolves with it", hint="pip install uv")
    return found


def settings_of_uv(folder: Path, environment: Mapping[str, str] = os.environ) -> Iterator[list[str]]:
    """What changes uv's answers besides the project: its variables, and its settings above the project."""
    for name, value in sorted(environment.items()):
        if name.startswith("UV_") and not name.startswith(_NOT_ABOUT_RESULTS):
            yield [name, value]
    if urls := pip_indexes(environment).urls:
        yield ["pip", *urls]
    config = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config", "uv", "uv.toml")
    above = [parent / name for parent in folder.absolute().parents for name in ("uv.toml", "pyproject.toml")]
    for path in (config, Path("/etc/uv/uv.toml"), *above):
        data = read_regular(path)
        if data is None:
            continue
        if path.name == "uv.toml" or b"tool.uv" in data:
            yield [path.name, Digest.of(data).hex]
