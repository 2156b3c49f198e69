"""What native code lacks, and what packages call."""

from __future__ import annotations

import pytest

from shipml.plan.called_programs import called_packages, uncalled
from shipml.plan.native import MissingLibrary, NativeFacts, missing_libraries


def facts(*needed: str, provided: tuple[str, ...] = ()) -> NativeFacts:
    return NativeFacts(("amd64",), tuple((name, f"x/{name}.user.so") for name in needed), provided)


def test_what_no_wheel_and_no_c_library_provides_is_missing() -> None:
    """Wheels provide for each other; each library is named once, with the first wheel that needs it."""
    found = missing_libraries(
        {
            "a": facts("libGL.so.1", "libm.so.6", "libb.so"),
            "b": facts("libGL.so.1", provided=("libb.so",)),
            "c": facts("libX11.so.6"),
        }
    )
    assert found == [
        MissingLibrary("libGL.so.1", "a", "x/libGL.so.1.user.so"),
        MissingLibrary("libX11.so.6", "c", "x/libX11.so.6.user.so"),
    ]


@pytest.mark.parametrize(
    "soname",
    [
        *("libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libstdc++.so.6", "libgcc_s.so.1"),
        *("libgomp.so.1", "libz.so.1", "libcuda.so.1", "libcudart.so.12", "libnvidia-ml.so.1", "libcudnn.so.9"),
        *("libpython3.11.so.1.0", "libmpi.so.40", "libibverbs.so.1"),
    ],
)
def test_what_every_base_or_only_the_machine_has_is_not_missing(soname: str) -> None:
    """The C library, GCC's run time, GPU drivers, and what optional plugins load."""
    assert missing_libraries({"a": facts(soname)}) == []


@pytest.mark.parametrize("soname", ["libcairo.so.2", "libcurl.so.4", "libmagic.so.1", "libzmq.so.5"])
def test_libraries_with_similar_names_are_missing(soname: str) -> None:
    """Patterns match whole names."""
    assert [library.soname for library in missing_libraries({"a": facts(soname)})] == [soname]


def test_called_programs_come_with_their_reason() -> None:
    """Of packages and of modules that Debian splits off; unknown ones bring nothing."""
    found = dict(called_packages({"pytesseract", "flask"}, {"tkinter", "os"}))
    assert found == {
        "tesseract-ocr": "pytesseract runs the program tesseract",
        "python3-tk": "Debian keeps the module tkinter in a package of its own",
    }


def test_what_a_package_merely_lists_is_called_by_nobody() -> None:
    """Graphviz of catboost, GitPython of streamlit; librosa does call audioread."""
    installed = {"catboost", "graphviz", "streamlit", "gitpython", "librosa", "audioread", "numpy"}
    assert uncalled(installed, {"catboost", "streamlit"}) == {"graphviz", "gitpython", "audioread"}
    assert uncalled(installed, {"graphviz", "librosa"}) == {"gitpython"}
