"""Packages that exist for GPUs and without: what they are called, and what stands for what."""

from __future__ import annotations

import re

__all__ = ["CPU_NAMES", "CPU_TWINS", "PYTORCH_BUILDS", "gpu_extras", "is_cuda", "is_for_gpus", "is_gpu_library"]

PYTORCH_BUILDS = ("torch", "torchvision", "torchaudio")
"""What PyTorch's own index has a build of for each accelerator; all of one resolution must be of the same."""
CPU_TWINS = {"tensorflow": "tensorflow-cpu", "xgboost": "xgboost-cpu"}
"""The same release of the same modules without what only a GPU can use."""
CPU_NAMES = {
    "tensorflow-gpu": "tensorflow",
    "onnxruntime-gpu": "onnxruntime",
    "faiss-gpu": "faiss-cpu",
    "faiss-gpu-cu11": "faiss-cpu",
    "faiss-gpu-cu12": "faiss-cpu",
}
"""Where the CPU is asked for: what has the same modules."""
_FOR_GPUS = re.compile(
    r"tensorflow-gpu|onnxruntime-gpu|cupy(?:-cuda\w+)?|faiss-gpu(?:-cu\d+)?|bitsandbytes|flash-attn|nvidia-[\w-]+"
    r"|xformers|vllm|deepspeed|auto-gptq|autoawq|tensorrt(?:-[\w-]+)?|torch-tensorrt|pycuda|(?:cudf|cuml|cugraph)-cu\d+"
    r"|spacy-cuda[\w-]+|dgl-cu\d+|mxnet-cu\d+|paddlepaddle-gpu|cudatoolkit|cudnn|pytorch-cuda|pytorch-gpu|keras-gpu"
    r"|py-xgboost-gpu"
)
_LIBRARY = re.compile(r"nvidia-[\w-]+|cuda-[\w-]+|triton|pytorch-triton")
_EXTRA = re.compile(r"and-cuda|(?:.*-)?cuda\d*(?:[_-][\w-]+)?|gpu|cu\d+", re.IGNORECASE)
_CUDA = re.compile(r"cu\d{2,3}")


def is_for_gpus(name: str) -> bool:
    """Whether who asks for this distribution (normalised) means a GPU of NVIDIA's."""
    return _FOR_GPUS.fullmatch(name) is not None


def is_gpu_library(name: str) -> bool:
    """Whether a distribution (normalised) holds nothing but what packages for GPUs link or call."""
    return _LIBRARY.fullmatch(name) is not None


def is_cuda(build: str) -> bool:
    """Whether a local version segment, or a part of PyTorch's index, is one for GPUs: "cu111"."""
    return _CUDA.fullmatch(build) is not None


def gpu_extras(text: str) -> tuple[str, ...]:
    """The extras in a requirement that mean a GPU: `and-cuda` of `tensorflow[and-cuda]==2.16.1`, sorted."""
    match = re.match(r"[\w.-]+\s*\[([^\]]*)\]", text)
    extras = [extra.strip() for extra in match[1].split(",")] if match else []
    return tuple(sorted(extra for extra in extras if _EXTRA.fullmatch(extra)))
