"""The root that sources are built in."""

from __future__ import annotations

from shipml.facts.plan import DebianPackagePin
from shipml.oci.digest import Digest
from shipml.source_builds.roots import _beyond


def pin(name: str, version: str = "1") -> DebianPackagePin:
    return DebianPackagePin(name, version, "amd64", f"{name}.deb", "debian", 1, Digest("1" * 64))


def test_only_what_the_compilers_lack_is_a_layer_more() -> None:
    """Headers that the compilers bring along (a Dockerfile names libexpat1-dev) add nothing, which is no error."""
    compilers = (pin("gcc"), pin("libexpat1-dev"))
    assert _beyond((*compilers, pin("libpq-dev")), compilers) == (pin("libpq-dev"),)
    assert _beyond(compilers, compilers) == ()
