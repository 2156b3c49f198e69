"""What native code needs from the system, and what is missing: pure, from facts of wheels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["MissingLibrary", "NativeFacts", "missing_libraries"]

_C_LIBRARY = re.compile(
    r"ld-linux[\w.-]*\.so\.\d|lib(?:c|m|dl|rt|util|pthread|resolv|nsl|anl|crypt|mvec|thread_db|gcc_s|stdc\+\+|z)\.so\.\d+"
)
"""What every base has, or no base can: glibc's, GCC's run time, zlib."""
_OF_OUR_BASE = re.compile(r"libgomp\.so\.1")
"""What the base of Debian's packages has, and images of registries may lack."""
_OF_THE_HOST = re.compile(
    r"lib(?:cuda|nvidia-[\w-]+|nvcuvid|nvidia_[\w]+)\.so\.\d+"
    r"|lib(?:cudart|cublas|cublasLt|cudnn\w*|cufft|curand|cusolver|cusolverMg|cusparse|cusparseLt|nccl|nvrtc[\w-]*|nvToolsExt|nvJitLink|cupti|cufile)\.so[\d.]*"
    r"|lib(?:amdhip64|hsa-runtime64|roc\w+|hip\w+|miopen\w*|MIOpen)\.so[\d.]*"
)
"""Drivers, which the machine brings, and CUDA's and ROCm's libraries, which packages of their own bring."""
_OF_PYTHON = re.compile(r"libpython3[\d.]*t?\.so[\d.]*")
_OPTIONAL = re.compile(
    r"lib(?:mpi\w*|oshmem|ucp|ucs|uct|ibverbs|mlx\d|efa|rdmacm|fabric|hdfs|jvm|java|mkl_\w+|iomp5|tbb\w*)\.so[\d.]*"
)
"""Of plugins that are only loaded where their network, file system or vendor's library is there."""


@dataclass(frozen=True, slots=True)
class NativeFacts:
    """The native code of one wheel."""

    machines: tuple[str, ...]
    """Architectures of its ELF files in Go's names, sorted; () for a pure wheel."""
    needed: tuple[tuple[str, str], ...]
    """Sonames that its ELF files need and the wheel lacks, sorted, each with the first file that needs it."""
    provided: tuple[str, ...]
    """Sonames and file names of its ELF files, sorted: what other wheels may find here once it is loaded."""


@dataclass(frozen=True, slots=True)
class MissingLibrary:
    """A shared library that a wheel needs and that neither the wheels nor the C library's packages provide."""

    soname: str
    wheel: str
    """Distribution that needs it."""
    file: str
    """Of the wheel, that needs it."""


def missing_libraries(facts: Mapping[str, NativeFacts], *, on_image: bool = False) -> Sequence[MissingLibrary]:
    """What the wheels, together, lack; by soname, once each.

    Args:
        facts: by the distribution's name.
        on_image: whether the base is an image of a registry, which has not all that our own base has.
    """
    provided = {name for one in facts.values() for name in one.provided}
    found: dict[str, MissingLibrary] = {}
    for wheel, one in sorted(facts.items()):
        for soname, file in one.needed:
            if soname not in provided and not _needs_no_package(soname, on_image=on_image):
                found.setdefault(soname, MissingLibrary(soname, wheel, file))
    return [found[soname] for soname in sorted(found)]


def _needs_no_package(soname: str, *, on_image: bool) -> bool:
    patterns = (_C_LIBRARY, _OF_THE_HOST, _OF_PYTHON, _OPTIONAL, *(() if on_image else (_OF_OUR_BASE,)))
    return any(pattern.fullmatch(soname) for pattern in patterns)
