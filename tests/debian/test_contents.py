"""Which package has a shared library."""

from __future__ import annotations

import pytest

from shipml.debian.contents import packages_with, packages_with_paths
from shipml.errors import UntrustedInputError
from shipml.events import ignore
from shipml.http import HttpClient
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store import Store
from tests.debian.making import BOOKWORM, Archive, Server

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


def test_an_index_that_is_not_the_signed_one_is_refused(
    archive: Archive, mirror: Server, store: Store, http: HttpClient
) -> None:
    """Its digest stands in the signed release."""
    archive.publish_suite(contents=CONTENTS)
    for path in archive.root.rglob("Contents*"):
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UntrustedInputError, match="not the file that the signed release names"):
        packages_with(["libz.so.1"], BOOKWORM, AMD64, session=Session(store, http, ignore))
