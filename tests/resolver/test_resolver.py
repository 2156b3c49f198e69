"""Requirements → lock, with the real uv against an index on a loopback port."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from shipml.errors import (
    ConfigurationError,
    NotAllowedError,
    PlanError,
    ResolutionError,
    ShipmlError,
    TryAgainError,
    UnavailableError,
)
from shipml.events import Notice
from shipml.facts.project import RefusedPython
from shipml.facts.requirements import Learned
from shipml.lock import dump_lock
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.plan import python_candidates
from shipml.plan.lessons import Lesson, heed
from shipml.project import read_project
from shipml.resolver import resolve_first
from tests.package_index import PackageIndex, make_wheel, serve_index
from tests.resolver.conftest import Resolving

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def test_a_lock_names_url_size_and_hash_of_each_wheel(index: PackageIndex, resolving: Resolving) -> None:
    """Dependencies are followed; the newest released suite is taken."""
    index.add("alpha", "1.0", requires=["beta>=2"])
    index.add("beta", "1.0")
    index.add("beta", "2.0")
    candidate, lock = resolving("alpha\n")
    data = index.files["beta-2.0-py3-none-any.whl"]
    assert candidate.suite.name == lock.suite == "trixie"
    assert [(wheel.name, wheel.version) for wheel in lock.wheels] == [("alpha", "1.0"), ("beta", "2.0")]
    beta = lock.wheels[1]
    assert beta.digest.hex == hashlib.sha256(data).hexdigest()
    assert beta.size_bytes == len(data)
    assert beta.url == f"http://{index.host}/files/beta-2.0-py3-none-any.whl"
    assert not beta.direct


def test_the_wheel_fits_python_platform_and_c_library(index: PackageIndex, resolving: Resolving) -> None:
    """Of several wheels the best for the target is chosen, whatever machine and Python resolve."""
    for tag in (
        "py3-none-any",
        "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp311-cp311-manylinux_2_31_x86_64",
        "cp311-cp311-manylinux_2_39_x86_64",
        "cp313-cp313-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_28_aarch64",
        "cp311-cp311-win_amd64",
    ):
        index.add("alpha", "1.0", tag)
    chosen = [
        resolving("alpha\n", python=python, platform=platform)[1].wheels[0].filename.removeprefix("alpha-1.0-")
        for python, platform in (("3.11", AMD64), ("3.11", ARM64), ("3.13", AMD64), ("3.9", AMD64))
    ]
    assert chosen == [
        "cp311-cp311-manylinux_2_31_x86_64.whl",
        "cp311-cp311-manylinux_2_28_aarch64.whl",
        "cp313-cp313-manylinux_2_17_x86_64.whl",
        "py3-none-any.whl",
    ]


def test_older_pythons_are_tried_and_the_reason_is_kept(index: PackageIndex, resolving: Resolving) -> None:
    """A pin without wheel for 3.13 leads to 3.11, and the lock says why, also when it is known already."""
    index.add("alpha", "1.5.3", "cp311-cp311-manylinux_2_28_x86_64")
    for _ in range(2):
        candidate, lock = resolving("alpha==1.5.3\n")
        assert candidate.suite.name == "bookworm"
        assert lock.refused == (RefusedPython("3.13", "alpha==1.5.3 has no wheel"),)
    assert resolving.runs == 1


def test_a_known_resolution_asks_nobody_until_something_changes(
    index: PackageIndex, resolving: Resolving, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same inputs give the same lock without uv; a changed include, index or --upgrade resolves anew."""
    index.add("alpha", "1.0")
    (folder / "pins.txt").write_text("alpha<2\n")
    _, first = resolving("-c pins.txt\nalpha\n")
    asked = len(index.requests)
    index.add("alpha", "1.1")
    (folder / "app.py").write_text("changed")
    assert resolving() == (python_candidates(read_project(folder, None))[0], first)
    assert (resolving.runs, len(index.requests)) == (1, asked)
    assert resolving(upgrade=True)[1].wheels[0].version == "1.1"
    (folder / "pins.txt").write_text("alpha<1.1\n")
    assert resolving()[1].wheels[0].version == "1.0"
    assert resolving.runs == 3
    monkeypatch.setenv("UV_PRERELEASE", "allow")
    resolving()
    assert resolving.runs == 4


