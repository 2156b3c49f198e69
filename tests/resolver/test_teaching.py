"""What failed imports teach about versions, with the real uv and upload times of an index."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shipml.failed_imports import FailedImport, Trace
from shipml.plan import python_candidates
from shipml.plan.lessons import Lesson, heed
from shipml.project import read_project
from shipml.resolver import resolve_first
from shipml.resolver.blame import blamed
from shipml.resolver.teaching import teach
from shipml.resolver.uv import Uv
from tests.package_index import PackageIndex
from tests.resolver.conftest import AMD64, Resolving, commit

OLD, LATER, NEW = (datetime(year, 1, 1, tzinfo=UTC) for year in (2021, 2022, 2024))
UPLOADS = {"web": OLD, "tool": NEW, "base": LATER, "setuptools": OLD, "huge-hub": NEW, "array": NEW}


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (Trace("ImportError", "cannot import name 'quote' from 'tool.urls'", ("web",), ("tool",)), ("tool", "web")),
        (Trace("TypeError", "Descriptors cannot be created directly", ("web", "tool")), ("tool", "web")),
        (
            Trace("AttributeError", "module 'array' has no attribute 'int'", ("base", "web"), ("array",)),
            ("array", "web"),
        ),
        (Trace("ValueError", "array.dtype size changed, may be incompatible", ("base",)), ("array", "base")),
        (
            Trace("ImportError", "huge_hub>=0.2,<1.0 is required, but found huge_hub==1.1", ("web",)),
            ("huge-hub", "web"),
        ),
        (Trace("VersionConflict", "(array 2.1 (/x), array<2)", ("web", "setuptools")), ("array", "web")),
        (Trace("ImportError", "cannot import name 'x' from 'web'", ("tool",), ("web",)), None),
        (Trace("ImportError", "cannot import name 'x' from 'pinned'", ("web",), ("pinned",)), None),
        (Trace("OSError", "tool.json not found", ("web", "tool")), None),
        (Trace("ImportError", "cannot import name 'x' from 'tool'", (), ("tool",)), None),
    ],
)
def test_the_newer_package_is_to_blame(trace: Trace, expected: tuple[str, str] | None) -> None:
    """Never an older or pinned one; never for want of files; not by the project's own code alone."""
    found = blamed([trace], {**UPLOADS, "pinned": NEW}, {"pinned"})
    assert (found and (found.package, found.failing)) == expected
    wrapped = Trace("RuntimeError", "no web", ("base",))
    assert blamed([wrapped, trace], UPLOADS, {"pinned"}) == found, "what led to it counts, too"
    assert found is None or found.at == UPLOADS[found.failing]


QUOTE = FailedImport(
    "app.py:1",
    "web",
    "cannot import name 'quote' from 'tool.urls'",
    "tool.urls",
    (Trace("ImportError", "cannot import name 'quote' from 'tool.urls'", ("web",), ("tool",)),),
)


class Taught:
    """A project that is resolved, taught and resolved again."""

    def __init__(self, resolving: Resolving) -> None:
        self.resolving = resolving
        self.lesson = Lesson()

    def versions(self) -> dict[str, str]:
        self.project = read_project(self.resolving.folder, self.resolving.store)
        project, candidates = heed(self.project, python_candidates(self.project), self.lesson)
        found = resolve_first(
            project, candidates, platform=AMD64, store=self.resolving.store, emit=self.resolving.heard.append
        )
        self.lock = found[1]
        return {wheel.name: wheel.version for wheel in self.lock.wheels}

    def learn(self, *failures: FailedImport) -> bool:
        uv = Uv(self.resolving.folder, self.resolving.store.home / "uv")
        lesson = teach(failures, self.lesson, project=self.project, lock=self.lock, uv=uv)
        self.lesson = lesson or self.lesson
        return lesson is not None


@pytest.fixture
def taught(index: PackageIndex, resolving: Resolving) -> Taught:
    """An old open package whose dependency has lost a name since."""
    index.add("web", "1.0", requires=["tool"], uploaded="2022-03-28")
    index.add("tool", "2.0", uploaded="2022-01-01")
    index.add("tool", "2.9", uploaded="2024-01-01")
    (resolving.folder / "requirements.txt").write_text("web\n")
    return Taught(resolving)


