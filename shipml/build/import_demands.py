"""What an import wants that an image cannot bring by itself: data, a credential, a variable, a service that answers.

Nothing is wrong with the packages then, and no other version helps: it is said as what it is, and the image is good.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Demand", "demand_of"]

_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "AttributeError", "SyntaxError", "crash", "time"})
"""What the packages themselves are at fault for; never a demand."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What is wanted, and how it is given."""

    wants: str
    """A noun phrase."""
    remedy: str


_LATER = "connect when the first request comes, not while modules are imported"
_NO_ANSWER = (
    r"(?i)connection refused|name resolution|name or service not known|getaddrinfo|max retries exceeded|timed out"
    r"|could not connect|no route to host|network is unreachable|urlopen error|failed to establish a new connection"
)
_PATTERNS: tuple[tuple[str, str, str], ...] = (
    (
        r"kaggle\.json|KAGGLE_USERNAME|KAGGLE_KEY|KAGGLE_API_TOKEN",
        "a credential of Kaggle",
        "give it to the container, not to the image: -e KAGGLE_USERNAME -e KAGGLE_KEY",
    ),
    (
        r"Resource '?(?P<name>[\w.-]+)'? not found|nltk\.download\(['\"](?P<other>[\w.-]+)",
        "NLTK's {name}",
        "get it into the project's folder: python -m nltk.downloader -d nltk_data {name}",
    ),
    (
        r"\[E050\] Can't find model '(?P<name>[\w.-]+)'",
        "spaCy's model {name}",
        "add its package to the requirements",
    ),
    (
        r"MissingCorpusError|textblob\.download_corpora|Looks like you are missing some required data",
        "the corpora of TextBlob",
        "get them into the project's folder: python -m nltk.downloader -d nltk_data brown punkt_tab wordnet",
    ),
    (
        r"huggingface\.co|LocalEntryNotFound|We couldn't connect to|OfflineModeIsEnabled",
        "files of the Hugging Face Hub",
        "put them into the project and read them from there: hf download NAME --local-dir models/NAME",
    ),
    (
        r"(?i)\b(?:api[_ -]?key|access[_ -]?key|auth[_ -]?token|credentials?|client_secret)\b",
        "a credential",
        "give it to the container when it runs: -e NAME",
    ),
    (_NO_ANSWER, "a service that answers while it is imported", _LATER),
    (
        r"\$?DISPLAY\b|no display name|cannot connect to X server|headless",
        "a display, which no image has",
        "choose a backend that draws into files: matplotlib.use('Agg')",
    ),
)
_OF_NETWORK = re.compile(r"(?:Connection|Timeout|URL|HTTP|OperationalError|ServerSelection|gaierror|NoBrokers)\w*")
_FILE = re.compile(r"No such file or directory: ?['\"](?P<name>[^'\"]+)['\"]")


def demand_of(error: str, text: str, module: str = "") -> Demand | None:
    """What an exception asks for; None where it is a fault of packages, or says nothing of that kind.

    Args:
        error: the class of the exception.
        text: its telling line.
        module: what was imported.
    """
    if error in _IMPORT_ERRORS:
        return None
    if module.partition(".")[0] == "kaggle":  # it signs in when it is imported, and ends the program where it cannot
        return Demand(_PATTERNS[0][1], _PATTERNS[0][2])
    return _by_words(error, text) or _by_class(error, text)


def _by_words(error: str, text: str) -> Demand | None:
    for pattern, wants, remedy in _PATTERNS:
        if match := re.search(pattern, f"{error}: {text}"):
            name = next((one for one in match.groups() if one), "")
            return Demand(wants.format(name=name), remedy.format(name=name))
    return None


def _by_class(error: str, text: str) -> Demand | None:
    if error == "KeyError" and re.fullmatch(r"'[A-Z][A-Z0-9_]{2,}'", text):
        name = text.strip("'")
        return Demand(f"the variable {name}", f"give it to the container when it runs: -e {name}=VALUE")
    if error == "FileNotFoundError" and (match := _FILE.search(text)):
        return Demand(f"the file {match['name']}", "put it into the project, or mount it where the container runs")
    return Demand("a service that answers while it is imported", _LATER) if _OF_NETWORK.match(error) else None
