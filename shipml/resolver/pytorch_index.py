"""PyTorch's own index: the builds of torch for one accelerator each, as lists of links (its layout is whl/cpu/torch/).

uv's --torch-backend knows the same addresses, but no mirror of them, waits at each run for a host that is not there,
and takes nothing as of a date, as these files have none. Lists of links have none of these troubles.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shipml.errors import TryAgainError
from shipml.facts.gpu_packages import PYTORCH_BUILDS
from shipml.facts.requirements import Correction, DeclaredRequirement, Requirements
from shipml.http import Pools, redacted
from shipml.http.head import head
from shipml.http.logins import Login, Logins
from shipml.lock.choosing import fits
from shipml.resolver.release_lookup import filename
from shipml.resolver.uv import Question
from shipml.text import listed

__all__ = [
    "MIRROR",
    "PyTorchIndex",
    "knows_sizes",
    "names_of",
    "wheels_size_bytes",
    "with_sizes",
    "without_pytorch_sources",
]

MIRROR = "SHIPML_PYTORCH_INDEX"
"""Names another address with the same layout."""
_ADDRESS = "https://download.pytorch.org/whl"
_TIMEOUT_SECONDS = 5.0
_FOUND = 200
_MISSING = (403, 404)  # a bucket that may not be listed says 403 for what it has not


class PyTorchIndex:
    """The index, as this session finds it: a host that did not answer once is not asked again."""

    def __init__(self, address: str = "", *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._address = (address or os.environ.get(MIRROR) or _ADDRESS).rstrip("/")
        self._pools = Pools(connections=2, block_bytes=1 << 16, timeout_seconds=timeout_seconds)
        self._logins = Logins([Login(self._address)])
        self._unreachable: dict[str, str] = {}
        self._faults: set[str] = set()

    @property
    def name(self) -> str:
        """Its address, fit for messages."""
        return redacted(self._address)

    def page(self, backend: str, name: str) -> str:
        """The address of the list of a package's builds; may hold credentials."""
        return f"{self._address}/{backend}/{name}/"

    def unreachable(self, backend: str) -> str:
        """Why it cannot be asked, a clause; "" where it answers."""
        if backend not in self._unreachable:
            self._unreachable[backend] = self._ask(backend)
        return self._unreachable[backend]

    def is_fault(self, backend: str) -> bool:
        """Whether it cannot be asked just now: a network or server is at fault, and what it has is not known."""
        return bool(self.unreachable(backend)) and backend in self._faults

    def fault(self, backend: str, what: str) -> TryAgainError:
        """The error for `what` depends on it and must not silently become something else."""
        return TryAgainError(
            f"{what}, and {self.name} cannot be asked: {self.unreachable(backend)}",
            hint=f"run it again where the network reaches that index, name a mirror of it ({MIRROR}=URL),"
            " or accept the builds with CUDA of the ordinary index: --accelerator cuda",
        )

    def size_bytes(self, url: str) -> int | None:
        """Of one of its files, which the lists do not tell; None where the server does not either."""
        answer = head(self._pools, url, self._logins)
        return answer.size_bytes if answer.status == _FOUND else None

    def _ask(self, backend: str) -> str:
        if os.environ.get("UV_OFFLINE", "").lower() in ("1", "true", "yes"):
            self._faults.add(backend)
            return "UV_OFFLINE is set"
        answer = head(self._pools, self.page(backend, "torch"), self._logins)
        if answer.status != _FOUND and answer.status not in _MISSING:
            self._faults.add(backend)
        if answer.status in (0, _FOUND):
            return answer.because
        return f"it has no builds for {backend}" if answer.status in _MISSING else f"it answered {answer.status}"


def with_sizes(document: dict[str, Any], index: PyTorchIndex) -> dict[str, Any]:
    """The document with the sizes of torch's own builds, which lists of links do not tell."""
    for package in document.get("packages", ()):
        for wheel in package.get("wheels", ()) if package["name"] in PYTORCH_BUILDS else ():
            if "size" not in wheel and (size_bytes := index.size_bytes(str(wheel.get("url", "")))) is not None:
                wheel["size"] = size_bytes
    return document


def knows_sizes(document: Mapping[str, Any]) -> bool:
    """Whether torch's own builds tell theirs: if not, what is saved is the libraries alone, and perhaps more."""
    torch = [one for one in document.get("packages", ()) if one["name"] in PYTORCH_BUILDS]
    return all("size" in wheel for one in torch for wheel in one.get("wheels", ()))


def names_of(document: Mapping[str, Any]) -> list[str]:
    """The packages of a resolution."""
    return [str(one["name"]) for one in document.get("packages", ())]


def wheels_size_bytes(document: Mapping[str, Any], question: Question, names: set[str] | None = None) -> int:
    """Of the wheels for the target, as far as they are known."""
    fitting = fits(question.base, question.platform)
    return sum(
        max((one.get("size") or 0 for one in package.get("wheels", ()) if fitting(filename(one))), default=0)
        for package in document.get("packages", ())
        if names is None or package["name"] in names
    )


_INDEX = re.compile(r"https://download\.pytorch\.org/whl/(?P<backend>cpu|cu\d+)?")
_LOCAL = re.compile(r"(?<===)(?P<public>[^+\s;]+)\+[\w.]+")


def without_pytorch_sources(
    declared: Requirements, index: PyTorchIndex, *, accepts_cuda: bool = False
) -> tuple[Requirements, Correction | None]:
    """What is asked for without PyTorch's index, and what is told of it; None where all may stay as it is.

    Args:
        declared: what the project asks for.
        index: PyTorch's, or the mirror that is named for it.
        accepts_cuda: whether the user has named the builds of the ordinary index (--accelerator cuda).

    Raises:
        TryAgainError: it cannot be reached, and the builds of the ordinary index were not accepted.
    """
    texts = (*declared.texts, *declared.inputs) if declared.as_it_stands else ()
    found = next(((path, match) for path, text in texts if (match := _INDEX.search(text))), None)
    if found is None:
        return declared, None
    path, match = found
    backend = match["backend"] or "cpu"
    because = index.unreachable(backend)
    if not because:
        return declared, None
    if index.is_fault(backend) and not accepts_cuda:
        raise index.fault(backend, f"{path} takes {listed(PYTORCH_BUILDS)} from {match[0]}")
    change = Correction(
        "version",
        f"{', '.join(PYTORCH_BUILDS)} from {match[0]}",
        "those of the ordinary index",
        f"{index.name} cannot be asked: {because}",
        path,
    )
    constraints = tuple(_without_local(one) for one in declared.constraints)
    return replace(declared, constraints=constraints), change


def _without_local(one: DeclaredRequirement) -> DeclaredRequirement:
    """A lock's `torch==2.5.1+cpu` as `torch==2.5.1`."""
    if one.name not in PYTORCH_BUILDS:
        return one
    return replace(one, line=_LOCAL.sub(r"\g<public>", one.line), version=one.version.partition("+")[0])
