"""What a built wheel needs and its source did not say."""

from __future__ import annotations

import io
import zipfile

from shipml.facts.plan import LockedSource, LockedWheel
from shipml.facts.project import Lock
from shipml.facts.pythons import SUITES
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform
from shipml.source_builds.requirements import unmet_requirements
from shipml.store import Store

AMD64 = Platform("linux", "amd64")
METADATA = """\
Metadata-Version: 2.1
Name: a
Version: 1
Requires-Dist: there>=1
Requires-Dist: absent<9
Requires-Dist: old>=2
Requires-Dist: elsewhere ; sys_platform == "win32"
Requires-Dist: wished ; extra == "all"
Requires-Dist: no requirement at all
"""


def wheel(name: str, version: str, digest: str = "1") -> LockedWheel:
    return LockedWheel(name, version, "", 1, Digest(digest * 64), f"{name}-{version}-py3-none-any.whl")


def test_only_what_is_lacking_is_named_and_only_once(store: Store) -> None:
    """Not what the lock has, nor what other systems and extras want; asked again it is no news any more."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("a-1.dist-info/METADATA", METADATA)
    source = LockedSource("a", "1", "", 1, Digest("5" * 64), "a-1.tar.gz")
    mine = LockedWheel("a", "1", "", 1, store.put_blob(out.getvalue()), "a-1-py3-none-any.whl")
    others = (wheel("old", "1"), wheel("there", "1.5"))
    suite = SUITES[0]
    resolved = Lock(others, suite.name, suite.python, AMD64, Digest("3" * 64), sources=(source,))
    built = Lock((mine, *others), suite.name, suite.python, AMD64, Digest("3" * 64))
    assert unmet_requirements(resolved, built, suite, store) == ("a 1 needs absent<9", "a 1 needs old>=2")
    assert unmet_requirements(resolved, built, suite, store) == ()
