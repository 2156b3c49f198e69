"""Which files a program reads that the image will lack, as far as literal names tell: nothing is run."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shipml.facts.plan import WORKING_DIR
from shipml.facts.project import MissingFile
from shipml.project.code.uses import CodeNames, parts_of
from shipml.project.code.writes import PathNames

__all__ = ["find_missing_files"]

_READERS = re.compile(
    r"open|io\.open|codecs\.open|gzip\.open|bz2\.open|joblib\.load|dill\.load|numpy\.(?:load|loadtxt|genfromtxt|fromfile)"
    r"|pandas\.(?:read_\w+|ExcelFile|HDFStore)|polars\.(?:read|scan)_\w+|dask\.dataframe\.read_\w+|geopandas\.read_file"
    r"|torch\.(?:load|jit\.load)|(?:.*\.)?load_(?:model|weights|learner|checkpoint)|(?:.*\.)?load_from_checkpoint"
    r"|PIL\.Image\.open|cv2\.(?:imread|CascadeClassifier|VideoCapture|dnn\.read\w+)|imageio\.imread|skimage\.io\.imread"
    r"|matplotlib\.(?:pyplot|image)\.imread|librosa\.load|soundfile\.read|scipy\.io\.(?:loadmat|wavfile\.read)"
    r"|ultralytics\.YOLO|onnxruntime\.InferenceSession|onnx\.load|fasttext\.load_model|catboost\..*\.load_model"
    r"|tensorflow\.(?:lite\.Interpreter|saved_model\.load)|tflite_runtime\.interpreter\.Interpreter|h5py\.File"
    r"|gensim\.models\..*\.load(?:_word2vec_format)?|safetensors\..*load_file|sqlite3\.connect|toml\.load"
    r"|shape_predictor|dlib\.(?:shape_predictor|\w+_model_v\d)|lightgbm\.Booster|xgboost\.Booster|\.read_text|\.read_bytes"
)
_FOLDERS = re.compile(r"os\.(?:chdir|listdir|scandir|walk)|glob\.i?glob|sys\.path\.(?:append|insert)")
"""What is given folders: said where they are of another machine."""
_KEYWORDS = frozenset(
    {"filepath", "path", "filename", "file", "model_path", "model_file", "fp", "fname", "filepath_or_buffer", "io", "f"}
    | {"path_or_buf", "model_content", "source", "path_or_fileobj"}
)
_OF_PATH = (".read_text", ".read_bytes")
_NAME = re.compile(r"[^\0\n*?<>|%{}]*[^\0\n*?<>|%{}/.]\.[A-Za-z][A-Za-z0-9_]{0,11}")
_OF_ANOTHER_MACHINE = re.compile(r"[A-Za-z]:[\\/]|/(?:home|Users|content|kaggle|mnt/c|workspace)/|~/")
_ASKS = frozenset({"exists", "isfile", "is_file", "getsize"})
_MODE = 1
_MOST = 50


@dataclass(frozen=True, slots=True)
class _Read:
    """One place that reads."""

    name: str
    source: str
    at_start: bool


def find_missing_files(
    folder: Path,
    paths: Iterable[str],
    *,
    present: Collection[str],
    left_out: Mapping[str, str],
    written: Iterable[tuple[str, str]],
    moves: bool = False,
) -> tuple[MissingFile, ...]:
    """What the programs `paths` read by a literal name and the image lacks, sorted by name.

    Args:
        folder: the project's root.
        paths: of the code that runs.
        present: of all files that the image gets, relative to the project.
        left_out: path → rule, of what is in the project and not in the image.
        written: (path, `FILE:LINE`) of what any code of the project writes.
        moves: whether the command starts in a folder of the project.
    """
    makers = dict(reversed(list(written)))
    running = tuple(paths)
    world = _World(frozenset(present), left_out, makers, frozenset(running), moves)
    found: dict[str, MissingFile] = {}
    for path in running:
        for read in _reads(folder, path):
            because = world.lacks(read.name, path)
            if because and (read.name not in found or (read.at_start and not found[read.name].at_start)):
                found[read.name] = MissingFile(read.name, read.source, because, read.at_start)
    return tuple(found[name] for name in sorted(found))[:_MOST]


@dataclass(frozen=True, slots=True)
class _World:
    """What there is, and what makes it."""

    present: frozenset[str]
    left_out: Mapping[str, str]
    makers: Mapping[str, str]
    running: frozenset[str]
    moves: bool
    """Whether the command starts in another folder than the project's."""

    def _elsewhere(self, places: Sequence[str]) -> str:
        """The one file of that name that the project has, beside the code that reads it or anywhere."""
        if places[1] in self.present:
            return places[1]
        file = places[0].rpartition("/")[2]
        same = [path for path in self.present if path.rpartition("/")[2] == file]
        return same[0] if len(same) == 1 else ""

    def lacks(self, name: str, path: str) -> str:
        """Why the image lacks a file that `path` reads: a clause; "" where it has it, or where that cannot be told."""
        if _OF_ANOTHER_MACHINE.match(name):
            return "it is a path of another machine"
        places = (name, posixpath.normpath(posixpath.join(posixpath.dirname(path), name)))
        is_there = name in self.present or (self.moves and places[1] in self.present)
        if is_there or any(place.startswith(("/", "../")) for place in places):
            return ""
        if maker := next((self.makers[place] for place in places if place in self.makers), ""):
            is_made = maker.rpartition(":")[0] in self.running
            return "" if is_made else f"{maker} writes it when it runs, and nothing has"
        return self._because(places)

    def _because(self, places: Sequence[str]) -> str:
        for place in places:
            above = [place, *(place[:at] for at, char in enumerate(place) if char == "/")]
            if rule := next((self.left_out[one] for one in above if one in self.left_out), ""):
                return f"{rule} leaves it out"
        if elsewhere := self._elsewhere(places):
            return f"programs run in {WORKING_DIR}, and the project has it as {elsewhere}"
        return "the project does not have it"


