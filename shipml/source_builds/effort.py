"""How long a source takes to compile, roughly, and how many compilers run at once."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_bytes", "effort_text", "expected_minutes", "impossible", "parallel_jobs"]

_PER_COMPILER_BYTES = 1_500_000_000
"""What one process of a C++ compiler takes with templates."""
_MINUTES = {
    "av": 3,
    "catboost": 90,
    "cryptography": 4,
    "cvxpy": 3,
    "dlib": 15,
    "fbprophet": 6,
    "fiona": 2,
    "gensim": 3,
    "grpcio": 30,
    "h5py": 3,
    "hdbscan": 2,
    "lightgbm": 8,
    "llvmlite": 10,
    "lxml": 3,
    "matplotlib": 4,
    "netcdf4": 2,
    "numba": 3,
    "numpy": 8,
    "onnx": 12,
    "opencv-contrib-python": 180,
    "opencv-contrib-python-headless": 170,
    "opencv-python": 120,
    "opencv-python-headless": 110,
    "pandas": 20,
    "pillow": 1,
    "prophet": 6,
    "psycopg2": 1,
    "pyarrow": 20,
    "pycocotools": 1,
    "pymupdf": 25,
    "pystan": 10,
    "pywavelets": 3,
    "scikit-image": 10,
    "scikit-learn": 20,
    "scipy": 40,
    "shapely": 1,
    "spacy": 12,
    "statsmodels": 8,
    "tables": 4,
    "thinc": 5,
    "tokenizers": 5,
    "xgboost": 15,
}
"""Of one core. What takes less than a minute is not said."""
_IMPOSSIBLE = {
    "jaxlib": "its build downloads Bazel and LLVM",
    "tensorflow": "its build takes Bazel and several hours",
    "tensorflow-cpu": "its build takes Bazel and several hours",
    "torch": "its build takes several hours and the sources of its libraries",
    "pytorch": "it only tells people to install torch",
    "vllm": "its build takes a CUDA compiler",
}
_BYTES_PER_MINUTE = 3_000_000
"""Of C and C++ that one core compiles."""


def available_bytes() -> int:
    """Memory that can be had now, without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration, IndexError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def parallel_jobs(cores: int, memory_bytes: int, builds_at_once: int = 1) -> int:
    """How many compilers one build runs at once: within the cores, and within the memory that its share is."""
    return max(1, min(cores, memory_bytes // max(1, builds_at_once) // _PER_COMPILER_BYTES))


def expected_minutes(name: str, compiled_bytes: int = 0, *, jobs: int = 1) -> float:
    """Minutes that the compilers take, roughly; 0 where that is not known, or nothing is compiled.

    Args:
        name: of the package, normalised.
        compiled_bytes: of its sources in C and C++, where they are known.
        jobs: compilers at once.
    """
    minutes = _MINUTES.get(name, 0) or compiled_bytes / _BYTES_PER_MINUTE
    return minutes / jobs


def impossible(name: str) -> str:
    """Why no sandbox without network can build the package within its time: a clause; "" where one may."""
    return _IMPOSSIBLE.get(name, "")


def effort_text(minutes: float) -> str:
    """`about 15 min`; "" where it is not worth a word."""
    return f"about {minutes:.0f} min" if minutes >= 1 else ""
