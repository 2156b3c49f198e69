"""Packages without wheels, let in as source: uv is shown a wheel in their place that holds what they need.

So uv resolves as ever, builds nothing and runs nothing of theirs; in its answer the stand-in is replaced by the
source that is to be built.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit, urlunsplit

from shipml.facts.plan import LockedSource, LockedWheel
from shipml.http import HttpClient
from shipml.oci.digest import Digest
from shipml.resolver.release_lookup import filename, uploaded_at
from shipml.resolver.source_metadata import requirements_of_source
from shipml.resolver.uv import (
    Question,
    Uv,
    UvError,
    dated_arguments,
    python_arguments,
)
from shipml.store import Store
from shipml.store.fact import decode, read_fact

__all__ = ["Sources", "keep_requirements"]

_WHEEL = "Wheel-Version: 1.0\nGenerator: shipml\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_FACT = "requirements-of-source-1"
_BUILDABLE = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


class Sources:
    """The sources that one attempt lets in, and the folder of their stand-ins."""

    def __init__(self, folder: Path, *, uv: Uv, store: Store, http: HttpClient) -> None:
        self.links = folder
        self._uv = uv
        self._store = store
        self._http = http
        self._found: dict[str, LockedSource] = {}

    def let_in(self, requirements: Iterable[str], question: Question) -> bool:
        """Find the newest source that fits each of `requirements`; returns whether there was one that is new.

        Raises:
            TryAgainError, NotAllowedError, BuildError: a source cannot be downloaded.
            UntrustedInputError: it is broken.
        """
        news = False
        for requirement in requirements:
            name = re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]
            if name in self._found:
                continue
            source = self._newest(requirement, question)
            if source is not None:
                self._found[name] = source
                self._stand_in(source)
                news = True
        return news

    def needs_nothing(self, requirement: str, question: Question) -> bool:
        """Whether there is a source that fits and names no requirements: then the time of others is not its own.

        Raises:
            TryAgainError, NotAllowedError, BuildError, UntrustedInputError: as `let_in`.
        """
        source = self._newest(requirement, question)
        return source is not None and not self._requirements(source)

    def taken(self, wheels: Sequence[LockedWheel]) -> tuple[tuple[LockedWheel, ...], tuple[LockedSource, ...]]:
        """`wheels` without the stand-ins, and the sources that these stand for."""
        prefix = self.links.absolute().as_uri()
        real = tuple(wheel for wheel in wheels if not wheel.url.startswith(prefix))
        names = {wheel.name for wheel in wheels if wheel.url.startswith(prefix)}
        return real, tuple(sorted(source for name, source in self._found.items() if name in names))

    def _newest(self, requirement: str, question: Question) -> LockedSource | None:
        options = question.declared.options
        asked = (*python_arguments(question.base, question.platform), *dated_arguments(question))
        try:
            document = self._uv.files_of([requirement], options, *asked)
        except UvError:
            return None
        package = document["packages"][0]
        file = package.get("sdist")
        sha256 = (file or {}).get("hashes", {}).get("sha256")
        if file is None or not sha256 or not filename(file).endswith(_BUILDABLE):
            return None
        time = uploaded_at(file)
        return LockedSource(
            name=str(package["name"]),
            version=str(package["version"]),
            url=_plain(str(file.get("url") or "")),
            size_bytes=file.get("size"),
            digest=Digest(str(sha256).lower()),
            filename=filename(file),
            uploaded_at="" if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def _requirements(self, source: LockedSource) -> tuple[str, ...]:
        """What the source names, or turned out to need when it was built."""
        path = self._http.fetch_blob(source.url, source.digest, self._store, size_bytes=source.size_bytes)
        known = read_fact(self._store, _FACT, str(source.digest), lambda kept: decode(kept, list[str]))
        return requirements_of_source(path, source.filename) if known is None else tuple(cast("list[str]", known))

    def _stand_in(self, source: LockedSource) -> None:
        """Write the wheel that uv is shown."""
        requirements = self._requirements(source)
        stem = f"{source.name.replace('-', '_')}-{source.version.replace('-', '_')}"
        lines = ["Metadata-Version: 2.1", f"Name: {source.name}", f"Version: {source.version}"]
        lines += [f"Requires-Dist: {one}" for one in requirements]
        lines += [f"Provides-Extra: {extra}" for extra in sorted(_extras(requirements))]
        files = {
            f"{stem}.dist-info/METADATA": "\n".join(lines) + "\n",
            f"{stem}.dist-info/WHEEL": _WHEEL,
            f"{stem}.dist-info/RECORD": "",
        }
        with zipfile.ZipFile(self.links / f"{stem}-py3-none-any.whl", "w") as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name), text)


def keep_requirements(source: LockedSource, requirements: Sequence[str], store: Store) -> bool:
    """Remember what a source turned out to need when it was built; returns whether that is news."""
    known = store.fact(_FACT, str(source.digest))
    store.keep_fact(_FACT, str(source.digest), list(requirements))
    return bool(known != list(requirements))


def _extras(requirements: Iterable[str]) -> set[str]:
    return {extra for line in requirements for extra in re.findall(r"""extra == ["']([^"']+)["']""", line)}


def _plain(url: str) -> str:
    """Without credentials and fragment."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