def _reads(folder: Path, path: str) -> Iterator[_Read]:
    parts = parts_of(folder, path)
    names = CodeNames.of([tree for _, tree in parts])
    asked = {name for _, tree in parts for name in _asked_for(tree, path)}
    for cell, tree in parts:
        values = PathNames(path, tree)
        todo: list[tuple[ast.AST, bool]] = [(tree, True)]
        while todo:
            node, at_start = todo.pop()
            for target in _targets(node, names) if isinstance(node, ast.Call) else ():
                name = values.value(target)
                name = posixpath.normpath(name) if name and "://" not in name else ""
                if (_NAME.fullmatch(name) or _OF_ANOTHER_MACHINE.match(name)) and name not in asked:
                    yield _Read(name, f"{path}:{cell or getattr(node, 'lineno', 0)}", at_start)
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            below = node.orelse if isinstance(node, ast.Try) and node.handlers else ast.iter_child_nodes(node)
            todo += [(one, at_start and not inside) for one in below]


def _asked_for(tree: ast.Module, path: str) -> Iterator[str]:
    """Names that the code asks about before it reads them: it does without."""
    values = PathNames(path, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ASKS:
            for target in (*node.args, node.func.value):
                if name := values.value(target):
                    yield posixpath.normpath(name)


def _targets(call: ast.Call, names: CodeNames) -> Iterator[ast.expr]:
    """What names the file that a call reads."""
    function = call.func
    name = function.id if isinstance(function, ast.Name) and function.id == "open" else names.dotted(function)
    if name and _FOLDERS.fullmatch(name):
        yield from call.args
        return
    if not name or not _READERS.fullmatch(name):
        return
    if name in _OF_PATH and isinstance(function, ast.Attribute):
        yield function.value
        return
    modes = [*call.args[_MODE : _MODE + 1], *(one.value for one in call.keywords if one.arg == "mode")]
    if name.endswith("open") and any(
        isinstance(one, ast.Constant) and set("wax+") & set(str(one.value)) for one in modes
    ):
        return
    yield from call.args[:1]
    yield from (one.value for one in call.keywords if one.arg in _KEYWORDS)
