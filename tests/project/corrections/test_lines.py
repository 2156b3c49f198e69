"""Lines that are no requirement: what each kind surely means, and that nothing else is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipml.errors import ConfigurationError
from shipml.project.corrections.correct import correct
from shipml.project.corrections.lines import is_requirement, repair
from shipml.project.requirements.reader import Line


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("numpy==1.0.x", ["numpy==1.0.*"]),
        ("numpy=1.2", ["numpy==1.2"]),
        ("numpy: 1.2.3", ["numpy==1.2.3"]),
        ('numpy = "1.2"', ["numpy==1.2"]),
        ("numpy   1.19.5", ["numpy==1.19.5"]),
        ("numpy (1.2)", ["numpy==1.2"]),
        ("dvc[gdrive]=2.1", ["dvc[gdrive]==2.1"]),
        ("numpy=1.19.2=py38h54aff64_0", ["numpy==1.19.2"]),
        ("torch=1.9=pypi_0", ["torch==1.9"]),
        ("_libgcc_mutex=0.1=main", []),
        ("cudatoolkit=11.3.1=h2bc3f7f_2", []),
        ("pytorch=1.9.0=py3.8_cuda11.1_cudnn8.0.5_0", ["torch==1.9.0"]),
        ("numpy => 1.0", ["numpy >= 1.0"]),
        ("numpy =< 2", ["numpy <= 2"]),
        ("numpy > = 1.0", ["numpy >= 1.0"]),
        ("numpy>=1.0<2.0", ["numpy>=1.0,<2.0"]),
        ("numpy>=3.20.*", ["numpy>=3.20"]),
        ("detectron2~=0.3+cpu", ["detectron2~=0.3"]),
        ("numpy~1.2", ["numpy~=1.2"]),
        ("numpy~=1", ["numpy~=1.0"]),
        ("pandas^1.5", ["pandas>=1.5,<2.0"]),
        ("pytz==2004d", ["pytz==2004"]),
        ("thing[x]>=1.5.dev-2-gabc ; python_version > '3'", ["thing[x]>=1.5 ; python_version > '3'"]),
        ("numpy==", ["numpy"]),
        ("numpy==latest", ["numpy"]),
        ("numpy, pandas", ["numpy", "pandas"]),
        ("numpy pandas==1.2 flask", ["numpy", "pandas==1.2", "flask"]),
        ("torch == 1.7.1 torchvision == 0.8.2", ["torch == 1.7.1", "torchvision == 0.8.2"]),
        ("- numpy", ["numpy"]),
        ("1. numpy", ["numpy"]),
        ("`numpy`", ["numpy"]),
        ("'numpy>=1.2',", ["numpy>=1.2"]),
        ("numpy==1.2.3;", ["numpy==1.2.3"]),
        ("pip install flask pandas==1.2 -U", ["flask", "pandas==1.2"]),
        ("!pip3 install -q torch==1.9 -f https://example.org/x", ["torch==1.9"]),
        ("python -m pip install -r more.txt numpy", ["numpy"]),
        ("RUN pip install 'flask[async]' && rm -r x", ["flask[async]"]),
        ("conda install -c conda-forge numpy=1.20", ["numpy==1.20"]),
        ("Package    Version", []),
        ("------", []),
        ("```", []),
        ("Requirements:", []),
        ("Install the following packages first", []),
        ("@EXPLICIT", []),
    ],
)
def test_what_a_line_means(written: str, meant: list[str]) -> None:
    """Each is known by its form; what results is a requirement and has a reason."""
    assert not is_requirement(written)
    found = repair(written)
    assert found is not None
    assert list(found.texts) == meant
    assert all(is_requirement(text) for text in found.texts)
    assert found.because
    assert not found.because.endswith(".")


@pytest.mark.parametrize(
    "line", ["foo bar", "pandsa what?", "numpy==1.2 or so", "see https://example.org", "numpy==1.2==3"]
)
def test_what_is_not_certain_is_left_to_its_author(line: str, tmp_path: Path) -> None:
    """The error names file, line and text."""
    with pytest.raises(ConfigurationError, match=r"requirements\.txt:7 is not a requirement") as caught:
        correct([Line(line, "requirements.txt:7")], tmp_path, imported=(), has_indexes=False)
    assert "NAME==VERSION" in caught.value.hint


def test_an_error_suggests_the_nearest_known_name(tmp_path: Path) -> None:
    """A suggestion only: nothing is installed by resemblance."""
    with pytest.raises(ConfigurationError) as caught:
        correct([Line("scikit-lern ?", "r.txt:1")], tmp_path, imported=(), has_indexes=False)
    assert "scikit-learn" in caught.value.hint


_PIECES = "numpy|Flask_Cors|==|=|>=|<|~=|^|1.2|1.x|2.0.*|+cu111|,|;|-|*| |  |@|[all]|(|)|'|pip install|-e|.|./x|file:///C:/b-1.0.whl"
_WORDS = st.sampled_from([*_PIECES.split("|"), "git+https://example.org/a#egg=a", "# x"])


@given(st.one_of(st.lists(_WORDS, max_size=8).map("".join), st.text(max_size=40)))
@example(". git+https://example.org/a#egg=a")
def test_any_line_is_understood_or_refused(text: str) -> None:
    """Nothing but our own error comes out of a line, and what was corrected needs no correction again."""
    try:
        first = correct([Line(text, "r.txt:1")], Path("/nonexistent"), imported=(), has_indexes=False)
    except ConfigurationError:
        return
    again = [Line(item.text, item.source) for item in first.items]
    second = correct(again, Path("/nonexistent"), imported=(), has_indexes=False)
    assert [item.text for item in second.items] == [item.text for item in first.items]
    assert second.changes == []


@pytest.mark.parametrize("text", ["numpy=1" + "a" * 3000 + "?", "," * 5000 + "x", "a" * 20_000, "x==1 " * 1000 + "?"])
def test_long_lines_are_refused_in_no_time(text: str, tmp_path: Path) -> None:
    """No pattern takes more than a moment, whatever it is given (the suite's own time limit would tell)."""
    with pytest.raises(ConfigurationError):
        correct([Line(text, "r.txt:1")], tmp_path, imported=(), has_indexes=False)


def test_a_command_of_a_notebook_may_be_silenced(tmp_path: Path) -> None:
    """Redirections, chains and comments are not requirements."""
    text = "!pip install -q six 'idna>=3' > /dev/null 2>&1 && pip install attrs  # all"
    found = correct([Line(text, "a.ipynb:1")], tmp_path, imported=(), has_indexes=False)
    assert [item.text for item in found.items] == ["six", "idna>=3", "attrs"]
