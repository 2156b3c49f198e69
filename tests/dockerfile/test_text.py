"""Dockerfiles, read as far as a build needs: instructions, stages, images, mounts."""

from __future__ import annotations

import pytest

from shipml.build_elsewhere.host_access import HostAccess, with_host_access
from shipml.dockerfile.text import ImageUse, parse_dockerfile

ACCESS = HostAccess({"ca.pem": b""}, {"SSL_CERT_FILE": "/dev/shipml/ca.pem"})
FLAG = "--mount=type=bind,from=host:1,target=/dev/shipml "


def names(text: str, target: str = "", **arguments: str) -> list[str]:
    """The images that the Dockerfile needs."""
    return [use.name for use in parse_dockerfile(text).images(arguments, target)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM python:3.11\n", ["python:3.11"]),
        ("from python:3.11 as base\nRUN x\nFROM base\n", ["python:3.11"]),
        ("FROM scratch\nCOPY --from=alpine:3 /a /b\n", ["alpine:3"]),
        ("FROM a AS x\nFROM b AS y\nCOPY --from=x / /\n", ["b", "a"]),
        ("FROM a\nFROM b\nCOPY --from=0 / /\n", ["b", "a"]),
        ("FROM a\nFROM b\n", ["b"]),
        ("FROM a\nRUN --mount=type=bind,from=tools:1,target=/t x\n", ["a", "tools:1"]),
        ("ARG V=3.11\nFROM python:${V}-slim\n", ["python:3.11-slim"]),
        ("ARG V\nFROM python:${V:-3.12}\n", ["python:3.12"]),
        ('ARG A="x" B=y\nFROM $A:$B\n', ["x:y"]),
        ("FROM --platform=$BUILDPLATFORM a\n", ["a"]),
        ("# syntax=docker/dockerfile:1\n# escape=`\nFROM a `\n  AS b\n", ["a"]),
        ("FROM a \\\n  # a remark\n  AS b\nFROM b\n", ["a"]),
        ("FROM a\nRUN <<EOF\nFROM not-this\nEOF\n", ["a"]),
        ("FROM a\nRUN <<-'END' cat\n\tFROM not-this\n\tEND\nCOPY --from=c / /\n", ["a", "c"]),
        ("FROM\ta\nCOPY\t--from=c / /\n", ["a", "c"]),
        ("FROM a AS A1\nFROM A1\n", ["a"]),
        ("FROM a AS a\n", ["a"]),
        ("", []),
    ],
)
def test_images(text: str, expected: list[str]) -> None:
    """The images of the last stage and of all that it is made from, its base first."""
    assert names(text) == expected


def test_only_what_the_target_needs() -> None:
    """Stages that the target does not use need no images."""
    text = "FROM a AS one\nFROM b AS two\nCOPY --from=one / /\nFROM c\n"
    assert names(text, "one") == ["a"]
    assert names(text, "two") == ["b", "a"]
    assert names(text, "no-such-stage") == []


def test_arguments_that_are_given_win() -> None:
    """A build argument replaces the default of an ARG before FROM, and platforms are known."""
    assert names("ARG V=1\nFROM a:$V\n", V="2") == ["a:2"]
    use = parse_dockerfile("FROM --platform=$BUILDPLATFORM a\n").images({"BUILDPLATFORM": "linux/arm64"})
    assert use == [ImageUse("a", "linux/arm64")]


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        ("RUN --mount=type=secret,id=x cat", "secret"),
        ("RUN --mount=type=cache,target=/c --mount=type=ssh git clone", "ssh"),
        ("RUN --mount=type=cache,target=/c pip", ""),
        ("RUN echo --mount=type=secret", ""),
    ],
)
def test_mounts_that_need_a_session(run: str, kind: str) -> None:
    """Only the flags of a RUN count, not what it runs."""
    assert parse_dockerfile(f"FROM a\n{run}\n").session_mount() == kind


def test_every_run_gets_the_mount_and_every_stage_the_arguments() -> None:
    """Runs in shell form, exec form, with flags, with here-documents and over many lines are all mounted."""
    text = (
        'FROM a\nRUN one\n  run ["two"]\nRUN --mount=type=cache,target=/c three \\\n  && four\n'
        "FROM b \\\n  AS c\nRUN <<EOF\nRUN in a document\nEOF\nONBUILD RUN later\n"
    )
    changed, flag = with_host_access(parse_dockerfile(text), "host:1", ACCESS)
    assert flag == FLAG
    assert changed == (
        f'FROM a\nARG SSL_CERT_FILE\nRUN {FLAG}one\n  run {FLAG}["two"]\n'
        f"RUN {FLAG}--mount=type=cache,target=/c three \\\n  && four\n"
        f"FROM b \\\n  AS c\nARG SSL_CERT_FILE\nRUN {FLAG}<<EOF\nRUN in a document\nEOF\nONBUILD RUN later\n"
    )
