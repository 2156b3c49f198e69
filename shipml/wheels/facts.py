"""What native code a wheel has: kept by its digest, so that a second plan asks nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shipml.errors import BuildError, UntrustedInputError
from shipml.facts.plan import LockedWheel
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform, canonical_json
from shipml.plan.native import NativeFacts
from shipml.session import Session
from shipml.store import Store
from shipml.wheels.archive import Archive
from shipml.wheels.elf import elf_files
from shipml.wheels.fetch import fetch

__all__ = ["NativeFacts", "are_known", "facts_as_text", "facts_of_text", "native_facts", "readable_now"]

_FACT = "native"
_RECIPE = "1"
_EXTENSION = re.compile(r"\.(?:cpython-[^/]+|abi3)\.so\Z")


def native_facts(
    wheels: Sequence[LockedWheel],
    *,
    session: Session,
    platform: Platform | None = None,
) -> Mapping[LockedWheel, NativeFacts]:
    """The native code of each wheel; those not known yet are downloaded and read.

    Raises:
        BuildError: a wheel has native code, but none for `platform` (where one is given).
        UntrustedInputError: a wheel is broken or hostile.
        TryAgainError, NotAllowedError: as `HttpClient.read`.
    """
    kept = {wheel: _known(wheel, session.store) for wheel in wheels}
    unknown = [wheel for wheel in wheels if kept[wheel] is None]
    fetch(unknown, session=session)
    with ThreadPoolExecutor(thread_name_prefix="elf") as pool:
        read = dict(zip(unknown, pool.map(lambda wheel: _read(wheel, session.store), unknown), strict=True))
    known = {wheel: facts or read[wheel] for wheel, facts in kept.items()}
    if platform is not None:
        for wheel, found in known.items():
            _check_machine(wheel, found, platform)
    return known


def readable_now(wheels: Sequence[LockedWheel], store: Store, *, most_bytes: int) -> tuple[list[LockedWheel], int]:
    """The wheels whose facts are known or cost little to read, and how many bytes the others would take.

    Wheels for every platform have no native code and are never fetched for it; the rest is read if all that would
    have to be downloaded together is not more than `most_bytes`. A size that nobody states counts as too much.
    """
    asked = [wheel for wheel in wheels if not wheel.filename.endswith("-none-any.whl")]
    dear = [wheel for wheel in asked if _known(wheel, store) is None and not store.has_blob(wheel.digest)]
    total_bytes = sum(wheel.size_bytes or most_bytes for wheel in dear)
    if total_bytes <= most_bytes:
        return asked, 0
    return [wheel for wheel in asked if wheel not in set(dear)], total_bytes


def are_known(wheels: Sequence[LockedWheel], store: Store) -> bool:
    """Whether `native_facts` would download nothing."""
    return all(_known(wheel, store) is not None for wheel in wheels)


def facts_as_text(wheels: Sequence[LockedWheel], store: Store) -> str:
    """The facts of these wheels as an annotation; "" where a wheel is neither known nor here.

    Extension modules are left out of what a wheel provides: nothing is linked with them.
    """
    rows: dict[str, Any] = {}
    for wheel in wheels:
        facts = _known(wheel, store)
        if facts is None and store.has_blob(wheel.digest, wheel.size_bytes):
            facts = _read(wheel, store)
        if facts is None:
            return ""
        provided = [name for name in facts.provided if not _EXTENSION.search(name)]
        rows[wheel.digest.hex] = [list(facts.machines), [list(pair) for pair in facts.needed], provided]
    return canonical_json({"recipe": _RECIPE, "wheels": rows}).decode() if rows else ""


def facts_of_text(text: str) -> dict[tuple[str, str], Any]:
    """What `facts_as_text` wrote, by kind and key of fact, for `Store.borrowing`; {} where it is none of ours."""
    try:
        document = json.loads(text)
        rows = document["wheels"].items() if document["recipe"] == _RECIPE else ()
        return {
            (_FACT, f"{Digest(digest)} {_RECIPE}"): {
                "machines": [str(name) for name in machines],
                "needed": [[str(name), str(by)] for name, by in needed],
                "provided": [str(name) for name in provided],
            }
            for digest, (machines, needed, provided) in rows
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UntrustedInputError):
        return {}


def _check_machine(wheel: LockedWheel, facts: NativeFacts, platform: Platform) -> None:
    if facts.machines and platform.architecture not in facts.machines:
        raise BuildError(
            f"the wheel {wheel.filename} has native code for {' and '.join(facts.machines)}, none for {platform}",
            hint="resolve again for this platform: shipml build --upgrade",
        )


def _key(wheel: LockedWheel) -> str:
    return f"{wheel.digest} {_RECIPE}"


def _known(wheel: LockedWheel, store: Store) -> NativeFacts | None:
    fact = store.fact(_FACT, _key(wheel))
    if fact is None:
        return None
    return NativeFacts(
        tuple(fact["machines"]), tuple((name, by) for name, by in fact["needed"]), tuple(fact["provided"])
    )


def _read(wheel: LockedWheel, store: Store) -> NativeFacts:
    found = list(elf_files(Archive(store.blob_path(wheel.digest), wheel.filename)))
    provided = {file.name.rpartition("/")[2] for file in found} | {file.soname for file in found if file.soname}
    needed: dict[str, str] = {}
    for file in found:
        for name in file.needed:
            if name not in provided:
                needed.setdefault(name, file.name)
    facts = NativeFacts(
        tuple(sorted({file.machine for file in found})), tuple(sorted(needed.items())), tuple(sorted(provided))
    )
    store.keep_fact(
        _FACT, _key(wheel), {"machines": facts.machines, "needed": facts.needed, "provided": facts.provided}
    )
    return facts
