"""Code that opens windows: no image has a display, and what needs one fails there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from shipml.project.code.uses import FileUses, UseKind

__all__ = ["displays_know", "find_displays"]

_BACKENDS = re.compile(r"(?:backend=)?(?:(?:tk|qt5?|qt4|gtk3?|gtk4|wx|macosx|osx)(?:agg|cairo)?)", re.IGNORECASE)
_DRAWS_INTO_FILES = "matplotlib.use('Agg') draws into files"
_CALLS = {
    "matplotlib.use": _DRAWS_INTO_FILES,
    "matplotlib.pyplot.switch_backend": _DRAWS_INTO_FILES,
    "cv2.imshow": "cv2.imwrite writes a file",
    "cv2.namedWindow": "cv2.imwrite writes a file",
    "tkinter.Tk": "a web page shows it elsewhere",
    "customtkinter.CTk": "a web page shows it elsewhere",
    "turtle.Turtle": "",
    "turtle.Screen": "",
    "pygame.display.set_mode": 'SDL_VIDEODRIVER = "dummy" in env draws into nothing',
    "pyautogui.*": "",
    "pynput.*": "",
}
_NEEDS_BACKEND = ("matplotlib.use", "matplotlib.pyplot.switch_backend")
_KNOWN = re.compile("|".join(re.escape(name).replace(r"\*", ".*") for name in _CALLS))


def displays_know(kind: UseKind, name: str) -> bool:
    """Whether a use of this kind and name may open a window."""
    return kind == "name" and _KNOWN.fullmatch(name) is not None


def find_displays(files: Iterable[FileUses]) -> Iterator[str]:
    """A sentence for the first place of each call that opens a window, or wants to."""
    told = set()
    for use in (use for file in files for use in file.uses if displays_know(use.kind, use.name)):
        is_window = use.name not in _NEEDS_BACKEND or any(map(_BACKENDS.fullmatch, use.arguments))
        if not use.is_call or not is_window or use.name in told:
            continue
        told.add(use.name)
        instead = f": {_CALLS[use.name]}" if _CALLS.get(use.name) else ""
        yield f"{use.source} calls {use.name}, which needs a display, and no image has one{instead}"
