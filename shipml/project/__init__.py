"""The project folder as facts: the one reader of what a user has (settings, requirements, files, revision).

Nothing is decided here; `plan/` decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shipml.dockerfile.follow import follow_dockerfile, process_of
from shipml.dockerfile.ignore import IgnorePatterns, numbered_patterns
from shipml.dockerfile.names import find_dockerfile, ignore_files, require_inside
from shipml.dockerfile.understand import understand_dockerfile
from shipml.errors import PlanError
from shipml.events import Emit, Notice, ignore
from shipml.facts.dockerfile import FollowedDockerfile, Following, UnsupportedInstruction
from shipml.facts.project import (
    LockFile,
    ProcessLine,
    Project,
    PythonEvidence,
    Revision,
    Settings,
)
from shipml.facts.requirements import Requirements
from shipml.facts.secrets import FoundSecret
from shipml.plan.which import choose_program
from shipml.project.code.data_uses import data_knows, find_data_uses
from shipml.project.code.displays import displays_know, find_displays
from shipml.project.code.gpu import find_gpu_uses
from shipml.project.code.imports import Code, python_hints, scan_code
from shipml.project.code.lfs_pointers import find_lfs_pointers
from shipml.project.code.model_files import read_model_files
from shipml.project.code.programs import find_programs
from shipml.project.code.reach import running_files, script_file, surely_running
from shipml.project.code.read_files import find_missing_files
from shipml.project.code.shown_commands import find_run_evidence
from shipml.project.code.streamlit_setup import find_streamlit_setups
from shipml.project.code.syntax import report_broken
from shipml.project.code.uses import UseKind, find_uses
from shipml.project.corrections.names import standard_library
from shipml.project.credentials import files_with_credentials
from shipml.project.data.needs import needs_know
from shipml.project.distributions import find_distributions
from shipml.project.files import FileRules, find_files
from shipml.project.folder import require_folder
from shipml.project.requirements.choose import take
from shipml.project.requirements.chosen_parts import with_choices
from shipml.project.requirements.own_project import open_folder
from shipml.project.requirements.read import read_requirements
from shipml.project.requirements.reader import Folder
from shipml.project.revision import read_revision
from shipml.project.settings import read_settings
from shipml.project.smoke_requests import with_bodies
from shipml.project.system_packages import read_system_packages
from shipml.project.text import line_of, parse_toml, read_text
from shipml.project.watching import stamps
from shipml.reading import reading_once
from shipml.secrets.scan import allowed_by, scan_environment, scan_files, scan_text
from shipml.store import Store

__all__ = [
    "Project",
    "Requirements",
    "Revision",
    "Settings",
    "is_understood",
    "read_outline",
    "read_project",
    "read_secrets",
    "reading_once",
    "watched_files",
]

LOCK_NAME = "pylock.toml"
_SETTINGS_FILES = ("pyproject.toml", "shipml.toml")


@reading_once()
def read_project(
    folder: Path,
    store: Store | None,
    emit: Emit = ignore,
    *,
    dockerfile: Following = "ignore",
    program: str = "",
    extras: Sequence[str] = (),
    groups: Sequence[str] = (),
) -> Project:
    """All facts about the project in `folder`.

    Args:
        folder: the project's root.
        store: remembers digests of large files; None hashes them all.
        emit: hears of what was left out.
        dockerfile: whether the project's own Dockerfile decides: never, where it is understood, or always.
        program: the path of the one that the user chose of several.
        extras: of pyproject.toml, that are wanted besides those of the settings and the Dockerfile.
        groups: the same of its dependency groups.

    Raises:
        UsageError: there is no such folder.
        ConfigurationError: a file that shipml reads holds what cannot be meant.
        PlanError: a link leaves the project, or all of its code is Python 2.
        BuildError: a file cannot be read.
    """
    require_folder(folder)
    for name in _SETTINGS_FILES:
        require_inside(folder, folder / name)
    pyproject_text = read_text(folder, "pyproject.toml")
    pyproject = None if pyproject_text is None else parse_toml("pyproject.toml", pyproject_text)
    shipml_text = read_text(folder, "shipml.toml")
    shipml = None if shipml_text is None else parse_toml("shipml.toml", shipml_text)
    texts = {"pyproject.toml": pyproject_text or "", "shipml.toml": shipml_text or ""}
    settings = read_settings(pyproject, shipml, texts)
    settings = replace(settings, smoke=with_bodies(settings.smoke, folder))
    understood = _dockerfile(folder)
    follows = dockerfile == "follow" or (dockerfile == "try" and isinstance(understood, FollowedDockerfile))
    followed = understood if follows and isinstance(understood, FollowedDockerfile) else None
    opened = with_choices(open_folder(folder), settings, followed, extras, groups)
    taken = take(opened, followed)
    rules = _file_rules(folder, settings)
    secret = files_with_credentials(folder, taken.texts if taken is not None else ())
    found = find_files(folder, replace(rules, secret=secret), store=store, emit=emit)
    processes = tuple(_processes(read_text(folder, "Procfile") or ""))
    paths = [file.path for file in found.files if file.kind == "file"]
    code = scan_code(folder, paths)
    evidence = find_run_evidence(folder, paths)
    programs = find_programs(folder, found.files, code, {one.path for one in evidence})
    outline = Project(folder, settings, programs=programs, run_evidence=evidence, chosen_program=program)
    started = process_of(followed) if followed is not None else ()
    running = running_files(code, settings, started or processes, _entry(outline, opened, code, paths))
    imports = code.third_party(running, standard_library())
    standard = code.of_standard_library(running, standard_library())
    uses = find_uses(folder, running, _is_telling)
    requirements = read_requirements(opened, taken, imports, code, uses)
    _tell(requirements, code, emit)
    for sentence in find_displays(uses):
        emit(Notice(sentence, "warning"))
    report_broken(code.broken, surely_running(code, settings, started or processes, evidence), emit)
    missing = find_missing_files(
        folder,
        running,
        present={file.path for file in found.files},
        left_out=dict(found.ignored) | {path: f"a default rule ({reason})" for path, reason in found.left_out},
        written=code.written,
        moves=follows or any(re.search(r"\bcd\s|chdir", one.command) for one in processes),
    )
    for absent in missing:
        emit(Notice(f"{absent.reader} reads {absent.path}, which is not in the image: {absent.because}", "warning"))
    lock_text = read_text(folder, LOCK_NAME)
    project = replace(
        outline,
        requirements=requirements,
        imports=imports,
        standard_imports=standard,
        python_evidence=(
            *_python_evidence(folder, settings, shipml_text, pyproject, pyproject_text or ""),
            *python_hints(taken, code),
        ),
        files=tuple(found.files),
        left_out=tuple(found.left_out),
        ignored=tuple(found.ignored),
        written_files=code.written,
        data=find_data_uses(folder, uses, paths),
        missing_files=missing,
        models=read_model_files(folder, found.files, store),
        processes=processes,
        system_packages=read_system_packages(folder),
        gpu_uses=find_gpu_uses(folder, paths, _dockerfile_text(folder)),
        revision=read_revision(folder, emit),
        has_dockerfile=understood is not None,
        dockerfile=understood,
        name=_project_string(pyproject, "name"),
        version=_project_string(pyproject, "version"),
        distributions=find_distributions(opened, requirements, paths),
        streamlit_setups=find_streamlit_setups(folder, found.files),
        lock_file=LockFile(LOCK_NAME, lock_text) if lock_text is not None else None,
    )
    project = follow_dockerfile(project) if follows else project
    project = replace(project, secrets=_secrets(project), lfs_pointers=find_lfs_pointers(folder, project.files))
    for one in project.secrets:
        emit(Notice(f"{one.source} holds a secret ({one.kind}): push refuses the image", "warning"))
    return project


def _entry(project: Project, folder: Folder, code: Code, paths: Sequence[str]) -> str:
    """The file that is run where neither settings nor Procfile nor Dockerfile name one; "" where there is none."""
    own = next((one for one in find_distributions(folder, None, paths) if one.scripts), None)
    if own is not None and not project.chosen_program:
        return script_file(own.scripts[0][1], code)
    try:
        return choose_program(project).program.path
    except PlanError:
        return ""


def read_secrets(folder: Path, store: Store | None) -> tuple[FoundSecret, ...]:
    """The secrets in the files of a project that its own Dockerfile may copy; errors as of `read_project`."""
    documents = _documents(folder)
    settings = _settings(folder, documents)
    files = find_files(folder, _file_rules(folder, settings), store=store, emit=ignore).files
    return _secrets(Project(folder, settings, files=tuple(files)))


def _secrets(project: Project) -> tuple[FoundSecret, ...]:
    """Those that the settings do not allow."""
    settings, revision, followed = project.settings, project.revision, project.followed
    of_dockerfile = dict(followed.environment) if followed is not None else {}
    found = list(scan_files(project.folder, project.files))
    for name, value in settings.environment:
        source = followed.file if followed and of_dockerfile.get(name) == value else settings.source
        found += scan_environment(source, [(name, value)])
    found += scan_text("git remote", revision.source) if revision is not None else ()
    return tuple(sorted(one for one in set(found) if not allowed_by(settings.allowed_secrets, one)))


def _documents(folder: Path) -> dict[str, dict[str, Any]]:
    """The settings files that there are, by name."""
    for name in _SETTINGS_FILES:
        require_inside(folder, folder / name)
    texts = ((name, read_text(folder, name)) for name in _SETTINGS_FILES)
    return {name: parse_toml(name, text) for name, text in texts if text is not None}


def watched_files(folder: Path) -> dict[str, tuple[int, int]]:
    """(modification time in ns, size in bytes) of each file whose change may change the image, by its path.

    Raises:
        ConfigurationError: the settings or the .dockerignore cannot be meant.
    """
    documents = _documents(folder)
    return stamps(folder, _file_rules(folder, _settings(folder, documents)))


def _settings(folder: Path, documents: Mapping[str, dict[str, Any]]) -> Settings:
    texts = {name: read_text(folder, name) or "" for name in documents}
    return read_settings(documents.get("pyproject.toml"), documents.get("shipml.toml"), texts)


def read_outline(folder: Path) -> Project:
    """What the project says of itself, without its files and requirements: all that its own Dockerfile leaves open.

    Raises:
        UsageError: there is no such folder.
        ConfigurationError: a file that shipml reads holds what cannot be meant.
    """
    require_folder(folder)
    documents = _documents(folder)
    pyproject = documents.get("pyproject.toml")
    settings = _settings(folder, documents)
    return Project(
        folder=folder,
        settings=replace(settings, smoke=with_bodies(settings.smoke, folder)),
        has_dockerfile=find_dockerfile(folder) is not None,
        name=_project_string(pyproject, "name"),
        version=_project_string(pyproject, "version"),
    )


def is_understood(folder: Path) -> bool:
    """Whether the project has a Dockerfile that can be followed without an engine.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return isinstance(_dockerfile(folder), FollowedDockerfile)


