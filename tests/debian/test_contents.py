"""Which package has a shared library."""

from __future__ import annotations

import pytest

from shipml.debian.contents import packages_with, packages_with_paths
from shipml.debian.library_names import package_names
from shipml.errors import TryAgainError
from shipml.events import Event, Notice, ignore
from shipml.http import HttpClient
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store import Store
from tests.debian.making import BOOKWORM, Archive, Package, Server, elf_bytes, entry

AMD64 = Platform("linux", "amd64")
CONTENTS = """\
usr/lib/x86_64-linux-gnu/libGL.so.1                         oldlibs/libgl4es0,libs/libgl1,contrib/libs/primus-libs
lib/x86_64-linux-gnu/libz.so.1                              libs/zlib1g
usr/lib/x86_64-linux-gnu/primus/libGL.so.2                  libs/primus
usr/share/doc/libGL.so.9                                    doc/x
usr/lib/aarch64-linux-gnu/libarm.so.1                       libs/arm
usr/lib/x86_64-linux-gnu/libglib-2.0.so.0                   debug/libglib2.0-0-dbg,libs/libglib2.0-0t64
usr/include/mysql/mysql.h                                   libdevel/libold-dev
usr/include/x86_64-linux-gnu/mysql.h                        libs/libdefault,libdevel/libdefault-dev
usr/include/not-mysql.h                                     libdevel/libnot-dev
usr/share/include/mysql.h                                   doc/y
usr/lib/x86_64-linux-gnu/pkgconfig/libavformat.pc           libdevel/libavformat-dev
usr/share/pkgconfig/eigen3.pc                               libdevel/libeigen3-dev
usr/share/eigen3/cmake/Eigen3Config.cmake                   libdevel/libeigen3-dev
usr/lib/x86_64-linux-gnu/cmake/fmt/fmt-config.cmake         libdevel/libfmt-dev
usr/share/doc/x/examples/libavformat.pc                     doc/x
usr/bin/pg_config                                           libdevel/libpq-dev
usr/bin/deeper/pg_config                                    database/z
"""


def test_the_usual_owner_of_a_library_comes_first(
    archive: Archive, mirror: Server, store: Store, http: HttpClient
) -> None:
    """Only the loader's folders of this architecture count; the package named after the library wins."""
    archive.publish_suite(contents=CONTENTS)
    sonames = ["libGL.so.1", "libz.so.1", "libGL.so.2", "libGL.so.9", "libarm.so.1", "libglib-2.0.so.0"]
    found = packages_with(sonames, BOOKWORM, AMD64, session=Session(store, http, ignore))
    assert found["libGL.so.1"] == ("libgl1", "primus-libs", "libgl4es0")
    assert found["libz.so.1"] == ("zlib1g",)
    assert found["libglib-2.0.so.0"][0] == "libglib2.0-0t64"
    assert [found[name] for name in ("libGL.so.2", "libGL.so.9", "libarm.so.1")] == [(), (), ()]


def test_the_nearest_package_with_a_header_comes_first(
    archive: Archive, mirror: Server, store: Store, http: HttpClient
) -> None:
    """Where compilers look by themselves, then below; programs count at their place alone; what nothing has is ()."""
    archive.publish_suite(contents=CONTENTS)
    wanted = ["/include/mysql.h", "/bin/pg_config", "/include/none.h"]
    found = packages_with_paths(wanted, BOOKWORM, AMD64, session=Session(store, http, ignore))
    assert found["/include/mysql.h"] == ("libdefault-dev", "libdefault", "libold-dev")
    described = [
        "/pkgconfig/libavformat.pc",
        "/pkgconfig/eigen3.pc",
        "/cmake/EIGEN3Config.cmake",
        "/cmake/fmtConfig.cmake",
    ]
    owners = packages_with_paths(described, BOOKWORM, AMD64, session=Session(store, http, ignore))
    assert [owners[one] for one in described] == [
        ("libavformat-dev",),
        ("libeigen3-dev",),
        ("libeigen3-dev",),
        ("libfmt-dev",),
    ]
    assert (found["/bin/pg_config"], found["/include/none.h"]) == (("libpq-dev",), ())


def test_the_index_is_read_once(archive: Archive, mirror: Server, store: Store, http: HttpClient) -> None:
    """A second question asks nobody, and no question asks for no index."""
    archive.publish_suite(contents=CONTENTS)
    assert packages_with([], BOOKWORM, AMD64, session=Session(store, http, ignore)) == {}
    packages_with(["libz.so.1"], BOOKWORM, AMD64, session=Session(store, http, ignore))
    for path in archive.root.rglob("Contents*"):
        path.unlink()
    found = packages_with(["libGL.so.1"], BOOKWORM, AMD64, session=Session(store, http, ignore))
    assert found["libGL.so.1"][0] == "libgl1"


