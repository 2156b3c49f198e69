"""What the base is made of (pure): which packages, which of their files, and why the others are not needed.

The aim is a distroless image for Python: whatever a Python program and the shared libraries of wheels may use at run
time is there; what only serves people at a terminal, or the upkeep of a system that is never upgraded in place, is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipml.facts.pythons import Suite

__all__ = ["RECIPE", "SHELL_PACKAGES", "excluded_in_base", "excluded_in_extra", "is_left_out", "roots"]

RECIPE = "3"
"""Version of how a base is made. Part of every cache key: a change here changes digests."""

SHELL_PACKAGES = ("bash", "coreutils")
"""What `--with-shell` adds."""

_LAST_WITH_DISTUTILS = 11
"""Of Python 3: with 3.12 distutils left the standard library."""

_ROOTS = (
    "base-files",
    "ca-certificates",
    "libc-bin",
    "libc6",
    "libgcc-s1",
    "libgomp1",
    "libstdc++6",
    "netbase",
    "tzdata",
)
"""libgomp1: the library that wheels of numerical packages most often expect from the system (lightgbm, xgboost)."""

_MAINTENANCE = {
    "debconf": "asks questions while packages are installed",
    "debconf-2.0": "asks questions while packages are installed",
    "cdebconf": "asks questions while packages are installed",
    "dpkg": "installs packages; the image's are assembled outside",
    "install-info": "indexes manuals, which are left out",
    "init-system-helpers": "starts services; a container has none",
    "adduser": "makes users while packages are installed",
    "ucf": "merges configuration files while packages are upgraded",
    "debianutils": "helpers of maintainer scripts",
    "sensible-utils": "picks an editor or pager",
    "lsb-base": "starts services; a container has none",
    "x11-common": "starts an X server; libraries only ask for its folders",
}
_BASE_ONLY = {
    "awk": "used by maintainer scripts of base-files",
    "mawk": "used by maintainer scripts of base-files",
    "gawk": "used by maintainer scripts of base-files",
    "openssl": "the program; only ca-certificates' maintainer script calls it",
    "perl-base": "used by maintainer scripts",
    "media-types": "Python's mimetypes has its own table",
    "mime-support": "Python's mimetypes has its own table",
    "readline-common": "key bindings for people at a terminal",
    "libnsl2": "for the module nis (NIS, removed in Python 3.13); brings Kerberos along",
    "libtirpc3": "for the module nis",
    "libdb5.3": "for dbm.ndbm; dbm and shelve use dbm.dumb or dbm.sqlite3 instead",
    "libdb5.3t64": "for dbm.ndbm; dbm and shelve use dbm.dumb or dbm.sqlite3 instead",
    "openssl-provider-legacy": "MD4, RC4, single DES and their like",
    "python3": "the base has the interpreter itself",
    "python3-lib2to3": "for setup scripts of Python 2",
}
_EXTRA_ONLY = {
    "python3": "the base has the interpreter itself",
    "python3-minimal": "the base has the interpreter itself",
    "libpython3-stdlib": "the base has the standard library itself",
}

_DRIVERS = dict.fromkeys(
    ("libegl-mesa0", "libgl1-mesa-dri", "libglx-mesa0", "mesa-libgallium", "libglx-vendor", "mesa-va-drivers"),
    "draws on a screen or with a GPU's 3D driver, and brings LLVM along (100 MB); name it to have it",
)
"""The libraries that load them (libgl1, which opencv wants) work without."""

_LEFT_OUT = re.compile(
    r"""
    usr/share/(?:man|info|lintian|bug|doc-base|menu|pixmaps|applications|binfmts|gdb|gcc|bash-completion|apport|linda)(?:/.*)?
    | usr/share/locale(?:/.*)?                      # translations of messages; the locale is C.UTF-8
    | usr/share/doc/[^/]+/(?!copyright$).+          # the licences stay
    | usr/share/zoneinfo/(?:right|posix)(?:/.*)?         # zoneinfo itself skips these two copies
    | usr/share/ca-certificates(?:/.*)?                  # all of them are in the bundle
    | usr/share/(?:python3|perl5/Debconf)(?:/.*)?
    | usr/lib/python3\.\d+/pydoc_data/topics\.py    # texts of help()
    | usr/lib/python3\.\d+/test(?:/.*)?            # Python's tests of itself
    | usr/lib/[^/]+/gconv/(?:IBM|EBCDIC)[^/]*\.so   # iconv's encodings of mainframes: a third of all of them
    | usr/sbin/update-ca-certificates | etc/ca-certificates(?:/.*)?   # needs a shell and openssl
    | usr/lib/python3\.\d+/lib-dynload/(?:nis|_dbm)\..+   # need libraries that are left out (see closure)
    | usr/bin/(?:pdb|pydoc|pygettext)3\.\d+         # for people at a terminal
    | usr/lib/(?:valgrind|init|udev|systemd|tmpfiles\.d|sysusers\.d)(?:/.*)?
    | etc/(?:init\.d|cron\.[a-z]+|logrotate\.d|update-motd\.d|systemd|kernel|skel)(?:/.*)?
    """,
    re.VERBOSE,
)
_LIBC_BIN_KEPT = re.compile(r"usr/sbin/ldconfig|usr/lib/locale/.+|etc/ld\.so\.conf.*|usr/share/doc/.+")


def roots(suite: Suite) -> tuple[str, ...]:
    """The packages that are asked for; their closure is the base."""
    python = (f"python{suite.python}-minimal", f"libpython{suite.python}-stdlib")
    old = ("python3-distutils",) if int(suite.python.split(".")[1]) <= _LAST_WITH_DISTUTILS else ()
    return (*_ROOTS, *python, *old)


def excluded_in_base() -> dict[str, str]:
    """Dependencies that the base does not follow, each with its reason."""
    return _MAINTENANCE | _BASE_ONLY


def excluded_in_extra(named: Iterable[str]) -> dict[str, str]:
    """Dependencies that a project's own packages do not follow; drivers are followed where one of them is `named`."""
    drivers = {} if any(name in _DRIVERS for name in named) else _DRIVERS
    return _MAINTENANCE | _EXTRA_ONLY | drivers


def is_left_out(package: str, path: str, python: str) -> bool:
    """Whether a file of a package does not go into the image; `path` is relative to the root, after usrmerge.

    `python` is the minor version of the suite: python3-distutils of bookworm carries those of two.
    """
    if package == "libc-bin" and not _LIBC_BIN_KEPT.fullmatch(path):
        return True
    if package == "python3-distutils" and path.startswith("usr/lib/python"):
        return not path.startswith(f"usr/lib/python{python}/")
    return bool(_LEFT_OUT.fullmatch(path))
