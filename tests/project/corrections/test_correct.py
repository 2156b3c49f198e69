"""Names, places and repetitions among requirements: what is taken, and the one reason given for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.errors import ConfigurationError
from shipml.facts.requirements import Correction
from shipml.project.corrections.correct import correct
from shipml.project.corrections.names import nearest_name
from shipml.project.data import (
    conda_names,
    module_names,
    normalised,
    requirement_names,
)
from shipml.project.requirements.reader import Line


def corrected(
    *lines: str, folder: Path = Path("/nonexistent"), imported: tuple[str, ...] = (), has_indexes: bool = False
) -> tuple[list[str], list[Correction]]:
    """What is taken, and the changes."""
    numbered = [Line(text, f"r.txt:{number}") for number, text in enumerate(lines, start=1)]
    found = correct(numbered, folder, imported=imported, has_indexes=has_indexes)
    return [item.text for item in found.items], found.changes


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("sklearn==0.0.post1", "scikit-learn"),
        ("sklearn==1.0.2", "scikit-learn==1.0.2"),
        ("sklearn>=1", "scikit-learn>=1"),
        ("PIL", "pillow"),
        ("cv2==4.5.5", "opencv-python-headless==4.5.5.*"),
        ("cv2==4.5.5.62", "opencv-python-headless==4.5.5.62"),
        ("cv2>=4", "opencv-python-headless>=4"),
        ("dotenv==0.9.9", "python-dotenv"),
        ("dotenv==1.0.0", "python-dotenv==1.0.0"),
        ("tensorflow-gpu==2.4.1", "tensorflow==2.4.1"),
        ("whisper==1.0", "openai-whisper"),
        ("whisper==20231117", "openai-whisper==20231117"),
        ("ffmpeg==1.4", "ffmpeg-python"),
        ("python-magic-bin==0.4.14", "python-magic"),
        ("faiss==1.7.4", "faiss-cpu==1.7.4"),
        ("tensorflow-intel==2.12.0", "tensorflow==2.12.0"),
        ("tensorflow-macos>=2.9", "tensorflow>=2.9"),
        ("bs4 ; python_version > '3.6'", 'beautifulsoup4 ; python_version > "3.6"'),
        ("matplotlib.pyplot", "matplotlib"),
    ],
)
def test_a_module_is_no_distribution(written: str, taken: str) -> None:
    """The distribution is taken; a version is kept unless only the impostor has it."""
    assert corrected(written)[0] == [taken]


@pytest.mark.parametrize(
    "name",
    [
        "ruamel.yaml==0.17",
        "discord.py",
        "zope.interface",
        "backports.zoneinfo",
        "opencv-python",
        "pyobject",
        "windows-pkg",
    ],
)
def test_names_with_dots_and_lookalikes_are_left_alone(name: str) -> None:
    """Only what the tables name is changed."""
    assert corrected(name) == ([name], [])


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("json", "a part of Python"),
        ("argparse==1.4.0", "a part of Python"),
        ("dataclasses==0.8", "a part of Python"),
        ("enum34", "Python 2"),
        ("pywin32==305", "Windows"),
        ("winrt-runtime", "Windows"),
        ("pyobjc-core==7", "macOS"),
        ("pkg_resources==0.0.0", "by mistake"),
        ("python==3.8", "interpreter"),
        ("pip", "installs packages"),
        ("conda-build", "Anaconda"),
    ],
)
def test_what_nobody_can_mean_is_left_out_with_its_reason(name: str, because: str) -> None:
    """The change says why."""
    taken, changes = corrected("numpy", name)
    assert taken == ["numpy"]
    assert [(change.before, change.after, change.source) for change in changes] == [(name, "", "r.txt:2")]
    assert because in changes[0].because


def test_what_the_code_imports_is_kept() -> None:
    """A program that imports pip needs it; DateTime with a version is Zope's."""
    assert corrected("pip==21.0", "DateTime==4.3", imported=("pip",))[0] == ["pip==21.0", "DateTime==4.3"]