def _dockerfile(folder: Path) -> FollowedDockerfile | UnsupportedInstruction | None:
    file, text = _dockerfile_text(folder)
    return understand_dockerfile(text, file=file) if file else None


def _dockerfile_text(folder: Path) -> tuple[str, str]:
    """Name and text of the project's Dockerfile, "" and "" where it has none."""
    path = find_dockerfile(folder)
    return (path.name, read_text(folder, path.name) or "") if path is not None else ("", "")


def _is_telling(kind: UseKind, name: str) -> bool:
    """Whether a use of a package tells anything that is looked for."""
    return needs_know(kind, name) or data_knows(kind, name) or displays_know(kind, name)


def _tell(requirements: Requirements | None, code: Code, emit: Emit) -> None:
    """Report corrections, and imports that no known package has."""
    for change in requirements.changes if requirements is not None else ():
        emit(Notice(change.sentence, "warning"))
    for module in requirements.unknown if requirements is not None else ():
        emit(Notice(f"{module.source} imports {module.root}, and no package is known that has it", "warning"))
    if code.python_2 and not code.has_python_3:
        raise PlanError(
            f"{code.python_2} is Python 2, which is not supported",
            hint="translate the code to Python 3 (2to3 helps)",
        )
    if code.python_2:
        emit(Notice(f"{code.python_2} is Python 2: it cannot run", "warning"))


