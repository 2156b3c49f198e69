"""Data that code reads and no package brings: corpora, language models, weights from a hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from shipml.oci.digest import Digest

__all__ = ["HUB_HOME", "NLTK_HOME", "DataFile", "DataKind", "DataOutcome", "DataPin", "DataUse"]

NLTK_HOME = "/opt/nltk_data"
HUB_HOME = "/opt/huggingface"
"""Where each kind lies in an image; NLTK_DATA and HF_HOME say so."""

DataKind: TypeAlias = Literal["nltk", "spacy", "huggingface", "other"]


@dataclass(frozen=True, slots=True, order=True)
class DataUse:
    """A name of data in the project's code."""

    kind: DataKind
    name: str
    """As its publisher calls it: `stopwords`, `en_core_web_sm`, `distilbert/distilbert-base-uncased`."""
    source: str
    """`FILE:LINE` of what reads it."""
    at_start: bool = True
    """Whether it is read when its file is imported: not only in functions."""
    what: str = ""
    """Of another kind: what is called there."""
    is_small: bool = False
    """Of a repository: whether its tokenizer and settings alone are read."""
    revision: str = ""
    """Of a repository, where the code names one: a branch, tag or commit."""
    files: tuple[str, ...] = ()
    """Of a repository: those alone that are read; () for what its libraries load."""

    @property
    def title(self) -> str:
        """For people: `NLTK's stopwords`."""
        owner = {"nltk": "NLTK's ", "spacy": "spaCy's model ", "huggingface": "Hugging Face's ", "other": ""}[self.kind]
        return f"{owner}{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class DataFile:
    """One file of data in the image."""

    path: str
    """Absolute."""
    url: str = field(repr=False)
    digest: Digest
    size_bytes: int
    unpacks: bool = False
    """Whether it is a zip archive whose content lies in the folder of `path`, instead of it."""
    text: str = ""
    """The content itself, where nothing was fetched."""


@dataclass(frozen=True, slots=True, order=True)
class DataPin:
    """Data that is in the image: fetched, hashed, and kept by the store."""

    kind: str
    """One of DataKind."""
    name: str
    because: str
    """A clause: what reads it."""
    files: tuple[DataFile, ...]
    revision: str = ""
    """Of the publisher: a commit; "" where it has none."""

    @property
    def size_bytes(self) -> int:
        """Of all its files, as they were downloaded."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class DataOutcome:
    """What came of the data that the code reads."""

    pins: tuple[DataPin, ...] = ()
    """Sorted."""
    planned: tuple[tuple[DataUse, int], ...] = ()
    """What a build would fetch, and its size in bytes (0 where it is not known)."""
    missing: tuple[tuple[DataUse, str, str], ...] = ()
    """What is not in the image: why, a clause; and the command that gets it."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables by which its readers find it, sorted by name."""