def test_what_is_blamed_is_taken_as_it_was_when_the_failing_one_was_new(taught: Taught) -> None:
    """The plan says why; the same failure teaches nothing again, so it ends."""
    assert taught.versions()["tool"] == "2.9"
    assert taught.learn(QUOTE)
    assert taught.versions() == {"web": "1.0", "tool": "2.0"}
    (held,) = [one for one in taught.lock.decisions if one.what == "held back"]
    assert held.value == "tool<=2.0"
    assert "web 1.0 of 2022-03-28" in held.because
    assert not taught.learn(QUOTE)
    taught.lesson = replace(taught.lesson, bounds=(), rounds=3)
    assert not taught.learn(QUOTE)


def test_what_was_taught_is_given_up_where_nothing_fits_with_it(taught: Taught, index: PackageIndex) -> None:
    """Another package that needs the newer one leaves things as they were."""
    taught.versions()
    assert taught.learn(QUOTE)
    index.add("other", "1.0", requires=["tool>=2.5"], uploaded="2024-01-01")
    (taught.resolving.folder / "requirements.txt").write_text("web\nother\n")
    assert taught.versions()["tool"] == "2.9"


def test_a_pinned_package_is_not_blamed(taught: Taught) -> None:
    """The project's own word stands."""
    (taught.resolving.folder / "requirements.txt").write_text("web\ntool==2.9\n")
    taught.versions()
    assert not taught.learn(QUOTE)


def test_a_module_that_an_installed_package_imports_is_added(taught: Taught, index: PackageIndex) -> None:
    """As of the day of the package that imports it; one that nobody knows is not guessed at."""
    index.add("werkzeug", "2.1.0", uploaded="2022-03-28")
    index.add("werkzeug", "3.0.0", uploaded="2023-09-30")
    index.add("nowhere-at-all", "1.0")
    taught.versions()

    def lacks(module: str) -> FailedImport:
        text = f"No module named '{module}'"
        return FailedImport("app.py:1", "web", text, module, (Trace("ModuleNotFoundError", text, ("web",)),))

    assert not taught.learn(lacks("nowhere_at_all"))
    assert taught.learn(lacks("werkzeug.utils"))
    assert taught.versions()["werkzeug"] == "2.1.0"
    assert not taught.learn(lacks("werkzeug.utils"))


def test_code_that_nobody_has_changed_for_years_is_tried_as_of_its_commit(taught: Taught, index: PackageIndex) -> None:
    """Before single packages are blamed, and only where nothing is pinned."""
    index.add("web", "2.0", requires=["tool"], uploaded="2024-01-01")
    folder = taught.resolving.folder
    commit(folder, "2022-06-01T00:00:00Z")
    assert taught.versions() == {"web": "2.0", "tool": "2.9"}
    own = replace(QUOTE, traces=(Trace("ImportError", "cannot import name 'x' from 'web'", (), ("web",)),))
    assert taught.learn(own)
    assert taught.versions() == {"web": "1.0", "tool": "2.0"}
    assert any(one.kind == "index" and one.value == "as of 2022-06-02" for one in taught.lock.decisions)
    assert not taught.learn(own)


def test_code_that_is_younger_than_its_pins_gets_what_its_commit_had(taught: Taught, index: PackageIndex) -> None:
    """One partial pin dates all; a name that the code imports and the open package lacks says that it was later."""
    index.add("web", "0.9", requires=["tool"], uploaded="2021-06-01")
    index.add("tool", "1.0", uploaded="2021-06-01")
    index.add("pinned", "1.0", uploaded="2021-07-01")
    folder = taught.resolving.folder
    (folder / "requirements.txt").write_text("web\npinned==1.0\n")
    commit(folder, "2022-06-01T00:00:00Z")
    assert taught.versions() == {"web": "0.9", "tool": "1.0", "pinned": "1.0"}
    lacks = Trace("ImportError", "cannot import name 'x' from 'web'", (), ("web",))
    assert not taught.learn(replace(QUOTE, traces=(replace(lacks, named=("pinned",)),)))
    assert taught.learn(replace(QUOTE, traces=(lacks,)))
    assert taught.versions() == {"web": "1.0", "tool": "2.0", "pinned": "1.0"}
