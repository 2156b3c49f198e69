"""For which processor packages are taken: values in, a decision with its reason out; where a project speaks of GPUs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipml.facts.gpu_packages import gpu_extras, is_for_gpus, is_gpu_library
from shipml.facts.project import GpuUse
from shipml.plan.accelerator import choose_accelerator, gpu_hint, without_gpu
from shipml.project import read_project
from shipml.project.code.gpu import find_gpu_uses


def project_of(folder: Path, requirements: str, **files: str) -> Path:
    """A folder with requirements.txt and other files, `__` standing for a dot in their names."""
    (folder / "requirements.txt").write_text(requirements)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("requirements", "backend", "because"),
    [
        ("torch==1.9.0+cu111\n", "cu111", "requirements.txt:1 asks for torch==1.9.0+cu111"),
        ("numpy\ntensorflow-gpu==2.3.0\n", "", "requirements.txt:2 asks for tensorflow-gpu==2.3.0, which is for GPUs"),
        ("jax[cuda12]\n", "", "requirements.txt:1 asks for jax[cuda12]"),
        ("bitsandbytes\n", "", "requirements.txt:1 asks for bitsandbytes, which is for GPUs"),
        (
            "--extra-index-url https://download.pytorch.org/whl/cu113\ntorch\n",
            "cu113",
            "requirements.txt:1 names PyTorch's index for cu113",
        ),
    ],
)
def test_requirements_are_evidence(requirements: str, backend: str, because: str, tmp_path: Path) -> None:
    """Local versions, packages, extras and indexes for GPUs leave no doubt; the line is named."""
    found = choose_accelerator(read_project(project_of(tmp_path, requirements), None))
    assert (found.name, found.backend, found.because, found.asked) == ("cuda", backend, because, False)


@pytest.mark.parametrize(
    "requirements",
    ["torch\n", "torch==1.9.0+cpu\n", "--extra-index-url https://download.pytorch.org/whl/cpu\ntorch\n", "faiss-cpu\n"],
)
def test_the_cpu_is_the_default(requirements: str, tmp_path: Path) -> None:
    """What runs on both is taken for the CPU."""
    project = read_project(project_of(tmp_path, requirements), None)
    assert choose_accelerator(project).name == "cpu"
    assert project.requirements is not None
    assert project.requirements.options == ()


def test_option_setting_and_evidence_count_in_this_order(tmp_path: Path) -> None:
    """Each outdoes the next; the reason says which it was."""
    folder = project_of(tmp_path, "torch==1.9.0+cu111\n", shipml__toml='accelerator = "cpu"\n')
    project = read_project(folder, None)
    assert choose_accelerator(project).because == "shipml.toml says so"
    found = choose_accelerator(project, "cuda")
    assert (found.name, found.because, found.backend) == ("cuda", "--accelerator says so", "cu111")


def test_a_dockerfile_that_starts_from_cuda_is_evidence(tmp_path: Path) -> None:
    """Also where the tag says it; a comment or another base does not."""
    folder = project_of(tmp_path, "torch\n", Dockerfile="# FROM nvidia/cuda:1\nFROM nvidia/cuda:11.8.0-base AS x\n")
    found = choose_accelerator(read_project(folder, None))
    assert (found.name, found.because) == ("cuda", "Dockerfile:2 starts from nvidia/cuda:11.8.0-base")
    for image, is_sure in (("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", True), ("python:3.11-slim", False)):
        assert bool(find_gpu_uses(tmp_path, [], ("Dockerfile", f"FROM --platform=linux/amd64 {image}\n"))) == is_sure


def test_calls_without_fallback_are_a_hint(tmp_path: Path) -> None:
    """The CPU stays, and it is told where a GPU is taken for granted; a file that asks first is none."""
    (tmp_path / "a.py").write_text("# model.cuda()\nmodel = load()\nmodel.cuda()\n")
    (tmp_path / "b.py").write_text('device = "cuda" if torch.cuda.is_available() else "cpu"\nmodel.to("cuda")\n')
    (tmp_path / "c.py").write_text("x = torch.device('cuda:0')\n")
    cells = [{"cell_type": "code", "source": ["1\n"]}, {"cell_type": "code", "source": ['m.to("cuda")']}]
    (tmp_path / "d.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    assert find_gpu_uses(tmp_path, ["a.py", "b.py", "c.py", "d.ipynb"], ("", "")) == (
        GpuUse("a.py:3", "says .cuda() and does not ask whether there is a GPU"),
        GpuUse("c.py:1", "says device('cuda:0') and does not ask whether there is a GPU"),
        GpuUse("d.ipynb:2", 'says to("cuda") and does not ask whether there is a GPU'),
    )
    project = read_project(project_of(tmp_path, "torch\n"), None)
    assert choose_accelerator(project).name == "cpu"
    hint = gpu_hint(project, "cpu")
    assert hint is not None
    assert hint.because.startswith("a.py:3 says .cuda()")
    assert hint.because.endswith("--accelerator cuda")
    assert gpu_hint(project, "cuda") is None
    assert gpu_hint(without_gpu(project, choose_accelerator(project, "cpu")), "cpu") is None


def test_the_cpu_that_is_asked_for_replaces_packages_and_extras(tmp_path: Path) -> None:
    """Each replacement is a change; what has no counterpart stays."""
    lines = "onnxruntime-gpu==1.16\nfaiss-gpu\njax[cuda12,k8s]==0.4\nnvidia-cublas-cu12==12\ncupy-cuda12x\nfaiss-cpu\n"
    project = read_project(project_of(tmp_path, lines), None)
    declared = without_gpu(project, choose_accelerator(project, "cpu")).requirements
    assert declared is not None
    assert [one.line for one in declared.requirements] == [
        "onnxruntime==1.16",
        "faiss-cpu",
        "jax[k8s]==0.4",
        "cupy-cuda12x",
    ]
    assert [change.value for change in declared.changes] == [
        "onnxruntime-gpu==1.16 → onnxruntime==1.16",
        "faiss-gpu → faiss-cpu",
        "jax[cuda12,k8s]==0.4 → jax[k8s]==0.4",
        "nvidia-cublas-cu12==12 left out",
    ]
    assert without_gpu(project, choose_accelerator(project)) is project


def test_names_are_told_apart() -> None:
    """Packages for GPUs, what they link, and neither."""
    assert all(map(is_for_gpus, ("cupy-cuda12x", "flash-attn", "faiss-gpu-cu12", "nvidia-cudnn-cu12", "cudf-cu12")))
    assert not any(map(is_for_gpus, ("torch", "tensorflow", "faiss-cpu", "onnxruntime", "gputil", "nvidia", "triton")))
    assert all(map(is_gpu_library, ("nvidia-cublas-cu12", "triton", "cuda-toolkit")))
    assert not any(map(is_gpu_library, ("torch", "tritonclient", "pycuda")))
    assert gpu_extras("tensorflow[and-cuda]==2.16.1") == ("and-cuda",)
    assert gpu_extras("jax[cuda12_pip, k8s]") == ("cuda12_pip",)
    assert gpu_extras("uvicorn[standard]") == ()