def _library(package: str, soname: str) -> Package:
    return Package(package, entries=[entry(f"./usr/lib/x86_64-linux-gnu/{soname}", elf_bytes(soname))])


@pytest.mark.parametrize("lost", ["by-hash", "plain"])
def test_one_of_the_two_places_of_an_index_is_enough(
    archive: Archive, mirror: Server, store: Store, http: HttpClient, lost: str
) -> None:
    """The file by its hash serves where the named one is of another day, and the other way round."""
    archive.publish_suite(contents=CONTENTS)
    folder = archive.root / "debian" / "dists" / "bookworm" / "main"
    paths = [folder / "Contents-amd64.gz"] if lost == "plain" else list((folder / "by-hash").rglob("*/*"))
    for path in paths:
        path.write_bytes(b"of another day")
    found = packages_with(["libz.so.1"], BOOKWORM, AMD64, session=Session(store, http, ignore))
    assert found["libz.so.1"] == ("zlib1g",)


def test_the_index_of_before_serves_while_the_mirror_is_updated(
    archive: Archive, mirror: Server, store: Store, http: HttpClient
) -> None:
    """A warning says so, and what is new since then is not known yet."""
    heard: list[Event] = []
    archive.publish_suite(contents=CONTENTS)
    packages_with(["libz.so.1"], BOOKWORM, AMD64, session=Session(store, http, ignore))
    archive.publish_suite(contents=CONTENTS + "usr/lib/x86_64-linux-gnu/libnew.so.1 libs/libnew1\n")
    archive.spoil_contents()
    found = packages_with(["libGL.so.1"], BOOKWORM, AMD64, session=Session(store, http, heard.append, upgrade=True))
    assert found["libGL.so.1"][0] == "libgl1"
    assert [event.level for event in heard if isinstance(event, Notice)] == ["warning"]


@pytest.mark.parametrize("contents", [CONTENTS, ""], ids=["of another day", "none"])
def test_without_an_index_packages_are_found_by_their_names(
    archive: Archive, mirror: Server, store: Store, http: HttpClient, contents: str
) -> None:
    """A package counts that has the library itself, whatever it is called; others, and none, give ()."""
    packages = [
        _library("libgl1", "libGL.so.1"),
        _library("libglib2.0-0t64", "libglib-2.0.so.0"),
        _library("libglu1-mesa", "libGLU.so.1"),
        Package("libx11-6", entries=[entry("./usr/share/libx11", b"not what it is called after")]),
        _library("libx11-6-more", "libX11.so.6"),
    ]
    archive.publish_suite(packages, contents=contents)
    archive.spoil_contents()
    sonames = ["libGL.so.1", "libglib-2.0.so.0", "libGLU.so.1", "libX11.so.6", "libnone.so.3"]
    found = packages_with(sonames, BOOKWORM, AMD64, session=Session(store, http, ignore))
    assert [found[soname] for soname in sonames] == [
        ("libgl1",),
        ("libglib2.0-0t64",),
        ("libglu1-mesa",),
        ("libx11-6-more",),
        (),
    ]


@pytest.mark.parametrize(
    ("soname", "name"),
    [
        ("libGL.so.1", "libgl1"),
        ("libX11.so.6", "libx11-6"),
        ("libglib-2.0.so.0", "libglib2.0-0"),
        ("libdb-5.3.so", "libdb5.3"),
        ("libsndfile.so.1", "libsndfile1"),
        ("libwx_gtk3u.so.0.1", "libwx-gtk3u0.1"),
        ("plugin.so", None),
    ],
)
def test_names_of_library_packages(soname: str, name: str | None) -> None:
    """Debian Policy 8.1: the soname in lower case, a hyphen between two digits."""
    assert (name in package_names(soname)) if name else package_names(soname) == ()


def test_headers_wait_for_the_mirror(archive: Archive, mirror: Server, store: Store, http: HttpClient) -> None:
    """Where only the index helps, the same command may work later."""
    archive.publish_suite(contents=CONTENTS)
    archive.spoil_contents()
    with pytest.raises(TryAgainError):
        packages_with_paths(["/include/mysql.h"], BOOKWORM, AMD64, session=Session(store, http, ignore))
