"""What may mend a failed build, by the words of real ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shipml.source_builds.needs import Needs, as_of, bounds, moments
from shipml.source_builds.remedies import Remedy, cause, remedies

GCC = """\
running build_ext
gcc -Wno-unused-result -I/usr/include/python3.9 -c psycopg/psycopgmodule.c -o build/psycopgmodule.o
In file included from psycopg/psycopgmodule.c:28:
./psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory
   36 | #include <libpq-fe.h>
      |          ^~~~~~~~~~~~
compilation terminated.
error: command '/usr/bin/gcc' failed with exit code 1
"""


def first(log: str) -> Remedy | None:
    return next(remedies(log), None)


@pytest.mark.parametrize(
    ("log", "path"),
    [
        (GCC, "/include/libpq-fe.h"),
        ("x.c:1:10: fatal error: libxml/xmlversion.h: No such file or directory", "/include/libxml/xmlversion.h"),
        ("/usr/bin/ld: cannot find -lportaudio\ncollect2: error: ld returned 1 exit status", "/libportaudio.so"),
        ("x.cpp:3:10: fatal error: 'boost/any.hpp' file not found", "/include/boost/any.hpp"),
        ("configure: error: Cannot find header file <sasl/sasl.h>", "/include/sasl/sasl.h"),
        (
            "Package libavformat was not found in the pkg-config search path.\nNo package 'libavformat' found",
            "/pkgconfig/libavformat.pc",
        ),
        ("Package 'cairo', required by 'virtual:world', not found", "/pkgconfig/cairo.pc"),
        (
            "Command '['pkg-config', '--cflags', 'libxml-2.0']' returned non-zero exit status 1.",
            "/pkgconfig/libxml-2.0.pc",
        ),
        (
            '../meson.build:9:0: ERROR: Dependency "glib-2.0" not found, tried pkgconfig and cmake',
            "/pkgconfig/glib-2.0.pc",
        ),
        (
            "CMake Error:\n  The following required packages were not found:\n\n   - libpcre2-8\n",
            "/pkgconfig/libpcre2-8.pc",
        ),
        (
            'Could not find a package configuration file provided by "Ceres" with any of\n  the following names:',
            "/cmake/CeresConfig.cmake",
        ),
        ("-- Could NOT find Qhull (missing: Qhull_LIBRARY)", "/cmake/QhullConfig.cmake"),
        ("/bin/sh: 1: sassc: not found", "/bin/sassc"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ragel'", "/bin/ragel"),
    ],
)
def test_missing_files_are_looked_for_in_debian(log: str, path: str) -> None:
    """A header by the compiler's words, a library by the linker's."""
    found = first(log)
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize(
    ("log", "packages"),
    [
        ("Error: pg_config executable not found.", ("libpq-dev",)),
        ("/bin/sh: 1: mysql_config: not found", ("default-libmysqlclient-dev",)),
        ("-- Could NOT find OpenSSL, try to set the path\n-- Could NOT find OpenSSL (missing: X)", ("libssl-dev",)),
        ("No CMAKE_Fortran_COMPILER could be found.", ("gfortran",)),
        ("ERROR: Unknown compiler(s): [['gfortran'], ['flang']]", ("gfortran",)),
        ("OSError: Could not find gdal-config. Make sure you have it", ("libgdal-dev",)),
        ("RuntimeError: Could not find `llvm-config` binary", ("llvm-dev",)),
        ("error: command 'swig' failed: No such file or directory", ("swig",)),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'cmake'", ("cmake",)),
        ("ModuleNotFoundError: No module named 'lib2to3'", ("python3-lib2to3",)),
    ],
)
def test_programs_are_brought_by_their_packages(log: str, packages: tuple[str, ...]) -> None:
    """However their absence is said."""
    found = first(log)
    assert found is not None
    assert found.packages == packages


@pytest.mark.parametrize(
    "log",
    [
        "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
        "unable to execute 'gcc': No such file or directory",
        "FileNotFoundError: [Errno 2] No such file or directory: 'make'",
        "x.c:1:10: fatal error: Python.h: No such file or directory",
    ],
)
def test_a_missing_compiler_brings_them_all(log: str) -> None:
    """What looked pure was not."""
    found = first(log)
    assert found is not None
    assert found.compilers


@pytest.mark.parametrize(
    ("log", "constraint"),
    [
        ("ImportError: cannot import name 'Feature' from 'setuptools' (x)", "setuptools<46"),
        ("error in a setup command: use_2to3 is invalid.", "setuptools<58"),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "setuptools<81"),
        ("setuptools.extern.packaging.version.InvalidVersion: Invalid version: 'unknown'", "setuptools<66"),
        ("Cython.Compiler.Errors.CompileError: a.pyx", "cython<3"),
    ],
)
def test_older_tools_are_taken_where_a_newer_one_broke_it(log: str, constraint: str) -> None:
    """By what they say."""
    assert any(constraint in found.constraints for found in remedies(log))


@pytest.mark.parametrize(
    ("log", "requirement"),
    [
        ("ModuleNotFoundError: No module named 'Cython'", "cython"),
        ("ModuleNotFoundError: No module named 'sklearn.base'", "scikit-learn"),
        ("ModuleNotFoundError: No module named 'numpy.distutils'", "numpy<1.26"),
        ("error: Cython>=0.22 and NumPy are required.", "cython"),
    ],
)
def test_what_a_build_imports_is_added(log: str, requirement: str) -> None:
    """Undeclared, as it was before there was pyproject.toml."""
    assert any(requirement in found.requirements for found in remedies(log))


@pytest.mark.parametrize(
    "log",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: 'README.md'",
        "FileNotFoundError: [Errno 2] No such file or directory: '../requirements.txt'",
        "-- Could NOT find Python3 (missing: Development)",
        "error: command 'cargo' failed: No such file or directory",
    ],
)
def test_files_of_the_source_are_nothing_that_debian_has(log: str) -> None:
    """Nor are Python, which is there, and Rust's tools, which would need the network."""
    assert first(log) is None


