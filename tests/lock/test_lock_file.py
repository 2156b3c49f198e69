"""The lock as a pylock.toml: what is written is read again, and others can read it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import Pylock

from shipml.errors import ConfigurationError, PlanError, ResolutionError
from shipml.facts.plan import (
    BaseLayerPin,
    BasePin,
    DebianPackagePin,
    ImageBasePin,
    LockedSource,
    LockedWheel,
)
from shipml.facts.project import Lock
from shipml.facts.pythons import suite_named
from shipml.lock import (
    dump_lock,
    load_lock,
    locked_image,
    select_wheels,
)
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform

AMD64 = Platform("linux", "amd64")
BOOKWORM = suite_named("bookworm")
assert BOOKWORM is not None
HERE = Path("project")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WHEELS = (
    LockedWheel(
        "a", "1.0", "https://example.org/a-1.0-py3-none-any.whl", 5, Digest("1" * 64), "a-1.0-py3-none-any.whl"
    ),
    LockedWheel(
        "b", "2.0", "https://example.org/b-2.0-py3-none-any.whl", None, Digest("2" * 64), "b-2.0-py3-none-any.whl", True
    ),
)
LOCK = Lock(WHEELS, "bookworm", "3.11", AMD64, Digest("3" * 64))


def package(name: str, version: str = "1", because: str = "part of the base") -> DebianPackagePin:
    return DebianPackagePin(name, version, "amd64", "pool/x.deb", "debian", 7, Digest("4" * 64), because)


def test_what_is_written_is_read_again() -> None:
    """Wheels, suite, platform, inputs and the base come back as they were."""
    base = BasePin("bookworm", "3.11.2", AMD64, (package("libc6"), package("zlib1g")), (package("libgomp1", "2", "x"),))
    found = load_lock(dump_lock(LOCK, base), HERE)
    assert found is not None
    assert (found.wheels, found.suite, found.python, found.inputs) == (WHEELS, "bookworm", "3.11", LOCK.inputs)
    assert found.base == base
    without = load_lock(dump_lock(LOCK, None), HERE)
    assert without is not None
    assert without.base is None


SOURCE = LockedSource(
    "aa", "0.1", "https://example.org/aa-0.1.tar.gz", 9, Digest("8" * 64), "aa-0.1.tar.gz", "2019-02-03T04:05:06Z"
)


def test_sources_are_pinned_themselves() -> None:
    """What must be built is in the file as the source that it is, with the day that its build tools are taken of."""
    text = dump_lock(replace(LOCK, sources=(SOURCE,)), None)
    assert Pylock.from_dict(tomllib.loads(text))
    found = load_lock(text, HERE)
    assert found is not None
    assert (found.wheels, found.sources) == (WHEELS, (SOURCE,))
    assert BOOKWORM is not None
    with pytest.raises(ResolutionError, match="aa"):
        select_wheels(tomllib.loads(text), BOOKWORM, AMD64, HERE)


IMAGE = ImageBasePin(
    reference="python:3.12-slim",
    digest=Digest("5" * 64),
    python="3.12.12",
    glibc="2.36",
    interpreter="/usr/local/bin/python3.12",
    platform=AMD64,
    layers=(BaseLayerPin("application/vnd.oci.image.layer.v1.tar+gzip", Digest("6" * 64), Digest("7" * 64), 9),),
    environment=(("GREETING", 'a "quoted"\nline'), ("PATH", "/usr/local/bin:/usr/bin")),
    suite="bookworm",
)
IMAGE_LOCK = Lock(WHEELS, "python:3.12-slim", "3.12", AMD64, Digest("3" * 64))


def test_an_image_as_base_is_written_and_read_again() -> None:
    """Digest, layers and environment come back, so that its registry need not be asked."""
    text = dump_lock(IMAGE_LOCK, IMAGE)
    found = load_lock(text, HERE)
    assert found is not None
    assert (found.base, found.suite, found.python) == (IMAGE, "python:3.12-slim", "3.12")
    assert locked_image(text) == IMAGE


@pytest.mark.parametrize("text", ["", "[tool.shipml]\nsuite = 1", "not toml", 'lock-version = "1.0"'])
def test_a_lock_without_an_image_pins_none(text: str) -> None:
    """Another's lock, or a damaged one: the image is looked up."""
    assert locked_image(text) is None
    assert locked_image(dump_lock(LOCK, BasePin("bookworm", "3.11.2", AMD64, ()))) is None


def test_a_damaged_layer_of_the_base_is_an_error() -> None:
    """A size that is none is not taken."""
    text = dump_lock(IMAGE_LOCK, IMAGE).replace("size = 9", "size = -1")
    with pytest.raises(PlanError) as caught:
        load_lock(text, HERE)
    assert "plan --lock" in caught.value.hint


