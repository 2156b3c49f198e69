"""Shell scripts that only write Streamlit's settings (`setup.sh` of many Procfiles): read, never run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from shipml.facts.plan import ApplicationFile
from shipml.project.text import read_any_text

__all__ = ["find_streamlit_setups"]

_LIMIT_BYTES = 64 << 10


def find_streamlit_setups(folder: Path, files: Sequence[ApplicationFile]) -> tuple[str, ...]:
    """Paths of the scripts in `files` that make a folder `.streamlit` and write files into it, and do nothing else.

    What they install with pip does not count: the image has what its program imports.
    """
    found = []
    for file in files:
        if file.kind != "file" or not file.path.endswith(".sh") or file.size_bytes > _LIMIT_BYTES:
            continue
        text = read_any_text(folder, file.path)
        if text is not None and _only_writes_settings(text[0]):
            found.append(file.path)
    return tuple(sorted(found))


def _only_writes_settings(text: str) -> bool:
    joined = text.replace("\\\n", " ")
    commands = [one.strip() for one in _split(joined)]
    return ".streamlit" in text and all(_is_harmless(one) for one in commands if one and not one.startswith("#"))


def _split(text: str) -> list[str]:
    """Commands of a script: lines and what `;` and `&&` part, quotation marks heeded."""
    parts = re.findall(r"(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|(?<!&)&(?!&)|[^'\"\\;&\n])+", text, flags=re.DOTALL)
    return [str(part) for part in parts]


def _is_harmless(command: str) -> bool:
    words = command.split()
    if words[0] in {"mkdir", "touch"}:
        return all(word.startswith("-") or ".streamlit" in word for word in words[1:])
    if words[0] in {"echo", "printf", "cat"}:
        return re.search(r">>?\s*\"?[^\s\"]*\.streamlit/[^\s\"]+\"?\s*$", command) is not None and "`" not in command
    return words[0] == "set" or words[:2] in (["pip", "install"], ["pip3", "install"])
