"""What trained models say about versions: taken where the project leaves them open, held against its pins."""

from __future__ import annotations

from collections.abc import Iterator

from shipml.facts.plan import Decision
from shipml.facts.project import Project
from shipml.facts.releases import Pin
from shipml.facts.requirements import Correction, DeclaredRequirement

__all__ = ["added_requirements", "by_number", "contradictions", "keras_2_bounds", "model_pins"]

_MODULES = {"scikit-learn": "sklearn", "xgboost": "xgboost", "keras": "keras"}
_KERAS_2_ENDS = {"tensorflow": "tensorflow<2.16", "tensorflow-cpu": "tensorflow-cpu<2.16", "keras": "keras<3"}
"""TensorFlow 2.16 is the first whose tf.keras is Keras 3, which reads models of Keras 2 in part only."""


def _made_with(project: Project) -> dict[str, tuple[str, str]]:
    """By distribution the newest version that made one of the models, and that model."""
    found: dict[str, tuple[str, str]] = {}
    for model in project.models:
        for name, version in model.made_with:
            if name not in found or by_number(version) > by_number(found[name][0]):
                found[name] = (version, model.path)
    return found


def by_number(version: str) -> tuple[int, ...]:
    """The numbers of a version, to compare by."""
    return tuple(int("".join(filter(str.isdecimal, part)) or 0) for part in version.split("."))


def _declared(project: Project, name: str) -> DeclaredRequirement | None:
    declared = project.requirements
    named = () if declared is None else (*declared.requirements, *declared.constraints)
    return next((one for one in named if one.name == name), None)


def model_pins(project: Project) -> tuple[Pin, ...]:
    """The versions that made the models, of packages whose version the project leaves open."""
    return tuple(
        Pin(name, version, path, declared=False)
        for name, (version, path) in sorted(_made_with(project).items())
        if name != "keras" and not _says_version(_declared(project, name))
    )


def _says_version(one: DeclaredRequirement | None) -> bool:
    """Whether the line says anything about the version: then it is the project's word against the model's."""
    return one is not None and any(sign in one.line.partition(";")[0] for sign in ("==", ">", "<", "~=", " @ "))


def keras_2_bounds(project: Project) -> Iterator[tuple[str, Decision]]:
    """Constraints that keep Keras 2 for models that it made, each with why."""
    version, path = _made_with(project).get("keras", ("", ""))
    if not version or by_number(version)[0] > 2:  # noqa: PLR2004 - Keras 3 reads its own
        return
    for name, bound in _KERAS_2_ENDS.items():
        one = _declared(project, name)
        if one is not None and not one.version:
            yield (
                bound,
                Decision("held back", bound, f"{path} was made with Keras {version}, which Keras 3 cannot replace"),
            )


def added_requirements(project: Project) -> Iterator[tuple[DeclaredRequirement, Correction]]:
    """What a model needs to be loaded and nothing asks for."""
    imported = {one.root for one in project.imports}
    for name, (version, path) in sorted(_made_with(project).items()):
        if name != "keras" and _declared(project, name) is None and _MODULES[name] not in imported:
            line = f"{name}=={version}"
            because = "the model was made with it and cannot be loaded without it"
            yield DeclaredRequirement(name, path, name=name), Correction("added", "", line, because, path)


def contradictions(project: Project) -> Iterator[Decision]:
    """Models that the project's own pins cannot load, or load into something else; and models that are not there."""
    for model in project.models:
        for name, version in model.made_with:
            one = _declared(project, name)
            if one is not None and one.version and by_number(one.version)[:2] != by_number(version)[:2]:
                because = f"{one.source} pins {name}=={one.version}: {_harm(version, one.version)}"
                yield Decision("model file", f"{model.path} was made with {name} {version}", because, "warning")


def _harm(made_with: str, pinned: str) -> str:
    if by_number(pinned) < by_number(made_with):
        return "an older release often cannot load what a newer one wrote; pin the version that made it"
    return (
        "a newer release may fail to load it, or predict differently; pin the version that made it, or train it again"
    )
