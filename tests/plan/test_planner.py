"""The plan as a whole: names, labels, time, environment, decisions, bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shipml.errors import ConfigurationError, PlanError
from shipml.facts.plan import (
    ApplicationFile,
    BasePin,
    ImageBasePin,
    LockedWheel,
    Plan,
    SmokeCheck,
)
from shipml.facts.programs import Program
from shipml.facts.project import Lock, Project, RefusedPython, Revision, Settings
from shipml.facts.pythons import HUB_PYTHONS, ImagePython, suite_named
from shipml.facts.requirements import (
    Correction,
    DeclaredRequirement,
    IgnoredFile,
    Requirements,
)
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan import PlanOptions, PythonCandidate, make_plan

AMD64 = Platform("linux", "amd64")
BOOKWORM = suite_named("bookworm")
assert BOOKWORM is not None
WHEEL = LockedWheel(
    "six", "1.16.0", "https://example.org/six.whl", 11053, Digest("1" * 64), "six-1.16.0-py3-none-any.whl"
)
LOCK = Lock((WHEEL,), "bookworm", "3.11", AMD64, Digest("2" * 64))
PROJECT = Project(
    Path("/home/joe/My Project"),
    requirements=Requirements("requirements.txt", (DeclaredRequirement("six", "requirements.txt:1", "six"),)),
    programs=(Program("app.py", "script"),),
    files=(ApplicationFile("app.py", "file", 3, digest=Digest("3" * 64)),),
    revision=Revision("a" * 40, dirty=False, committed_at_seconds=1_600_000_000, source="https://example.org/iris"),
)


def plan(
    project: Project = PROJECT, lock: Lock = LOCK, *, because: str = "", is_open: bool = True, **options: object
) -> Plan:
    assert BOOKWORM is not None
    return make_plan(
        project,
        lock=lock,
        base=BasePin("bookworm", "3.11.2", lock.platform, ()),
        candidate=PythonCandidate(BOOKWORM, because, open=is_open),
        platform=lock.platform,
        options=replace(PlanOptions(), **options),  # type: ignore[arg-type]
    )


def decision(found: Plan, what: str) -> str:
    return "; ".join(f"{one.value} because {one.because}" for one in found.decisions if one.what == what)


@pytest.mark.parametrize(
    ("project", "asked", "name"),
    [
        (PROJECT, None, "my-project"),
        (replace(PROJECT, name="Iris_Demo"), None, "iris_demo"),
        (replace(PROJECT, name="x", settings=Settings(name="team/iris")), None, "team/iris"),
        (PROJECT, "mine", "mine"),
        (replace(PROJECT, folder=Path("/Ünï--__.x")), None, "n-x"),
        (replace(PROJECT, folder=Path("/")), None, "app"),
    ],
)
def test_the_name_is_what_is_asked_else_said_else_the_folders(project: Project, asked: str | None, name: str) -> None:
    """Names become what a repository can be called."""
    assert plan(project, name=asked).name == name


def test_a_name_that_cannot_be_one_is_refused_with_one_that_can() -> None:
    """The hint shows the nearest name."""
    with pytest.raises(ConfigurationError) as caught:
        plan(name="Iris Demo")
    assert '"iris-demo"' in caught.value.hint


def test_labels_say_where_the_image_comes_from() -> None:
    """OCI's labels hold revision, source, version and base; the folder's name is no title, as it differs by machine."""
    labels = dict(plan(replace(PROJECT, version="1.2")).labels)
    assert labels["org.opencontainers.image.revision"] == "a" * 40
    assert labels["org.opencontainers.image.source"] == "https://example.org/iris"
    assert labels["org.opencontainers.image.version"] == "1.2"
    assert labels["org.opencontainers.image.base.name"] == "debian:bookworm"
    assert labels["org.opencontainers.image.created"] == "2020-09-13T12:26:40Z"
    assert "org.opencontainers.image.title" not in labels
    assert dict(plan(replace(PROJECT, name="iris")).labels)["org.opencontainers.image.title"] == "iris"


def test_uncommitted_changes_mark_the_revision() -> None:
    """An image of a changed checkout does not claim to be the commit."""
    assert PROJECT.revision is not None
    dirty = replace(PROJECT, revision=replace(PROJECT.revision, dirty=True))
    assert dict(plan(dirty).labels)["org.opencontainers.image.revision"] == "a" * 40 + "-dirty"


def test_time_is_source_date_epoch_else_the_commits_else_zero() -> None:
    """The clock never decides."""
    assert plan(source_date_epoch_seconds=86400).created_at == "1970-01-02T00:00:00Z"
    assert plan(source_date_epoch_seconds=86400).modified_at_seconds == 86400
    assert plan().created_at == "2020-09-13T12:26:40Z"
    assert plan().modified_at_seconds == 0
    assert plan(replace(PROJECT, revision=None)).created_at == "1970-01-01T00:00:00Z"
    with pytest.raises(PlanError, match="SOURCE_DATE_EPOCH"):
        plan(source_date_epoch_seconds=10**12)


def test_environment_is_a_virtual_environments_and_the_settings_win() -> None:
    """Variables are sorted; what the settings say replaces what shipml sets."""
    found = plan(replace(PROJECT, settings=Settings(environment=(("LANG", "C"), ("A", "1")))))
    assert found.environment == (
        ("A", "1"),
        ("LANG", "C"),
        ("PATH", "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin"),
        ("PYTHONUNBUFFERED", "1"),
        ("VIRTUAL_ENV", "/opt/venv"),
    )


def test_an_image_as_base_hands_its_environment_down() -> None:
    """Its variables stay, its PATH comes after the project's; a home for the user that it does not know is named."""
    digest = Digest("5" * 64)
    environment = (("HOME", "/root"), ("LANG", "C.UTF-8"), ("PATH", "/opt/conda/bin:/bin"), ("X", "1"))
    base = ImageBasePin(
        "python:3.12-slim", digest, "3.12.12", "2.36", "/usr/local/bin/python3.12", AMD64, (), environment
    )
    image = ImagePython.of(base)
    found = make_plan(PROJECT, lock=LOCK, base=base, candidate=PythonCandidate(image, ""), platform=AMD64)
    assert found.python == "3.12"
    assert dict(found.environment) == {
        "HOME": "/home/nonroot",
        "LANG": "C.UTF-8",
        "PATH": "/opt/venv/bin:/opt/conda/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "USER": "nonroot",
        "VIRTUAL_ENV": "/opt/venv",
        "X": "1",
    }
    assert dict(found.labels)["org.opencontainers.image.base.digest"] == str(digest)
    assert decision(found, "base") == (
        f"python:3.12-slim because it was asked for; its Python is 3.12.12, and it is pinned to {digest}"
    )
    as_root = replace(PROJECT, settings=Settings(user="root"))
    root = make_plan(as_root, lock=LOCK, base=base, candidate=PythonCandidate(HUB_PYTHONS[0], ""), platform=AMD64)
    assert dict(root.environment)["HOME"] == "/root"
    assert "no Debian release has Python 3.12" in decision(root, "base")


