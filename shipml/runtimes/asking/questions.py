"""What is asked of a server once it answers: a first visit, then the user's requests; the first that fails ends it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shipml.errors import ConfigurationError
from shipml.facts.plan import SmokeCheck
from shipml.runtimes.asking.client import Answer, Client, LateError
from shipml.runtimes.asking.predict import predict
from shipml.runtimes.asking.visits import FIRST_VISIT, first_visit
from shipml.store.evidence import Finding

__all__ = ["Question", "Questions", "questions"]

_END_SECONDS = 1.0
"""A program whose end broke the connection is seen to end within this time."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask."""

    what: str
    ask: Callable[[Client, Answer], Finding | None]
    """Takes the server's first good answer, too; None where there is nothing to say."""
    is_demanded: bool
    """Whether a broken connection fails it."""


def questions(
    check: SmokeCheck, variables: Mapping[str, str], is_found: Callable[[str, str], bool]
) -> tuple[Question, ...]:
    """Those of a check.

    Args:
        check: what is demanded.
        variables: of the run.
        is_found: whether a regular expression is found in a text.
    """
    visit = (Question(FIRST_VISIT, first_visit, is_demanded=False),) if check.visit else ()
    asked = (
        Question(one.what, lambda client, _, one=one: predict(client, one, variables, is_found), is_demanded=True)  # type: ignore[misc]
        for one in check.requests
    )
    return (*visit, *asked)


class Questions:
    """Asks one after the other, in the caller's thread; others may look at how far it is."""

    def __init__(self, asked: Sequence[Question]) -> None:
        """With what is to be asked."""
        self.findings: list[Finding] = []
        self.current = ""
        """What is being asked; "" before and after."""
        self.is_done = not asked
        """Whether nothing is left to ask."""
        self._asked = tuple(asked)

    def ask(self, client: Client, first: Answer, stopped: threading.Event) -> None:
        """Ask all, until one fails, `stopped` is set, or the client's time is over."""
        for question in self._asked:
            self.current = question.what
            try:
                finding = question.ask(client, first)
            except LateError:
                return
            except ConfigurationError as error:
                finding = Finding(question.what, False, f"{question.what} cannot be judged: {error.message}")
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, TimeoutError) or stopped.wait(_END_SECONDS):
                    return
                finding = _broken(question, error)
            except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
                # The program decides what it answers: a shape that its framework never has is no fault of shipml's.
                finding = _unreadable(question)
            if finding is not None:
                self.findings.append(finding)
                if finding.passed is False:
                    break
        self.current, self.is_done = "", True


def _unreadable(question: Question) -> Finding:
    passed = False if question.is_demanded else None
    return Finding(question.what, passed, f"{question.what}: the answer cannot be read")


def _broken(question: Question, error: Exception) -> Finding:
    said = str(error) or type(error).__name__
    passed = False if question.is_demanded else None
    return Finding(question.what, passed, f"{question.what} got no answer: the connection broke ({said})")
