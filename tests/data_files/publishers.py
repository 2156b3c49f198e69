"""Stand-ins for those who publish data: small data, the real protocols, on one loopback port."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.package_index import make_wheel
from tests.peers.small_server import Asked, Reply, SmallServer, serve

__all__ = ["COMMIT", "environment", "serve_publishers", "zipped"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = b"weights" * 1000


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _nltk() -> dict[str, bytes]:
    packages = {
        ("corpora", "stopwords"): zipped({"stopwords/": b"", "stopwords/english": b"the\na\nof\n"}),
        ("tokenizers", "punkt"): zipped({"punkt/english.pickle": b"?"}),
        ("tokenizers", "punkt_tab"): zipped({"punkt_tab/english/collocations.tab": b"?"}),
        ("corpora", "evil"): zipped({"../../../etc/passwd": b"?"}),
    }
    index = "".join(
        f'<package id="{name}" subdir="{folder}" unzip="1" size="{len(data)}" checksum="{_md5(data)}"/>'
        for (folder, name), data in packages.items()
    )
    index += '<package id="torn" subdir="corpora" unzip="1" size="1" checksum="00"/>'
    collection = '<collection id="small"><item ref="stopwords" /><item ref="punkt"/></collection>'
    return {
        "/index.xml": f"<nltk_data><packages>{index}</packages>{collection}</nltk_data>".encode(),
        "/packages/corpora/torn.zip": b"x",
        **{f"/packages/{folder}/{name}.zip": data for (folder, name), data in packages.items()},
    }


def _hub() -> dict[str, bytes]:
    files = {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "model.safetensors": WEIGHTS,
        "pytorch_model.bin": b"old",
        "tf_model.h5": b"tf",
        "onnx/model.onnx": b"onnx",
        "README.md": b"#",
    }
    siblings = [
        {
            "rfilename": name,
            "size": len(data),
            **({"lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}} if len(data) > 100 else {}),
        }
        for name, data in files.items()
    ]
    answer = json.dumps({"sha": COMMIT, "siblings": [*siblings, {"rfilename": "../escape", "size": 1}]}).encode()
    return {
        "/api/models/acme/tiny/revision/main?blobs=true": answer,
        **{f"/acme/tiny/resolve/{COMMIT}/{name}": data for name, data in files.items()},
    }


def _spacy() -> dict[str, bytes]:
    _, wheel = make_wheel("en_core_web_sm", "3.7.1")
    stem = "en_core_web_sm-3.7.1"
    table = {"spacy": {"3.7": {"en_core_web_sm": ["3.7.0", "3.7.1"]}}}
    return {
        "/compatibility.json": json.dumps(table).encode(),
        f"/{stem}/{stem}-py3-none-any.whl": wheel,
    }


@contextmanager
def serve_publishers() -> Iterator[SmallServer]:
    """All of them."""
    known = _nltk() | _hub() | _spacy()

    def answer(asked: Asked) -> Reply:
        body = known.get(asked.path)
        return Reply(404) if body is None else Reply(body=body)

    with serve(answer) as server:
        yield server


def environment(url: str) -> dict[str, str]:
    """The variables that name them."""
    return {"SHIPML_NLTK_DATA_URL": url, "SHIPML_SPACY_MODELS_URL": url, "HF_ENDPOINT": url}
