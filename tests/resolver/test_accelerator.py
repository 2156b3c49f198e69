"""Builds for the accelerator: from PyTorch's index, by a stand-in on a loopback port, and by other names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from shipml import resolver
from shipml.errors import TryAgainError
from shipml.facts.project import Lock, Project
from shipml.lock import dump_lock
from shipml.oci.manifest import Platform
from shipml.plan import python_candidates
from shipml.plan.accelerator import choose_accelerator, without_gpu
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


def read(resolving: Resolving, requirements: str) -> Project:
    """The project with these requirements."""
    (resolving.folder / "requirements.txt").write_text(requirements)
    return read_project(resolving.folder, resolving.store)


def resolve(resolving: Resolving, requirements: str, *, asked: str | None = None, platform: Platform = AMD64) -> Lock:
    """The lock for Python 3.11 and the accelerator that the project comes to."""
    project = read(resolving, requirements)
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
    """A package that needs torch gets the build without CUDA, of the same version; the bytes are told."""
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
        "nothing in the project says that it needs a GPU; torch 2.1.0+cpu from PyTorch's index; that saves 2.00 MB",
    )
    assert not any("filelock" in request for request in pytorch.requests), "nothing else is taken from there"


def test_kin_of_torch_comes_with_it(ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving) -> None:
    """Torchvision is taken for the same accelerator: its build for another does not load."""
    lock = resolve(resolving, "torchvision==0.16.0\n")
    assert named(lock) == {"filelock": "3.0", "torch": "2.1.0+cpu", "torchvision": "0.16.0+cpu"}


def test_other_builds_are_asked_for_by_pins(
    ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving
) -> None:
    """A pin with +cu118 is evidence for a GPU and is met; PyTorch's index in an option is no index for the rest."""
    lines = "--extra-index-url https://download.pytorch.org/whl/cu118\ntorch==2.1.0+cu118\n"
    lock = resolve(resolving, lines)
    assert named(lock) == {"filelock": "3.0", "torch": "2.1.0+cu118"}
    assert lock.changes == ()
    assert decided(lock, "accelerator")[1].startswith("requirements.txt:2 asks for torch==2.1.0+cu118")


def test_an_accelerator_that_is_asked_for_outdoes_pins(
    ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving
) -> None:
    """The build is another than the line says, which is a change."""
    lock = resolve(resolving, "torch==2.1.0+cu118\n", asked="cpu")
    assert named(lock)["torch"] == "2.1.0+cpu"
    (change,) = lock.changes
    assert change.value == "torch==2.1.0+cu118 → torch==2.1.0+cpu"
    lock = resolve(resolving, "torch==2.1.0+cpu\n", asked="cuda")
    assert named(lock)["torch"] == "2.1.0"
    assert [change.value for change in lock.changes] == ["torch==2.1.0+cpu → torch==2.1.0"]


