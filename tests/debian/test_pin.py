"""Pinning a base against a mirror: what is accepted, what is refused, what is remembered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from shipml.debian.pin import pin_base
from shipml.debian.recipe import roots
from shipml.errors import (
    BuildError,
    ConfigurationError,
    PlanError,
    TryAgainError,
    UntrustedInputError,
)
from shipml.facts.plan import BasePin
from shipml.http import HttpClient
from shipml.oci.manifest import Platform
from shipml.session import Session
from shipml.store import Store
from tests.debian.making import BOOKWORM, Archive, Package, Server, root_package

AMD64 = Platform("linux", "amd64")
Pin = Callable[..., BasePin]


@pytest.fixture
def pin(store: Store, http: HttpClient) -> Pin:
    """Pins bookworm for amd64 into the store."""

    def make(
        *, upgrade: bool = False, allow_expired: bool = False, allow_older: bool = False, **options: Any
    ) -> BasePin:
        session = Session(store, http, upgrade=upgrade, allow_expired=allow_expired, allow_older=allow_older)
        return pin_base(BOOKWORM, AMD64, session=session, **options)

    return make


def test_signed_suite_is_pinned(archive: Archive, mirror: Server, pin: Pin) -> None:
    """All roots are in the pin, sorted, with the version of Python."""
    archive.publish_suite()
    made = pin()
    assert [item.name for item in made.packages] == sorted(roots(BOOKWORM))
    assert made.python == "3.11.2"
    assert made.reference == "debian:bookworm"
    assert not made.extra_packages


def test_known_pin_asks_nobody(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A second build with the same wishes does not touch the network."""
    archive.publish_suite()
    first = pin()
    mirror.requests.clear()
    assert pin() == first
    assert not mirror.requests


def test_fresh_lists_serve_other_wishes(archive: Archive, mirror: Server, pin: Pin) -> None:
    """Another package on the same day is found in the lists that are here, and leaves the base as it is."""
    archive.publish_suite([Package("libgl1", fields={"Depends": "libglvnd0"}), Package("libglvnd0")])
    first = pin()
    mirror.requests.clear()
    second = pin(extra={"libgl1": "named in system-packages"})
    assert not mirror.requests
    assert second.packages == first.packages
    assert {item.name: item.because for item in second.extra_packages} == {
        "libgl1": "named in system-packages",
        "libglvnd0": "needed by libgl1, named in system-packages",
    }


def test_package_of_the_base_is_no_extra(archive: Archive, mirror: Server, pin: Pin) -> None:
    """Naming what the base has changes nothing."""
    archive.publish_suite()
    assert not pin(extra={"libgomp1": "named in system-packages"}).extra_packages


def test_shell_comes_on_top(archive: Archive, mirror: Server, pin: Pin) -> None:
    """--with-shell adds bash and coreutils beyond the base, and says so."""
    archive.publish_suite(
        [Package("bash"), Package("coreutils", fields={"Pre-Depends": "libacl1"}), Package("libacl1")]
    )
    assert [(item.name, item.because) for item in pin(with_shell=True).extra_packages] == [
        ("bash", "asked for by --with-shell"),
        ("coreutils", "asked for by --with-shell"),
        ("libacl1", "needed by coreutils, asked for by --with-shell"),
    ]


def test_upgrade_sees_new_versions(archive: Archive, mirror: Server, pin: Pin) -> None:
    """Updates of the security archive reach the pin with `upgrade`, not before; the newest version wins."""
    archive.publish_suite()
    old = pin()
    update = Package("libc6", "1.0-1+deb12u1")
    archive.publish("bookworm-security", [update, Package("netbase", "0.9")], archive="debian-security")
    assert pin() == old
    new = {item.name: item for item in pin(upgrade=True).packages}
    assert (new["libc6"].version, new["libc6"].archive) == ("1.0-1+deb12u1", "debian-security")
    assert (new["netbase"].version, new["netbase"].archive) == ("1.0-1", "debian")


