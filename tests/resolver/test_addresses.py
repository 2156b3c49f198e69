"""Addresses whose host does not answer, and the release of the index that stands for them."""

from __future__ import annotations

import pytest

from shipml.errors import TryAgainError
from shipml.facts.requirements import DeclaredRequirement
from shipml.resolver.addresses import release_of_address
from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving

GITHUB = "https://github.com"


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        (f"git+{GITHUB}/pallets/flask.git@2.1.0", "", ("flask", "2.1.0")),
        (f"git+{GITHUB}/pallets/flask@v2.1.0", "", ("flask", "2.1.0")),
        (f"Flask[async] @ git+{GITHUB}/me/fork@2.1.0rc1", "flask", ("flask", "2.1.0rc1")),
        (f"{GITHUB}/someone/thing/archive/v1.2.zip", "", ("thing", "1.2")),
        (f"{GITHUB}/someone/thing/archive/refs/tags/1.2.3.tar.gz", "", ("thing", "1.2.3")),
        (f"{GITHUB}/someone/thing/releases/download/v1.2/thing-1.2-py3-none-any.whl", "", ("thing", "1.2")),
        ("https://example.org/torch-1.9.0+cpu-cp38-cp38-linux_x86_64.whl", "", ("torch", "1.9.0")),
        ("https://example.org/pandas-1.3.tar.gz ; python_version > '3'", "", ("pandas", "1.3")),
        ("https://example.org/ours-1.0-py3-none-any.whl", "", None),
        ("https://me:token@example.org/pandas-1.3-py3-none-any.whl", "", None),
        ("https://example.org/pandas-1.3-py3-none-any.whl#sha256=00", "", None),
        ("https://example.org/pandas-1.3-py3-none-any.whl --hash=sha256:00", "", None),
        (f"git+{GITHUB}/pallets/flask.git@main", "", None),
        (f"git+{GITHUB}/pallets/flask.git", "", None),
        (f"git+{GITHUB}/pallets/flask.git@0a1b2c3d", "", None),
        (f"ours @ git+{GITHUB}/pallets/flask.git@2.1.0", "ours", None),
    ],
)
def test_what_an_address_tells(line: str, name: str, expected: tuple[str, str] | None) -> None:
    """Name and version by file, tag or archive; nothing where the index's may be somebody else's or something else."""
    assert release_of_address(DeclaredRequirement(line, "requirements.txt:1", name)) == expected


def test_the_indexs_release_stands_for_an_address_that_does_not_answer(
    index: PackageIndex, resolving: Resolving
) -> None:
    """It is a change; where the index does not have that version, the host is what is told."""
    index.add("pandas", "1.3")
    index.add("pandas", "1.4")
    _, lock = resolving("http://127.0.0.1:9/pandas-1.3-py3-none-any.whl\n")
    assert [(wheel.name, wheel.version, wheel.direct) for wheel in lock.wheels] == [("pandas", "1.3", False)]
    (change,) = lock.changes
    assert (change.after, change.source) == ("pandas==1.3", "requirements.txt:1")
    with pytest.raises(TryAgainError) as caught:
        resolving("http://127.0.0.1:9/pandas-1.2-py3-none-any.whl\n")
    assert "127.0.0.1" in caught.value.message
