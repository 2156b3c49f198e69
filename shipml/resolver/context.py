"""What all attempts at a resolution share, and what is known before the first: pins, models, what there is of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from shipml.errors import ResolutionError
from shipml.events import Emit
from shipml.facts.gpu_packages import PYTORCH_BUILDS
from shipml.facts.plan import Decision
from shipml.facts.project import Project
from shipml.facts.pythons import PythonBase
from shipml.facts.releases import Pin, Survey
from shipml.facts.requirements import Correction, Learned, Requirements
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan.accelerator import CPU, Accelerator
from shipml.plan.python_version import PythonCandidate
from shipml.resolver.addresses import without_address
from shipml.resolver.errors import explain
from shipml.resolver.model_evidence import (
    added_requirements,
    by_number,
    contradictions,
    keras_2_bounds,
)
from shipml.resolver.pins import (
    corrected,
    known_pins,
    nearest_newer,
)
from shipml.resolver.pytorch_index import PyTorchIndex, without_pytorch_sources
from shipml.resolver.ranges import dated_ceilings, dated_floors
from shipml.resolver.release_lookup import survey_pins
from shipml.resolver.uv import Uv, UvError
from shipml.store import Store

__all__ = ["Said", "Work", "apply_models", "apply_pytorch", "examine_pins", "model_strategies", "replace_address"]


@dataclass(slots=True)
class Work:
    """What all attempts share."""

    project: Project
    declared: Requirements
    candidates: Sequence[PythonCandidate]
    platform: Platform
    inputs: Digest
    uv: Uv
    store: Store
    http: HttpClient
    emit: Emit
    obstacle: Callable[[PythonBase], str]
    accelerator: Accelerator = CPU
    pytorch: PyTorchIndex = field(default_factory=PyTorchIndex)
    survey: Survey = field(default_factory=Survey)
    overrides: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    changes: tuple[Correction, ...] = ()
    decisions: tuple[Decision, ...] = ()
    bounds: tuple[str, ...] = ()
    said: Said = field(default_factory=lambda: Said((), ()))


@dataclass(frozen=True, slots=True)
class Said:
    """What is known before anything is asked."""

    decisions: tuple[Decision, ...]
    changes: tuple[Correction, ...]


def apply_models(work: Work) -> None:
    """What the models need and nobody asks for; what they forbid; what they say against the pins."""
    added = () if work.declared.as_it_stands else tuple(added_requirements(work.project))
    if added:
        requirements = (*work.declared.requirements, *(one for one, _ in added))
        work.declared = replace(work.declared, requirements=requirements)
    bounds = dict(keras_2_bounds(work.project))
    work.bounds = tuple(bounds)
    work.said = Said((*contradictions(work.project), *bounds.values()), tuple(change for _, change in added))


def apply_pytorch(work: Work) -> None:
    """Where the project sends uv to PyTorch's index and that cannot be asked, the ordinary one must do."""
    work.declared, change = without_pytorch_sources(
        work.declared,
        work.pytorch,
        accepts_cuda=work.accelerator.asked and work.accelerator.name == "cuda",
    )
    if change is not None:
        work.uv.without_sources = PYTORCH_BUILDS
        work.said = replace(work.said, changes=(*work.said.changes, change))


def replace_address(work: Work, source: str) -> bool:
    """Take the index's release for an address whose host does not answer; returns whether there is one."""
    found = without_address(work.uv, work.declared, source)
    if found is not None:
        work.declared = found[0]
        work.said = replace(work.said, changes=(*work.said.changes, found[1]))
    return found is not None


def model_strategies(work: Work, pins: tuple[Pin, ...]) -> Iterator[tuple[Pin, ...]]:
    """What is taken from the models: their versions, else the nearest newer ones that have wheels, else nothing."""
    if pins:
        yield pins
        pythons = [one.suite for one in work.candidates]
        later = {
            tuple(nearest_newer(work.uv, pin, work.declared.options, base) or pin for pin in pins) for base in pythons
        }
        yield from sorted(later - {pins}, key=lambda those: [by_number(pin.version) for pin in those])
    yield ()


def examine_pins(work: Work, of_models: tuple[Pin, ...], learned: tuple[Learned, ...]) -> None:
    """Find out what there is of the pins; what never existed is replaced by its neighbour, or named.

    `learned` are upper ends that failed imports taught.
    """
    named = known_pins(work.declared)
    taken = {pin.name for pin in named}
    pins = (*named, *(pin for pin in of_models if pin.name not in taken))
    work.constraints = (*work.bounds, *(one.line for one in learned), *(str(pin) for pin in pins if not pin.declared))
    chosen = [Decision("version", str(pin), _of_model(work.project, pin)) for pin in pins if not pin.declared]
    held = [Decision("held back", one.line, one.because) for one in learned]
    work.decisions, work.changes = (*work.said.decisions, *chosen, *held), work.said.changes
    work.survey, work.overrides = Survey(), ()
    options = work.declared.options
    try:
        if not pins:
            work.survey = _of_ranges(work)
            return
        work.survey = survey_pins(work.uv, pins, options)
        if work.survey.missing:
            correction = corrected(work.uv, work.survey, options)
            work.overrides, work.changes = correction.overrides, (*work.changes, *correction.changes)
            work.survey = survey_pins(work.uv, correction.pins, options)
        work.survey = replace(work.survey, floors=tuple(dated_floors(work.uv, work.declared)))
    except UvError as error:
        problem = explain(error.stderr, work.candidates[0].suite, work.platform, work.declared)
        if not isinstance(problem, ResolutionError):
            raise problem from error


def _of_ranges(work: Work) -> Survey:
    """What ranges say of the project's time, where nothing is pinned."""
    ceilings = tuple(dated_ceilings(work.uv, work.declared))
    return Survey(ceilings=ceilings, floors=tuple(dated_floors(work.uv, work.declared)) if ceilings else ())


def _of_model(project: Project, pin: Pin) -> str:
    version = next(
        (v for one in project.models if one.path == pin.source for n, v in one.made_with if n == pin.name), ""
    )
    if version == pin.version:
        return f"{pin.source} was made with it"
    return f"{pin.source} was made with {version}, which nothing fits; this is the nearest that has a wheel"
