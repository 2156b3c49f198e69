"""The one reader of `pip install …`: in a Dockerfile's RUN, a notebook's cell, or where requirements should be.

Also `uv pip install`, `uv add`, `conda install` and `mamba install`. Nothing is run, and no file is opened.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["PipInstall", "find_pip_installs", "read_pip_install", "without_redirections"]

_FLAGS = frozenset(
    {"--no-cache-dir", "--no-cache", "--upgrade", "-U", "-q", "--quiet", "--system", "--user", "-v", "--verbose"}
    | {"--break-system-packages", "--prefer-binary", "--disable-pip-version-check", "--no-input", "--compile"}
    | {"--ignore-installed", "-I", "--force-reinstall", "--root-user-action=ignore", "--no-warn-script-location"}
    | {"--no-build-isolation", "--pre", "--use-deprecated=legacy-resolver", "--no-progress-bar", "-y", "--yes"}
    | {"--no-python-version-warning", "--no-color", "--compile-bytecode", "--use-pep517", "--no-clean"}
)
"""Options without value that change nothing of what a resolution gives."""
_VALUES = frozenset(
    {"--trusted-host", "--timeout", "--default-timeout", "--retries", "--progress-bar", "--root-user-action", "--cert"}
    | {"--cache-dir", "--only-binary", "--no-binary", "--python", "-p", "--link-mode", "--resume-retries"}
    | {"--upgrade-strategy", "--log", "--proxy"}
)
"""The same with a value."""
_OTHER_VALUES = frozenset(
    {"-t", "--target", "--prefix", "--root", "--platform", "--python-version", "--implementation", "--abi", "--src"}
    | {"--report", "-C", "--config-settings", "--global-option", "--client-cert", "-n", "--name", "--channel"}
    | {"--extra", "--group", "--python-platform"}
)
"""Options with a value that change what is installed, or where."""
_FILES = frozenset({"-r", "--requirement", "--requirements"})
_CONSTRAINTS = frozenset({"-c", "--constraint", "--constraints"})
_EDITABLE = frozenset({"-e", "--editable"})
_INDEXES = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--default-index": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "--index": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
}
_ALL_VALUES = _VALUES | _OTHER_VALUES | _FILES | _CONSTRAINTS | _EDITABLE | _INDEXES.keys()
_PLACE = re.compile(r"\.{1,2}(?:/.*|\[.*)?|[./~].*|(?!\w+\+)[^@]*\.(?:whl|tar\.gz|zip)(?:\[.*)?")
_PIECE = re.compile(
    r"\d?>&\d|&>>?|'[^']*'|\"(?:\\.|[^\"\\])*\"|(?P<end>&&|\|\||[;|&\n])|\\.|[^'\"&|;\\\n>\d]+|.", re.DOTALL
)
_SILENCED = re.compile(r"(?<![\w.])\d?>{1,2}\s*&\d|(?:(?<!\S)\d|&)?>{1,2}\s*/dev/null(?!\S)")
_REDIRECTED = re.compile(r"(?<!\S)(?:\d|&)?>{1,2}\s*[^\s\d=\"'][^\s]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=\S*")
_PYTHON = re.compile(r"(?:.*/)?(?:py|python[\d.]*|\{?sys\.executable\}?)(?:\.exe)?", re.IGNORECASE)
_PIP = re.compile(r"(?:.*/)?pip[\d.]*", re.IGNORECASE)
_CONDA = re.compile(r"(?:.*/)?(?:conda|mamba|micromamba)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PipInstall:
    """What one command asks for, each part in the order in which it is written."""

    requirements: tuple[str, ...] = ()
    """Names, ranges and URLs."""
    places: tuple[str, ...] = ()
    """Folders and archives of this machine."""
    editable: tuple[str, ...] = ()
    """Folders or URLs after -e."""
    files: tuple[str, ...] = ()
    """After -r."""
    constraints: tuple[str, ...] = ()
    """Files after -c; of conda they are channels."""
    index_options: tuple[str, ...] = ()
    """As a requirements file takes them: `--extra-index-url URL`."""
    others: tuple[str, ...] = ()
    """Options that change what is installed or where, or that nobody knows: `--no-deps`."""
    lacking: str = ""
    """The option at the end that lacks its value."""
    text: str = field(default="", compare=False)
    """The command as it is written."""


def find_pip_installs(text: str) -> list[PipInstall]:
    """The installations among the commands of a shell line; output that is redirected is left out of them.

    Args:
        text: `!pip install -q a b > /dev/null 2>&1 && echo done`, with or without `RUN`, `!` or `%` in front.
    """
    found = []
    for command in _commands(text):
        try:
            words = shlex.split(_REDIRECTED.sub("", without_redirections(command)))
        except ValueError:  # an open quotation
            words = [word.strip("\"'") for word in command.split()]
        rest = _installed_words(words)
        if rest is not None:
            found.append(read_pip_install(rest, text=command.strip()))
    return found


def without_redirections(text: str) -> str:
    """A shell line without `> /dev/null` and `2>&1`."""
    return _SILENCED.sub("", text)


def read_pip_install(words: Sequence[str], *, text: str = "") -> PipInstall:
    """What the words after `pip install` say."""
    parts: dict[str, list[str]] = {}
    queue = [word for word in _without_repetition(words) if word != "\\"]
    lacking = ""
    while queue:
        word = queue.pop(0)
        if word.startswith("#"):
            break
        if not word.startswith("-") or word == "-":
            parts.setdefault("places" if _PLACE.fullmatch(word) else "requirements", []).append(word)
            continue
        name, has_value, value = _split(word)
        if name in _ALL_VALUES and not has_value:
            if not queue:
                lacking = name
                break
            value = queue.pop(0)
        kind, shown = _kind(word, name, value)
        if kind:
            parts.setdefault(kind, []).append(shown)
    return PipInstall(lacking=lacking, text=text, **{kind: tuple(found) for kind, found in parts.items()})


def _split(word: str) -> tuple[str, bool, str]:
    """An option's name, whether its value stands in the same word, and that: `-rfile`, `--requirement=file`."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, bool(equals), value
    if word[:2] in _ALL_VALUES:
        return word[:2], len(word) > 2, word[2:].removeprefix("=")  # noqa: PLR2004  (a dash and a letter)
    return word, False, ""


