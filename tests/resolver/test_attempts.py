"""Old pins: as of when, in which order, and what is said about it, with the real uv and upload times of an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml import resolver
from shipml.errors import ResolutionError, TryAgainError
from shipml.plan import python_candidates
from shipml.project import read_project
from tests.package_index import PackageIndex
from tests.resolver.conftest import AMD64, Resolving, commit

OLD_BINARY = "cp39-cp39-manylinux_2_17_x86_64"


def versions(resolving: Resolving, requirements: str) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in resolving(requirements)[1].wheels}


def values(resolving: Resolving, requirements: str) -> dict[str, str]:
    """What was decided: value by kind."""
    return {one.what: one.value for one in resolving(requirements)[1].decisions}


@pytest.fixture
def web(index: PackageIndex) -> PackageIndex:
    """An old framework whose dependency has had a breaking release since."""
    index.add("flask", "2.1.0", requires=["werkzeug>=2"], uploaded="2022-03-28")
    index.add("werkzeug", "2.1.0", uploaded="2022-03-28")
    index.add("flask", "2.3.3", requires=["werkzeug>=2"], uploaded="2023-08-21")
    index.add("werkzeug", "3.0.0", uploaded="2023-09-30")
    return index


def test_old_pins_meet_the_index_of_their_time(web: PackageIndex, resolving: Resolving) -> None:
    """What is left open is as of the day after the newest pin's upload; the plan says so each time, the screen once."""
    web.add("gunicorn", "20.1.0", uploaded="2021-03-27")
    for _ in range(2):
        _, lock = resolving("flask==2.1.0\ngunicorn==20.1.0\n")
        assert {wheel.name: wheel.version for wheel in lock.wheels}["werkzeug"] == "2.1.0"
        assert (lock.decisions[0].what, lock.decisions[0].value) == ("index", "as of 2022-03-29")
        assert "flask==2.1.0" in lock.decisions[0].because
    assert resolving.runs == 1
    assert sum("as of 2022-03-29" in message for message in resolving.notices) == 1


def test_where_all_is_pinned_no_date_is_told(web: PackageIndex, resolving: Resolving) -> None:
    """The date counts for what the project leaves open: where that is nothing, it is no news."""
    _, lock = resolving("flask==2.1.0\nWerkzeug==2.1.0\n")
    assert lock.decisions == ()
    assert resolving.notices == []


def test_recent_pins_and_open_requirements_meet_todays_index(index: PackageIndex, resolving: Resolving) -> None:
    """Without pins, or with new ones, nothing is dated."""
    index.add("alpha", "1.0", requires=["beta"], uploaded="2120-01-01")
    index.add("beta", "1.0", uploaded="2020-01-01")
    index.add("beta", "2.0", uploaded="2120-01-02")
    for requirements in ("alpha==1.0\n", "alpha\n"):
        _, lock = resolving(requirements)
        assert lock.wheels[1].version == "2.0"
        assert lock.decisions == ()


def test_what_the_past_lacks_comes_from_today(web: PackageIndex, resolving: Resolving) -> None:
    """Where the index of then has no solution, today's is asked, and both attempts are shown."""
    web.add("later", "1.0", uploaded="2024-01-01")
    _, lock = resolving("flask==2.1.0\nlater\n")
    assert "later" in {wheel.name for wheel in lock.wheels}
    assert [one.what for one in lock.decisions] == ["tried", "held back"]
    assert "the index as of 2022-03-29" in lock.decisions[0].value
    assert any("the index as of 2022-03-29" in message for message in resolving.notices)


def test_what_only_pins_need_keeps_their_day_with_todays_index(web: PackageIndex, resolving: Resolving) -> None:
    """No new major version must tell that a dependency is too new; what a newer package needs, too, is of today."""
    web.add("flask", "2.1.1", requires=["werkzeug>=2", "escape", "click"], uploaded="2022-04-02")
    for name in ("escape", "click"):
        web.add(name, "2.0", uploaded="2022-03-28")
        web.add(name, "2.1", uploaded="2022-05-28")
    web.add("later", "1.0", requires=["click"], uploaded="2024-01-01")
    _, lock = resolving("flask==2.1.1\nlater\n")
    taken = {wheel.name: wheel.version for wheel in lock.wheels}
    assert taken == {"flask": "2.1.1", "werkzeug": "2.1.0", "escape": "2.0", "click": "2.1", "later": "1.0"}


