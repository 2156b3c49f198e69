"""A RUN's text as simple commands: chains, pipes and redirections as far as no shell is needed to know what they do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from shipml.dockerfile.pip_install import without_redirections
from shipml.dockerfile.ran import RunError

__all__ = ["ShellCommand", "split_commands"]

_SUBSTITUTION = re.compile(r"\$\((?:[^()]|\([^()]*\))*\)|`[^`]*`")
SUBSTITUTED = "$(…)"
_OR = "||"
_HARMLESS_ENDS = frozenset({"true", ":", "echo", "exit"})
"""What may stand after `||`."""


@dataclass(slots=True)
class ShellCommand:
    """A program with its arguments."""

    words: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    """The files that its output goes to."""
    needs_shell: str = ""
    """What of it only a shell could do: "$(…)", "|"; "" for nothing."""

    @property
    def text(self) -> str:
        """It, on one line."""
        return " ".join(self.words)


def split_commands(text: str) -> Iterator[ShellCommand]:
    """The simple commands of `a && b; c || true`.

    Raises:
        RunError: it cannot be split.
    """
    command = ShellCommand()
    is_alternative = False
    tokens = iter(_tokens(text))
    for token in tokens:
        if token.startswith("#"):
            break
        is_or = token == _OR
        if is_or or token in {"&&", ";", ";;"}:
            if command.words:
                yield from _kept(command, is_alternative=is_alternative)
            command, is_alternative = ShellCommand(), is_or
        elif token in {">", ">>", ">|", "&>"}:
            command.written.append(next(tokens, ""))
        elif token and set(token) <= set(";&|<>()`"):
            command.needs_shell = command.needs_shell or token
        else:
            if SUBSTITUTED in token:
                command.needs_shell = command.needs_shell or "$("
            command.words.append(token)
    if command.words:
        yield from _kept(command, is_alternative=is_alternative)


def _kept(command: ShellCommand, *, is_alternative: bool) -> Iterator[ShellCommand]:
    if is_alternative and command.words[0] in _HARMLESS_ENDS:
        return
    if is_alternative:
        command.needs_shell = command.needs_shell or "||"
    yield command


def _tokens(text: str) -> list[str]:
    plain = _SUBSTITUTION.sub(SUBSTITUTED.replace("(", "\x01").replace(")", "\x02"), without_redirections(text))
    lexer = shlex.shlex(plain.replace("\n", " ; "), posix=True, punctuation_chars=";&|<>()`")
    lexer.whitespace_split = True
    lexer.commenters = ""  # it sees them within words, too: the rest would be lost after git+https://…#egg=NAME
    try:
        return [token.replace("\x01", "(").replace("\x02", ")") for token in lexer]
    except ValueError as error:
        raise RunError(f"it cannot be split into words ({str(error).lower()})") from error