def test_unchanged_lists_are_not_fetched_again(archive: Archive, mirror: Server, pin: Pin) -> None:
    """An upgrade without news reads the signed heads alone."""
    archive.publish_suite()
    pin()
    mirror.requests.clear()
    pin(upgrade=True)
    assert sorted(path.rpartition("/")[2] for path in mirror.requests) == ["InRelease"] * 3


def test_unknown_extra_package_is_an_error(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A name that the suite does not have is answered with the nearest."""
    archive.publish_suite([Package("tesseract-ocr")])
    with pytest.raises(PlanError, match="no package teseract-ocr") as caught:
        pin(extra={"teseract-ocr": "named in system-packages"})
    assert "tesseract-ocr" in caught.value.hint


def test_other_architectures_packages_are_not_taken(archive: Archive, mirror: Server, pin: Pin) -> None:
    """An entry for another CPU does not count, however new."""
    archive.publish_suite([Package("libc6", "1.0-1"), Package("libc6", "9.0-1", architecture="arm64")])
    assert next(item for item in pin().packages if item.name == "libc6").version == "1.0-1"


def test_names_that_differ_by_case_are_kept_apart(archive: Archive, mirror: Server, pin: Pin) -> None:
    """An index with LIBC6 beside libc6 gives libc6."""
    archive.publish_suite([Package("LIBC6", "9.0-1"), root_package("libc6")])
    made = pin(extra={"LIBC6": "named in system-packages"})
    assert next(item for item in made.packages if item.name == "libc6").version == "1.0-1"
    assert [(item.name, item.version) for item in made.extra_packages] == [("LIBC6", "9.0-1")]


def test_another_key_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """Lists that somebody else has signed are refused, and nothing of them is kept."""
    archive.key = pysequoia.Tsk.generate("Mallory <m@example.org>")
    archive.publish_suite()
    with pytest.raises(UntrustedInputError, match="no good signature"):
        pin()


def test_changed_list_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """One changed digit in a signed head is noticed."""
    archive.publish_suite()
    head = archive.root / "debian" / "dists" / "bookworm" / "InRelease"
    head.write_bytes(head.read_bytes().replace(b"Origin: Debian", b"Origin: Debiam"))
    with pytest.raises(UntrustedInputError, match="no good signature"):
        pin()


def test_text_around_the_signature_does_not_count(archive: Archive, mirror: Server, pin: Pin) -> None:
    """What stands before or after the signed part is not read."""
    archive.publish_suite()
    head = archive.root / "debian" / "dists" / "bookworm" / "InRelease"
    head.write_bytes(b"Valid-Until: Thu, 01 Jan 1970 00:00:00 UTC\n\n" + head.read_bytes())
    assert pin().python == "3.11.2"


def test_unsigned_list_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A head without signature, or a captive portal's page, is refused."""
    archive.publish_suite()
    (archive.root / "debian" / "dists" / "bookworm" / "InRelease").write_text("<html>please log in</html>")
    with pytest.raises(UntrustedInputError, match="no good signature"):
        pin()


def test_expired_list_is_refused_unless_told(archive: Archive, mirror: Server, pin: Pin) -> None:
    """Past its Valid-Until a list needs --allow-expired, each time; the hint names it."""
    archive.valid_until = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    archive.publish_suite()
    with pytest.raises(TryAgainError, match="only valid until") as caught:
        pin()
    assert "--allow-expired" in caught.value.hint
    assert pin(allow_expired=True).python == "3.11.2"
    with pytest.raises(TryAgainError, match="only valid until"):
        pin()


def test_list_from_the_future_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A head that will be signed next week means a wrong clock, here or there."""
    archive.date = dt.datetime.now(dt.UTC) + dt.timedelta(days=7)
    archive.publish_suite()
    with pytest.raises(TryAgainError, match="in the future"):
        pin()


def test_other_suites_list_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A well-signed list of another suite does not pass for this one."""
    archive.publish_suite(signed_name="buster")
    with pytest.raises(UntrustedInputError, match="'buster', not 'bookworm'"):
        pin()


def test_truncated_index_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """An index that is cut short is not the one that was signed; later the mirror may have it."""
    archive.publish_suite(cut_bytes=20)
    with pytest.raises(TryAgainError):
        pin()


def test_lists_of_before_serve_while_the_mirror_is_updated(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A known base does not hang on a mirror whose lists are not those that its release names."""
    archive.publish_suite()
    old = pin()
    archive.publish_suite([Package("libc6", "9.0-1")], cut_bytes=20)
    assert pin(upgrade=True) == old


def test_a_release_older_than_one_seen_before_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """As apt does; the hint names the flag, which is needed each time, and another suite is not concerned."""
    archive.publish_suite([Package("libc6", "2.0-1")])
    pin()
    archive.date -= dt.timedelta(days=400)
    archive.publish_suite([Package("libc6", "1.0-1")])
    with pytest.raises(TryAgainError) as caught:
        pin(upgrade=True)
    assert "--allow-older" in caught.value.hint
    assert {"1.0-1"} == {item.version for item in pin(upgrade=True, allow_older=True).packages if item.name == "libc6"}
    with pytest.raises(TryAgainError):
        pin(upgrade=True)


def test_a_release_of_the_future_does_not_shut_out_those_of_today(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A list that was accepted with a wrong date is not remembered as the newest."""
    today = archive.date
    archive.date += dt.timedelta(days=7)
    archive.publish_suite()
    pin(allow_expired=True)
    archive.date = today
    archive.publish_suite()
    assert pin(upgrade=True).python == "3.11.2"


def test_index_that_unpacks_to_another_is_refused(archive: Archive, mirror: Server, pin: Pin) -> None:
    """Packed and unpacked index must both be what the release names."""
    archive.publish_suite(lies=True)
    with pytest.raises(UntrustedInputError, match="unpacks to other bytes"):
        pin()


@pytest.mark.parametrize("by_hash", [True, False])
def test_mirror_without_by_hash_works(archive: Archive, mirror: Server, pin: Pin, by_hash: bool) -> None:
    """Where a mirror lacks the folders that its release promises, or promises none, the plain name serves."""
    archive.publish_suite(by_hash=by_hash)
    for folder in archive.root.rglob("SHA256"):
        folder.rename(folder.with_name("gone"))
    assert pin().python == "3.11.2"


def test_missing_suite_names_the_setting(archive: Archive, mirror: Server, pin: Pin) -> None:
    """A mirror without the suite is answered with the variable that names another."""
    with pytest.raises(BuildError, match="has no bookworm") as caught:
        pin()
    assert "SHIPML_DEBIAN_MIRROR" in caught.value.hint


def test_damaged_keyring_is_a_configuration_error(
    archive: Archive, mirror: Server, pin: Pin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHIPML_DEBIAN_KEYRING must hold keys."""
    archive.publish_suite()
    (tmp_path / "no-keys").write_text("none")
    monkeypatch.setenv("SHIPML_DEBIAN_KEYRING", str(tmp_path / "no-keys"))
    with pytest.raises(ConfigurationError, match="SHIPML_DEBIAN_KEYRING"):
        pin()


@pytest.mark.parametrize("broken", [{"Depends": "libc6 (~ 2)"}, {"Depends": "a b"}, {"Provides": "x (= )"}], ids=str)
def test_broken_stanza_is_refused(archive: Archive, mirror: Server, pin: Pin, broken: dict[str, str]) -> None:
    """A dependency that Debian would not write is an error, not ignored."""
    archive.publish_suite([Package("odd", fields=broken)])
    with pytest.raises(UntrustedInputError):
        pin(extra={"odd": "named in system-packages"})
