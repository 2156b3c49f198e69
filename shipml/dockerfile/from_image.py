"""What a FROM stands for: a Python on a release of Debian, an image of a registry, or what only an engine has."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shipml.facts.pythons import SUITES, suite_named

__all__ = ["BaseImage", "read_base"]

_OFFICIAL = re.compile(
    r"(?:(?:(?:docker|index\.docker|registry-1\.docker)\.io/)?(?:library/)?"
    r"|public\.ecr\.aws/docker/library/|mirror\.gcr\.io/(?:library/)?)"
    r"(?P<name>python|debian|buildpack-deps)(?::(?P<tag>[\w.-]+))?(?P<digest>@sha256:[0-9a-f]+)?"
)
_UV = re.compile(r"(?:ghcr\.io/astral-sh|docker\.io/astral|astral)/uv:(?:[\d.]+-)?python(?P<tag>3\.[\w.-]+)")
_CONDA = re.compile(
    r"(?:docker\.io/)?(?:continuumio/(?:ana|mini)conda3?|condaforge/(?:mambaforge|miniforge3)|mambaorg/micromamba)"
    r"(?:[:@].*)?"
)
_REPLACED = re.compile(
    r"(?:[\w.-]+/)*(?:ubuntu|nvidia/cuda|amazonlinux|fedora|rockylinux|centos|tensorflow/tensorflow|pytorch/pytorch"
    r"|jupyter/[\w-]+|tiangolo/[\w-]+|bitnami/(?:python|pytorch|tensorflow)|prefecthq/prefect|mlflow/mlflow"
    r"|huggingface/[\w-]+|lambda/python|alpine|oryx/python|devcontainers/python)(?:[:@].*)?"
)
"""Images of systems, and of packages that an index has as well: Debian's Python and the packages take their place."""
_VERSION = re.compile(r"3(?:\.\d+){0,2}")
_PYTHON_IN_TAG = re.compile(r"(?<![\d.])(?:py(?:thon)?-?)?(3\.\d{1,2})(?![\d])|py(3)(\d{1,2})(?!\d)")
_OF_UBUNTU = {"20.04": "3.8", "22.04": "3.10", "24.04": "3.12"}
_OLD = ("jessie", "stretch", "buster", "sid", "forky")
_NUMBERED = {"10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "stable": "", "latest": ""}
_SUITES = frozenset({*(suite.name for suite in SUITES), *_OLD})


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What an image is built on instead of the one that FROM names."""

    python: str = ""
    """Minor version, where the name says it."""
    image: str = ""
    """"debian:SUITE", or an image of a registry; "" where any Debian with that Python will do."""
    instead: str = ""
    """Why another stands in for it: a clause; "" where it is what was asked for."""
    unsupported: str = ""
    """Why nothing can: a clause."""


def read_base(reference: str) -> BaseImage:
    """What the image `reference` of a FROM comes to."""
    if match := _OFFICIAL.fullmatch(reference):
        if match["name"] != "python":
            return _debian(match["tag"] or "latest")
        return _python(match["tag"] or "latest", reference, has_digest=bool(match["digest"]))
    if match := _UV.fullmatch(reference):
        return _python(match["tag"], reference, has_digest=False)
    because = _unsupported(reference)
    if because or _CONDA.fullmatch(reference):
        return BaseImage(unsupported=because)
    if _REPLACED.fullmatch(reference):
        instead = "it is not made from Debian's packages: Debian's Python takes its place"
        return BaseImage(_python_of(reference), instead=instead)
    return BaseImage(image=reference)


def _unsupported(reference: str) -> str:
    if reference == "scratch":
        return "an image from scratch has no Python"
    if "$" in reference or not reference:
        return "its name has a variable that is not set"
    return "images of Windows are not made" if "windows" in reference or "nanoserver" in reference else ""


def _python(tag: str, reference: str, *, has_digest: bool) -> BaseImage:
    """The official images: `3.12.1-slim-bookworm`, `3-bullseye`, `slim`, `3.13-rc-alpine3.20`."""
    words = tag.split("-")
    version = words.pop(0) if _VERSION.fullmatch(words[0]) else ""
    minor = ".".join(version.split(".")[:2]) if version.count(".") else ""
    if any(word.startswith("alpine") for word in words):
        because = "packages for another C library than glibc are not made: Debian's Python takes its place"
        return BaseImage(minor, instead=because)
    if any("windows" in word or "nanoserver" in word for word in words):
        return BaseImage(unsupported="images of Windows are not made")
    suite = next((word for word in words if word in _SUITES), "")
    if {*words} - {suite, "slim", "latest", ""} or has_digest:  # a pre-release, or one that is pinned
        return BaseImage(minor, reference)
    if not suite:
        return BaseImage(minor)
    if minor and any((one.name, one.python) == (suite, minor) for one in SUITES):
        return BaseImage(minor, f"debian:{suite}")
    return BaseImage(minor, f"python:{version}-slim-{suite}" if version else f"python:slim-{suite}")


def _debian(tag: str) -> BaseImage:
    suite = tag.removesuffix("-slim").removesuffix("-curl").removesuffix("-scm")
    suite = _NUMBERED.get(suite.partition(".")[0], suite)
    if not suite:
        return BaseImage()
    known = suite_named(suite)
    if known is None:
        return BaseImage(instead=f"{suite} is not a release of Debian that is assembled: another takes its place")
    return BaseImage(known.python, f"debian:{suite}")


def _python_of(reference: str) -> str:
    tag = reference.rpartition(":")[2] if ":" in reference else ""
    if "ubuntu" in reference:
        return next((python for release, python in _OF_UBUNTU.items() if release in tag), "")
    match = _PYTHON_IN_TAG.search(tag)
    return (match[1] or f"{match[2]}.{match[3]}") if match else ""
