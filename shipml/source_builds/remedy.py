"""What may fix a failed build, as a value."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Remedy"]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What may fix a build."""

    because: str
    """A clause: what the build lacks."""
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """Debian's."""
    path: str = ""
    """End of the path of a file that a Debian package must bring: `/include/…` below /usr, `/bin/…`, `/libX.so`,
    `/pkgconfig/X.pc`, `/cmake/XConfig.cmake`."""
    compilers: bool = False
