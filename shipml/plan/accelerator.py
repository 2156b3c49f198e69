"""For which processor packages are taken that exist for several: the CPU, or NVIDIA's GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from shipml.facts.gpu_packages import (
    CPU_NAMES,
    gpu_extras,
    is_cuda,
    is_for_gpus,
    is_gpu_library,
)
from shipml.facts.plan import Decision
from shipml.facts.project import Project
from shipml.facts.requirements import Correction, DeclaredRequirement, Requirements

__all__ = ["CPU", "Accelerator", "choose_accelerator", "gpu_hint", "without_gpu"]


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What packages are taken for, and why."""

    name: Literal["cpu", "cuda"]
    because: str
    """A clause without full stop."""
    asked: bool = False
    """Whether the user says so, by option or setting."""
    backend: str = "cpu"
    """The part of PyTorch's own index that has the builds: "cpu", "cu111"; "" for what the ordinary index has."""


_PYTORCH_INDEX = re.compile(r"download\.pytorch\.org/whl/(cu\d+)")
CPU = Accelerator("cpu", "nothing in the project says that it needs a GPU")


def choose_accelerator(project: Project, asked: str | None = None) -> Accelerator:
    """The accelerator: what was asked for, else what the project's requirements and Dockerfile say, else the CPU.

    Args:
        project: the facts.
        asked: the option.
    """
    settings = project.settings
    wanted, because = asked, "--accelerator says so"
    if wanted is None and settings.accelerator is not None:
        wanted, because = settings.accelerator, f"{settings.source} says so"
    sure = next(_evidence(project), "")
    if wanted == "cuda":
        return Accelerator("cuda", because, asked=True, backend=_backend(project))
    if wanted == "cpu":
        return Accelerator("cpu", because, asked=True)
    if sure:
        return Accelerator("cuda", sure, backend=_backend(project))
    return CPU


def gpu_hint(project: Project, accelerator: str) -> Decision | None:
    """What speaks for a GPU and does not suffice for `accelerator` (cpu) to be another; None where nothing does."""
    if accelerator != "cpu" or not project.gpu_uses:
        return None
    use = project.gpu_uses[0]
    return Decision("GPU", "perhaps", f"{use.source} {use.what}; for builds with CUDA: --accelerator cuda")


def _evidence(project: Project) -> Iterator[str]:
    """What leaves no doubt that a GPU is meant, strongest first."""
    declared = project.requirements
    if declared is not None:
        yield from _of_requirements(declared)
    yield from (f"{one.source} {one.what}" for one in project.gpu_uses if one.is_sure)


def _of_requirements(declared: Requirements) -> Iterator[str]:
    for one in declared.requirements:
        shown = _shown(one)
        if is_cuda(one.local):
            yield f"{one.source} asks for {one.name}=={one.version.partition('+')[0]}+{one.local}"
        elif is_for_gpus(one.name):
            yield f"{one.source} asks for {shown}, which is for GPUs"
        elif gpu_extras(one.line):
            yield f"{one.source} asks for {shown}"
    for change in declared.changes:
        name = re.split(r"[^A-Za-z0-9._-]", change.before, maxsplit=1)[0].lower().replace("_", "-")
        if is_for_gpus(name):
            yield f"{change.source} asks for {change.before}, which is for GPUs"
    for backend, source in _named_backends(declared):
        if is_cuda(backend):
            yield f"{source} names PyTorch's index for {backend}"


def _named_backends(declared: Requirements) -> Iterator[tuple[str, str]]:
    """Parts of PyTorch's index that options name, or the project's settings for uv; and where."""
    yield from declared.pytorch_backends
    for name, text in declared.inputs if declared.as_it_stands else ():
        yield from ((backend, name) for backend in _PYTORCH_INDEX.findall(text))


def _backend(project: Project) -> str:
    """The CUDA that the project names for PyTorch; "": the one that the ordinary index's builds carry."""
    declared = project.requirements
    if declared is None:
        return ""
    named = [one.local for one in declared.requirements if one.name == "torch"]
    named += [one.local for one in declared.requirements]
    named += [backend for backend, _ in _named_backends(declared)]
    return next((one for one in named if is_cuda(one)), "")


def without_gpu(project: Project, accelerator: Accelerator) -> Project:
    """The project for a CPU that was asked for: packages that only a GPU can use give way to their counterparts.

    Those that have none stay: who asks for them must say what else is meant.
    """
    if not accelerator.asked or accelerator.name != "cpu":
        return project
    project = replace(project, gpu_uses=())
    declared = project.requirements
    if declared is None or declared.as_it_stands:
        return project
    taken = [_for_cpu(one, accelerator.because) for one in declared.requirements]
    known: set[str] = set()
    requirements = []
    for one, _ in taken:
        if one is not None and (not one.name or one.name not in known):
            requirements.append(one)
            known.add(one.name)
    changes = tuple(change for _, change in taken if change is not None)
    declared = replace(declared, requirements=tuple(requirements), changes=(*declared.changes, *changes))
    return replace(project, requirements=declared)


def _for_cpu(one: DeclaredRequirement, because: str) -> tuple[DeclaredRequirement | None, Correction | None]:
    shown = _shown(one)
    line = shown
    if one.name in CPU_NAMES:
        line = re.sub(r"^[\w.-]+", CPU_NAMES[one.name], line)
    elif one.name.startswith("nvidia-") and is_gpu_library(one.name):
        return None, Correction("dropped", shown, "", f"only GPUs need it, and {because}", one.source)
    for extra in gpu_extras(line):
        line = re.sub(rf"(?<=[\[,])\s*{re.escape(extra)}\s*,?|,\s*{re.escape(extra)}\s*(?=\])", "", line)
    line = line.replace("[]", "")
    if line == shown:
        return one, None
    change = Correction("name", shown, line, f"only GPUs need the other, and {because}", one.source)
    return replace(one, line=line, name=CPU_NAMES.get(one.name, one.name)), change


def _shown(one: DeclaredRequirement) -> str:
    return re.sub(r"(?<=://)[^/\s@]+@", "", one.line.split(" --")[0].strip())