def test_what_the_day_of_the_pins_lacks_is_of_today_as_well(web: PackageIndex, resolving: Resolving) -> None:
    """Where that day has no solution, all that is open is of today, and only a new major version is held back."""
    web.add("flask", "2.1.1", requires=["werkzeug>=2.3"], uploaded="2022-04-02")
    web.add("werkzeug", "2.3.0", uploaded="2023-04-02")
    web.add("later", "1.0", uploaded="2024-01-01")
    _, lock = resolving("flask==2.1.1\nlater\n")
    assert {wheel.name: wheel.version for wheel in lock.wheels}["werkzeug"] == "2.3.0"
    assert sum(one.kind == "tried" for one in lock.decisions) == 2


def test_an_old_pin_among_new_ones_holds_its_dependencies_back(web: PackageIndex, resolving: Resolving) -> None:
    """A breaking release that came after a pinned package which needs it is left out, with the reason."""
    web.add("other", "1.0", uploaded="2023-12-01")
    _, lock = resolving("flask==2.1.0\nother==1.0\n")
    assert {wheel.name: wheel.version for wheel in lock.wheels}["werkzeug"] == "2.1.0"
    held = next(one for one in lock.decisions if one.what == "held back")
    assert held.value == "werkzeug<3"
    assert held.because == ("flask 2.1.0 of 2022-03-28 needs werkzeug and was released with 2.1.0, long before 3.0.0")


def test_only_the_bounds_in_conflict_are_given_up(web: PackageIndex, resolving: Resolving) -> None:
    """One package that a third needs in its newer series does not let go of all the others."""
    web.add("frame", "1.0", requires=["figures>=1"], uploaded="2022-03-01")
    web.add("frame", "1.5", requires=["figures>=1"], uploaded="2023-03-01")
    web.add("figures", "1.0", uploaded="2022-03-01")
    web.add("figures", "2.0", uploaded="2023-09-30")
    web.add("other", "1.0", requires=["figures>=2"], uploaded="2023-12-01")
    _, lock = resolving("flask==2.1.0\nframe==1.0\nother==1.0\n")
    taken = {wheel.name: wheel.version for wheel in lock.wheels}
    assert (taken["figures"], taken["werkzeug"]) == ("2.0", "2.1.0")
    assert [one.value for one in lock.decisions if one.what == "held back"] == ["werkzeug<3"]


def test_numpy_2_is_kept_from_wheels_that_were_built_for_numpy_1(index: PackageIndex, resolving: Resolving) -> None:
    """Extension modules of before numpy 2 need numpy 1, whoever asks for them; pure packages do not."""
    index.add("numpy", "1.26.4", uploaded="2024-02-05")
    index.add("numpy", "2.1.0", uploaded="2024-08-18")
    index.add("binary", "1.0", OLD_BINARY, requires=["numpy"], uploaded="2023-01-01")
    index.add("pure", "1.0", requires=["numpy"], uploaded="2023-01-01")
    assert versions(resolving, "binary\n")["numpy"] == "1.26.4"
    assert values(resolving, "binary\n")["held back"] == "numpy<2"
    assert versions(resolving, "pure\n")["numpy"] == "2.1.0"


def test_a_version_that_was_never_released_is_replaced_by_its_neighbour(
    index: PackageIndex, resolving: Resolving
) -> None:
    """The nearest release of the same series is taken, as a change that can be refused."""
    for version in ("3.27.9", "3.28.1", "3.28.3"):
        index.add("cmake", version)
    _, lock = resolving("cmake==3.28.0\n")
    assert [(wheel.name, wheel.version) for wheel in lock.wheels] == [("cmake", "3.28.1")]
    (change,) = lock.changes
    assert (change.kind, change.value) == ("version", "cmake==3.28.0 → cmake==3.28.1")
    assert any("cmake==3.28.0" in message for message in resolving.notices)


def test_versions_without_a_neighbour_are_named_one_by_one(index: PackageIndex, resolving: Resolving) -> None:
    """All of them at once, each with its place, and the hint names what there is."""
    index.add("alpha", "1.0")
    index.add("beta", "1.0")
    with pytest.raises(ResolutionError) as caught:
        resolving("alpha==5.0\nbeta==1.0\nno-such-thing==1\n")
    assert "alpha==5.0" in caught.value.message
    assert "the package index has no no-such-thing" in caught.value.message
    assert "requirements.txt" in caught.value.message
    assert caught.value.hint == "take alpha==1.0; check how no-such-thing is spelled, or remove it"