@given(TEXT, TEXT)
def test_any_text_survives(version: str, because: str) -> None:
    """Quotes, line breaks, control characters and emoji in values are escaped as TOML wants."""
    base = BasePin("bookworm", "3.11.2", AMD64, (package("x", version, because),))
    found = load_lock(dump_lock(LOCK, base), HERE)
    assert found is not None
    assert found.base == base


def test_the_file_is_a_standard_lock() -> None:
    """Any PEP 751 reader accepts it; it is for one platform and Python and says so."""
    lock = Pylock.from_dict(tomllib.loads(dump_lock(LOCK, None)))
    assert [package.name for package in lock.packages] == ["a", "b"]
    assert lock.environments is not None
    assert "3.11" in str(lock.environments[0])


def test_locks_of_others_are_not_ours() -> None:
    """Without [tool.shipml] there is nothing to compare the project with."""
    assert load_lock('lock-version = "1.0"\ncreated-by = "x"\npackages = []\n', HERE) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('suite = "bookworm"', 'suite = "potato"'),
        ('platform = "linux/amd64"', 'platform = "plan9/mips"'),
        ('inputs = "sha256:', 'inputs = "md5:'),
        ("inputs = ", "other = "),
        ('sha256 = "1111', 'sha256 = "../1'),
        ('path = "pool/', 'path = "../../'),
        ('archive = "debian"', 'archive = "elsewhere"'),
        ("size = 7", "size = -7"),
        ("size = 7", 'size = "7"'),
        ('lock-version = "1.0"', 'lock-version = "2.0"'),
        ("[[packages]]", "[packages]"),
        ("a-1.0-py3-none-any.whl", "a-1.0-py3-none-win_amd64.whl"),
        ("[tool.shipml.base]", "[tool.shipml]\nbase = 3\n[tool.x]"),
    ],
)
def test_a_damaged_lock_is_an_error_with_the_way_out(old: str, new: str) -> None:
    """Whatever is changed by hand, the error names the file and the command that writes it anew."""
    text = dump_lock(LOCK, BasePin("bookworm", "3.11.2", AMD64, (package("libc6"),)))
    assert old in text
    with pytest.raises((PlanError, ConfigurationError), match=r"pylock\.toml is (damaged|not valid TOML)"):
        load_lock(text.replace(old, new), HERE)


def test_sources_are_refused_by_name() -> None:
    """Packages without wheels are named, all of them."""
    document = {
        "lock-version": "1.0",
        "created-by": "x",
        "packages": [
            {
                "name": "src",
                "version": "1",
                "sdist": {"url": "https://example.org/src-1.tar.gz", "hashes": {"sha256": "0"}},
            },
            {"name": "dir", "directory": {"path": "lib"}},
        ],
    }
    assert BOOKWORM is not None
    with pytest.raises(ResolutionError, match="no wheel for src"):
        select_wheels(document, BOOKWORM, AMD64, HERE)


def test_wheels_without_sha256_are_refused_by_name() -> None:
    """A wheel that nothing pins is not taken."""
    document = {
        "lock-version": "1.0",
        "created-by": "x",
        "packages": [
            {
                "name": "a",
                "version": "1",
                "wheels": [{"url": "https://example.org/a-1-py3-none-any.whl", "hashes": {"md5": "0"}}],
            }
        ],
    }
    assert BOOKWORM is not None
    with pytest.raises(ResolutionError, match=r"no SHA-256 for a-1-py3-none-any\.whl"):
        select_wheels(document, BOOKWORM, AMD64, HERE)


def test_credentials_and_fragments_in_urls_are_dropped() -> None:
    """A lock can be shown to anybody."""
    wheels = [{"url": "https://joe:s3cret@example.org:8443/a-1-py3-none-any.whl#x", "hashes": {"sha256": "0" * 64}}]
    document = {
        "lock-version": "1.0",
        "created-by": "x",
        "packages": [{"name": "a", "version": "1", "wheels": wheels}],
    }
    assert BOOKWORM is not None
    assert select_wheels(document, BOOKWORM, AMD64, HERE)[0].url == "https://example.org:8443/a-1-py3-none-any.whl"


def test_wheels_by_path_become_file_urls() -> None:
    """Paths start where the lock lies."""
    document = {
        "lock-version": "1.0",
        "created-by": "x",
        "packages": [
            {
                "name": "a",
                "version": "1",
                "wheels": [{"path": "lib/a-1-py3-none-any.whl", "hashes": {"sha256": "0" * 64}}],
            }
        ],
    }
    assert BOOKWORM is not None
    wheel = select_wheels(document, BOOKWORM, AMD64, Path("/srv/my project"))[0]
    assert wheel.url == "file:///srv/my%20project/lib/a-1-py3-none-any.whl"
