"""A resolution made to fit the accelerator.

torch and its kin are taken from the index that has builds for it, and for the CPU packages without what only GPUs
use. It happens when all versions are known, and changes none: whatever else was resolved is held.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shipml.errors import ResolutionError
from shipml.facts.gpu_packages import (
    CPU_TWINS,
    PYTORCH_BUILDS,
    gpu_extras,
    is_gpu_library,
)
from shipml.facts.plan import Decision
from shipml.facts.requirements import Correction, DeclaredRequirement, Requirements
from shipml.plan.accelerator import Accelerator
from shipml.resolver.integrity import has_stated_hash
from shipml.resolver.pytorch_index import (
    MIRROR,
    PyTorchIndex,
    knows_sizes,
    names_of,
    wheels_size_bytes,
    with_sizes,
)
from shipml.resolver.uv import Question, Uv, UvError
from shipml.text import size_text

__all__ = ["Fitted", "fit"]

_GPU_PACKAGES = frozenset({*PYTORCH_BUILDS, *CPU_TWINS, *CPU_TWINS.values(), "jax", "jaxlib", "onnxruntime-gpu"})
_LEAST_BYTES = 1_000_000
"""A difference below is not worth a word."""


_MOST_BYTES_IN_VAIN = 500_000_000
"""What may be taken in vain where PyTorch's index cannot be reached."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A resolution for one accelerator."""

    document: Mapping[str, Any]
    decisions: tuple[Decision, ...] = ()
    changes: tuple[Correction, ...] = ()


@dataclass(slots=True)
class _Fitting:
    """What the steps share."""

    uv: Uv
    question: Question
    accelerator: Accelerator
    index: PyTorchIndex
    document: Mapping[str, Any]
    said: list[str]
    decisions: list[Decision]
    changes: list[Correction]

    @property
    def versions(self) -> dict[str, str]:
        """What is resolved so far, by name."""
        return {str(one["name"]): str(one.get("version", "")) for one in self.document.get("packages", ())}

    @property
    def asked(self) -> dict[str, DeclaredRequirement]:
        """What the project itself asks for, by name."""
        return {one.name: one for one in self.question.declared.requirements if one.name}


def fit(
    uv: Uv, question: Question, document: Mapping[str, Any], accelerator: Accelerator, index: PyTorchIndex
) -> Fitted:
    """The resolution for `accelerator`; where builds for it are not available, the one there is, and why.

    Args:
        uv: of the project.
        question: what led to the resolution.
        document: the resolution (pylock.toml).
        accelerator: for which it should be.
        index: PyTorch's.

    Raises:
        TryAgainError: PyTorch's index cannot be reached, and what it has must not be replaced silently.
    """
    work = _Fitting(uv, question, accelerator, index, document, [], [], [])
    concerned = not _GPU_PACKAGES.isdisjoint(work.versions) or any(map(is_gpu_library, work.versions))
    before_bytes = wheels_size_bytes(document, question)
    if concerned:
        _take_torch(work)
        if accelerator.name == "cpu":
            for name, twin in CPU_TWINS.items():
                _take_twin(work, name, twin)
        else:
            _look_at_tensorflow(work)
    saved_bytes = before_bytes - wheels_size_bytes(work.document, question)
    if not knows_sizes(work.document):
        saved_bytes = wheels_size_bytes(
            document, question, {name for name in names_of(document) if is_gpu_library(name)}
        )
    if concerned or accelerator.asked or accelerator.name == "cuda":
        because = "; ".join([accelerator.because, *work.said])
        because += f"; that saves {size_text(saved_bytes)}" if saved_bytes > _LEAST_BYTES and work.said else ""
        work.decisions.insert(0, Decision("accelerator", accelerator.name, because, "accelerator"))
    return Fitted(work.document, tuple(work.decisions), tuple(work.changes))


