"""The order of imports, and who alone may do what: read from the source, so that nothing has to run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import shipml

PACKAGE = Path(shipml.__file__).parent
REPOSITORY = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
MODULES = {
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES
}
"""Every module by its name."""

FLOORS: tuple[tuple[str, ...], ...] = (
    ("failed_imports",),
    ("errors", "events", "folders", "formats", "reading", "text"),
    ("oci", "workers"),
    ("facts", "store"),
    ("docker_engine", "dockerfile", "http", "plan", "secrets"),
    ("project", "registry"),
    ("azure",),
    ("session",),
    ("images", "wheels"),
    ("data_files", "debian", "lock", "runtimes"),
    ("bases", "publish", "resolver"),
    ("doubts", "report", "source_builds"),
    ("inspection", "outcome", "prepare"),
    ("build", "library"),
    ("build_elsewhere", "unchanged"),
    ("pipeline",),
    ("api",),
    ("live",),
    ("cli",),
    ("__init__", "__main__"),
)
"""Lowest first: a room imports from floors below its own alone. docs/architecture.md shows this list."""

PURE = (
    "shipml.plan",
    "shipml.facts",
    "shipml.oci.digest",
    "shipml.oci.manifest",
    "shipml.oci.reference",
    "shipml.errors",
    "shipml.failed_imports",
    "shipml.text",
)
"""All of shipml that plan/ and facts/ may import."""

DOERS = frozenset(
    {"asyncio", "glob", "http", "io", "multiprocessing", "requests", "shutil", "socket", "subprocess"}
    | {"tempfile", "threading", "time", "urllib", "urllib3"}
)
"""Modules whose use in plan/ or facts/ would be input or output, or depend on when and where it runs."""

PURE_OF_OS = frozenset({"fsdecode", "fsencode"})


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, wherever in it, with the line.

    `from a import b` counts as `a.b` where that is a module.
    """
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            for name in node.names:
                is_module = f"{module}.{name.name}" in MODULES
                yield (f"{module}.{name.name}" if is_module or module == "shipml" else module), node.lineno


def _room(path: Path) -> str:
    """The first component of a file below the package: `plan`, `errors`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _floor(room: str) -> int:
    for number, rooms in enumerate(FLOORS):
        if room in rooms:
            return number
    raise AssertionError(f"shipml/{room} is on no floor: add it to FLOORS, as low as it can be")


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(REPOSITORY)}:{line}"


def test_imports_go_down() -> None:
    """A room imports from the floors below it, in functions too, and never from a room beside it."""
    wrong = []
    for path in SOURCES:
        room = _room(path)
        for module, line in _imports(path):
            target = module.split(".")[1] if module.startswith("shipml.") else room
            if target != room and _floor(target) >= _floor(room):
                wrong.append(f"{_where(path, line)}: {room} imports {module}")
    assert wrong == []


def test_no_circle_of_files() -> None:
    """No file imports one that imports it, late imports and longer ways counted."""
    below = {
        name: {module for module, _ in _imports(path) if module in MODULES and module != name}
        for name, path in MODULES.items()
    }
    while leaves := [name for name, needs in below.items() if not needs & below.keys()]:
        for name in leaves:
            del below[name]
    assert sorted(below) == []


def test_the_floors_are_documented() -> None:
    """docs/architecture.md shows the floors as they are tested."""
    shown = "\n".join(f"{number:>2}  {'  '.join(rooms)}" for number, rooms in reversed(list(enumerate(FLOORS))))
    assert shown in (REPOSITORY / "docs" / "architecture.md").read_text(), f"write there:\n{shown}"


def test_plan_is_pure() -> None:
    """plan/ and facts/ import values only, opens no file, starts no program and looks at no clock."""
    wrong = []
    for path in SOURCES:
        if _room(path) not in {"plan", "facts"}:
            continue
        for module, line in _imports(path):
            inside = module == "shipml" or module.startswith("shipml.")
            if inside and not any(module == pure or module.startswith(f"{pure}.") for pure in PURE):
                wrong.append(f"{_where(path, line)}: imports {module}")
            if not inside and module.split(".")[0] in DOERS:
                wrong.append(f"{_where(path, line)}: imports {module}")
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "input"}:
                wrong.append(f"{_where(path, node.lineno)}: calls {node.func.id}")
            if isinstance(node, ast.Attribute) and node.attr in {
                "read_text",
                "read_bytes",
                "write_text",
                "write_bytes",
            }:
                wrong.append(f"{_where(path, node.lineno)}: uses {node.attr}")
    assert wrong == []


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("docker", ("docker_engine/sdk.py",)),
        ("azure", ("azure/",)),
        ("urllib3", ("http/", "registry/", "docker_engine/sdk.py")),
        ("rich", ("cli/",)),
        ("typer", ("cli/",)),
        ("pysequoia", ("debian/release.py",)),
        ("deflate", ("oci/layer_writer.py", "wheels/bytecode.py")),
    ],
)
def test_a_library_has_its_home(library: str, home: tuple[str, ...]) -> None:
    """Each outside library is imported where it belongs only, so that it can be replaced there."""
    homes = {
        path.relative_to(PACKAGE).as_posix()
        for path in SOURCES
        for module, _ in _imports(path)
        if module.split(".")[0] == library
    }
    assert {found for found in homes if not found.startswith(home)} == set()


def _is_command(words: ast.List | ast.Tuple) -> bool:
    return len(words.elts) > 1 and isinstance(words.elts[1], ast.Constant | ast.Starred)


def test_uv_is_run_by_the_resolver_alone() -> None:
    """No other module finds or starts uv."""
    wrong = []
    for path in SOURCES:
        if _room(path) == "resolver":
            continue
        wrong += [_where(path, line) for module, line in _imports(path) if module.split(".")[0] == "uv"]
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.List | ast.Tuple) and node.elts:
                first = node.elts[0]
                if isinstance(first, ast.Constant) and first.value == "uv" and _is_command(node):
                    wrong.append(_where(path, node.lineno))
    assert wrong == []


def test_one_module_prints() -> None:
    """Outside cli/ nothing prints; in it, the console does."""
    wrong = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                wrong.append(_where(path, node.lineno))
            if (
                _room(path) != "cli"
                and isinstance(node, ast.Attribute)
                and ast.unparse(node)
                in {
                    "sys.stdout",
                    "sys.stderr",
                }
            ):
                wrong.append(_where(path, node.lineno))
    assert wrong == []


def test_the_command_line_starts_without_heavy_libraries() -> None:
    """`shipml --help` pays for no SDK, no HTTP client, no crypto and no progress bars."""
    code = "import sys, shipml.cli; print('\\n'.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    heavy = {
        "docker",
        "azure",
        "msal",
        "urllib3",
        "requests",
        "elftools",
        "pysequoia",
        "deflate",
        "isal",
        "rich.progress",
    }
    assert "shipml.cli" in loaded
    assert loaded & heavy == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_exports_are_sorted_and_exist(path: Path) -> None:
    """`__all__` is in order, without repetition, and names what the module defines or imports."""
    tree = ast.parse(path.read_bytes())
    names: set[str] = set()
    exported: list[str] | None = None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names.add(node.targets[0].id)
            if node.targets[0].id == "__all__":
                exported = ast.literal_eval(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(name.asname or name.name).split(".")[0] for name in node.names}
    public = {name for name in names if not name.startswith("_")} - {"annotations"}
    if exported is None:
        assert path.name in {"__init__.py", "__main__.py"} or not public, "a module with public names says which"
        return
    assert len(set(exported)) == len(exported)
    assert exported == sorted(exported, key=_export_key)
    if not any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body):
        assert set(exported) <= names


def _export_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as ruff sorts them."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


WORDS = frozenset({"message", "hint", "because"})
"""Attributes that hold sentences for people."""

TEXT_METHODS = frozenset(
    {"count", "endswith", "find", "index", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind"}
    | {"rindex", "rpartition", "rsplit", "rstrip", "split", "startswith", "strip"}
)
"""What one does with text whose words matter."""

PATTERN_METHODS = frozenset({"findall", "finditer", "fullmatch", "match", "search", "sub", "subn"})


def _is_words(node: ast.AST) -> bool:
    """Whether it is, or is made of, an attribute that holds a sentence: `error.message.lower()`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _is_words(node.func.value)
    return isinstance(node, ast.Attribute) and node.attr in WORDS


