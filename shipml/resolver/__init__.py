"""Requirements → lock, by uv. The only module that runs uv.

A resolution is kept in the store by the hash of all that it depends on, and reused until one of these changes: a second
build runs no uv. uv's cache lies under SHIPML_HOME too, unless UV_CACHE_DIR says otherwise. uv's settings (UV_*,
uv.toml, proxies, SSL_CERT_FILE) apply as they do to uv; pip's do not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from shipml.errors import PlanError, ResolutionError, UnavailableError, UntrustedInputError
from shipml.events import Emit, Notice, step
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform, canonical_json
from shipml.plan.facts import Lock, Project, RefusedPython
from shipml.plan.python_version import PythonCandidate
from shipml.plan.suites import Suite
from shipml.resolver_errors import UnsolvableError, explain, no_python_fits
from shipml.store import Store

__all__ = ["inputs_digest", "resolve", "resolve_first"]

RECIPE = 1
"""Part of every cache key: raise it when the same inputs are to be resolved in another way."""
UV_CACHE = "uv"
"""uv's cache, below the store's home."""
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


def resolve(
    project: Project,
    *,
    suite: Suite,
    platform: Platform,
    store: Store,
    emit: Emit,
    upgrade: bool = False,
    locked: bool = False,
) -> Lock:
    """`resolve_first` for one suite alone."""
    candidate = PythonCandidate(suite, "")
    return resolve_first(
        project, [candidate], platform=platform, store=store, emit=emit, upgrade=upgrade, locked=locked
    )[1]


def resolve_first(
    project: Project,
    candidates: Sequence[PythonCandidate],
    *,
    platform: Platform,
    store: Store,
    emit: Emit,
    upgrade: bool = False,
    locked: bool = False,
) -> tuple[PythonCandidate, Lock]:
    """The first candidate for which every package has a wheel, and the lock for it.

    Args:
        project: the facts.
        candidates: in the order of preference.
        platform: what the wheels must run on.
        store: keeps resolutions.
        emit: hears of the work.
        upgrade: ask the index again, whatever is known.
        locked: take the project's lock file or fail.

    Raises:
        PlanError: `locked`, and the lock file is missing or stale.
        ResolutionError: no candidate fits; says why for each.
        NotAllowedError: the index wants credentials.
        TryAgainError: the index cannot be reached.
        UnavailableError: there is no uv.
    """
    inputs = inputs_digest(project, platform)
    if locked or (project.lock_file is not None and not upgrade):
        found = _from_lock_file(project, candidates, platform, inputs, emit, locked=locked)
        if found is not None:
            return found
    if project.requirements is None:
        return candidates[0], _empty(candidates[0].suite, platform, inputs)
    key = _cache_key(project, candidates, inputs)
    if not upgrade and (known := _known(store, key, platform, inputs)) is not None:
        return next(one for one in candidates if one.suite.name == known.suite), known
    _warn_of_pips_settings(emit)
    with step(emit, "resolve", project.requirements.path) as running:
        candidate, lock = _try_each(project, candidates, platform, inputs, store.home / UV_CACHE, upgrade=upgrade)
        running.detail = f"{len(lock.wheels)} packages for Python {lock.python}"
    store.keep_fact("resolution", key, _to_json(lock))
    return candidate, lock


def _warn_of_pips_settings(emit: Emit) -> None:
    """A package that is meant to come from a private index must not silently come from the public one."""
    ours = any(os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"))
    for name, uv_name in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_EXTRA_INDEX_URL", "UV_INDEX")):
        if os.environ.get(name) and not ours:
            emit(Notice(f"{name} is for pip alone and was not used; for shipml: export {uv_name}=${name}", "warning"))


def inputs_digest(project: Project, platform: Platform) -> Digest:
    """Of all in the project that a resolution depends on: a lock file that carries it is up to date."""
    source = project.requirements
    texts: list[list[str]] = []
    if source is not None:
        asked = [] if source.as_it_stands else [["requirements", source.text], ["constraints", source.constraints_text]]
        texts = asked + [[name, text] for name, text in source.inputs]
    return Digest.of(canonical_json({"path": source and source.path, "texts": texts, "platform": str(platform)}))


def _from_lock_file(
    project: Project,
    candidates: Sequence[PythonCandidate],
    platform: Platform,
    inputs: Digest,
    emit: Emit,
    *,
    locked: bool,
) -> tuple[PythonCandidate, Lock] | None:
    """The project's own lock, if it fits."""
    if project.lock_file is None:
        raise PlanError("there is no lock: pylock.toml is missing", hint="write it: shipml plan --lock")
    from shipml.lock_file import load_lock  # noqa: PLC0415 - few projects have one

    lock = load_lock(project.lock_file.text, project.folder, project.lock_file.path)
    candidate = next((one for one in candidates if lock is not None and one.suite.name == lock.suite), None)
    if lock is None:
        stale = "was not written by shipml"
    elif lock.platform != platform:
        stale = f"is for {lock.platform}, not for {platform}"
    elif lock.inputs != inputs:
        stale = "is stale: the requirements have changed since it was written"
    elif candidate is None:
        stale = f"is stale: it is for Python {lock.python}, which the project does not ask for any more"
    else:
        return candidate, lock
    if locked:
        raise PlanError(f"{project.lock_file.path} {stale}", hint="write it anew: shipml plan --lock")
    emit(Notice(f"{project.lock_file.path} {stale}, so it was not used; to write it anew: shipml plan --lock"))
    return None


