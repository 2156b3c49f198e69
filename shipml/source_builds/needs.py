"""What a build needs (pure): tools, headers and limits on versions, each with the reason why.

Sources carry no dates of their tools: an old setup.py wants setuptools as it was then. Where a limit is known from
the source's own text it stands here; all others come to light by the words of a failed build (`remedies`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

__all__ = ["COMPILERS", "HEADERS", "RECIPE", "SHELL", "Needs", "as_of", "bounds", "compilers_for", "moments"]

RECIPE = "1"
"""Part of every cache key: raise it when the same source is to be built in another way."""

SHELL = ("dash", "coreutils", "sed", "grep", "mawk", "findutils")
"""What configure scripts and makefiles call."""
COMPILERS = ("gcc", "g++", "make", "libc6-dev", "pkg-config", *SHELL)


def compilers_for(python: str) -> tuple[str, ...]:
    """Debian's compilers with the headers of its Python, for the minor version `python`."""
    return (*COMPILERS, f"libpython{python}-dev")


HEADERS: Mapping[str, tuple[str, ...]] = {
    "cartopy": ("libgeos-dev", "libproj-dev"),
    "cffi": ("libffi-dev",),
    "cryptography": ("libssl-dev", "libffi-dev"),
    "dbus-python": ("libdbus-1-dev", "libglib2.0-dev"),
    "dlib": ("cmake",),
    "fiona": ("libgdal-dev",),
    "gdal": ("libgdal-dev",),
    "h5py": ("libhdf5-dev",),
    "lxml": ("libxml2-dev", "libxslt1-dev", "zlib1g-dev"),
    "matplotlib": ("libfreetype-dev", "libpng-dev"),
    "mpi4py": ("libopenmpi-dev",),
    "mysqlclient": ("default-libmysqlclient-dev",),
    "netcdf4": ("libnetcdf-dev", "libhdf5-dev"),
    "numpy": ("libopenblas-dev",),
    "pillow": ("libjpeg-dev", "zlib1g-dev", "libfreetype-dev"),
    "psycopg2": ("libpq-dev",),
    "pyaudio": ("portaudio19-dev",),
    "pycairo": ("libcairo2-dev",),
    "pycurl": ("libcurl4-openssl-dev", "libssl-dev"),
    "pygobject": ("libgirepository1.0-dev", "libcairo2-dev"),
    "pygraphviz": ("libgraphviz-dev",),
    "pyodbc": ("unixodbc-dev",),
    "python-ldap": ("libldap-dev", "libsasl2-dev"),
    "python-snappy": ("libsnappy-dev",),
    "scikit-umfpack": ("libsuitesparse-dev", "swig"),
    "scipy": ("libopenblas-dev", "gfortran"),
    "shapely": ("libgeos-dev",),
    "tables": ("libhdf5-dev",),
    "xmlsec": ("libxmlsec1-dev", "libxml2-dev"),
}
"""Debian packages that a distribution's own instructions for building it name, beyond the compilers."""

_PYTHONS = {
    "3.8": "2020-04-14",
    "3.9": "2021-04-05",
    "3.10": "2022-04-04",
    "3.11": "2023-04-24",
    "3.12": "2024-04-02",
    "3.13": "2025-04-07",
    "3.14": "2026-04-07",
}
"""Half a year after each release of Python: before that, build tools hardly knew it."""
_GRACE = timedelta(days=14)
_YEAR = timedelta(days=365)
_MOST_YEARS = 5
_CYTHON_3 = datetime(2023, 7, 17, tzinfo=UTC)
_NUMPY_2 = datetime(2024, 6, 16, tzinfo=UTC)
_LAST_OF_CYTHON_0 = 12
_SETUPTOOLS = (
    (r"\bFeature\b.*\bsetuptools\b|\bsetuptools\b.*\bFeature\b", "<46", "its setup.py has Features"),
    (r"\buse_2to3\b", "<58", "its setup.py has 2to3 make Python 3 of it"),
    (r"\bpkg_resources\b", "<81", "its setup.py uses pkg_resources"),
    (r"\bnumpy\.distutils\b", "<60", "its setup.py uses numpy.distutils"),
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What one attempt at a build is given."""

    requirements: tuple[str, ...]
    """PEP 508, of build tools."""
    constraints: tuple[str, ...] = ()
    packages: frozenset[str] = frozenset()
    """Debian's, beyond the base: names."""
    reasons: tuple[str, ...] = field(default=(), compare=False)
    """What was added after an attempt failed, and why: clauses."""

    def plus(
        self,
        *,
        requirements: tuple[str, ...] = (),
        constraints: tuple[str, ...] = (),
        packages: frozenset[str] = frozenset(),
        because: str = "",
    ) -> Needs:
        """The same with more; equal where all of it was there."""
        return replace(
            self,
            requirements=tuple(dict.fromkeys((*self.requirements, *requirements))),
            constraints=tuple(dict.fromkeys((*self.constraints, *constraints))),
            packages=self.packages | packages,
            reasons=(*self.reasons, because) if because else self.reasons,
        )


def as_of(uploaded_at: str, python: str) -> datetime | None:
    """As of when build tools are taken: the upload, but not before they knew the Python; None where it is unknown."""
    try:
        uploaded = datetime.fromisoformat(uploaded_at)
    except ValueError:
        return None
    known = datetime.fromisoformat(_PYTHONS[python]).replace(tzinfo=UTC) if python in _PYTHONS else uploaded
    return max(uploaded + _GRACE, known)


def moments(first: datetime | None, now: datetime) -> Iterator[datetime | None]:
    """As of when build tools are looked for: the source's day, then a year later each; None, today, at the end.

    What had only source then has a wheel some years later, and is still nearer to the source than today's.
    """
    for years in range(_MOST_YEARS if first is not None else 0):
        if first is not None and (moment := first + years * _YEAR) < now:
            yield moment
    yield None


def bounds(uploaded_at: str, python: str, text: str) -> Iterator[str]:
    """Limits on build tools, from when the source is and what its setup.py says."""
    try:
        uploaded = datetime.fromisoformat(uploaded_at)
    except ValueError:
        uploaded = datetime.now(UTC)
    if uploaded < _CYTHON_3 and int(python.partition(".")[2]) <= _LAST_OF_CYTHON_0:
        yield "cython<3"
    if uploaded < _NUMPY_2:
        yield "numpy<2"
    found = next((limit for pattern, limit, _ in _SETUPTOOLS if re.search(pattern, text)), "")
    if found:
        yield f"setuptools{found}"
