"""Runs inside the image, by its own Python (3.7 and later): imports modules and says what came of each.

Started as `python -c SOURCE JSON`, JSON being a list of [module, [member, …]]. Every answer is a line of its own that
begins with the mark, then a JSON object: {"begin": module} before, {"end": module, …} after.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys

__all__ = ["MARK", "check", "failure", "main", "say", "telling_line"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

MARK = "\x1eshipml-import "
_TEXT_LIMIT = 500
_CAUSES = 4
_OWNERS: dict[str, dict[str, str]] = {}


def say(answer: dict[str, object]) -> None:
    """Print an answer past whatever a module made of sys.stdout."""
    stream = sys.__stdout__
    if stream is not None:
        stream.write("\n" + MARK + json.dumps(answer) + "\n")
        stream.flush()


def telling_line(text: str) -> str:
    """The first line with words: some messages begin with rows of asterisks, or with nothing."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if sum(char.isalpha() for char in line) > 2), "".join(lines[:1]))  # noqa: PLR2004


def failure(error: BaseException, missing: str | None = None) -> dict[str, object]:
    """An exception as an answer's fields; `missing` is its own name unless it is given."""
    first = telling_line(str(error))
    missing = str(getattr(error, "name", None) or "") if missing is None else missing
    try:
        traces = [trace(one) for one in causes(error)]
    except Exception:  # noqa: BLE001  (an exception can be any object: the answer counts without it)
        traces = []
    return {"error": type(error).__name__, "text": first[:_TEXT_LIMIT], "missing": missing, "traces": traces}


def causes(error: BaseException) -> list[BaseException]:
    """An exception and those that led to it, the last one first."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found and len(found) < _CAUSES:
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found


def trace(error: BaseException) -> dict[str, object]:
    """The packages whose code an exception came through, outermost first, and those that it names itself."""
    packages: list[str] = []
    frame = error.__traceback__
    last = None
    while frame is not None:
        name = package_of(frame.tb_frame.f_code.co_filename)
        if name and packages[-1:] != [name]:
            packages.append(name)
        last, frame = frame, frame.tb_next
    modules = [*named_modules(error), *(called_modules(str(error), last.tb_frame) if last is not None else ())]
    named = [name for module in modules for name in [package_of_module(module)] if name]
    return {
        "error": type(error).__name__,
        "text": str(error).strip()[:_TEXT_LIMIT],
        "packages": packages,
        "named": list(dict.fromkeys(named)),
    }


def named_modules(error: BaseException) -> list[str]:
    """The modules that lack what an exception is about: by its own attributes, not by its words."""
    found = []
    if isinstance(error, ImportError) and error.name:
        found.append(error.name)
    if isinstance(error, AttributeError) and hasattr(error, "obj"):
        thing = error.obj  # since Python 3.10
        owner = getattr(thing, "__module__", None) or type(thing).__module__
        found.append(thing.__name__ if isinstance(thing, type(sys)) else owner)
    match = re.match(r"(?:partially initialized )?module '([\w.]+)' has no attribute", str(error))
    return found + ([match.group(1)] if match else [])


def called_modules(text: str, frame: FrameType) -> list[str]:
    """The modules of the function that a call did not fit: what Python says names it, the frame knows it."""
    match = re.match(r"([\w.<>]+)\(\) (?:got|missing|takes)", text)
    if match is None:
        return []
    parts = match.group(1).split(".")
    wanted = {parts[0], parts[-1]} - {"__init__"}  # Python before 3.10 says __init__ alone: then nothing is known
    things = list({**frame.f_globals, **frame.f_locals}.values())
    things += [vars(one)[name] for one in things if isinstance(one, type(sys)) for name in wanted if name in vars(one)]
    return [
        str(thing.__module__)
        for thing in things
        if callable(thing) and getattr(thing, "__name__", "") in wanted and getattr(thing, "__module__", None)
    ]


def package_of_module(name: str) -> str:
    """The package that an installed module comes from; of one that is not there, that of what is above it."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        for folder in site_folders():
            for path in ("/".join(parts[:count]) + ".py", "/".join(parts[:count]) + "/__init__.py"):
                if os.path.exists(os.path.join(folder, path)):
                    return package_of(os.path.join(folder, path))
        loaded = getattr(sys.modules.get(".".join(parts[:count])), "__file__", None)
        if loaded:
            return package_of(loaded)
    return ""


def package_of(path: str) -> str:
    """The installed package that a file belongs to (its RECORD says so); "" where it is none of these."""
    for folder in site_folders():
        if path.startswith(folder + "/"):
            return owners(folder).get(path[len(folder) + 1 :], "")
    return ""


def site_folders() -> list[str]:
    """Where packages are installed."""
    return [one for one in sys.path if one.endswith("-packages")]


def owners(folder: str) -> dict[str, str]:
    """Each file of the packages in a folder, and the package."""
    if folder not in _OWNERS:
        found = _OWNERS[folder] = {}
        for name in os.listdir(folder):
            record = os.path.join(folder, name, "RECORD")
            if name.endswith(".dist-info") and os.path.exists(record):
                package = re.sub(r"[-_.]+", "-", name.split("-")[0]).lower()
                with open(record, encoding="utf-8", errors="replace") as lines:
                    found.update((line.rsplit(",", 2)[0].strip('"'), package) for line in lines)
    return _OWNERS[folder]


def check(name: str, members: list[str]) -> dict[str, object]:
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
                text = f"cannot import name {member!r} from {name!r}"
                return failure(ImportError(text, name=name, path=getattr(module, "__file__", None)), missing="")
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
