"""Ends below Python: signals, memory, the CPU's kind, GPUs."""

from __future__ import annotations

import re

from shipml.runtimes.diagnose.failure import Failure, around, telling

__all__ = ["gpu", "memory", "signal"]

_SHARED_MEMORY = re.compile(r"shared memory|bus error|/dev/shm|/torch_\w+|shm size", re.IGNORECASE)
_NO_MEMORY = re.compile(
    r"^MemoryError\b|Unable to allocate [\d.]+ [KMGT]iB|can't allocate memory|std::bad_alloc|Cannot allocate memory"
    r"|OutOfMemoryError: Java|bad_alloc|memory exhausted|Out of memory",
    re.MULTILINE,
)
_GPU = re.compile(
    r"Torch not compiled with CUDA|Found no NVIDIA driver|No CUDA GPUs are available|no CUDA-capable device"
    r"|CUDA driver version is insufficient|torch\.cuda\.is_available\(\) is False|CUDA error|cudaErrorNoDevice"
    r"|libcuda\.so(?:\.1)?: cannot open|libcudart\S* ?: cannot open|libcublas\S*: cannot open|libcudnn\S*: cannot open"
    r"|Failed to initialize NVML|NVML Shared Library Not Found|No GPU (?:found|available)|requires (?:a )?GPU"
    r"|Unable to initialize backend 'cuda'|cuInit"
)
_ON_CPU = re.compile(r"Attempting to deserialize object on a CUDA device|map_location")
_NOT_COMPILED = re.compile(r"not compiled with CUDA")
_SIGNAL_BASE = 128
_ILL, _ABRT, _BUS, _FPE, _KILL, _SEGV, _TERM = 4, 6, 7, 8, 9, 11, 15


def memory(failure: Failure, image: str) -> str:
    """What helps where memory could not be had; "" where that is not the matter."""
    if not _NO_MEMORY.search(telling(failure.words)):
        return ""
    if failure.memory_bytes:
        more = f"--memory {2 * failure.memory_bytes >> 20}m"
        return f"allow more: shipml run{image} {more}; or let the program load less at once"
    return "it asks for more memory than there is: load in parts, smaller types (float32) or a smaller model"


def gpu(failure: Failure, image: str) -> str:
    """What helps where the program wants a GPU; "" where that is not the matter."""
    words = telling(failure.words)
    if not _GPU.search(words):
        return ""
    if _ON_CPU.search(words):
        return 'the weights were saved on a GPU: torch.load(…, map_location="cpu")'
    build = "build it for GPUs (shipml build --accelerator cuda), and " if _NOT_COMPILED.search(words) else ""
    return (
        'let it fall back: device = "cuda" if torch.cuda.is_available() else "cpu"; or, as it needs a GPU, '
        f'{build}test it where there is one: shipml run{image} --gpus all; elsewhere: smoke.skip = "needs a GPU"'
    )


def signal(failure: Failure, image: str) -> str:
    """What helps after a signal; "" where the program ended by itself."""
    if failure.exit_code is None or failure.exit_code <= _SIGNAL_BASE:
        return ""
    number = failure.exit_code - _SIGNAL_BASE
    if number == _BUS or (number in (_SEGV, _KILL) and _SHARED_MEMORY.search(around(failure.words))):
        return f"allow more shared memory: shipml run{image} --shm-size 1g; where it goes, /dev/shm has 64 MB, too"
    where = f"shipml run{image} -e PYTHONFAULTHANDLER=1 shows where"
    return {
        _KILL: f"most often memory ran out: shipml run{image} --memory 8g, or let it load less at once",
        _SEGV: f"native code crashed: {where}",
        _ABRT: f"native code gave up: its last words above say why; {where}",
        _FPE: f"native code divided by zero: {where}",
        _ILL: "a package is compiled for another CPU: choose a version that has wheels, without -march=native",
        _TERM: "something ended the program: it, or what it started, sent SIGTERM",
    }.get(number, "")