def _kind(word: str, name: str, value: str) -> tuple[str, str]:
    """Where an option belongs, and how it is kept there; "" for what changes nothing."""
    for kind, names in (("files", _FILES), ("constraints", _CONSTRAINTS), ("editable", _EDITABLE)):
        if name in names:
            return kind, value
    if name in _INDEXES:
        return "index_options", f"{_INDEXES[name]} {value}"
    is_letters = not word.startswith("--") and all(f"-{letter}" in _FLAGS for letter in word[1:])  # -qU
    return ("", "") if word in _FLAGS or name in _VALUES or is_letters else ("others", name)


def _commands(text: str) -> list[str]:
    """The commands of a chain, as they are written."""
    commands = [""]
    for piece in _PIECE.finditer(text):
        if piece["end"]:
            commands.append("")
        else:
            commands[-1] += piece[0]
    return commands


def _installed_words(words: Sequence[str]) -> list[str] | None:
    """What follows `pip install`; None for another command."""
    rest = list(words)
    if rest and rest[0].upper() == "RUN":
        del rest[0]
    if rest:
        rest[0] = rest[0].lstrip("!%$>")
    rest = [*filter(None, rest[:1]), *rest[1:]]
    while rest and (rest[0] in {"sudo", "-H", "exec"} or _ASSIGNMENT.fullmatch(rest[0])):
        del rest[0]
    if rest and _PYTHON.fullmatch(rest[0]):
        at = next((number for number, word in enumerate(rest[1:], start=1) if word == "-m"), 0)
        rest = rest[at + 1 :] if at else []
    if rest[:1] == ["uv"]:
        rest = ["pip", "install", *rest[2:]] if rest[1:2] == ["add"] else rest[1:]
    if not rest or not (_PIP.fullmatch(rest[0]) or _CONDA.fullmatch(rest[0])):
        return None
    action = next((number for number, word in enumerate(rest[1:], start=1) if not word.startswith("-")), 0)
    if not action or rest[action].lower() not in {"install", "add"}:
        return None
    return [*rest[1:action], *rest[action + 1 :]]


def _without_repetition(words: Sequence[str]) -> list[str]:
    """The words without a second `pip install` among them, which pip would take for two packages."""
    repeated = {
        at + offset
        for at, (word, following) in enumerate(itertools.pairwise(words))
        if _PIP.fullmatch(word) and following == "install"
        for offset in (0, 1)
    }
    return [word for at, word in enumerate(words) if at not in repeated]
