"""What a failed build lacks of the system, by its own words (pure): headers, libraries, programs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shipml.source_builds.remedy import Remedy

__all__ = ["COMPILER_PROGRAMS", "system_remedies"]

_PROGRAMS = {
    "cmake": "cmake",
    "swig": "swig",
    "gfortran": "gfortran",
    "f95": "gfortran",
    "f77": "gfortran",
    "pg_config": "libpq-dev",
    "mysql_config": "default-libmysqlclient-dev",
    "mariadb_config": "libmariadb-dev",
    "pkg-config": "pkg-config",
    "pkgconfig": "pkg-config",
    "git": "git",
    "gs": "ghostscript",
    "autoreconf": "autoconf",
    "autoconf": "autoconf",
    "automake": "automake",
    "aclocal": "automake",
    "libtoolize": "libtool",
    "libtool": "libtool",
    "bison": "bison",
    "flex": "flex",
    "ninja": "ninja-build",
    "meson": "meson",
    "nc-config": "libnetcdf-dev",
    "geos-config": "libgeos-dev",
    "gdal-config": "libgdal-dev",
    "curl-config": "libcurl4-openssl-dev",
    "xslt-config": "libxslt1-dev",
    "xml2-config": "libxml2-dev",
    "krb5-config": "libkrb5-dev",
    "llvm-config": "llvm-dev",
    "freetype-config": "libfreetype-dev",
    "pcre-config": "libpcre3-dev",
    "odbc_config": "unixodbc-dev",
    "mpicc": "libopenmpi-dev",
    "mpicxx": "libopenmpi-dev",
    "protoc": "protobuf-compiler",
    "nasm": "nasm",
    "yasm": "yasm",
    "patch": "patch",
    "perl": "perl",
    "unzip": "unzip",
    "wget": "wget",
    "curl": "curl",
    "clang": "clang",
}
COMPILER_PROGRAMS = (
    *("gcc", "g++", "cc", "c++", "make", "sh", "ld", "ar", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"),
    *("x86_64-linux-gnu-g++", "aarch64-linux-gnu-g++"),
)
_FOR_RUST = ("cargo", "rustc", "maturin")
_CMAKE_MODULES = {
    "alsa": "libasound2-dev",
    "blas": "libopenblas-dev",
    "boost": "libboost-all-dev",
    "bzip2": "libbz2-dev",
    "curl": "libcurl4-openssl-dev",
    "eigen3": "libeigen3-dev",
    "expat": "libexpat1-dev",
    "ffmpeg": "libavformat-dev",
    "fftw": "libfftw3-dev",
    "freetype": "libfreetype-dev",
    "gdal": "libgdal-dev",
    "geos": "libgeos-dev",
    "git": "git",
    "glew": "libglew-dev",
    "gmp": "libgmp-dev",
    "gtest": "libgtest-dev",
    "hdf5": "libhdf5-dev",
    "jpeg": "libjpeg-dev",
    "lapack": "liblapack-dev",
    "libxml2": "libxml2-dev",
    "llvm": "llvm-dev",
    "lz4": "liblz4-dev",
    "mpi": "libopenmpi-dev",
    "mpfr": "libmpfr-dev",
    "opencv": "libopencv-dev",
    "opengl": "libgl-dev",
    "openmp": "libgomp1",
    "openssl": "libssl-dev",
    "png": "libpng-dev",
    "postgresql": "libpq-dev",
    "proj": "libproj-dev",
    "protobuf": "libprotobuf-dev",
    "sdl2": "libsdl2-dev",
    "snappy": "libsnappy-dev",
    "sqlite3": "libsqlite3-dev",
    "tbb": "libtbb-dev",
    "tiff": "libtiff-dev",
    "x11": "libx11-dev",
    "zlib": "zlib1g-dev",
    "zmq": "libzmq3-dev",
    "zstd": "libzstd-dev",
}
"""CMake's own find modules, which look for no file of a package's, by their names in lower case."""
_HEADER = re.compile(
    r"(?:fatal error: '?(?P<a>[\w./+-]+\.[\w]+)'?(?:: No such file or directory| file not found)"
    r"|[Cc](?:ould not|annot|an't) (?:find|locate) (?:the )?(?:header )?(?:file )?[<'\"]?"
    r"(?P<b>[\w/+-]+\.(?:h|hpp|hh))\b)"
)
_LIBRARY = re.compile(
    r"cannot find -l(?P<a>[\w.+-]+)|unable to find library -l(?P<b>[\w.+-]+)|library not found for -l(?P<c>[\w.+-]+)"
)
_MODULE = re.compile(
    r"(?:No package '(?P<a>[^'\s]+)' found"
    r"|Package '?(?P<b>[\w.+-]+)'?,? (?:was not found in|required by '[^']*', not found|not found)"
    r"|Dependency \"?(?P<c>[\w.+-]+)\"? (?:found: NO|not found)"
    r"|The following required packages were not found:\s+- (?P<d>[\w.+-]+)"
    r"|pkg-config[^\n]*?\s(?P<e>[\w.+-]+)(?:'|\")?(?: returned| failed| died)"
    r"|Command '\['pkg-config'[^\]]*'(?P<f>[\w.+-]+)'\]' (?:returned|died))"
)
_CMAKE_CONFIG = re.compile(
    r"(?:package\s+configuration\s+file\s+provided\s+by\s+\"(?P<a>[\w+-]+)\""
    r"|Could\s+not\s+find\s+a\s+configuration\s+file\s+for\s+package\s+\"(?P<b>[\w+-]+)\")"
)
_CMAKE_MODULE = re.compile(r"Could\s+NOT\s+find\s+(?P<name>\w+)\s*\(missing")
_COMMAND = re.compile(
    r"(?:error: command '(?P<a>[^']+)' failed: No such file"
    r"|No such file or directory: '(?P<b>[\w./+-]+)'"
    r"|(?:^|[\s:/])(?P<c>[\w.+-]+): (?:command )?not found"
    r"|unable to execute '(?P<d>[^']+)': No such file"
    r"|Error: (?P<e>pg_config) executable not found"
    r"|(?:Could not find|Couldn't find|Cannot find|Could not locate|Unable to find|Program) ['`]?"
    r"(?P<f>[a-z][\w-]*-config|[a-z]+_config)\b"
    r"|CMAKE_(?P<g>Fortran)_COMPILER"
    r"|Program '?(?P<h>[\w.+-]+)'? (?:found: NO|not found)"
    r"|(?P<i>[a-z]+)-?(?:compiler)? (?:must be|is not) installed"
    r"|(?P<j>[Ff]ortran|gfortran) compiler (?:not found|is required|cannot)"
    r"|Unknown compiler\(s\): \[\['(?P<k>[\w+-]+)')",
    re.MULTILINE,
)
_FORTRAN = frozenset({"fortran", "Fortran", "gfortran", "f77", "f90", "f95", "ifort"})
_A_FILE = re.compile(r".*\.(?:py|txt|in|c|cpp|h|so|toml|cfg|json|md|rst)|.*/")


def system_remedies(tail: str) -> Iterator[Remedy]:
    """What a build lacks that Debian may have, the surest first.

    Args:
        tail: of the log.
    """
    for header in _each(_HEADER, tail):
        if header == "Python.h":
            yield Remedy("it needs a compiler", compilers=True)
        else:
            yield Remedy(f"it needs the header {header}", path=f"/include/{header}")
    for library in _each(_LIBRARY, tail):
        yield Remedy(f"it is linked with lib{library}", path=f"/lib{library}.so")
    for module in _each(_MODULE, tail):
        yield Remedy(f"it asks pkg-config for {module}", path=f"/pkgconfig/{module}.pc")
    for package in _each(_CMAKE_CONFIG, tail):
        yield Remedy(f"its CMake looks for {package}", path=f"/cmake/{package}Config.cmake")
    for package in _each(_CMAKE_MODULE, tail):
        yield from _of_cmake(package)
    for program in _each(_COMMAND, tail):
        yield from _of_program(program.rpartition("/")[2])


def _each(pattern: re.Pattern[str], tail: str) -> Iterator[str]:
    """What a pattern names, each once, in order."""
    found = (next(filter(None, match.groups()), "") for match in pattern.finditer(tail))
    yield from dict.fromkeys(one for one in found if one)


def _of_cmake(package: str) -> Iterator[Remedy]:
    name = package.lower()
    if name.startswith("python") or name in {"threads", "pythoninterp", "pythonlibs"}:
        return
    known = _CMAKE_MODULES.get(name)
    if name == "pkgconfig":
        known = "pkg-config"
    because = f"its CMake looks for {package}"
    yield (
        Remedy(because, packages=(known,), compilers=True)
        if known
        else Remedy(because, path=f"/cmake/{package}Config.cmake")
    )


def _of_program(program: str) -> Iterator[Remedy]:
    if program in _FORTRAN:
        yield Remedy("it has Fortran code", packages=("gfortran",), compilers=True)
    elif program in COMPILER_PROGRAMS:
        yield Remedy(f"it calls {program}", compilers=True)
    elif program in _PROGRAMS:
        yield Remedy(f"it calls {program}", packages=(_PROGRAMS[program],), compilers=True)
    elif program not in _FOR_RUST and not _A_FILE.fullmatch(program):
        yield Remedy(f"it calls {program}", path=f"/bin/{program}")