@pytest.mark.parametrize(
    ("requirements", "asked"), [("torch==2.1.0+cpu\n", None), ("torch\n", None), ("torch==2.1.0\n", "cu118")]
)
def test_an_index_that_cannot_be_reached_does_not_change_what_is_built(
    requirements: str,
    asked: str | None,
    ordinary: PackageIndex,
    resolving: Resolving,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A build that is asked for by name, or much that would be taken in vain: exit code 75 with the ways out."""
    monkeypatch.setenv("SHIPML_PYTORCH_INDEX", "http://someone:marked-secret@127.0.0.1:9/whl")
    monkeypatch.setattr("shipml.resolver.accelerated._MOST_BYTES_IN_VAIN", 1_000_000)
    with pytest.raises(TryAgainError) as caught:
        resolve(resolving, requirements, asked=asked)
    assert caught.value.exit_code == 75
    assert "SHIPML_PYTORCH_INDEX" in caught.value.hint
    assert "--accelerator cuda" in caught.value.hint
    assert "marked-secret" not in f"{caught.value.to_json()}{resolving.heard}"
    accepted = resolve(resolving, "torch==2.1.0\n", asked="cuda")
    assert named(accepted)["torch"] == "2.1.0"


def test_a_little_that_is_taken_in_vain_is_said(
    ordinary: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ordinary build stands, with a warning."""
    monkeypatch.setenv("SHIPML_PYTORCH_INDEX", "http://someone:marked-secret@127.0.0.1:9/whl")
    lock = resolve(resolving, "torch==2.1.0\n")
    assert named(lock)["torch"] == "2.1.0"
    assert decided(lock, "PyTorch's index")[0] == "not used"
    assert "marked-secret" not in str(resolving.heard) + repr(lock)


def test_a_mirror_for_some_alone_is_asked_with_its_login(
    ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login in its address counts for lists and files, and is neither in the lock nor in what is said or kept."""
    pytorch.credentials = ("joe", "marked-secret")
    monkeypatch.setenv("SHIPML_PYTORCH_INDEX", f"http://joe:marked-secret@{pytorch.host}/whl")
    lock = resolve(resolving, "torch==2.1.0\n")
    torch = next(wheel for wheel in lock.wheels if wheel.name == "torch")
    assert (torch.version, torch.size_bytes) == ("2.1.0+cpu", len(pytorch.files[torch.filename]))
    assert "marked-secret" not in str(resolving.heard) + repr(lock) + dump_lock(lock, None)
    kept = [path.read_bytes() for path in resolving.store.home.rglob("*") if path.is_file()]
    assert not any(b"marked-secret" in data for data in kept)


def test_a_version_that_the_index_lacks_is_taken_from_the_ordinary_one(
    ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving
) -> None:
    """It is said which builds were looked for."""
    lock = resolve(resolving, "torch==2.5.0\n")
    assert named(lock)["torch"] == "2.5.0"
    assert "has no torch==2.5.0+cpu" in decided(lock, "PyTorch's index")[1]


def test_hashes_name_a_file(ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving) -> None:
    """A torch that is pinned by hash is that file, whatever the accelerator."""
    lines = [
        f"{filename.split('-')[0].replace('_', '-')}=={filename.split('-')[1]}"
        f" --hash=sha256:{hashlib.sha256(data).hexdigest()}\n"
        for filename, data in ordinary.files.items()
        if filename.startswith(("torch-2.1.0", "filelock-3", "nvidia", "triton"))
    ]
    lock = resolve(resolving, "".join(lines))
    assert named(lock)["torch"] == "2.1.0"


def test_cuda_needs_no_other_index_and_no_other_base(
    ordinary: PackageIndex, pytorch: PackageIndex, resolving: Resolving
) -> None:
    """The ordinary index's torch is the build with CUDA, and brings it in wheels."""
    lock = resolve(resolving, "torch==2.1.0\n", asked="cuda")
    assert named(lock)["torch"] == "2.1.0"
    assert decided(lock, "accelerator") == (
        "cuda",
        "--accelerator says so; the wheels carry CUDA themselves (2.00 MB), so the base needs none",
    )
    assert pytorch.requests == []


def test_a_platform_whose_torch_has_no_cuda_is_left_alone(
    index: PackageIndex, pytorch: PackageIndex, resolving: Resolving
) -> None:
    """On arm64 the ordinary index's torch is for the CPU."""
    index.add("torch", "2.1.0", "cp311-cp311-manylinux_2_17_aarch64")
    lock = resolve(resolving, "torch==2.1.0\n", platform=ARM64)
    assert named(lock) == {"torch": "2.1.0"}
    assert pytorch.requests == []


@pytest.mark.parametrize(("name", "twin"), [("tensorflow", "tensorflow-cpu"), ("xgboost", "xgboost-cpu")])
def test_what_only_gpus_use_is_left_away(name: str, twin: str, index: PackageIndex, resolving: Resolving) -> None:
    """The release for the CPU alone takes the place of the one for both, which --strict refuses."""
    index.add(name, "2.11.0", TAG, ["numpy"], uploaded="2022-11-01", ballast_bytes=3_000_000)
    index.add(twin, "2.11.0", TAG, ["numpy"], uploaded="2022-11-02")
    index.add("numpy", "1.0", uploaded="2022-01-01")
    index.add("numpy", "2.0", uploaded="2024-06-01")
    lock = resolve(resolving, f"{name}==2.11.0\n")
    assert named(lock) == {"numpy": "1.0", twin: "2.11.0"}
    assert [change.value for change in lock.changes] == [f"{name}==2.11.0 → {twin}==2.11.0"]
    assert "that saves 3.00 MB" in decided(lock, "accelerator")[1]
    assert named(resolve(resolving, f"{name}==2.11.0\n", asked="cuda"))[name] == "2.11.0"


def test_extras_and_markers_stay(index: PackageIndex, resolving: Resolving) -> None:
    """The other name is asked for with what else the line says."""
    index.add("xgboost", "2.1.0", TAG, ballast_bytes=3_000_000)
    index.add("xgboost-cpu", "2.1.0", TAG, ['table; extra == "frames"'])
    index.add("table", "1.0")
    lock = resolve(resolving, 'xgboost[frames]==2.1.0 ; sys_platform == "linux"\n')
    assert named(lock) == {"table": "1.0", "xgboost-cpu": "2.1.0"}


def test_a_name_that_others_ask_for_stays(index: PackageIndex, resolving: Resolving) -> None:
    """Two packages with the same modules would overwrite each other; where there is no other, nothing is done."""
    index.add("tensorflow", "2.11.0", TAG, ballast_bytes=3_000_000)
    index.add("deep", "1.0", requires=["tensorflow"])
    assert named(resolve(resolving, "tensorflow\n")) == {"tensorflow": "2.11.0"}
    index.add("tensorflow-cpu", "2.11.0", TAG)
    lock = resolve(resolving, "tensorflow\ndeep\n")
    assert named(lock) == {"deep": "1.0", "tensorflow": "2.11.0"}
    assert "tensorflow stays: others ask for it by that name" in decided(lock, "accelerator")[1]


def test_a_processor_that_is_asked_for_replaces_what_is_for_gpus_alone(
    index: PackageIndex, resolving: Resolving
) -> None:
    """onnxruntime-gpu is evidence for CUDA; with --accelerator cpu, onnxruntime stands for it, and extras fall away."""
    index.add("onnxruntime-gpu", "1.16.0")
    index.add("onnxruntime", "1.16.0")
    index.add("tensorflow", "2.16.1", TAG)
    lines = "onnxruntime-gpu==1.16.0\nnvidia-cudnn-cu12==9\ntensorflow[and-cuda]==2.16.1\n"
    assert choose_accelerator(read(resolving, lines)).because == (
        "requirements.txt:1 asks for onnxruntime-gpu==1.16.0, which is for GPUs"
    )
    lock = resolve(resolving, lines, asked="cpu")
    assert named(lock) == {"onnxruntime": "1.16.0", "tensorflow": "2.16.1"}


def test_tensorflow_gets_cuda_by_its_extra(index: PackageIndex, resolving: Resolving) -> None:
    """For CUDA that is asked for, the extra is added from 2.14 on; older ones find none in the base, which is said."""
    index.add("tensorflow", "2.16.1", TAG, ['nvidia-cudnn-cu12; extra == "and-cuda"'])
    index.add("tensorflow", "2.11.0", TAG)
    index.add("nvidia-cudnn-cu12", "9")
    lock = resolve(resolving, "tensorflow==2.16.1\n", asked="cuda")
    assert named(lock) == {"nvidia-cudnn-cu12": "9", "tensorflow": "2.16.1"}
    assert [change.value for change in lock.changes] == ["tensorflow==2.16.1 → tensorflow[and-cuda]==2.16.1"]
    lock = resolve(resolving, "tensorflow==2.11.0\n", asked="cuda")
    assert "takes CUDA from the base, and Debian's has none" in decided(lock, "accelerator")[1]


def test_a_project_that_names_the_index_itself_is_met_without_it(
    ordinary: PackageIndex, resolving: Resolving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the index cannot be asked, that is an error, unless the ordinary builds are accepted by name."""
    monkeypatch.setenv("SHIPML_PYTORCH_INDEX", "http://127.0.0.1:9/whl")
    (resolving.folder / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\ndependencies = ["torch==2.1.0"]\n'
        '[tool.uv.sources]\ntorch = {index = "pytorch"}\n'
        '[[tool.uv.index]]\nname = "pytorch"\nurl = "https://download.pytorch.org/whl/cpu"\nexplicit = true\n'
    )
    (resolving.folder / "uv.lock").write_text(
        'version = 1\nrequires-python = ">=3.11"\n[[package]]\nname = "torch"\nversion = "2.1.0+cpu"\n'
        'source = {registry = "https://download.pytorch.org/whl/cpu"}\n'
    )
    project = read_project(resolving.folder, resolving.store)

    def resolved(asked: str | None) -> Lock:
        return resolver.resolve_first(
            project,
            python_candidates(project, "3.11"),
            platform=AMD64,
            store=resolving.store,
            emit=resolving.heard.append,
            accelerator=choose_accelerator(project, asked),
        )[1]

    with pytest.raises(TryAgainError):
        resolved(None)
    lock = resolved("cuda")
    assert named(lock)["torch"] == "2.1.0"
    assert len(lock.changes) == 1
