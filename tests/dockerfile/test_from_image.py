"""What an image is built on instead of the one that a FROM names."""

from __future__ import annotations

import pytest

from shipml.dockerfile.from_image import read_base


@pytest.mark.parametrize(
    ("reference", "python", "image"),
    [
        ("python:3.12", "3.12", ""),
        ("python:3.12.4-slim", "3.12", ""),
        ("python", "", ""),
        ("python:3-slim", "", ""),
        ("python:3.11-slim-bookworm", "3.11", "debian:bookworm"),
        ("python:3.9.19-bullseye", "3.9", "debian:bullseye"),
        ("docker.io/library/python:3.13-trixie", "3.13", "debian:trixie"),
        ("python:3.12-slim-bookworm", "3.12", "python:3.12-slim-bookworm"),
        ("python:3.10.2-bullseye", "3.10", "python:3.10.2-slim-bullseye"),
        ("python:3.7-slim-buster", "3.7", "python:3.7-slim-buster"),
        ("python:slim-bookworm", "", "python:slim-bookworm"),
        ("python:3.15-rc-slim", "3.15", "python:3.15-rc-slim"),
        ("public.ecr.aws/docker/library/python:3.11-slim", "3.11", ""),
        ("ghcr.io/astral-sh/uv:python3.11-bookworm-slim", "3.11", "debian:bookworm"),
        ("debian:bookworm-slim", "3.11", "debian:bookworm"),
        ("debian:12", "3.11", "debian:bookworm"),
        ("debian:stable-slim", "", ""),
        ("buildpack-deps:trixie-scm", "3.13", "debian:trixie"),
        ("continuumio/miniconda3:24.1.2-0", "", ""),
        ("mambaorg/micromamba:1.5-jammy", "", ""),
        ("registry.example.com/ml/python-base:7", "", "registry.example.com/ml/python-base:7"),
        ("registry.example.com/python:3.11-slim", "", "registry.example.com/python:3.11-slim"),
    ],
)
def test_the_suite_and_the_python_are_those_of_the_name(reference: str, python: str, image: str) -> None:
    """Debian's own packages where they have both, else the slim image; any other image is the base itself."""
    base = read_base(reference)
    assert (base.python, base.image, base.instead, base.unsupported) == (python, image, "", "")


@pytest.mark.parametrize(
    ("reference", "python"),
    [
        ("python:3.11-alpine", "3.11"),
        ("python:3.12.1-alpine3.19", "3.12"),
        ("nvidia/cuda:12.1.0-runtime-ubuntu22.04", "3.10"),
        ("ubuntu:20.04", "3.8"),
        ("debian:buster", ""),
        ("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", ""),
        ("tiangolo/uvicorn-gunicorn-fastapi:python3.7", "3.7"),
        ("public.ecr.aws/lambda/python:3.11", "3.11"),
        ("bitnami/python:3.10", "3.10"),
    ],
)
def test_debians_python_takes_the_place_of_other_systems(reference: str, python: str) -> None:
    """It is said; the Python stays the one that the name tells."""
    base = read_base(reference)
    assert (base.python, base.image, base.unsupported) == (python, "", "")
    assert base.instead


@pytest.mark.parametrize("reference", ["scratch", "python:3.11-windowsservercore", "$BASE", ""])
def test_some_images_are_no_base_for_python(reference: str) -> None:
    """Only an engine can build on them."""
    assert read_base(reference).unsupported
