"""Why a program failed, where the reason lies outside of its image: read from its last words, as a person would.

Only for counting: shipml itself judges runs by exit codes and answers, and this is no part of it.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["outside_reason"]

_REASONS = {
    "no network": r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|getaddrinfo failed|NameResolutionError|Failed to resolve|No address associated|urlopen error|MaxRetryError"
    r"|Could not resolve|couldn't connect to '?https?:|LocalEntryNotFoundError|offline mode",
    "a service does not answer": r"Connection refused|ServerSelectionTimeoutError|could not connect to server"
    r"|OperationalError.*connect|NoBrokersAvailable|Error 111",
    "a credential is missing": r"API[ _-]?key|credentials|kaggle\.json|KeyError: '[A-Z][A-Z0-9_]+'"
    r"|StreamlitSecretNotFound|secrets\.toml|NoCredentialsError|DefaultCredentialsError|AccessDenied"
    r"|must be set|is not set|environment variable",
    "it asks a person": r"EOFError: EOF when reading a line|EOF when reading",
    "it wants a screen, camera or sound": r"no display name|\$DISPLAY|cannot connect to X server"
    r"|could not connect to display|No (?:such )?audio|PortAudio|ALSA lib"
    r"|dsp: No such audio device|can't open camera|VIDEOIO|pygame\.error",
    "it wants arguments": r"the following arguments are required|^Usage: |Missing argument|Missing option",
    "it calls a program of its author's machine": r"returned non-zero exit status 127",
    "the repository lacks its data": r"With n_samples=0|No objects to concatenate|Found array with 0 sample",
    "it wants a GPU": r"No CUDA GPUs|Found no NVIDIA driver|CUDA is not available|Torch not compiled with CUDA",
}  # fmt: skip
_MISSING_FILE = re.compile(
    r"(?:No such file(?: or directory)?|Unable to open file|does not exist|cannot find the file|file not found)[^\n]*?"
    r"['\"](?P<path>[^'\"\n]{1,300})['\"]",
    re.IGNORECASE,
)


_OWN_FAULTS = (
    re.compile(r"ImportError: cannot import name '(?P<what>\w+)' from '\w+' \(/app/"),
    re.compile(r"NameError: name '(?P<what>\w+)' is not defined"),
    re.compile(r"jinja2\.exceptions\.TemplateNotFound: (?P<what>\S+)"),
    re.compile(r"SyntaxError: (?P<what>[^\n]+)"),
    re.compile(r"UnboundLocalError: [^\n]*'(?P<what>\w+)'"),
)
"""What fails wherever the project stands, as it was found."""


def outside_reason(words: str, folder: Path) -> str:
    """What the image lacks that only its surroundings can give; "" where the reason is not of that kind.

    Args:
        words: shipml's judgement, and the end of the program's output.
        folder: the project, to see whether a file that is missing is one of its own.
    """
    for reason, words_of_it in _REASONS.items():
        if re.search(words_of_it, words, re.MULTILINE):
            return reason
    for pattern in _OWN_FAULTS:
        if match := pattern.search(words):
            return f"the project's own fault: {match['what']}"
    for match in _MISSING_FILE.finditer(words):
        name = match["path"].replace("\\", "/").rpartition("/")[2]
        if name and not any(folder.rglob(name.translate(_NO_GLOB))):
            return f"the repository lacks {name}"
    return ""


_NO_GLOB = {ord(character): "?" for character in "[]*"}
