"""Finding packages in an index."""

from __future__ import annotations

import pytest

from shipml.debian.index import (
    Alternative,
    Index,
    open_index,
    parse_relations,
)
from shipml.errors import UntrustedInputError
from shipml.store import Store

_TEXT = f"""\
Package: first
Version: 1
Architecture: all
Filename: pool/first.deb
Size: 10
SHA256: {"a" * 64}
Provides: virtual (= 2), other
Depends: a (>= 1:2~) | b, c:any, d [amd64] <!nocheck>

Package: second
Version: 2
Architecture: all
Provides: virtual
Filename: pool/second.deb
Size: 20
SHA256: {"b" * 64}
Description: mentions
 Package: hidden
"""


@pytest.fixture
def index(store: Store) -> Index:
    """The index above."""
    return open_index(store.put_blob(_TEXT.encode()), archive="debian", store=store)


def test_packages_are_found_by_name(index: Index) -> None:
    """First, last and absent names."""
    assert [(item.path, item.size_bytes) for item in index.find("first")] == [("pool/first.deb", 10)]
    assert [item.name for item in index.find("second")] == ["second"]
    assert index.find("hidden") == []
    assert index.find("fir") == []


def test_providers_are_found_by_what_they_provide(index: Index) -> None:
    """A virtual name leads to all that provide it."""
    assert [item.name for item in index.find("virtual")] == ["first", "second"]
    assert index.find("first")[0].provides == (Alternative("virtual", "=", "2"), Alternative("other"))


def test_dependencies_are_parsed(index: Index) -> None:
    """Alternatives, versions, and the qualifiers of architecture and profile."""
    assert index.find("first")[0].depends == (
        (Alternative("a", ">=", "1:2~"), Alternative("b")),
        (Alternative("c"),),
        (Alternative("d"),),
    )


def test_pruned_table_is_made_again(store: Store, index: Index) -> None:
    """Only the index itself is needed; its table comes back."""
    digest = store.put_blob(_TEXT.encode())
    for path in (store.home / "blobs" / "sha256").iterdir():
        if path.name != digest.hex:
            path.unlink()
    assert open_index(digest, archive="debian", store=store).find("first")


def test_empty_index_has_nothing(store: Store) -> None:
    """A suite without updates has an empty index."""
    assert open_index(store.put_blob(b""), archive="debian", store=store).find("x") == []


@pytest.mark.parametrize("field", ["SHA256", "Size", "Filename", "Version"])
def test_stanza_without_its_facts_is_refused(store: Store, field: str) -> None:
    """A package that cannot be checked is not taken."""
    broken = "\n".join(line for line in _TEXT.splitlines() if not line.startswith(f"{field}:"))
    with pytest.raises(UntrustedInputError, match="broken entry"):
        open_index(store.put_blob(broken.encode()), archive="debian", store=store).find("first")


def test_relations_allow_odd_spacing() -> None:
    """Spaces and line breaks mean nothing."""
    assert parse_relations("a(>=1),\n b|c ,") == ((Alternative("a", ">=", "1"),), (Alternative("b"), Alternative("c")))


def test_large_index_gives_the_right_stanza(store: Store) -> None:
    """Among 60,000 packages whose names begin alike each name leads to its own."""
    stanza = "Package: p{n}\nVersion: {n}\nArchitecture: all\nFilename: x\nSize: 1\nSHA256: " + "a" * 64 + "\n"
    digest = store.put_blob("\n".join(stanza.replace("{n}", str(n)) for n in range(60_000)).encode())
    index = open_index(digest, archive="debian", store=store)
    assert [index.find(f"p{n}")[0].version for n in (0, 31_415, 59_999)] == ["0", "31415", "59999"]
