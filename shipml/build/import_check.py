"""Before an image counts as built: what the application imports is imported inside it, by its own Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from shipml import runtimes
from shipml.build.import_demands import demand_of
from shipml.errors import ImportCheckError, UnavailableError
from shipml.events import (
    Emit,
    Event,
    Notice,
    OutputReceived,
    step,
)
from shipml.facts.plan import SmokeCheck
from shipml.facts.pythons import HUB_PYTHONS, SUITES
from shipml.facts.requirements import ImportedModule
from shipml.failed_imports import FailedImport, Trace
from shipml.oci.digest import Digest
from shipml.oci.image import Image
from shipml.oci.manifest import KIND, canonical_json
from shipml.plan.called_programs import called_packages
from shipml.plan.lessons import left_library_in
from shipml.runtimes.base import RunOptions
from shipml.runtimes.inside.import_probe import MARK
from shipml.store import Store
from shipml.text import counted

__all__ = ["ImportFailure", "check_imports", "read_answers"]

_FACT = "imports-1"
_STANDARD_FACT = "standard-import-1"
_TIMEOUT_SECONDS = 600.0
_APPLICATION_KINDS = ("weights", "application")
_SHOWN = 6
_SPACY_MODEL = re.compile(r"[a-z]{2,3}_(?:core|dep|ent|sent)_\w+_(?:sm|md|lg|trf)")
_LIBRARY = re.compile(r"(?P<soname>[\w.+-]+\.so[\w.]*): cannot open shared object file")


@dataclass(frozen=True, slots=True)
class ImportFailure:
    """An import that does not work in the image."""

    module: ImportedModule
    error: str
    """The exception's class; "crash" where the interpreter died, "time" where it did not come back."""
    text: str
    missing: str = ""
    """The module that was not found."""
    is_standard: bool = False
    """Whether it is the standard library's."""
    traces: tuple[Trace, ...] = ()
    """The exception, then those that led to it."""

    @property
    def sentence(self) -> str:
        """What fails, where, and with which words."""
        if self.error == "ModuleNotFoundError" and self.missing.partition(".")[0] == self.module.root:
            return f"{self.module.source} imports {self.module.name}, which is not in the image"
        if self.error == "crash":
            return f"{self.module.source} imports {self.module.name}, at which Python crashes"
        if self.error == "time":
            return f"{self.module.source} imports {self.module.name}, which did not come back in time"
        return f"{self.module.source} imports {self.module.name}: {self.error}: {self.text}"

    @property
    def remedy(self) -> str:
        """The smallest change that may fix it."""
        if self.is_standard and self.error in {"ImportError", "ModuleNotFoundError"}:
            return self._remedy_in_library()
        return self._remedy_of_package()

    def _remedy_of_package(self) -> str:
        if library := _LIBRARY.search(self.text):
            return f"add the Debian package that has {library['soname']} to the setting system-packages"
        if self.error == "time":
            return f"find out what {self.module.name} waits for when it is imported: there is no network"
        if self.error == "ModuleNotFoundError" and self.missing:
            return self._remedy_of_missing()
        if self.error in {"ImportError", "AttributeError", "ModuleNotFoundError"}:
            return f"pin a version of {self.module.root} that the code was written for"
        return f"pin versions of {self.module.root} and of what it needs that fit each other"

    def _remedy_of_missing(self) -> str:
        root = self.missing.partition(".")[0]
        if _SPACY_MODEL.fullmatch(root):
            return f"add spaCy's model to the requirements by the address of its wheel: {root.replace('_', '-')} @ URL"
        if root == self.module.root and root == self.missing:
            return f"add the package that has {root} to the project's requirements"
        return f"add the package of {self.missing} to the requirements, or pin a {self.module.root} that has it"

    def _remedy_in_library(self) -> str:
        """Of what belongs to Python itself: another Python, or the package that Debian keeps it in."""
        if gone := left_library_in(self.missing or self.module.name):
            python = _newest_below(gone)
            return f"Python 3.{gone} no longer has it; take one that does: shipml build --python {python}"
        for package, _ in called_packages((), [self.module.root]):
            return f'add Debian\'s package: system-packages = ["{package}"] at the top of shipml.toml'
        return "take the Python that the code was written for: shipml build --python 3.X"


def _newest_below(minor: int) -> str:
    """The newest Python that a base has below 3.`minor`."""
    minors = [int(base.python.partition(".")[2]) for base in (*SUITES, *HUB_PYTHONS)]
    return f"3.{max((one for one in minors if one < minor), default=minor - 1)}"