def test_ports_of_the_smoke_check_are_exposed() -> None:
    """A server's port is part of the image; one that only names a path gets 8080."""
    assert plan(replace(PROJECT, settings=Settings(smoke=SmokeCheck(port=5000)))).exposed_ports == (5000,)
    assert plan(replace(PROJECT, settings=Settings(smoke=SmokeCheck(http="/")))).exposed_ports == (8080,)
    assert plan().exposed_ports == ()


def test_the_decision_for_a_python_names_what_was_refused() -> None:
    """A newer Python that was tried is listed with its reason."""
    lock = replace(LOCK, refused=(RefusedPython("3.13", "pandas==1.5.3 has no wheel"),))
    assert decision(plan(lock=lock), "python") == (
        "3.11 because it is the newest of Debian's releases for which every package has a wheel; "
        "3.13: pandas==1.5.3 has no wheel"
    )
    said = plan(because=".python-version:1 says 3.11", is_open=False)
    assert decision(said, "python") == "3.11 because .python-version:1 says 3.11"


def test_every_decision_has_a_reason_that_completes_a_sentence() -> None:
    """No reason is empty or ends with a full stop; every aspect of the plan has one."""
    left_out = tuple((f"d{number}/.env", "may hold a secret") for number in range(7))
    declared = Requirements(
        "requirements.txt",
        changes=(Correction("name", "sklearn", "scikit-learn", "that is its name", "requirements.txt:1"),),
        left_aside=(IgnoredFile("pyproject.toml", "requirements.txt is what pip install -r takes"),),
    )
    found = plan(replace(PROJECT, requirements=declared, left_out=left_out))
    assert all(one.because and one.value and not one.because.endswith(".") for one in found.decisions)
    assert [one.what for one in found.decisions] == [
        *(
            "python",
            "base",
            "dependencies",
            "ignored",
            "changed",
            "files",
            "left out",
            "layers",
            "command",
            "user",
            "created",
        )
    ]
    assert "d4/.env and 2 more because it may hold a secret" in decision(found, "left out")


def test_odd_names_stay_on_one_line() -> None:
    """Names with line breaks or bytes that are not UTF-8 are shown escaped."""
    found = plan(replace(PROJECT, left_out=((".env.a\nb", "x"), (".env.\udcff", "x"))))
    assert decision(found, "left out").startswith(".env.a\\nb, .env.\\xff because")


def test_a_plan_is_the_same_bytes_each_time_and_holds_objects_where_there_are_names() -> None:
    """Pairs of names and values become objects, empty ones too."""
    document = plan(replace(PROJECT, settings=Settings(smoke=SmokeCheck(minimum=(("accuracy", 0.9),))))).to_json()
    assert document["environment"]["LANG"] == "C.UTF-8"
    assert document["smoke"]["minimum"] == {"accuracy": 0.9}
    assert plan().to_json()["smoke"]["minimum"] == {}
    assert document["platform"] == "linux/amd64"
    assert document["wheels"][0]["digest"] == f"sha256:{'1' * 64}"
    assert document["layers"][-1] == {"kind": "application", "members": ["app.py"]}
    assert json.dumps(plan().to_json()) == json.dumps(plan().to_json())


def test_a_project_without_requirements_has_a_plan() -> None:
    """A program that needs only the standard library is fine."""
    found = plan(replace(PROJECT, requirements=None), replace(LOCK, wheels=()))
    assert [layer.kind for layer in found.layers] == ["base", "packages", "application"], (
        "`python` is in the packages layer"
    )
    assert "none because" in decision(found, "dependencies")
