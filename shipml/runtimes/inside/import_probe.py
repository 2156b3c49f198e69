"""Runs inside the image, by its own Python (3.7 and later): imports modules and says what came of each.

Started as `python -c SOURCE JSON`, JSON being a list of [module, [member, …]]. Every answer is a line of its own that
begins with the mark, then a JSON object: {"begin": module} before, {"end": module, …} after.
"""

from __future__ import annotations

import importlib
import json
import sys

__all__ = ["MARK", "check", "failure", "main", "say", "telling_line"]

MARK = "\x1eshipml-import "
_TEXT_LIMIT = 500


def say(answer: dict[str, str]) -> None:
    """Print an answer past whatever a module made of sys.stdout."""
    stream = sys.__stdout__
    if stream is not None:
        stream.write("\n" + MARK + json.dumps(answer) + "\n")
        stream.flush()


def telling_line(text: str) -> str:
    """The first line with words: some messages begin with rows of asterisks, or with nothing."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if sum(char.isalpha() for char in line) > 2), "".join(lines[:1]))  # noqa: PLR2004


def failure(error: BaseException) -> dict[str, str]:
    """An exception as an answer's fields."""
    first = telling_line(str(error))
    missing = str(getattr(error, "name", None) or "")
    return {"error": type(error).__name__, "text": first[:_TEXT_LIMIT], "missing": missing}


def check(name: str, members: list[str]) -> dict[str, str]:
    """What `from name import members` comes to; {} if it works."""
    try:
        module = importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001  (whatever a module raises is the answer)
        return failure(error)
    for member in members:
        if member == "*" or hasattr(module, member):
            continue
        try:
            importlib.import_module(f"{name}.{member}")
        except BaseException as error:  # noqa: BLE001
            answer = failure(error)
            if answer["missing"] in {f"{name}.{member}", name}:
                return {"error": "ImportError", "text": f"cannot import name {member!r} from {name!r}", "missing": ""}
            return answer
    return {}


def main(document: str) -> None:
    """Try all that the document names."""
    sys.path.insert(0, "")
    for name, members in json.loads(document):
        say({"begin": name})
        say({"end": name, **check(name, members)})


if __name__ == "__main__":
    main(sys.argv[1])