def test_no_remedy_for_what_is_not_understood() -> None:
    """Nothing is tried at random."""
    assert list(remedies("ValueError: the moon is wrong\nerror: subprocess-exited-with-error")) == []


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (GCC, "./psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory"),
        ("Traceback:\nKeyError: 1\nDuring handling\nRuntimeError: numpy is too old", "RuntimeError: numpy is too old"),
        ("error: metadata-generation-failed\nERROR: this package needs Fortran", "ERROR: this package needs Fortran"),
        ("just\nthis\n\n", "this"),
        ("", "it said nothing"),
    ],
)
def test_one_line_is_the_cause(log: str, line: str) -> None:
    """The first error of a compiler, else the last exception, else the last error, else the last line."""
    assert cause(log) == line


def test_an_end_from_outside_is_the_cause() -> None:
    """Time and memory have no line in the log."""
    assert cause(GCC, "it was not done after 60 minutes") == "it was not done after 60 minutes"


def test_tools_are_dated_by_the_upload() -> None:
    """But not before they knew the Python; where nothing is known of the upload, today's are taken."""
    assert str(as_of("2021-12-28T10:00:00Z", "3.9")) == "2022-01-11 10:00:00+00:00"
    assert str(as_of("2017-05-23T00:00:00Z", "3.9")) == "2021-04-05 00:00:00+00:00"
    assert as_of("", "3.9") is None


@pytest.mark.parametrize(
    ("uploaded", "python", "text", "limits"),
    [
        ("2017-05-23T00:00:00Z", "3.9", "from setuptools import Feature", ("cython<3", "numpy<2", "setuptools<46")),
        ("2017-05-23T00:00:00Z", "3.13", "setup(use_2to3=True)", ("numpy<2", "setuptools<58")),
        ("2025-01-01T00:00:00Z", "3.13", "import pkg_resources", ("setuptools<81",)),
        ("2025-01-01T00:00:00Z", "3.13", "", ()),
    ],
)
def test_limits_come_from_the_source_s_day_and_words(
    uploaded: str, python: str, text: str, limits: tuple[str, ...]
) -> None:
    """Cython 3 and NumPy 2 broke what was before them; setuptools let go of things one by one."""
    assert tuple(bounds(uploaded, python, text)) == limits


def test_tools_are_looked_for_year_by_year_after_the_source_s_day() -> None:
    """What had only source then is looked for a year later, before today's is taken."""
    day = datetime(2020, 10, 1, tzinfo=UTC)
    years = [moment and moment.year for moment in moments(day, datetime(2023, 1, 1, tzinfo=UTC))]
    assert years == [2020, 2021, 2022, None]
    assert list(moments(None, day)) == [None]


def test_needs_that_had_it_all_stay_equal() -> None:
    """So a remedy that was tried is not tried again."""
    needs = Needs(("setuptools",), ("numpy<2",), frozenset({"gcc"}))
    assert needs.plus(requirements=("setuptools",), packages=frozenset({"gcc"}), because="again") == needs
    assert needs.plus(packages=frozenset({"swig"})) != needs