def check_imports(
    image: Image,
    imports: Sequence[ImportedModule],
    *,
    standard: Sequence[ImportedModule] = (),
    store: Store,
    emit: Emit,
) -> bool:
    """Import everything in the image; returns whether that was possible here.

    What passed once is not imported again while the layers below the application stay the same.

    Args:
        image: in the store.
        imports: what must be importable.
        standard: what must be importable of the standard library; each module is tried once over the same layers.
        store: keeps what passed.
        emit: hears of the work.

    Raises:
        ImportCheckError: some of it cannot be imported; all are named.
    """
    below = _below_application(image)
    key = _key(below, imports)
    is_known = not imports or store.fact(_FACT, key) is True
    keys = {_key(below, [module]): module for module in standard}
    unknown = {key: module for key, module in keys.items() if store.fact(_STANDARD_FACT, key) is not True}
    wanted = [*([] if is_known else imports), *unknown.values()]
    if not wanted:
        return True
    try:
        runtime = runtimes.choose("auto", image, store)
    except UnavailableError as error:
        emit(Notice(f"import check skipped: {error.message}"))
        return False
    with step(emit, "imports", counted(len(wanted), "module")) as running:
        source = resources.files("shipml.runtimes.inside").joinpath("import_probe.py").read_text(encoding="utf-8")
        command = ("python", "-c", source, json.dumps([[module.name, list(module.members)] for module in wanted]))
        received = bytearray()

        def listen(event: Event) -> None:
            if isinstance(event, OutputReceived) and event.stream == "stdout":
                received.extend(event.data)

        options = RunOptions(SmokeCheck(command=command, timeout_seconds=_TIMEOUT_SECONDS), is_whole_command=True)
        result = runtime.run(image, options, listen)
        ending = "time" if result.exit_code is None else f"crash {result.because}"
        failures = list(read_answers(received.decode(errors="replace"), wanted, ending))
        if not failures and (result.exit_code != 0 or MARK not in result.output):
            raise ImportCheckError(
                f"the imports of the program could not be checked: {result.because}",
                hint="see what it prints: shipml run -- python -c 'import MODULE'; or build with --no-check",
            )
        running.detail = _summary(len(wanted), len(failures))
    demands = [one for one in failures if demand_of(one.error, one.text, one.module.name) is not None]
    _say_demands(demands, emit)
    failures = [one for one in failures if one not in demands]
    if failures:
        raise _error([replace(one, is_standard=one.module in standard) for one in failures])
    if demands:
        return True
    if imports:
        store.keep_fact(_FACT, key, value=True)
    for tried in unknown:
        store.keep_fact(_STANDARD_FACT, tried, value=True)
    return True


def _say_demands(failures: Sequence[ImportFailure], emit: Emit) -> None:
    """Say what imports want that an image cannot bring by itself: no version of a package helps there."""
    for one in failures:
        if demand := demand_of(one.error, one.text, one.module.name):
            what = f"{one.module.source} imports {one.module.name}, which wants {demand.wants}"
            emit(Notice(f"{what} ({one.error}: {one.text}); {demand.remedy}", "warning"))


def _key(below: Sequence[str], modules: Sequence[ImportedModule]) -> str:
    wanted = [[module.name, list(module.members)] for module in modules]
    return str(Digest.of(canonical_json([below, wanted])))


def read_answers(text: str, imports: Sequence[ImportedModule], ending: str) -> Iterator[ImportFailure]:
    """The failures in what the probe printed; `ending` is what befell it where an answer is missing."""
    by_name = {module.name: module for module in imports}
    answers: dict[str, dict[str, str]] = {}
    traces: dict[str, tuple[Trace, ...]] = {}
    begun = ""
    for line in text.split("\n"):  # splitlines() would split at the mark
        mark, found, document = line.partition(MARK)
        if not found or mark:
            continue
        said, told = _answer(document)
        begun = said.get("begin", begun)
        if "end" in said:
            answers[said["end"]], traces[said["end"]] = said, told
    for name, module in by_name.items():
        answer = answers.get(name)
        if answer is None:
            if name == begun:
                error, _, why = ending.partition(" ")
                yield ImportFailure(module, error, why)
        elif "error" in answer:
            yield ImportFailure(
                module, answer["error"], answer.get("text", ""), answer.get("missing", ""), traces=traces.get(name, ())
            )


def _answer(document: str) -> tuple[dict[str, str], tuple[Trace, ...]]:
    """One of the probe's answers; nothing for anything else: what is imported could print there, too."""
    try:
        answer = json.loads(document)
    except (ValueError, RecursionError):
        return {}, ()
    if not isinstance(answer, dict):
        return {}, ()
    listed = answer.get("traces")
    traces = [_trace(one) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return _texts(answer), tuple(traces)


def _trace(answer: Mapping[str, Any]) -> Trace:
    said = _texts(answer)
    packages, named = (
        tuple(one for one in answer[key] if isinstance(one, str)) if isinstance(answer.get(key), list) else ()
        for key in ("packages", "named")
    )
    return Trace(said.get("error", ""), said.get("text", ""), packages, named)


def _texts(answer: Mapping[str, Any]) -> dict[str, str]:
    return {name: said for name, said in answer.items() if isinstance(said, str)}


def _below_application(image: Image) -> list[str]:
    """The diff ids of the layers that imports of packages depend on."""
    return [str(layer.diff_id) for layer in image.layers if layer.annotations.get(KIND) not in _APPLICATION_KINDS]


def _error(failures: Sequence[ImportFailure]) -> ImportCheckError:
    first, *others = failures
    told = tuple(
        FailedImport(one.module.source, one.module.name, one.text, one.missing, one.traces) for one in failures
    )
    if not others:
        return ImportCheckError(first.sentence, hint=f"{first.remedy}; without this check: --no-check", failures=told)
    shown = [f"  {failure.sentence}" for failure in failures[:_SHOWN]]
    if len(failures) > _SHOWN:
        shown.append(f"  and {len(failures) - _SHOWN} more")
    remedies = dict.fromkeys(failure.remedy for failure in failures[:_SHOWN])
    return ImportCheckError(
        f"{len(failures)} of the program's imports fail in the image:\n" + "\n".join(shown),
        hint=f"{'; '.join(remedies)}; without this check: --no-check",
        failures=told,
    )


def _summary(wanted: int, failed: int) -> str:
    """`all 9 modules`, `8 of 9 modules`."""
    if failed:
        return f"{wanted - failed} of {counted(wanted, 'module')}"
    return counted(wanted, "module") if wanted == 1 else f"all {counted(wanted, 'module')}"