def test_dependencies_of_pyproject_are_resolved(index: PackageIndex, resolving: Resolving, folder: Path) -> None:
    """[project].dependencies serve where there is no requirements.txt; the project itself is not built."""
    index.add("alpha", "1.0")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10,<3.13"\ndependencies = ["alpha"]\n'
    )
    candidate, lock = resolving()
    assert candidate.suite.name == "bookworm"
    assert [wheel.name for wheel in lock.wheels] == ["alpha"]


def test_packages_see_the_release_of_debians_python(index: PackageIndex, resolving: Resolving) -> None:
    """A package that rules out 3.9.0 can be had for bullseye's 3.9.2."""
    index.add("alpha", "1.0", requires=["beta; python_full_version >= '3.9.2'"])
    index.add("beta", "1.0")
    assert len(resolving("alpha\n", python="3.9")[1].wheels) == 2


def test_nothing_to_resolve_runs_no_uv(index: PackageIndex, resolving: Resolving) -> None:
    """A project without requirements has an empty lock."""
    assert resolving()[1].wheels == ()
    assert resolving.runs == 0
    assert index.requests == []


def test_a_wheel_by_url_is_direct(index: PackageIndex, resolving: Resolving) -> None:
    """What is asked for by URL is marked, so that it gets its direct_url.json."""
    index.add("alpha", "1.0")
    lock = resolving(f"alpha @ http://{index.host}/files/alpha-1.0-py3-none-any.whl\n")[1]
    assert [(wheel.name, wheel.version, wheel.direct) for wheel in lock.wheels] == [("alpha", "1.0", True)]