def _take_torch(work: _Fitting) -> None:
    """Torch and its kin from the part of PyTorch's index that fits, at the versions that were resolved."""
    builds = {name: version for name, version in work.versions.items() if name in PYTORCH_BUILDS}
    backend = work.accelerator.backend
    if "torch" not in builds:
        return
    if any("+" in version for version in builds.values()):
        work.said.append(f"torch {builds['torch']} is what the project's own index has")
        return
    if not backend or (backend == "cpu" and not _carries_cuda(work)):
        _tell_cuda(work)
        _tell_other_builds(work, "")
        return
    if any(has_stated_hash(work.question.declared, name) for name in builds):
        work.said.append("torch is the file that its hash names")
        return
    because = work.index.unreachable(backend)
    if because:
        if work.index.is_fault(backend):
            _refuse_other_builds(work, backend, builds)
        _without_index(work, backend, f"{work.index.name} cannot be asked: {because}")
        return
    names = [f"{name}=={version}+{backend}" for name, version in builds.items()]
    pages = tuple(work.index.page(backend, name) for name in builds)
    try:
        document = _resolved_again(work, set(builds), overrides=names, pages=pages)
    except (UvError, ResolutionError):
        _without_index(work, backend, f"{work.index.name} has no {' and '.join(names)} for this Python and platform")
        return
    work.document = with_sizes(document, work.index)
    work.said.append(f"{_listed(names)} from PyTorch's index")
    _tell_other_builds(work, backend)


def _refuse_other_builds(work: _Fitting, backend: str, builds: Mapping[str, str]) -> None:
    """A network fault must not change what is built, where that is named by the user or is large.

    Raises:
        TryAgainError: the build was asked for by name, or another one is hundreds of megabytes larger.
    """
    asked = [one for name in builds if (one := work.asked.get(name)) is not None and one.local]
    if asked:
        raise work.index.fault(backend, f"{asked[0].source} asks for {_pinned(asked[0])}")
    if backend != "cpu":
        raise work.index.fault(backend, f"torch {builds['torch']} is wanted for {backend}")
    names = {*builds, *(name for name in work.versions if is_gpu_library(name))}
    size_bytes = wheels_size_bytes(work.document, work.question, names)
    if size_bytes > _MOST_BYTES_IN_VAIN:
        what = f"torch {builds['torch']} for the CPU is small, and with CUDA it takes {size_text(size_bytes)}"
        raise work.index.fault(backend, what)


def _carries_cuda(work: _Fitting) -> bool:
    """Whether the ordinary index's torch is one for GPUs: on amd64 always, elsewhere where libraries say so."""
    return work.question.platform.architecture == "amd64" or any(map(is_gpu_library, work.versions))


def _tell_cuda(work: _Fitting) -> None:
    libraries = {name for name in work.versions if is_gpu_library(name)}
    if work.accelerator.name == "cuda" and libraries:
        size_bytes = wheels_size_bytes(work.document, work.question, libraries)
        work.said.append(f"the wheels carry CUDA themselves ({size_text(size_bytes)}), so the base needs none")


def _without_index(work: _Fitting, backend: str, because: str) -> None:
    """Say what it costs that the builds are not available."""
    torch = f"torch {work.versions['torch']}"
    if backend == "cpu":
        libraries = {name for name in work.versions if is_gpu_library(name)}
        size_bytes = wheels_size_bytes(work.document, work.question, libraries)
        cost = f"{torch} is the build with CUDA"
        cost += (
            f", and links {size_text(size_bytes)} of NVIDIA's libraries that a CPU has no use for" if libraries else ""
        )
    else:
        cost = f"{torch} is the build of the ordinary index, for the CUDA that it was made with"
    remedy = f"name a mirror of it ({MIRROR}=URL) or let this machine reach it, then run with --upgrade"
    work.decisions.append(Decision("PyTorch's index", "not used", f"{because}; {cost}; {remedy}", "warning"))
    for one in work.question.declared.requirements:
        if one.name in PYTORCH_BUILDS and one.local:
            work.changes.append(Correction("version", _pinned(one), _public(one), because, one.source))


def _tell_other_builds(work: _Fitting, backend: str) -> None:
    """The pins that name another build than is taken; "": the ordinary index's."""
    because = f"the accelerator is {work.accelerator.name}: {work.accelerator.because}"
    for one in work.question.declared.requirements:
        if one.name in PYTORCH_BUILDS and one.local not in ("", backend):
            taken = f"{_public(one)}+{backend}" if backend else _public(one)
            work.changes.append(Correction("version", _pinned(one), taken, because, one.source))


def _pinned(one: DeclaredRequirement) -> str:
    return f"{_public(one)}+{one.local}"


def _public(one: DeclaredRequirement) -> str:
    return f"{one.name}=={one.version.partition('+')[0]}"