def _file_rules(folder: Path, settings: Settings) -> FileRules:
    paths = ignore_files(folder, find_dockerfile(folder))
    for path in paths:
        require_inside(folder, path)
    texts = ((path.name, read_text(folder, path.name)) for path in paths)
    name, text = next(((name, text) for name, text in texts if text is not None), ("", ""))
    placed = [(pattern, f"{name}:{number}") for number, pattern in numbered_patterns(text)]
    placed += [(pattern, f"exclude in {settings.source}") for pattern in settings.exclude]
    placed += [(f"!{pattern.removeprefix('!')}", f"include in {settings.source}") for pattern in settings.include]
    include = [pattern.removeprefix("!") for pattern in settings.include]
    IgnorePatterns(settings.exclude, source=settings.source)  # so that an error names the file that holds the pattern
    named = IgnorePatterns(include, source=settings.source)
    return FileRules(IgnorePatterns([pattern for pattern, _ in placed], places=[place for _, place in placed]), named)


def _python_evidence(
    folder: Path, settings: Settings, shipml_text: str | None, pyproject: Mapping[str, Any] | None, pyproject_text: str
) -> list[PythonEvidence]:
    """Where the project says which Python it wants, strongest first."""
    evidence = []
    if settings.python:
        in_pyproject = settings.source == "pyproject.toml"
        line = (
            line_of(pyproject_text, "python", "[tool.shipml") if in_pyproject else line_of(shipml_text or "", "python")
        )
        evidence.append(PythonEvidence(settings.python, f"{settings.source}:{line}", "version"))
    for name in (".python-version", "runtime.txt"):
        for number, written in enumerate((read_text(folder, name) or "").splitlines(), start=1):
            if value := re.sub(r"^(python)\s+", r"\1-", written.partition("#")[0].strip(), flags=re.IGNORECASE):
                evidence.append(PythonEvidence(value, f"{name}:{number}", "version"))
                break
    if wanted := _project_string(pyproject, "requires-python"):
        line_number = line_of(pyproject_text, "requires-python", "[project]")
        evidence.append(PythonEvidence(wanted, f"pyproject.toml:{line_number}", "range"))
    return evidence


def _processes(text: str) -> list[ProcessLine]:
    """The lines of a Procfile: `name: command`."""
    lines = []
    for number, line in enumerate(text.splitlines(), start=1):
        if match := re.fullmatch(r"([A-Za-z0-9_-]+)\s*:\s*(\S.*)", line.strip()):
            lines.append(ProcessLine(match[1], match[2].strip(), number))
    return lines


def _project_string(pyproject: Mapping[str, Any] | None, key: str) -> str | None:
    table = (pyproject or {}).get("project")
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) else None