def test_credentials_of_an_index_stay_out_of_the_lock(
    index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private index works with uv's own means, and the lock's text holds no password."""
    index.add("alpha", "1.0")
    index.credentials = ("joe", "s3cret")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://joe:s3cret@{index.host}/simple")
    lock = resolving("alpha\n")[1]
    assert "s3cret" not in dump_lock(lock, None)
    assert lock.wheels[0].url.startswith("http://127.0.0.1")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(401, NotAllowedError, "credentials"), (403, NotAllowedError, "credentials"), (503, TryAgainError, "reached")],
)
def test_an_index_that_refuses_is_explained(
    index: PackageIndex,
    resolving: Resolving,
    monkeypatch: pytest.MonkeyPatch,
    *,
    status: int,
    error: type[ShipmlError],
    words: str,
) -> None:
    """Refused credentials and failing servers are told apart from packages that do not exist; no password is shown."""
    index.status = status
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://joe:s3cret@{index.host}/simple")
    with pytest.raises(error) as caught:
        resolving("alpha\n")
    assert words in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_an_index_that_is_not_there_is_worth_another_try(
    index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection is exit code 75, and says which index."""
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(TryAgainError, match=r"127\.0\.0\.1:9.*refused"):
        resolving("alpha\n")


def test_an_index_that_nobody_vouches_for_is_explained(
    index: PackageIndex, resolving: Resolving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of an unknown authority leads to the variables that name it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = (
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=x",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    )
    command = ["openssl", "req", "-x509", *options, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serve_index(context) as secure:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"https://{secure.host}/simple")
        with pytest.raises(ConfigurationError) as caught:
            resolving("alpha\n")
    assert f"https://{secure.host}" in caught.value.message
    assert "SSL_CERT_FILE" in caught.value.hint


def test_uvs_own_index_counts_before_pips(
    index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has set an index for both gets uv's."""
    index.add("alpha", "1.0")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert resolving("alpha\n")[1].wheels


def test_being_offline_is_named(index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch) -> None:
    """With UV_OFFLINE nothing is asked, and the hint names the variable."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(ShipmlError) as caught:
        resolving("alpha\n")
    assert "UV_OFFLINE" in caught.value.hint
    assert index.requests == []


def test_a_local_wheel_is_known_by_its_content(resolving: Resolving, index: PackageIndex, folder: Path) -> None:
    """A wheel beside the project is locked by its file URL, and resolved anew when it was built anew."""
    name, data = make_wheel("alpha", "1.0")
    (folder / name).write_bytes(data)
    first = resolving(f"./{name}\n")[1].wheels[0]
    assert first.url == (folder / name).as_uri()
    assert first.digest == Digest.of(data)
    data = make_wheel("alpha", "1.0", requires=["beta"])[1]
    (folder / name).write_bytes(data)
    index.add("beta", "1.0")
    lock = resolving()[1]
    assert [wheel.name for wheel in lock.wheels] == ["alpha", "beta"]
    assert lock.wheels[0].digest == Digest.of(data)


@pytest.mark.parametrize(
    ("requirements", "message", "hint"),
    [
        ("gamma\n", "the package index has no gamma", "spelled"),
        (
            "scikit-lern\n",
            "the package index has no scikit-lern",
            "scikit-learn",
        ),
        ("alpha<2\nbeta<1\n", "beta<1", "loosen"),
        ("win\n", "win==1.0 has no wheel", "choose a version"),
    ],
)
def test_requirements_that_cannot_be_met_have_one_cause(
    index: PackageIndex, resolving: Resolving, requirements: str, message: str, hint: str
) -> None:
    """The error holds uv's own reason in one line and what to do."""
    index.add("alpha", "1.0", requires=["beta"])
    index.add("beta", "1.0")
    index.add("win", "1.0", "cp311-cp311-win_amd64")
    with pytest.raises(ResolutionError) as caught:
        resolving(requirements)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message


def test_where_no_python_fits_each_is_named_with_its_reason(index: PackageIndex, resolving: Resolving) -> None:
    """Pins that have wheels for different Pythons only are shown Python by Python."""
    index.add("alpha", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    index.add("beta", "1.0", "cp313-cp313-manylinux_2_28_x86_64")
    with pytest.raises(ResolutionError) as caught:
        resolving("alpha==1.0\nbeta==1.0\n")
    assert "3.13: alpha==1.0 has no wheel" in caught.value.message
    assert "3.11: beta==1.0 has no wheel" in caught.value.message


def test_one_python_that_was_asked_for_is_named_in_the_error(index: PackageIndex, resolving: Resolving) -> None:
    """With --python the error speaks of that Python, and the hint of another."""
    index.add("alpha", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    with pytest.raises(ResolutionError) as caught:
        resolving("alpha==1.0\n", python="3.13")
    assert caught.value.message == "alpha==1.0 has no wheel for Python 3.13 on linux/amd64"
    assert "--python" in caught.value.hint


def test_a_missing_uv_is_named(
    index: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without uv beside shipml or on PATH, the error says how to get it."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnavailableError) as caught:
        resolving("alpha\n")
    assert caught.value.hint == "pip install uv"


def test_the_projects_lock_is_taken_while_it_fits(index: PackageIndex, resolving: Resolving, folder: Path) -> None:
    """With pylock.toml nothing is resolved, whatever the index has by now and whatever the store knows."""
    index.add("alpha", "1.0")
    lock = resolving("alpha\n")[1]
    (folder / "pylock.toml").write_text(dump_lock(lock, None))
    index.add("alpha", "2.0")
    for locked in (False, True):
        _, found = resolving(locked=locked)
        assert found.wheels == lock.wheels
        assert found.source == "pylock.toml"
    assert resolving.runs == 1


@pytest.mark.parametrize(
    ("change", "python", "platform", "message"),
    [
        (
            "alpha\n# more\nbeta\n",
            None,
            AMD64,
            "pylock.toml is stale: the requirements or the accelerator have changed",
        ),
        (None, "3.11", AMD64, "pylock.toml is stale: it is for Python 3.13"),
        (None, None, ARM64, "pylock.toml is for linux/amd64, not for linux/arm64"),
    ],
)
def test_a_stale_lock_is_said_to_be_one(
    index: PackageIndex,
    resolving: Resolving,
    folder: Path,
    *,
    change: str | None,
    python: str | None,
    platform: Platform,
    message: str,
) -> None:
    """With --locked it is an error that names the command to run, without it a notice."""
    index.add("alpha", "1.0")
    index.add("beta", "1.0")
    lock = resolving("alpha\n")[1]
    (folder / "pylock.toml").write_text(dump_lock(lock, None))
    with pytest.raises(PlanError) as caught:
        resolving(change, python=python, platform=platform, locked=True)
    assert message in caught.value.message
    assert "shipml plan --lock" in caught.value.hint
    assert resolving(python=python, platform=platform)[1].source == ""
    assert any(isinstance(event, Notice) and message in event.message for event in resolving.heard)


def test_a_lock_with_what_was_learned_is_fresh_where_nothing_was_learned(
    index: PackageIndex, resolving: Resolving, folder: Path
) -> None:
    """What one machine's builds taught is in its lock, and another machine takes that lock."""
    index.add("alpha", "1.0")
    index.add("setuptools", "80.0")
    (folder / "requirements.txt").write_text("alpha\n")
    project = read_project(folder, resolving.store)
    taught, candidates = heed(
        project, python_candidates(project), Lesson(packages=(Learned("setuptools<81", "why", "app.py:1"),))
    )
    _, lock = resolve_first(taught, candidates, platform=AMD64, store=resolving.store, emit=resolving.heard.append)
    (folder / "pylock.toml").write_text(dump_lock(lock, None))
    assert [wheel.name for wheel in resolving(locked=True)[1].wheels] == ["alpha", "setuptools"]
    (folder / "pylock.toml").unlink()
    assert [wheel.name for wheel in resolving()[1].wheels] == ["alpha"]


def test_locked_without_a_lock_fails(index: PackageIndex, resolving: Resolving, folder: Path) -> None:
    """So does a lock that another program wrote."""
    index.add("alpha", "1.0")
    with pytest.raises(PlanError, match=r"pylock\.toml is missing"):
        resolving("alpha\n", locked=True)
    (folder / "pylock.toml").write_text('lock-version = "1.0"\ncreated-by = "x"\npackages = []\n')
    with pytest.raises(PlanError, match="was not written by shipml"):
        resolving(locked=True)


@pytest.mark.network
@pytest.mark.parametrize("platform", [AMD64, ARM64], ids=str)
def test_the_iris_project_resolves(resolving: Resolving, platform: Platform) -> None:
    """Real pins from the real index have wheels for the newest Debian on both platforms."""
    _, lock = resolving("scikit-learn==1.7.2\npandas==2.3.3\njoblib==1.5.2\n", platform=platform)
    names = {wheel.name for wheel in lock.wheels}
    assert {"scikit-learn", "pandas", "joblib", "numpy", "scipy", "threadpoolctl"} <= names
    assert all(wheel.size_bytes and wheel.filename.endswith(".whl") for wheel in lock.wheels)


@pytest.mark.network
def test_the_tutorials_old_pins_meet_their_time(resolving: Resolving) -> None:
    """scikit-learn 1.0.2 gets Python 3.9 and the numpy of December 2021: today's would not import."""
    candidate, lock = resolving("scikit-learn==1.0.2\npandas==1.3.5\njoblib==1.1.0\n")
    assert candidate.suite.name == "bullseye"
    found = {wheel.name: wheel.version for wheel in lock.wheels}
    assert (found["numpy"], found["scipy"]) == ("1.21.5", "1.7.3")
    assert lock.decisions[0].value == "as of 2021-12-26"
    assert lock.refused[0] == RefusedPython("3.13", "scikit-learn==1.0.2, pandas==1.3.5 has no wheel")


@pytest.mark.network
def test_an_old_flask_among_newer_pins_keeps_its_werkzeug(resolving: Resolving) -> None:
    """The newest pin's date is too late for Flask 2.1; what it was released with tells."""
    _, lock = resolving("Flask==2.1.0\nrequests==2.32.3\n")
    assert next(wheel.version for wheel in lock.wheels if wheel.name == "werkzeug").startswith("2.")
    assert "werkzeug<3" in [one.value for one in lock.decisions]
