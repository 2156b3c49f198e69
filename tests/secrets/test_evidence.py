"""What a build found decides what may be pushed, also where the record of it is damaged."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipml.errors import SecretError
from shipml.facts.secrets import FoundSecret
from shipml.oci.digest import Digest
from shipml.secrets.evidence import keep_secrets, require_no_secrets
from shipml.store import Store

IMAGE = Digest.of(b"image")
FOUND = FoundSecret("config.yaml", 3, "AWS access key", "sha256:" + "0" * 64)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = Store(tmp_path / "home")
    yield opened
    opened.close()


def test_an_image_with_a_secret_is_refused_until_it_has_none(store: Store) -> None:
    """A later build of the same digest that finds nothing, since it is allowed, lifts the refusal."""
    require_no_secrets(store, IMAGE, "app")
    keep_secrets(store, IMAGE, [FOUND])
    with pytest.raises(SecretError):
        require_no_secrets(store, IMAGE, "app")
    keep_secrets(store, IMAGE, [])
    require_no_secrets(store, IMAGE, "app")


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"5", b'["x"]', b"[{}]", b"null"])
def test_a_damaged_record_refuses(store: Store, content: bytes) -> None:
    """Where nobody knows any more what was found, the image is not pushed."""
    keep_secrets(store, IMAGE, [FOUND])
    (record,) = (store.home / "facts" / "secrets-1").iterdir()
    record.chmod(0o600)
    record.write_bytes(content)
    with pytest.raises(SecretError):
        require_no_secrets(store, IMAGE, "app")


def test_pruning_forgets_no_secret(store: Store) -> None:
    """`cache prune --all` frees what can be made again; that an image holds a secret is not of that kind."""
    keep_secrets(store, IMAGE, [FOUND])
    store.prune(all=True, older_than_seconds=0)
    with pytest.raises(SecretError):
        require_no_secrets(store, IMAGE, "app")


def test_the_hint_is_settings_as_they_are_written(store: Store) -> None:
    """What the hint says to write at the top of shipml.toml is TOML, and what it names is what was found."""
    keep_secrets(store, IMAGE, [FOUND])
    with pytest.raises(SecretError) as caught:
        require_no_secrets(store, IMAGE, "app")
    written = re.search(r"secrets\.allow = \[.*?\]", caught.value.hint)
    assert written is not None
    assert tomllib.loads(written[0]) == {"secrets": {"allow": ["config.yaml:3"]}}