def _empty(suite: Suite, platform: Platform, inputs: Digest) -> Lock:
    return Lock((), suite.name, suite.python, platform, inputs)


def _try_each(
    project: Project,
    candidates: Sequence[PythonCandidate],
    platform: Platform,
    inputs: Digest,
    cache: Path,
    *,
    upgrade: bool,
) -> tuple[PythonCandidate, Lock]:
    refused: list[tuple[RefusedPython, UnsolvableError]] = []
    for candidate in candidates:
        try:
            lock = _resolve(project, candidate.suite, platform, inputs, cache, upgrade=upgrade)
        except UnsolvableError as error:
            refused.append((RefusedPython(candidate.suite.python, error.short), error))
            continue
        return candidate, replace(lock, refused=tuple(one for one, _ in refused))
    raise no_python_fits(refused)


def _resolve(project: Project, suite: Suite, platform: Platform, inputs: Digest, cache: Path, *, upgrade: bool) -> Lock:
    """Run uv once."""
    from shipml.lock_file import select_wheels  # noqa: PLC0415 - not needed where the resolution is known

    if project.requirements is None:
        return _empty(suite, platform, inputs)
    declared = project.requirements
    command = [
        *(_uv(), "pip", "compile", declared.path if declared.as_it_stands else "-", "--format", "pylock.toml"),
        *("--python-version", suite.release, "--python-platform", _uv_platform(suite, platform)),
        *("--python", sys.executable, "--no-python-downloads", "--only-binary", ":all:"),
        *("--no-header", "--no-annotate", "--no-progress", "--color", "never"),
        *(["--refresh"] if upgrade else []),
    ]
    with tempfile.TemporaryDirectory(prefix="shipml-") as scratch:
        if declared.constraints:
            constraints = Path(scratch, "constraints.txt")
            constraints.write_text(declared.constraints_text, encoding="utf-8")
            command += ["--constraints", str(constraints)]
        done = subprocess.run(
            command,
            cwd=project.folder,
            env=_uv_environment(cache),
            capture_output=True,
            check=False,
            input=b"" if declared.as_it_stands else declared.text.encode(),
        )
    if done.returncode != 0:
        raise explain(done.stderr.decode("utf-8", "replace"), suite, platform)
    try:
        document = tomllib.loads(done.stdout.decode())
    except (ValueError, UnicodeDecodeError) as error:
        raise ResolutionError(f"uv wrote a lock that is not TOML: {error}", hint="update uv") from error
    wheels = select_wheels(document, suite, platform, project.folder)
    return Lock(tuple(wheels), suite.name, suite.python, platform, inputs)


def _uv() -> str:
    """The uv that was installed with shipml, else the one on PATH."""
    for folder in (Path(sys.prefix, "bin"), Path(sys.executable).parent):
        if os.access(folder / "uv", os.X_OK):
            return str(folder / "uv")
    found = shutil.which("uv")
    if found is None:
        raise UnavailableError("uv is not installed, and shipml resolves with it", hint="pip install uv")
    return found


def _uv_platform(suite: Suite, platform: Platform) -> str:
    glibc = min(int(suite.glibc.partition(".")[2]), _NEWEST_GLIBC_OF_UV)
    return f"{_TRIPLES[platform.architecture]}-manylinux_2_{glibc}"


def _uv_environment(cache: Path) -> dict[str, str]:
    """The user's environment, without what speaks of this machine's Pythons."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_UV}
    return {"UV_CACHE_DIR": str(cache), **kept}


def _cache_key(project: Project, candidates: Sequence[PythonCandidate], inputs: Digest) -> str:
    suites = [[one.suite.name, one.suite.release, one.suite.glibc] for one in candidates]
    parts = [RECIPE, str(inputs), suites, list(_uv_settings(project.folder))]
    return str(Digest.of(canonical_json(parts)))


def _uv_settings(folder: Path) -> Iterator[list[str]]:
    """What changes uv's answers besides the project: its variables, and its settings above the project."""
    for name, value in sorted(os.environ.items()):
        if name.startswith("UV_") and not name.startswith(_NOT_ABOUT_RESULTS):
            yield [name, value]
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "uv", "uv.toml")
    above = [parent / name for parent in folder.absolute().parents for name in ("uv.toml", "pyproject.toml")]
    for path in (config, Path("/etc/uv/uv.toml"), *above):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if path.name == "uv.toml" or b"tool.uv" in data:
            yield [path.name, Digest.of(data).hex]


def _known(store: Store, key: str, platform: Platform, inputs: Digest) -> Lock | None:
    from shipml.plan.model import LockedWheel  # noqa: PLC0415

    fact = store.fact("resolution", key)
    if not isinstance(fact, dict):
        return None
    try:
        wheels = tuple(LockedWheel(**{**wheel, "digest": Digest(wheel["digest"])}) for wheel in fact["wheels"])
        refused = tuple(RefusedPython(python, because) for python, because in fact["refused"])
        return Lock(wheels, str(fact["suite"]), str(fact["python"]), platform, inputs, refused)
    except (KeyError, TypeError, ValueError, UntrustedInputError):
        return None


def _to_json(lock: Lock) -> dict[str, object]:
    return {
        "suite": lock.suite,
        "python": lock.python,
        "refused": [[one.python, one.because] for one in lock.refused],
        "wheels": [
            {
                "name": wheel.name,
                "version": wheel.version,
                "url": wheel.url,
                "size_bytes": wheel.size_bytes,
                "digest": wheel.digest.hex,
                "filename": wheel.filename,
                "direct": wheel.direct,
            }
            for wheel in lock.wheels
        ],
    }
