"""Which data the code reads that no package brings: what it names, and what its calls need without naming it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from tomllib import loads
from typing import Any

from shipml.facts.data import DataUse
from shipml.project.code.uses import UNKNOWN, FileUses, Use, UseKind
from shipml.project.text import read_text

__all__ = ["data_knows", "find_data_uses"]

_NLTK_LIST = "nltk.txt"
"""Heroku's file: a package of NLTK's data on each line."""
_NLTK_NAME = re.compile(r"[a-z][a-z0-9_-]{1,40}")
_SPACY = re.compile(r"[a-z]{2,3}_(?:core|dep|ent|sent|udv25)_\w+_(?:sm|md|lg|trf)")
_SPACY_SHORT = {"en": "en_core_web_sm", "de": "de_core_news_sm", "fr": "fr_core_news_sm", "es": "es_core_news_sm"}
_COMMAND = re.compile(
    r"\b(?P<tool>spacy|nltk\.downloader|textblob\.download_corpora)(?:\s+download)?(?P<names>(?:\s+[\w-]+)*)"
)
_REPOSITORY = re.compile(r"(?!\.)[A-Za-z0-9_][\w.-]{0,95}(?:/[\w.-]{1,96})?")
_LOCAL = re.compile(
    r".*\.(?:pt|pth|bin|pkl|h5|json|onnx|safetensors|ckpt|joblib|txt|model|zip|tar|gz)|\.{0,2}/.*", re.IGNORECASE
)
_NAMES_MODEL = (
    "model=",
    "model_name=",
    "model_name_or_path=",
    "pretrained_model_name_or_path=",
    "repo_id=",
    "tokenizer=",
)
_PIPELINE = re.compile(r"transformers\.(?:pipelines\.)?pipeline")
_HUB_ROOTS = frozenset(
    {"transformers", "diffusers", "sentence_transformers", "peft", "tokenizers", "huggingface_hub", "optimum", "timm"}
    | {"adapters", "auto_gptq", "ctransformers", "setfit", "gliner", "keybert", "bertopic", "langchain_huggingface"}
    | {"langchain", "langchain_community", "llama_index"}
)
_SMALL = re.compile(r"(?:Tokenizer|Config|Processor|FeatureExtractor)\w*\.from_pretrained$")
_MOST = 500


@cache
def _table() -> dict[str, Any]:
    return loads(files("shipml.project.data").joinpath("data.toml").read_text(encoding="utf-8"))


@cache
def _wanted() -> re.Pattern[str]:
    table = _table()
    names = [
        r"nltk\.(?:downloader\.)?download|nltk\.data\.(?:load|find)|spacy\.load|spacy\.cli\.download(?:\.download)?",
        r"spacy\.util\.load_model|.*\.from_pretrained|transformers\.(?:pipelines\.)?pipeline|nltk\.corpus\.\w+(?:\..*)?",
        *(re.escape(name).replace(r"\*", ".*") for group in (table["nltk"], table["huggingface"]) for name in group),
        *(re.escape(name).replace(r"\*", ".*") for name in table["other"]),
    ]
    return re.compile("|".join(names))


def data_knows(kind: UseKind, name: str) -> bool:
    """Whether a use of this kind and name may tell of data."""
    if kind == "import":
        return _SPACY.fullmatch(name) is not None
    return (_COMMAND.search if kind == "text" else _wanted().fullmatch)(name) is not None


def find_data_uses(folder: Path, uses: Iterable[FileUses], paths: Collection[str]) -> tuple[DataUse, ...]:
    """The data that the project reads, each name once, where it is first read at the start of a program.

    Args:
        folder: the project.
        uses: of packages, by the code that runs.
        paths: of all the project's files: what is among them is not data of others.
    """
    folders = {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
    found: dict[tuple[str, str], DataUse] = {}
    every = [*_listed(folder), *(one for file in uses for use in file.uses for one in _of(use, file.roots))]
    for one in every[:_MOST]:
        if one.name in folders or one.name in paths:
            continue
        known = found.get((one.kind, one.name))
        found[one.kind, one.name] = one if known is None else _both(known, one)
    return tuple(sorted(found.values()))


def _both(one: DataUse, other: DataUse) -> DataUse:
    """Two uses of the same data: the one at the start of a program, and all that both read."""
    first = other if other.at_start and not one.at_start else one
    read = tuple(sorted({*one.files, *other.files})) if one.files and other.files else ()
    return replace(first, files=read, is_small=one.is_small and other.is_small)


def _listed(folder: Path) -> Iterator[DataUse]:
    for number, line in enumerate((read_text(folder, _NLTK_LIST) or "").splitlines(), start=1):
        for word in line.partition("#")[0].split():
            if _NLTK_NAME.fullmatch(word):
                yield DataUse("nltk", word, f"{_NLTK_LIST}:{number}")


def _of(use: Use, roots: Collection[str]) -> Iterator[DataUse]:
    if use.kind == "text":
        yield from _of_command(use)
    elif use.kind == "import":
        if _SPACY.fullmatch(use.name):
            yield DataUse("spacy", use.name, use.source, use.top_level)
    else:
        for kind, name in _of_call(use, roots):
            revision = next((text[9:] for text in use.arguments if text.startswith("revision=")), "")
            read = tuple(text[9:] for text in use.arguments if text.startswith("filename=") and UNKNOWN not in text)
            is_repository = kind == "huggingface"
            yield DataUse(
                kind,  # type: ignore[arg-type]
                name,
                use.source,
                use.top_level,
                use.name if kind == "other" else "",
                is_repository and _SMALL.search(use.name) is not None,
                revision if is_repository and UNKNOWN not in revision else "",
                read if is_repository else (),
            )


def _of_command(use: Use) -> Iterator[DataUse]:
    """`os.system("python -m spacy download en_core_web_sm")`."""
    for match in _COMMAND.finditer(use.name):
        names = match["names"].split()
        if match["tool"] == "spacy":
            yield from (DataUse("spacy", name, use.source, use.top_level) for name in names if _SPACY.fullmatch(name))
        elif match["tool"] == "nltk.downloader":
            yield from (DataUse("nltk", name, use.source, use.top_level) for name in names if name[0] != "-")
        else:
            brought = _table()["nltk"]["textblob.TextBlob"].split()
            yield from (DataUse("nltk", name, use.source, use.top_level) for name in brought)


def _of_call(use: Use, roots: Collection[str]) -> Iterator[tuple[str, str]]:
    """(kind, name) of what a call, or the mention of a name, reads."""
    table, name = _table(), use.name
    plain = [text for text in use.arguments if "=" not in text and UNKNOWN not in text]
    if re.fullmatch(r"nltk\.(?:downloader\.)?download", name):
        named = [*plain, *(text[12:] for text in use.arguments if text.startswith("info_or_id="))]
        yield from (("nltk", one) for one in named if _NLTK_NAME.fullmatch(one))
    elif re.fullmatch(r"nltk\.data\.(?:load|find)", name):
        parts = [text.removeprefix("nltk:").split("/") for text in plain]
        yield from (("nltk", one[1].removesuffix(".zip")) for one in parts if len(one) > 1)
    elif match := re.fullmatch(r"nltk\.corpus\.(\w+)(?:\..*)?", name):
        yield from (("nltk", one) for one in table["corpora"].get(match[1], "").split())
    elif re.fullmatch(r"spacy\..*", name):
        named = [_SPACY_SHORT.get(one, one) for one in (*plain, *(t[5:] for t in use.arguments if t[:5] == "name="))]
        yield from (("spacy", one) for one in named if _SPACY.fullmatch(one))
    elif name.endswith(".from_pretrained") and name not in table["huggingface"]:
        yield from (("huggingface", one) for one in _repositories(use)[:1] if _HUB_ROOTS & set(roots))
    elif _PIPELINE.fullmatch(name) and use.is_call:
        tasks = [text.removeprefix("task=") for text in use.arguments]
        default = next((table["pipelines"][task] for task in tasks if task in table["pipelines"]), "")
        named = [one for one in _repositories(use) if one not in table["pipelines"]][:1]
        yield from (("huggingface", one) for one in named or ([default] if default and not _has_model(use) else []))
    else:
        yield from _of_table(use)


def _of_table(use: Use) -> Iterator[tuple[str, str]]:
    table, name = _table(), use.name
    for pattern, prefix in table["huggingface"].items():
        if _is(name, pattern) and use.is_call:
            named = _repositories(use)[:1]
            yield from (("huggingface", one if "/" in one else f"{prefix}{one}") for one in named)
            return
    for pattern, brought in table["nltk"].items():
        if _is(name, pattern):
            yield from (("nltk", one) for one in brought.split())
    for pattern, what in table["other"].items():
        if _is(name, pattern) and use.is_call:
            wanted = what.get("arguments", "")
            told = next((t for t in use.arguments if UNKNOWN not in t and re.fullmatch(wanted or ".*", t)), None)
            if told is not None or not wanted:
                yield "other", what["name"].replace("NAME", (told or "").partition("=")[2] or told or "")


def _is(name: str, pattern: str) -> bool:
    return name == pattern or (
        "*" in pattern and re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) is not None
    )


def _has_model(use: Use) -> bool:
    return any(text.startswith(_NAMES_MODEL) for text in use.arguments) or UNKNOWN in use.arguments


def _repositories(use: Use) -> list[str]:
    """Names of repositories among the arguments: those that are called so before the others."""
    called = [text.partition("=")[2] for text in use.arguments if text.startswith(_NAMES_MODEL)]
    plain = [text for text in use.arguments if "=" not in text]
    return [
        one for one in (*called, *plain) if _REPOSITORY.fullmatch(one) and not _LOCAL.fullmatch(one) and one != "None"
    ]
