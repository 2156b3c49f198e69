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

TIERS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "events", "memory"}),
    frozenset({"dockerfile_text", "dockerignore", "http", "layer_cache", "layer_trees", "oci", "project", "store"}),
    frozenset({"azure", "bases", "docker_engine", "lock_file", "plan", "resolver", "wheels"}),
    frozenset({"builders", "registries", "report", "runtimes"}),
    frozenset(
        {
            "building_elsewhere",
            "building_here",
            "building_in_azure",
            "finding",
            "pinning",
            "pipeline",
            "planning",
            "planning_request",
            "promoting",
            "publishing",
            "pulling",
            "running",
            "summary",
            "system_packages",
            "wheel_building",
        }
    ),
    frozenset({"cli"}),
    frozenset({"__init__", "__main__"}),
)
"""Lowest first: a part imports from its own tier and from those below."""

UPWARDS = {
    ("project", f"shipml.plan.{values}")
    for values in ("declared", "dockerfile", "facts", "following", "gpu_packages", "model", "program")
}
"""Values that a lower tier may use."""

PURE = ("shipml.plan", "shipml.oci.digest", "shipml.oci.manifest", "shipml.errors")
"""All of shipml that plan/ may import."""

DOERS = frozenset(
    {"asyncio", "glob", "http", "io", "multiprocessing", "requests", "shutil", "socket", "subprocess"}
    | {"tempfile", "threading", "time", "urllib", "urllib3"}
)
"""Modules whose use in plan/ would be input or output, or depend on when and where it runs."""

PURE_OF_OS = frozenset({"fsdecode", "fsencode"})


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, wherever in it, with the line; `from a import b` counts as a and a.b."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            if module == "shipml":
                yield from ((f"shipml.{name.name}", node.lineno) for name in node.names)
            else:
                yield module, node.lineno


def _part(path: Path) -> str:
    """The first component of a file below the package: `plan`, `errors`."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _tier(part: str) -> int:
    for number, parts in enumerate(TIERS):
        if part in parts:
            return number
    raise AssertionError(f"shipml/{part} stands in no tier: add it to TIERS, as low as it can")


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(REPOSITORY)}:{line}"


def test_imports_go_down() -> None:
    """Nothing imports from a tier above its own, in functions neither."""
    wrong = []
    for path in SOURCES:
        part = _part(path)
        for module, line in _imports(path):
            if not module.startswith("shipml."):
                continue
            target = module.split(".")[1]
            if _tier(target) > _tier(part) and (part, module) not in UPWARDS:
                wrong.append(f"{_where(path, line)}: {part} imports {module}")
    assert wrong == []


def test_plan_is_pure() -> None:
    """plan/ imports values only, opens no file, starts no program and looks at no clock."""
    wrong = []
    for path in SOURCES:
        if _part(path) != "plan":
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
        ("urllib3", ("http/", "registries/", "docker_engine/sdk.py")),
        ("rich", ("cli/",)),
        ("typer", ("cli/",)),
        ("pysequoia", ("bases/release.py",)),
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
        if _part(path) == "resolver":
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
                _part(path) != "cli"
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