@pytest.mark.parametrize(
    ("lines", "taken", "values"),
    [
        (("numpy", "numpy"), ["numpy"], ["numpy left out"]),
        (("numpy", "NumPy==1.2"), ["NumPy==1.2"], ["numpy left out"]),
        (("a_b==1", "a-b==1"), ["a_b==1"], ["a-b==1 left out"]),
        (("a>=1", "a<2"), ["a<2,>=1"], ["a<2 → a<2,>=1"]),
        (("a==1", "a==2"), ["a==2"], ["a==1 → a==2"]),
        (("a==1", "a>=2"), ["a==1"], ["a>=2 → a==1"]),
        (("a", "a[x]"), ["a[x]"], ["a left out"]),
        (("a[x]", "a[y]"), ["a[x,y]"], ["a[y] → a[x,y]"]),
        (("a ; os_name=='nt'", "a==1"), ["a ; os_name=='nt'", "a==1"], []),
        (("a==1", "a @ https://example.org/a-1.tar.gz"), ["a @ https://example.org/a-1.tar.gz"], ["a==1 left out"]),
        (("scikit-learn==1.0", "sklearn"), ["scikit-learn==1.0"], ["sklearn left out"]),
        (("sklearn", "scikit-learn==1.0"), ["scikit-learn==1.0"], ["sklearn left out"]),
    ],
)
def test_each_distribution_is_asked_for_once(lines: tuple[str, ...], taken: list[str], values: list[str]) -> None:
    """Repetitions are merged, contradictions decided, and each is one change."""
    found, changes = corrected(*lines)
    assert found == taken
    assert [change.value for change in changes] == values


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("numpy @ file:///C:/ci/numpy_and_numpy_base_1668593740598/work", "numpy"),
        ("numpy @ file:///tmp/build/80754af9/numpy_1618497241363/work", "numpy"),
        ("x-y @ file:///croot/x-y_1668593740598/work", "x-y"),
        ("pandas @ file:///home/me/pandas-1.5.3-cp310-cp310-linux_x86_64.whl", "pandas==1.5.3"),
        ("file:///C:/Users/me/pandas-1.5.3-cp310-cp310-win_amd64.whl", "pandas==1.5.3"),
        (r"C:\Users\me\pandas-1.5.3-cp310-cp310-win_amd64.whl", "pandas==1.5.3"),
        ("https://example.org/torch-1.9.0%2Bcpu-cp38-cp38-win_amd64.whl", "torch==1.9.0"),
        ("git+git://github.com/a/b.git@v1#egg=b", "b @ git+https://github.com/a/b.git@v1"),
        (
            "-e git+https://example.org/a/b.git#egg=b&subdirectory=c",
            "b @ git+https://example.org/a/b.git#subdirectory=c",
        ),
        ("github.com/a/b", "git+https://github.com/a/b.git"),
        ("https://example.org/b-1.0-py3-none-any.whl", "https://example.org/b-1.0-py3-none-any.whl"),
        ("b @ git+ssh://git@example.org/a/b.git", "b @ git+ssh://git@example.org/a/b.git"),
    ],
)
def test_places_of_other_machines_become_names(written: str, taken: str) -> None:
    """A path gives its name and, where it tells, its version; repositories get a form that uv takes."""
    assert corrected(written)[0] == [taken]


def test_a_private_folder_is_never_replaced_by_a_name(tmp_path: Path) -> None:
    """A package of that name on the index may be somebody else's."""
    with pytest.raises(ConfigurationError, match="which is not there"):
        corrected("my-tools @ file:///home/joe/tools", folder=tmp_path)
    with pytest.raises(ConfigurationError, match=r"\./dist/tools-1\.0-py3-none-any\.whl, which is not there"):
        corrected("./dist/tools-1.0-py3-none-any.whl", folder=tmp_path)


def test_a_local_wheel_that_is_there_is_kept(tmp_path: Path) -> None:
    """Its path stays relative to the project."""
    (tmp_path / "tools-1.0-py3-none-any.whl").touch()
    assert corrected("./tools-1.0-py3-none-any.whl", folder=tmp_path) == (["./tools-1.0-py3-none-any.whl"], [])


def test_local_versions_need_an_index_that_has_them() -> None:
    """Without one the public version is taken, and what was asked for is remembered."""
    assert corrected("torch==1.9.0+cu111", has_indexes=True)[0] == ["torch==1.9.0+cu111"]
    lines = [Line("torch==1.9.0+cu111", "r.txt:1")]
    found = correct(lines, Path("/nonexistent"), imported=(), has_indexes=False)
    assert [(one.line, one.version, one.local) for one in (item.declared() for item in found.items)] == [
        ("torch==1.9.0", "1.9.0", "cu111")
    ]


def test_hashes_stay_with_their_requirement() -> None:
    """Both ways of writing them are read; a requirement of another name has none of them."""
    found = correct(
        [Line("numpy==1.0 --hash=sha256:00 --hash sha256:11", "r.txt:1"), Line("sklearn --hash=sha256:22", "r.txt:2")],
        Path("/nonexistent"),
        imported=(),
        has_indexes=False,
    )
    assert [item.declared().line for item in found.items] == [
        "numpy==1.0 --hash=sha256:00 --hash=sha256:11",
        "scikit-learn",
    ]


def test_no_password_is_shown() -> None:
    """Changes are printed and kept in plans."""
    _, changes = corrected("git+git://joe:s3cret@github.com/a/b.git#egg=b")
    assert changes
    assert "s3cret" not in repr(changes)


def test_spacys_models_are_placed() -> None:
    """Of their own version, else for the spaCy that is pinned; where neither is told, nothing is guessed."""
    stem = "https://github.com/explosion/spacy-models/releases/download/en_core_web_sm"
    assert corrected("en_core_web_sm==3.2.0")[0] == [
        f"en-core-web-sm @ {stem}-3.2.0/en_core_web_sm-3.2.0-py3-none-any.whl"
    ]
    assert corrected("spacy==3.7.4", "en-core-web-sm")[0][1].endswith("/en_core_web_sm-3.7.0-py3-none-any.whl")
    assert corrected("spacy", "en-core-web-sm") == (["spacy", "en-core-web-sm"], [])


def test_the_nearest_known_name() -> None:
    """Known names and strangers have none."""
    assert nearest_name("scikit-lern") == "scikit-learn"
    assert nearest_name("numpy") == ""
    assert nearest_name("qqqqqq") == ""


def test_the_tables_are_consistent() -> None:
    """Nothing is renamed to what is renamed or dropped; reasons are clauses; conda's names lead to the index's."""
    names = requirement_names()
    for name, (target, because, *_) in names.renamed.items():
        assert normalised(target) not in names.renamed, name
        assert normalised(target) not in names.dropped, name
        assert normalised(target) in module_names().known, target
        assert not because.endswith(".")
    assert not set(names.renamed) & set(names.dropped)
    assert all(because and not because.endswith(".") for because in names.dropped.values())
    assert not set(conda_names().renamed) & set(conda_names().system)
