"""Image references: docker's grammar, and errors that name the mended spelling."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipml.errors import UsageError
from shipml.oci.digest import Digest
from shipml.oci.reference import Reference, repository_name

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("iris", "docker.io", "library/iris", "latest"),
        ("iris:1.0", "docker.io", "library/iris", "1.0"),
        ("docker.io/iris", "docker.io", "library/iris", "latest"),
        ("index.docker.io/user/iris", "docker.io", "user/iris", "latest"),
        ("user/iris:v1", "docker.io", "user/iris", "v1"),
        ("a/b/c", "docker.io", "a/b/c", "latest"),
        ("localhost/iris", "localhost", "iris", "latest"),
        ("localhost:5000/iris", "localhost:5000", "iris", "latest"),
        ("127.0.0.1:5000/team/iris:x_Y.z-1", "127.0.0.1:5000", "team/iris", "x_Y.z-1"),
        ("[::1]:5000/iris", "[::1]:5000", "iris", "latest"),
        ("Registry.Example.org/iris", "Registry.Example.org", "iris", "latest"),
        ("a__b---c.d_e", "docker.io", "library/a__b---c.d_e", "latest"),
    ],
)
def test_reads_what_docker_reads(text: str, registry: str, repository: str, tag: str) -> None:
    """Registry, repository and tag come out as docker's own parser has them."""
    assert Reference.parse(text) == Reference(registry, repository, tag)


def test_a_digest_stands_alone_or_beside_a_tag() -> None:
    """With a digest no tag is made up, and a given one is kept."""
    alone, both = Reference.parse(f"iris@{DIGEST}"), Reference.parse(f"localhost:5000/iris:1@{DIGEST}")
    assert (alone.tag, alone.digest) == (None, Digest.parse(DIGEST))
    assert (both.registry, both.tag, str(both.digest)) == ("localhost:5000", "1", DIGEST)


@pytest.mark.parametrize(
    ("text", "short", "canonical"),
    [
        ("docker.io/library/iris", "iris:latest", "docker.io/library/iris:latest"),
        ("docker.io/me/iris:2", "me/iris:2", "docker.io/me/iris:2"),
        ("example.org/iris", "example.org/iris:latest", "example.org/iris:latest"),
        (f"iris@{DIGEST}", f"iris@{DIGEST}", f"docker.io/library/iris@{DIGEST}"),
    ],
)
def test_prints_short_and_canonical(text: str, short: str, canonical: str) -> None:
    """`str` is docker's familiar form, `canonical` leaves nothing out, and both read back to the same value."""
    reference = Reference.parse(text)
    assert (str(reference), reference.canonical) == (short, canonical)
    assert Reference.parse(short) == Reference.parse(canonical) == reference


@pytest.mark.parametrize(
    ("text", "because", "hint"),
    [
        ("MyApp", "lower case", "write myapp"),
        ("app:feature/x", "slash", "write app:feature-x"),
        ("localhost:5000/app:feature/x", "slash", "write localhost:5000/app:feature-x"),
        ("https://localhost:5000/a/b:1", "address", "write localhost:5000/a/b:1"),
        ("MyUser/App:1", "lower case", "write myuser/app:1"),
        ("example.org/My App", "lower case", "write example.org/my-app"),
        ("my app", "may only have", "write my-app"),
        ("iris:-1", "must not begin", "write iris:1"),
        ("iris:a b", "may only have", "write iris:a-b"),
        ("iris:", "missing", "write iris:latest"),
        ("", "missing", "write [registry/]name[:tag]"),
        ("example.org/", "missing", "write [registry/]name[:tag]"),
        ("iris@sha256:12", "not a SHA-256", "whole digest"),
        ("iris@md5:12", "not a digest", "whole digest"),
        ("a" * 64, "hex digits", "write [registry/]name[:tag]"),
        ("iris:" + "x" * 129, "longer than 128", "write iris:" + "x" * 128),
        ("x" * 256, "longer than 255", "write xxx"),
        ("exa_mple.org/iris", "host name", "write iris"),
        ("a//b", "may only have", "write a/b"),
        ("café", "may only have", "write cafe"),
        ("iris\n", "", ""),
    ],
)
def test_errors_name_what_is_wrong_and_the_mended_spelling(text: str, because: str, hint: str) -> None:
    """Each mistake is named, and the hint has a spelling that works; white space around is forgiven."""
    if not because:
        assert str(Reference.parse(text)) == "iris:latest"
        return
    with pytest.raises(UsageError, match=re.escape(because)) as caught:
        Reference.parse(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My Project!", "my-project"),
        ("iris_classifier", "iris_classifier"),
        ("a___b", "a-b"),
        ("Überraschung", "uberraschung"),
        ("日本", "image"),
        ("--x--", "x"),
        ("v1.2.", "v1.2"),
        ("a./b", "a-b"),
    ],
)
def test_project_names_become_repository_names(text: str, name: str) -> None:
    """A project's name is kept where it is valid and mended where it is not."""
    assert repository_name(text) == name


@given(st.text(max_size=300))
def test_any_project_name_gives_a_valid_reference(text: str) -> None:
    """Whatever the folder is called, the image can be named and the name reads back."""
    name = repository_name(text)
    assert repository_name(name) == name
    assert Reference.parse(f"example.org/{name}").repository == name


@given(st.text(alphabet="aB0._-/:@ é[]", max_size=40))
def test_hints_are_spellings_that_work(text: str) -> None:
    """Where the hint says what to write, writing that works."""
    try:
        reference = Reference.parse(text)
    except UsageError as error:
        if error.hint.startswith("write ") and "[registry" not in error.hint:
            Reference.parse(error.hint.removeprefix("write "))
    else:
        assert Reference.parse(str(reference)) == reference
