"""What native code a wheel has: kept by its digest, so that a second plan asks nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from shipml.errors import BuildError
from shipml.events import Emit
from shipml.http import HttpClient
from shipml.oci.manifest import Platform
from shipml.plan.model import LockedWheel
from shipml.plan.native import NativeFacts
from shipml.store import Store
from shipml.wheels.archive import Archive
from shipml.wheels.elf import elf_files
from shipml.wheels.fetch import fetch

__all__ = ["NativeFacts", "native_facts"]

_FACT = "native"
_RECIPE = "1"


def native_facts(
    wheels: Sequence[LockedWheel],
    *,
    store: Store,
    http: HttpClient,
    emit: Emit,
    platform: Platform | None = None,
) -> Mapping[LockedWheel, NativeFacts]:
    """The native code of each wheel; those not known yet are downloaded and read.

    Raises:
        BuildError: a wheel has native code, but none for `platform` (where one is given).
        UntrustedInputError: a wheel is broken or hostile.
        TryAgainError, NotAllowedError: as `HttpClient.read`.
    """
    kept = {wheel: _known(wheel, store) for wheel in wheels}
    unknown = [wheel for wheel in wheels if kept[wheel] is None]
    fetch(unknown, store=store, http=http, emit=emit)
    with ThreadPoolExecutor(thread_name_prefix="elf") as pool:
        read = dict(zip(unknown, pool.map(lambda wheel: _read(wheel, store), unknown), strict=True))
    known = {wheel: facts or read[wheel] for wheel, facts in kept.items()}
    if platform is not None:
        for wheel, found in known.items():
            _check_machine(wheel, found, platform)
    return known


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
