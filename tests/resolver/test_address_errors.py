"""Requirements by URL that cannot be had: the real uv and git, against servers on loopback ports."""

from __future__ import annotations

import pytest

from shipml.errors import NotAllowedError, ResolutionError, TryAgainError
from shipml.facts.pythons import SUITES
from shipml.facts.requirements import DeclaredRequirement, Requirements
from shipml.oci.manifest import Platform
from shipml.resolver.address_errors import explain_address
from shipml.resolver.errors import explain
from tests.package_index import PackageIndex, make_wheel
from tests.resolver.conftest import Resolving


@pytest.fixture(autouse=True)
def _no_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git asks nobody."""
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    monkeypatch.setenv("GIT_ASKPASS", "true")


def test_a_host_that_cannot_be_reached_is_named_with_the_line(index: PackageIndex, resolving: Resolving) -> None:
    """Not as a package index; the file put into the project mends it, and that works."""
    filename, data = make_wheel("model", "1.0")
    with pytest.raises(TryAgainError) as caught:
        resolving(f"# models\nhttp://someone:marked-secret@127.0.0.1:9/{filename}\n")
    error = caught.value
    assert error.message == (
        f"requirements.txt:2 asks for http://127.0.0.1:9/{filename}, and 127.0.0.1 cannot be reached from here: "
        "Connection refused (os error 111)"
    )
    assert error.hint.endswith(f"put {filename} into the project, and write ./{filename} in requirements.txt:2")
    (resolving.folder / filename).write_bytes(data)
    _, lock = resolving(f"# models\n./{filename}\n")
    assert [(wheel.name, wheel.direct) for wheel in lock.wheels] == [("model", True)]


def test_a_file_that_is_not_there_is_the_lines_fault(index: PackageIndex, resolving: Resolving) -> None:
    """The server answers: trying again does not help."""
    with pytest.raises(ResolutionError) as caught:
        resolving(f"model @ http://{index.host}/files/model-1.0-py3-none-any.whl\n")
    error = caught.value
    assert error.message == (
        f"requirements.txt:1 asks for http://{index.host}/files/model-1.0-py3-none-any.whl, "
        "which 127.0.0.1 does not have: 404 Not Found"
    )
    assert error.hint.startswith("correct the address in requirements.txt:1")


def test_a_file_for_some_alone_wants_credentials(index: PackageIndex, resolving: Resolving) -> None:
    """It is said where they are looked for."""
    index.credentials = ("someone", "marked-secret")
    with pytest.raises(NotAllowedError) as caught:
        resolving(f"model @ http://{index.host}/files/model-1.0-py3-none-any.whl\n")
    assert "127.0.0.1 wants credentials" in caught.value.message
    assert "~/.netrc" in caught.value.hint


def test_a_repository_that_cannot_be_reached_is_named_with_the_line(index: PackageIndex, resolving: Resolving) -> None:
    """Of git's words the one that tells; a wheel of it mends it."""
    with pytest.raises(TryAgainError) as caught:
        resolving("tool @ git+http://127.0.0.1:9/a/tool.git@v1\n")
    error = caught.value
    assert error.message.startswith(
        "requirements.txt:1 asks for http://127.0.0.1:9/a/tool.git, and 127.0.0.1 cannot be reached from here: "
        "unable to access"
    )
    assert "pip wheel" in error.hint


def test_a_repository_that_is_not_there_is_the_lines_fault(index: PackageIndex, resolving: Resolving) -> None:
    """The server says 404 to git."""
    with pytest.raises(
        ResolutionError, match=r"requirements.txt:1 asks for http://127.*, which 127.0.0.1 does not have"
    ):
        resolving(f"git+http://{index.host}/a/tool.git\n")


def test_an_index_that_cannot_be_reached_is_called_one() -> None:
    """Also where a line asks for a URL elsewhere."""
    declared = Requirements(
        "r.txt", (DeclaredRequirement("a @ https://example.org/a-1-py3-none-any.whl", "r.txt:1", "a"),)
    )
    text = (
        "error: Request failed after 3 retries\n  cause: Failed to fetch: https://index.example.org/simple/b/\n"
        "  cause: error sending request for url (https://index.example.org/simple/b/)\n  cause: dns error"
    )
    assert explain_address(text, declared) is None
    problem = explain(text, SUITES[0], Platform("linux", "amd64"), declared)
    assert problem.message == "the package index https://index.example.org/simple/b/ cannot be reached: dns error"


@pytest.mark.parametrize(
    ("line", "words", "kind", "message"),
    [
        (
            "git+ssh://git@example.org/a/tool.git",
            "fetch 'ssh://example.org/a/tool.git'\n Permission denied (publickey).\n fatal: Could not read from remote",
            NotAllowedError,
            "r.txt:1 asks for ssh://example.org/a/tool.git, and example.org wants credentials",
        ),
        (
            "git+https://example.org/a/tool.git@nowhere",
            "fetch 'https://example.org/a/tool.git'\n fatal: couldn't find remote ref nowhere",
            ResolutionError,
            "which example.org does not have: couldn't find remote ref nowhere",
        ),
        (
            "git+https://example.org/a/tool.git",
            "fetch 'https://example.org/a/tool.git'\n fatal: could not read Username for 'https://example.org'",
            NotAllowedError,
            "example.org wants credentials",
        ),
        (
            "https://example.org/a-1.0-py3-none-any.whl",
            "cause: HTTP status server error (503 Service Unavailable) for url (https://example.org/a-1.0-py3-none-any.whl)",
            TryAgainError,
            "example.org cannot be reached from here: 503 Service Unavailable",
        ),
    ],
)
def test_other_words_are_understood(line: str, words: str, kind: type[Exception], message: str) -> None:
    """What git and servers say, by their own texts."""
    problem = explain_address(words, Requirements("r.txt", (DeclaredRequirement(line, "r.txt:1"),)))
    assert isinstance(problem, kind)
    assert message in str(problem)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("detectron2", "write: detectron2 @ git+https://github.com/facebookresearch/detectron2"),
        ("no-such-thing-at-all", "check how no-such-thing-at-all is spelled"),
    ],
)
def test_what_authors_publish_elsewhere_is_not_misspelled(name: str, hint: str) -> None:
    """A known name that no index has comes with its place; another is a question of spelling."""
    text = (
        f"error: No solution found when resolving dependencies\n  cause: Because {name} was not found in the package"
        f" registry and you require {name}, we can conclude that your requirements are unsatisfiable."
    )
    problem = explain(text, SUITES[0], Platform("linux", "amd64"))
    assert problem.kind == "resolution"
    assert hint in problem.hint