def _take_twin(work: _Fitting, name: str, twin: str) -> None:
    """The same release without what only GPUs use, where the project alone asks for it by name."""
    version, asked = work.versions.get(name), work.asked.get(name)
    if version is None or asked is None or work.question.declared.as_it_stands:
        return
    if has_stated_hash(work.question.declared, name) or " @ " in asked.line or gpu_extras(asked.line):
        return
    line = _of_version(asked.line, twin, version)
    declared = _replaced(work.question.declared, asked, replace(asked, line=line, name=twin, version=version))
    try:
        document = _resolved_again(work, {name}, declared=declared)
    except (UvError, ResolutionError):
        return  # there is no such release of it: what there is stands
    names = {str(one["name"]) for one in document.get("packages", ())}
    if name in names:
        work.said.append(f"{name} stays: others ask for it by that name")
        return
    saved_bytes = wheels_size_bytes(work.document, work.question) - wheels_size_bytes(document, work.question)
    if saved_bytes <= _LEAST_BYTES:
        return
    work.document = document
    work.question = replace(work.question, declared=declared)
    work.said.append(f"{twin} {version} stands for {name}")
    because = f"it is the same without what only GPUs use, {size_text(saved_bytes)} less"
    work.changes.append(Correction("name", asked.line, line, because, asked.source))


def _of_version(line: str, name: str, version: str) -> str:
    """A requirement under another name, at one version, with its extras and marker."""
    extras = re.match(r"[\w.-]+\s*(\[[^\]]*\])?", line)
    _, semicolon, marker = line.partition(";")
    return f"{name}{(extras[1] if extras else None) or ''}=={version}" + (f" ;{marker}" if semicolon else "")


def _look_at_tensorflow(work: _Fitting) -> None:
    """TensorFlow's wheels leave out CUDA: from 2.14 on an extra brings it, before that the base must have it."""
    version = work.versions.get("tensorflow")
    if version is None or any(name.startswith("nvidia-cudnn") for name in work.versions):
        return
    series = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    asked = work.asked.get("tensorflow")
    if series < (2, 14) or asked is None:
        work.said.append(f"tensorflow {version} takes CUDA from the base, and Debian's has none: it runs on the CPU")
        return
    line = f"tensorflow[and-cuda]=={version}"
    remedy = f"{asked.source}: write {line} for wheels that bring it"
    if not work.accelerator.asked or work.question.declared.as_it_stands:
        work.said.append(f"tensorflow {version} finds no CUDA in the base: {remedy}")
        return
    declared = _replaced(work.question.declared, asked, replace(asked, line=line))
    try:
        work.document = _resolved_again(work, set(), declared=declared)
    except (UvError, ResolutionError):
        work.said.append(f"tensorflow {version} finds no CUDA in the base: {remedy}")
        return
    work.question = replace(work.question, declared=declared)
    work.changes.append(Correction("name", asked.line, line, "only this form of its wheels brings CUDA", asked.source))


def _replaced(declared: Requirements, old: DeclaredRequirement, new: DeclaredRequirement) -> Requirements:
    return replace(declared, requirements=tuple(new if one is old else one for one in declared.requirements))


def _resolved_again(
    work: _Fitting,
    open_names: set[str],
    *,
    declared: Requirements | None = None,
    overrides: Sequence[str] = (),
    pages: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The same resolution but for `open_names` and what they alone need.

    Raises:
        UvError: there is none.
        ResolutionError: uv's answer cannot be read.
    """
    held = [f"{name}=={version}" for name, version in work.versions.items() if version and name not in open_names]
    held = [line for line in held if "+" not in line]
    others = [line for line in work.question.overrides if line.partition("==")[0] not in open_names]
    declared = declared or work.question.declared
    names = [*work.versions, *(one.name for one in declared.requirements if one.name)]
    asked = replace(
        work.question,
        declared=declared,
        constraints=(*work.question.constraints, *held),
        exempt=tuple(dict.fromkeys([*work.question.exempt, *names])),
        overrides=(*others, *overrides),
        pages=(*work.question.pages, *pages),
    )
    document = work.uv.resolve(asked)
    work.question = replace(work.question, pages=asked.pages, overrides=asked.overrides)
    return document


def _listed(names: Sequence[str]) -> str:
    shown = [name.replace("==", " ") for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
