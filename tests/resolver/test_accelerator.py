"""Builds for the accelerator: from PyTorch's index, by a stand-in on a loopback port, and by other names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from shipml import resolver
from shipml.events import Notice
from shipml.lock_file import dump_lock
from shipml.oci.manifest import Platform
from shipml.plan import python_candidates
from shipml.plan.accelerator import choose_accelerator, without_gpu
from shipml.plan.facts import Lock
from shipml.project import read_project
from tests.package_index import PackageIndex, serve_index
from tests.resolver.conftest import Resolving

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
TAG = "cp311-cp311-manylinux_2_17_x86_64"


@pytest.fixture
def pytorch(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """An index with PyTorch's layout: builds of 2.1.0 for the CPU and for CUDA 11.8."""
    with serve_index() as served:
        monkeypatch.setenv("SHIPML_PYTORCH_INDEX", f"http://{served.host}/whl")
        for build in ("cpu", "cu118"):
            served.add("torch", f"2.1.0+{build}", "cp311-cp311-linux_x86_64", ["filelock"])
            served.add("torchvision", f"0.16.0+{build}", "cp311-cp311-linux_x86_64", [f"torch==2.1.0+{build}"])
        yield served


@pytest.fixture
def ordinary(index: PackageIndex) -> PackageIndex:
    """The ordinary index: torch with NVIDIA's libraries, its kin, and packages that need it."""
    libraries = ["nvidia-cublas-cu12==12.1", "triton==2.1"]
    index.add("torch", "2.1.0", TAG, ["filelock", *libraries], uploaded="2023-10-04")
    index.add("torch", "2.5.0", TAG, ["filelock", *libraries], uploaded="2024-10-04")
    index.add("torchvision", "0.16.0", TAG, ["torch==2.1.0"], uploaded="2023-10-04")
    index.add("embedder", "1.0", requires=["torch>=2"], uploaded="2023-10-05")
    index.add("filelock", "3.0", uploaded="2023-01-01")
    index.add("filelock", "4.0", uploaded="2025-01-01")
    index.add("nvidia-cublas-cu12", "12.1", "py3-none-any", uploaded="2023-10-01", ballast_bytes=2_000_000)
    index.add("triton", "2.1", TAG, uploaded="2023-10-01")
    return index


def resolve(resolving: Resolving, requirements: str, *, asked: str | None = None, platform: Platform = AMD64) -> Lock:
    """The lock for Python 3.11 and the accelerator that the project comes to."""
    (resolving.folder / "requirements.txt").write_text(requirements)
    project = read_project(resolving.folder, resolving.store, resolving.heard.append)
    accelerator = choose_accelerator(project, asked)
    return resolver.resolve_first(
        without_gpu(project, accelerator),
        python_candidates(project, "3.11"),
        platform=platform,
        store=resolving.store,
        emit=resolving.heard.append,
        accelerator=accelerator,
    )[1]


def named(lock: Lock) -> dict[str, str]:
    """Versions by name."""
    return {wheel.name: wheel.version for wheel in lock.wheels}


def decided(lock: Lock, what: str) -> tuple[str, str]:
    """Value and reason of a decision."""
    return next((one.value, one.because) for one in lock.decisions if one.what == what)


def test_torch_comes_from_the_index_for_the_cpu_whoever_asks_for_it(
    ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving
) -> None:
    """A package that needs torch gets the build without CUDA, of the version that it would have got; the bytes are told."""
    lock = resolve(resolving, "embedder==1.0\n")
    assert named(lock) == {"embedder": "1.0", "filelock": "3.0", "torch": "2.1.0+cpu"}
    assert lock.changes == ()
    torch = lock.wheels[2]
    filename = "torch-2.1.0+cpu-cp311-cp311-linux_x86_64.whl"
    assert torch.filename == filename
    assert torch.digest.hex == hashlib.sha256(pytorch.files[filename]).hexdigest()
    assert torch.size_bytes == len(pytorch.files[filename])
    assert torch.url == f"http://{pytorch.host}/files/{quote(filename)}"
    assert not torch.direct
    assert decided(lock, "accelerator") == (
        "cpu",
        "nothing in the project says that it needs a GPU; torch 2.1.0+cpu from PyTorch's index; that saves 2 MB",
    )
    assert not any("filelock" in request for request in pytorch.requests), "nothing else is taken from there"
