"""Repositories of the Hugging Face Hub, in the layout of its own cache: a snapshot for a commit, and what `main` is."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from shipml.data_files.publisher import Absent, Publisher, Sized, why
from shipml.errors import ShipmlError, UntrustedInputError
from shipml.facts.data import HUB_HOME, DataFile, DataPin, DataUse
from shipml.oci.digest import Digest
from shipml.text import size_text

__all__ = ["hub_pin"]

_DEFAULT = "https://huggingface.co"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NOT_READ = (
    *(
        "*.msgpack",
        "*.ot",
        "*.tflite",
        "*.gguf",
        "*.mlmodel",
        "*.onnx",
        "*.onnx_data",
        "onnx/*",
        "openvino/*",
        "coreml/*",
    ),
    *("original/*", "*.md", ".gitattributes", "*.png", "*.jpg", "*.jpeg", "*.gif", "*.mp4", "*.pdf", "LICENSE*"),
    *("runs/*", "*.tfevents*", "optimizer.pt", "scheduler.pt", "rng_state*.pth"),
)
"""Of other frameworks than those of Python, and what is for people."""
_WEIGHTS = ("*.safetensors", "*.bin", "*.h5", "*.pt", "*.pth", "*.ckpt")
_OLD_WEIGHTS = ("pytorch_model*.bin", "*.ckpt", "model*.pt", "diffusion_pytorch_model*.bin")
"""Pickles, where the same weights are there as safetensors."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of a repository."""

    name: str
    size_bytes: int
    digest: Digest | None
    """Of large files."""


def hub_pin(use: DataUse, publisher: Publisher, versions: Mapping[str, str]) -> DataPin | Sized | Absent:
    """The files of a repository that its libraries load."""
    base = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _DEFAULT
    key = json.dumps(["hub", use.name, use.revision, use.files, use.is_small, "torch" in versions, base])
    if (kept := publisher.kept(key)) is not None:
        return replace(kept, because=f"{use.source} reads it")
    command = f"hf download {use.name} --local-dir models/{use.name.rpartition('/')[2]}, and read it from there"
    revision = use.revision or "main"
    try:
        url = f"{base}/api/models/{quote(use.name)}/revision/{quote(revision, safe='')}?blobs=true"
        commit, entries = _read(publisher.read(url), use.name)
        wanted = _chosen(entries, use, has_torch="torch" in versions)
        size_bytes = sum(one.size_bytes for one in wanted)
        if size_bytes > publisher.most_bytes:
            return Absent(f"{size_text(size_bytes)} are too much for an image", command)
        if publisher.to_look:
            return Sized(size_bytes)
        folder = f"{HUB_HOME}/hub/models--{use.name.replace('/', '--')}"
        files = [
            _fetched(one, f"{base}/{use.name}/resolve/{commit}", f"{folder}/snapshots/{commit}", publisher)
            for one in wanted
        ]
    except ShipmlError as error:
        return Absent(why(error), command)
    if not _COMMIT.fullmatch(revision):
        files.append(_reference(f"{folder}/refs/{revision}", commit))
    return publisher.keep(key, DataPin("huggingface", use.name, f"{use.source} reads it", tuple(sorted(files)), commit))


def _reference(path: str, commit: str) -> DataFile:
    return DataFile(path, "", Digest.of(commit.encode()), len(commit), text=commit)


def _read(body: bytes, name: str) -> tuple[str, list[_Entry]]:
    """(commit, files) of what the Hub answered.

    Raises:
        UntrustedInputError: it is not such an answer.
    """
    try:
        document: dict[str, Any] = json.loads(body)
        commit = document["sha"]
        entries = [_entry(one) for one in document["siblings"]]
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise UntrustedInputError(f"what is said of {name} is not what the Hugging Face Hub says") from error
    if not _COMMIT.fullmatch(str(commit)):
        raise UntrustedInputError(f"the commit of {name} is not one that the Hugging Face Hub has")
    return commit, [one for one in entries if _is_safe(one.name)]


def _entry(document: Mapping[str, Any]) -> _Entry:
    large = document.get("lfs") or {}
    sha256 = str(large.get("sha256", ""))
    size_bytes = int(large.get("size") or document.get("size") or 0)
    return _Entry(str(document["rfilename"]), size_bytes, Digest(sha256) if _SHA256.fullmatch(sha256) else None)


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    return bool(name) and not name.startswith("/") and not {"", ".", ".."} & set(parts) and name.isprintable()


def _chosen(entries: Sequence[_Entry], use: DataUse, *, has_torch: bool) -> list[_Entry]:
    """What is read of a repository: named files alone, else one set of weights and all that is small."""
    if use.files:
        return [one for one in entries if one.name in use.files]
    kept = [one for one in entries if not _is(one.name, _NOT_READ)]
    if use.is_small:
        return [one for one in kept if not _is(one.name, _WEIGHTS)]
    names = {one.name for one in kept}
    if "tf_model.h5" in names and not has_torch:
        return [one for one in kept if one.name == "tf_model.h5" or not _is(one.name, _WEIGHTS)]
    kept = [one for one in kept if not one.name.endswith(".h5")]
    folders = {name.rpartition("/")[0] for name in names if name.endswith(".safetensors")}
    return [
        one
        for one in kept
        if not (one.name.rpartition("/")[0] in folders and _is(one.name.rpartition("/")[2], _OLD_WEIGHTS))
    ]


def _is(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _fetched(entry: _Entry, base: str, folder: str, publisher: Publisher) -> DataFile:
    url = f"{base}/{quote(entry.name)}"
    digest, size_bytes = publisher.fetch(url, entry.digest, entry.size_bytes if entry.digest else None)
    return DataFile(f"{folder}/{entry.name}", url, digest, size_bytes)
