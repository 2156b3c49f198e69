"""The documents say what is true: the README's commands are run and their output compared."""

from __future__ import annotations

import ast
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shipml import errors
from tests.engines_table import rows_of

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("*/README.md"),
    ]
)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
COMMAND = re.compile(r"(?:^|`|\$ )shipml ([a-z]+)")
FILE = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A file that the reader makes: its name, and its content in a block."""
ELISION = "…"
"""A line that stands for others."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command of a console block, and what the document says it prints."""

    command: str
    output: tuple[str, ...]


def sessions(document: Path) -> Iterator[list[Typed]]:
    """The ```console blocks of a document."""
    for block in re.findall(r"^```console\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        first, *rest = re.split(r"^\$ ", block, flags=re.MULTILINE)
        assert not first, f"{document.name}: a console block must start with a command"
        yield [Typed(lines[0], tuple(lines[1:])) for lines in (part.splitlines() for part in rest)]


def shape(lines: Iterator[str] | tuple[str, ...] | list[str]) -> list[str]:
    """Lines without what differs from day to day: digests, numbers, spaces; a set, since steps run side by side."""
    found = []
    for line in lines:
        if " still running after " in line or line.startswith("note: waiting for ") or not line.strip():
            continue
        line = re.sub(r"[0-9a-f]{12,}", "HEX", line.rstrip())  # noqa: PLW2901
        line = re.sub(r"\d+(?:\.\d+)*", "N", line)  # noqa: PLW2901
        line = re.sub(r"N min N s|N s", "N s", line)  # noqa: PLW2901
        found.append(re.sub(r"N (?:B|kB|MB|GB)\b", "N bytes", re.sub(r" +", " ", line)))
    return sorted(set(found))


def test_the_reference_is_fresh() -> None:
    """docs/reference.md is what the program says of itself today."""
    generator = runpy.run_path(str(ROOT / "docs" / "generate_reference.py"))
    written = (ROOT / "docs" / "reference.md").read_text()
    assert written == generator["reference"](), "run: python docs/generate_reference.py"


def test_the_table_of_engines_has_every_feature() -> None:
    """docs/engines.md has the features that tests are marked with, and no others; all work somewhere."""
    marked: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.feature":
                marked.add(ast.literal_eval(node.args[0]))
    page = (ROOT / "docs" / "engines.md").read_text()
    assert marked
    assert rows_of(page) == marked, "run: make engines-table"
    assert not re.search(r"\| (no|not run) \|", page), "a feature failed when the table was made"


def test_every_kind_of_error_is_explained() -> None:
    """docs/troubleshooting.md has one row for each kind of error, with its exit code, and no others."""
    classes = [getattr(errors, name) for name in errors.__all__]
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \| \S.* \| \S.* \|$", page, re.MULTILINE)
    assert sorted(rows) == sorted({("internal", "1"), *((one.kind, str(one.exit_code)) for one in classes)})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document names a file that exists."""
    missing = [link for link in LINK.findall(document.read_text()) if not (document.parent / link).exists()]
    assert not missing


def test_the_readme_names_commands_that_exist() -> None:
    """No command is promised that the program has not."""
    reference = (ROOT / "docs" / "reference.md").read_text()
    there = set(re.findall(r"^### shipml ([a-z]+)", reference, re.MULTILINE))
    for document in (ROOT / "README.md", ROOT / "example_project" / "README.md"):
        named = set(COMMAND.findall(document.read_text()))
        assert named
        assert named <= there


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/tutorial.md"])
def test_the_sessions_are_real(tmp_path: Path, document: str) -> None:
    """Every command of a page's sessions works in an empty home, and prints what the page shows."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "SHIPML_HOME": str(tmp_path / "store"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for name in ("NO_COLOR", "CI"):  # a page shows what a person at a terminal sees
        environment.pop(name, None)
    for name, content in FILE.findall((ROOT / document).read_text()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    ran = 0
    for typed in (typed for session in sessions(ROOT / document) for typed in session):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", typed.command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
        )
        assert done.returncode == 0, f"{typed.command}\n{done.stdout}"
        assert_shown(typed, done.stdout)
        ran += 1
    assert ran >= 4


def assert_shown(typed: Typed, printed: str) -> None:
    """What a command printed is what the document shows, but for lines that it leaves out."""
    shown = [line for line in typed.output if line.strip() != ELISION]
    if len(shown) == len(typed.output):
        assert shape(printed.splitlines()) == shape(typed.output), f"{typed.command}\n{printed}"
    else:
        assert set(shape(shown)) <= set(shape(printed.splitlines())), f"{typed.command}\n{printed}"