def test_pythons_for_which_a_pin_has_no_wheel_are_not_asked_for(index: PackageIndex, resolving: Resolving) -> None:
    """The file names that the index lists are enough to know."""
    index.add("old", "1.0", OLD_BINARY, requires=["dependency"])
    index.add("dependency", "1.0")
    candidate, lock = resolving("old==1.0\n")
    assert candidate.suite.name == "bullseye"
    assert [one.python for one in lock.refused] == ["3.13", "3.11"]
    assert {one.because for one in lock.refused} == {"old==1.0 has no wheel"}


def test_where_no_wheel_exists_sources_are_let_in(index: PackageIndex, resolving: Resolving) -> None:
    """The lock names the source that is to be built, and wheels of all that it needs; nothing is run for that."""
    index.add_source("legacy", "0.7", requires=["helper>=1", "[extra]", "missing"], uploaded="2020-01-01")
    index.add("helper", "1.0", uploaded="2019-01-01")
    index.add("helper", "2.0", uploaded="2023-01-01")
    _, lock = resolving("legacy==0.7\n")
    assert [(wheel.name, wheel.version) for wheel in lock.wheels] == [("helper", "1.0")]
    (source,) = lock.sources
    assert (source.name, source.version, source.filename) == ("legacy", "0.7", "legacy-0.7.tar.gz")
    assert source.url == f"http://{index.host}/files/legacy-0.7.tar.gz"
    assert source.uploaded_at == "2020-01-01T00:00:00Z"
    assert resolving()[1] == lock


def test_sources_that_others_need_are_found(index: PackageIndex, resolving: Resolving) -> None:
    """A dependency without wheel comes to light while resolving, one after the other."""
    index.add("alpha", "1.0", requires=["hidden"])
    index.add_source("hidden", "1.0", requires=["deeper"])
    index.add_source("deeper", "2.0")
    _, lock = resolving("alpha\n")
    assert [(one.name, one.version) for one in lock.sources] == [("deeper", "2.0"), ("hidden", "1.0")]
    assert [wheel.name for wheel in lock.wheels] == ["alpha"]


def test_another_python_than_the_file_says_is_a_change(index: PackageIndex, resolving: Resolving, folder: Path) -> None:
    """Where nothing fits the version that runtime.txt names, its nearest neighbour is taken, and that is said."""
    index.add("alpha", "1.0", "cp311-cp311-manylinux_2_17_x86_64")
    (folder / "runtime.txt").write_text("python-3.9.7\n")
    candidate, lock = resolving("alpha==1.0\n")
    assert candidate.suite.name == "bookworm"
    (change,) = lock.changes
    assert (change.value, change.source) == ("Python 3.9.7 → Python 3.11", "runtime.txt:1")
    assert change.because == "alpha==1.0 has no wheel"


