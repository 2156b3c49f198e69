"""A file that the program misses, or may not write."""

from __future__ import annotations

import posixpath
import re

from shipml.runtimes.diagnose.failure import Failure, LeftOut, SettingsPlace, telling

__all__ = ["mentioned_file", "missing_file", "unwritable_file"]

_QUOTED = r"b?(?P<quote>['\"])(?P<path>[^\n]{1,500}?)(?P=quote)"
_MISSING = (
    re.compile(rf"\[Errno 2\] No such file or directory: {_QUOTED}"),
    re.compile(rf"\[Errno 2\] Failed to open local file {_QUOTED}"),  # pyarrow
    re.compile(rf"\[Errno 2\] [^\n]{{0,200}}name = {_QUOTED}"),  # h5py
    re.compile(rf"imread_?\({_QUOTED}\): can't open"),  # cv2 warns, and returns None
    re.compile(r"Load model from (?P<path>\S{1,500}) failed"),  # onnxruntime
    re.compile(r"Opening (?P<path>\S{1,500}) failed"),  # xgboost
    re.compile(r"Could not open (?P<path>\S{1,500}?)\.?$", re.MULTILINE),  # lightgbm
    re.compile(r"[Mm]odel file doesn't exist: (?P<path>\S{1,500})"),  # catboost
    re.compile(r"provided filename (?P<path>\S{1,500}) does not exist"),  # torch.jit
    re.compile(r"No file or directory found at (?P<path>\S{1,500})"),  # keras 2
    re.compile(r"File not found: filepath=(?P<path>\S{1,500}?)\.?(?:\s|$)"),  # keras 3
    re.compile(
        r"^\S*(?:Error|Exception): (?:'|\")?(?P<path>[^\s'\"]{1,500}?)(?:'|\")?:? cannot be opened", re.MULTILINE
    ),  # fastText
    re.compile(r"could not open (?P<path>\S{1,500}) for reading"),  # faiss
    re.compile(rf"Error opening {_QUOTED}"),  # libsndfile
    re.compile(r"os error 2\): (?P<path>\S{1,500})"),  # polars
    re.compile(r"No files found that match the pattern \"(?P<path>[^\"\n]{1,500})\""),  # duckdb
    re.compile(r"TemplateNotFound: (?P<path>\S{1,500})"),  # jinja2
    re.compile(r"(?P<path>[\w./-]{1,500}\.\w{1,10}):? (?:does not exist|No such file or directory|not found\b)"),
)
_NO_PERMISSION = re.compile(rf"\[Errno (?:13|30)\] (?:Permission denied|Read-only file system): {_QUOTED}")
_STARTED = re.compile(r"_execute_child|os\.exec|posix_spawn")
_DATABASE = re.compile(r"unable to open database file|attempt to write a readonly database")
_NUMBA = re.compile(r"cannot cache function .{0,200}no locator available")
_CACHE = re.compile(r"(?:^|/)\.?(?:cache|config|local|matplotlib|keras|streamlit|ipython|mplconfig|nltk_data)\b")
_PATH_WORD = re.compile(r"(?<![\w./-])(?:[\w.-]{0,100}/){0,20}[\w-]{1,100}[\w.-]{0,100}[\w]")
_HOMES = ("/home/", "/Users/", "/root/", "/content/", "/kaggle/", "/mnt/", "/dbfs/", "/workspace/", "/data/")


def missing_file(failure: Failure) -> str:
    """What helps where the program names a file that is not there; "" where it names none."""
    words = telling(failure.words)
    for pattern in _MISSING:
        if found := list(pattern.finditer(words)):
            return _about(found[-1]["path"], failure)
    return ""


def unwritable_file(failure: Failure, image: str) -> str:
    """What helps where the program may not write or start a file; "" where that is not the matter."""
    words = telling(failure.words)
    if _NUMBA.search(words):
        where = "NUMBA_CACHE_DIR=/tmp/numba"
        return f"numba finds no folder for its cache: shipml run{image} -e {where}, then the same in [env]"
    if found := _NO_PERMISSION.search(words):
        return _not_permitted(found["path"], words)
    if _DATABASE.search(words):
        return (
            "SQLite writes beside its file, where the image's user may not write: open the database below /tmp, "
            'such as sqlite3.connect("/tmp/app.db"), or copy it there at the start'
        )
    return ""


def _not_permitted(path: str, words: str) -> str:
    if _STARTED.search(words):
        return f"{path} may not be executed: chmod +x {path}, and build again; or start its interpreter: python, sh"
    if _CACHE.search(path):
        return (
            f"the image's user cannot write {path}: set the variable that names the folder of this cache, "
            'such as [env] XDG_CACHE_HOME = "/tmp/cache"'
        )
    name = posixpath.basename(path)
    return f'the image\'s user cannot write {path}: write it below /tmp, such as open("/tmp/{name}", "w")'


def mentioned_file(failure: Failure) -> str:
    """Libraries have words of their own for a missing file: any name at the end that is known to be missing."""
    for word in reversed(_PATH_WORD.findall(telling(failure.words))):
        if ("/" in word or "." in word) and (found := _known(word, failure)):
            return found
    return ""


def _about(path: str, failure: Failure) -> str:
    name = path.removeprefix("/app/").removeprefix("./")
    if found := _known(path, failure) or _elsewhere(name, failure):
        return found
    if "\\" in path:
        fixed = path.replace("\\", "/")
        return f"{path} is a path of Windows: write it with slashes, {fixed}, and keep it in the project"
    if path.startswith(_HOMES) or (path.startswith("/") and not path.startswith("/app/")):
        return f"{path} is a path of another machine: put the file into the project, and name it relative to it"
    return f"{name} is not in the project: put it there and build again (shipml plan lists what is in the image)"


def _known(path: str, failure: Failure) -> str:
    """What is known of a file that the image lacks: which rule leaves it out, or what writes it."""
    parts = posixpath.normpath(path).split("/")
    names = ["/".join(parts[at:]) for at in range(len(parts) if path.startswith("/") else 1)]
    for name in filter(None, names):
        for left in failure.left_out:
            if left.path.rstrip("/") == name or name.startswith(f"{left.path.rstrip('/')}/"):
                return _taken_in(left, failure.settings)
        if name in failure.written_by:
            return f"{failure.written_by[name]} writes {name}: run that first, and build again"
    return ""


def _elsewhere(name: str, failure: Failure) -> str:
    """Where the image has a file of that name, or of another case."""
    wanted = posixpath.normpath(name.replace("\\", "/"))
    for present in failure.present:
        if present == wanted and "\\" in name:
            return f"{name} is a path of Windows: write it with slashes, {present}"
        if present.lower() == wanted.lower() and present != wanted:
            return f"the image has {present}: names differ by upper and lower case on Linux, so write it as it is"
    last = posixpath.basename(wanted)
    if found := next((one for one in failure.present if posixpath.basename(one) == last and one != wanted), ""):
        return (
            f'the image has it as {found}, and the program starts in /app: open "{found}", '
            f'or Path(__file__).with_name("{last}") where the file lies beside the code'
        )
    return ""


def _taken_in(left: LeftOut, settings: SettingsPlace) -> str:
    if left.path == ".env":
        return ".env is left out of images: give its variables to the run: --env-file .env"
    by = f"by a rule of shipml's own ({left.because})" if left.is_safeguard else f"by {left.because}"
    return f"{left.path} is left out {by}; this takes it in: {settings.including(left.path.rstrip('/'))}"