def _depends_on_words(node: ast.AST) -> bool:
    """Whether an expression compares, searches or cuts a sentence, or a statement changes one."""
    if isinstance(node, ast.Compare):
        return any(map(_is_words, (node.left, *node.comparators)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        method = node.func.attr
        if method in TEXT_METHODS and (_is_words(node.func.value) or any(map(_is_words, node.args))):
            return True
        return method in PATTERN_METHODS and any(map(_is_words, node.args))
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return any(map(_is_words, targets))


def test_no_logic_depends_on_sentences() -> None:
    """What is told to people is reworded freely: code looks at classes, kinds and `said`, and changes no sentence."""
    wrong = [
        _where(path, node.lineno)
        for path in SOURCES
        if path.name != "errors.py" or path.parent != PACKAGE  # which makes them
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.expr | ast.stmt) and _depends_on_words(node)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "code",
    [
        'if "gone" in error.message: pass',
        "if error.hint != other: pass",
        'found = why.because.removeprefix("a ")',
        "found = PATTERN.search(error.message.lower())",
        'error.hint += "; or not"',
        "found = re.sub(PATTERN, shown, error.message)",
    ],
)
def test_logic_on_sentences_is_found(code: str) -> None:
    """The test above sees each of the ways in which it was done."""
    assert any(map(_depends_on_words, ast.walk(ast.parse(code))))


def test_every_file_stays_small() -> None:
    """No source file outgrows 400 lines: before that it has two subjects."""
    assert [path.name for path in SOURCES if len(path.read_text().splitlines()) > 400] == []


def test_no_file_names_a_registry_or_this_machine() -> None:
    """Package indexes and mirrors come from settings: no committed file has the host name of one, or our paths."""
    hosts = [
        ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))
    ]
    hosts += [f"{name}.debian.org" for name in ("deb", "security", "snapshot")] + ["/" + "work/"]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, check=True, capture_output=True).stdout
    wrong = []
    for name in filter(None, listed.decode().split("\0")):
        path = REPOSITORY / name
        if not path.is_file():
            continue
        text = path.read_text(errors="replace")
        wrong += [f"{name}: {host}" for host in hosts if host in text]
    assert wrong == []


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring of one sentence."""
    wrong = []
    for path in sorted((REPOSITORY / "tests").rglob("test_*.py")):
        if "projects" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.get_docstring(node)
                if not text or not text.rstrip().endswith("."):
                    wrong.append(_where(path, node.lineno))
    assert wrong == []