def test_a_date_of_the_users_own_is_left_alone(
    web: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where uv is told as of when, shipml does not decide it."""
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2022-12-31")
    web.add("werkzeug", "2.2.0", uploaded="2022-08-01")
    _, lock = resolving("flask==2.1.0\n")
    assert {wheel.name: wheel.version for wheel in lock.wheels}["werkzeug"] == "2.2.0"
    assert all(one.what != "index" for one in lock.decisions)


def test_a_package_that_was_still_the_newest_goes_with_what_came_after(
    index: PackageIndex, resolving: Resolving
) -> None:
    """A pinned release without successor was used with the new major version: nothing is held back."""
    index.add("jupyter", "1.0.0", requires=["notebook"], uploaded="2015-08-12")
    index.add("notebook", "4.0.1", uploaded="2015-08-12")
    index.add("notebook", "7.0.8", uploaded="2023-02-01")
    index.add("other", "1.0", uploaded="2023-12-01")
    assert versions(resolving, "jupyter==1.0.0\nother==1.0\n")["notebook"] == "7.0.8"


def test_a_project_is_no_older_than_its_lower_bounds(index: PackageIndex, resolving: Resolving) -> None:
    """What must at least be there moves the date of the newest pin."""
    index.add("old", "1.0", uploaded="2020-01-01")
    for version, day in (("2.2", "2022-01-01"), ("2.3", "2022-06-01"), ("2.4", "2023-06-01")):
        index.add("ranged", version, uploaded=day)
    _, lock = resolving("old==1.0\nranged>=2.3\n")
    assert {wheel.name: wheel.version for wheel in lock.wheels}["ranged"] == "2.3"
    assert lock.decisions[0].value == "as of 2022-06-02"
    assert "the oldest ranged that requirements.txt:2 allows" in lock.decisions[0].because


def test_a_source_that_needs_nothing_leaves_others_their_time(index: PackageIndex, resolving: Resolving) -> None:
    """What stands alone works with packages of any day: the newest are taken."""
    index.add_source("docs", "0.6", uploaded="2014-06-16")
    index.add("lib", "1.0", uploaded="2014-01-01")
    index.add("lib", "2.0", uploaded="2024-01-01")
    _, lock = resolving("docs\nlib\n")
    assert ([one.name for one in lock.sources], lock.wheels[0].version) == (["docs"], "2.0")


def test_an_abandoned_source_brings_its_time_with_it(index: PackageIndex, resolving: Resolving) -> None:
    """Where nothing is pinned, a package that never got a wheel says as of when."""
    index.add_source("prophet", "0.7", requires=["stan"], uploaded="2020-09-05")
    index.add("stan", "2.19", uploaded="2019-01-01")
    index.add("stan", "3.0", uploaded="2021-03-01")
    _, lock = resolving("prophet\n")
    assert [wheel.version for wheel in lock.wheels] == ["2.19"]
    assert [one.version for one in lock.sources] == ["0.7"]
    assert "prophet 0.7 is the newest, has no wheel" in next(
        one.because for one in lock.decisions if one.what == "index"
    )


def test_the_last_commit_with_sources_comes_before_the_day_of_one_source(
    index: PackageIndex, resolving: Resolving
) -> None:
    """What was current when the project was made goes together, though it must be built."""
    index.add_source("prophet", "0.7", requires=["stan"], uploaded="2020-09-05")
    index.add_source("stan", "2.19", uploaded="2019-01-01")
    index.add_source("stan", "3.0", requires=["other"], uploaded="2024-03-01")
    index.add("other", "1.0", uploaded="2024-01-01")
    (resolving.folder / "requirements.txt").write_text("prophet\n")
    commit(resolving.folder, "2020-11-02T00:00:00Z")
    _, lock = resolving()
    assert [(one.name, one.version) for one in lock.sources] == [("prophet", "0.7"), ("stan", "2.19")]


def test_what_has_neither_wheel_nor_source_is_named_with_what_has(index: PackageIndex, resolving: Resolving) -> None:
    """All pins that can't be had at once, each with its place; the hint names the next releases that can."""
    index.add("tensorflow", "1.8.0", "cp36-cp36m-manylinux1_x86_64")
    index.add("tensorflow", "2.5.0", OLD_BINARY)
    index.add("fine", "1.0")
    with pytest.raises(ResolutionError) as caught:
        resolving("fine==1.0\ntensorflow==1.8.0\n")
    assert caught.value.message == (
        "no wheel for Python 3.8 to 3.14 on linux/amd64, and no source: tensorflow==1.8.0 (requirements.txt:2)"
    )
    assert "tensorflow==2.5.0" in caught.value.hint


def test_pins_that_contradict_a_package_are_taken_as_they_stand(index: PackageIndex, resolving: Resolving) -> None:
    """As pip did when such projects were made; it is a change that can be refused."""
    index.add("frame", "1.0", requires=["figures<2"])
    index.add("figures", "1.0")
    index.add("figures", "2.0")
    _, lock = resolving("frame==1.0\nfigures==2.0\n")
    assert [wheel.version for wheel in lock.wheels] == ["2.0", "1.0"]
    (change,) = lock.changes
    assert change.kind == "contradiction"
    assert "figures" in change.because


def test_lines_that_exclude_each_other_are_both_named(index: PackageIndex, resolving: Resolving) -> None:
    """The cause names the two lines, with file and number, and the hint the smaller change."""
    index.add("frame", "1.0", requires=["figures>=2,<3"])
    index.add("frame", "0.9", requires=["figures>=2,<3"])
    index.add("figures", "1.0")
    index.add("figures", "2.0")
    with pytest.raises(ResolutionError) as caught:
        resolving("# mine\nframe\nfigures<2\n")
    assert "frame: requirements.txt:2; figures<2: requirements.txt:3" in caught.value.message


def test_wheels_that_came_later_for_a_version_of_then_count(index: PackageIndex, resolving: Resolving) -> None:
    """A dependency's version is of its time; its wheel for a newer Python may be younger."""
    index.add("frame", "1.0", requires=["markup"], uploaded="2021-01-25")
    index.add("markup", "1.1", "cp38-cp38-manylinux_2_17_x86_64", uploaded="2019-02-24")
    index.add_source("markup", "1.1", uploaded="2019-02-24")
    index.add("markup", "1.1", "cp313-cp313-manylinux_2_17_x86_64", uploaded="2021-02-15")
    index.add("markup", "2.0", uploaded="2022-01-01")
    candidate, lock = resolving("frame==1.0\n")
    assert {wheel.name: wheel.version for wheel in lock.wheels}["markup"] == "1.1"
    assert (candidate.suite.name, lock.decisions[0].value) == ("trixie", "as of 2021-01-26")


def test_a_pin_with_wheels_of_the_past_alone_is_moved_to_the_next_release(
    index: PackageIndex, resolving: Resolving, folder: Path
) -> None:
    """What was compiled for older Pythons is not built for newer ones; the move is a change, and moves the date."""
    (folder / "runtime.txt").write_text("python-3.9.1\n")
    index.add("arrays", "1.0", "cp37-cp37m-manylinux1_x86_64", uploaded="2019-11-10")
    index.add_source("arrays", "1.0", uploaded="2019-11-10")
    index.add("arrays", "1.3", OLD_BINARY, requires=["pool>=2"], uploaded="2020-12-22")
    index.add("pool", "1.0", uploaded="2019-01-01")
    index.add("pool", "2.0", uploaded="2020-06-01")
    index.add("pool", "3.0", uploaded="2022-06-01")
    candidate, lock = resolving("arrays==1.0\n")
    assert [(one.kind, one.value) for one in lock.changes] == [("version", "arrays==1.0 → arrays==1.3")]
    assert {wheel.name: wheel.version for wheel in lock.wheels} == {"arrays": "1.3", "pool": "2.0"}
    assert candidate.suite.python == "3.9"
    assert "as of 2020-12-23" in [one.value for one in lock.decisions]
    assert lock.sources == ()


def test_an_old_python_brings_setuptools_of_its_time(index: PackageIndex, resolving: Resolving) -> None:
    """Its virtual environments had it; from Python 3.12 on, and for today's index, nothing is added."""
    index.add("setuptools", "60.0", uploaded="2021-12-01")
    index.add("setuptools", "75.0", uploaded="2024-09-01")
    index.add("old", "1.0", OLD_BINARY, uploaded="2022-01-01")
    index.add("pure", "1.0", uploaded="2022-01-01")
    assert versions(resolving, "old==1.0\n") == {"old": "1.0", "setuptools": "60.0"}
    assert values(resolving, "old==1.0\n")["added"] == "setuptools 60.0"
    assert versions(resolving, "pure==1.0\n") == {"pure": "1.0"}
    assert versions(resolving, "pure\n") == {"pure": "1.0"}


@pytest.mark.parametrize("said", ["requires-python", "runtime"])
def test_a_python_that_the_network_does_not_give_is_not_replaced(
    said: str, index: PackageIndex, resolving: Resolving
) -> None:
    """The Python that the project demands cannot be reached: exit code 75, and the other way is named."""
    index.add("alpha", "1.0")
    if said == "runtime":
        (resolving.folder / "runtime.txt").write_text("python-3.12.4\n")
        (resolving.folder / "requirements.txt").write_text("alpha\n")
    else:
        (resolving.folder / "pyproject.toml").write_text(
            '[project]\nname = "own"\nversion = "1"\nrequires-python = "==3.12.*"\ndependencies = ["alpha"]\n'
        )
    project = read_project(resolving.folder, resolving.store)

    def resolved(asked: str | None) -> str:
        return resolver.resolve_first(
            project,
            python_candidates(project, asked),
            platform=AMD64,
            store=resolving.store,
            emit=resolving.heard.append,
            obstacle=lambda base: f"{base.name} cannot be reached" if base.name.startswith("python:") else "",
        )[1].python

    with pytest.raises(TryAgainError) as caught:
        resolved(None)
    assert caught.value.exit_code == 75
    assert "--python" in caught.value.hint
    if said == "runtime":
        assert resolved("3.13") == "3.13", "the user may say so"
