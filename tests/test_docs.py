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
        if " still running after " in line or not line.strip():
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
def test_the_readmes_session_is_real(tmp_path: Path) -> None:
    """Every command of the README's sessions works in an empty home, and prints what the README shows."""
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "SHIPML_HOME": str(tmp_path / "store"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    environment.pop("NO_COLOR", None)
    ran = 0
    for typed in (typed for session in sessions(ROOT / "README.md") for typed in session):
        if typed.command.startswith(("git clone", "pip install", "make ", "cd ")):
            continue  # what the test suite itself stands on
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
        if typed.output:
            assert shape(done.stdout.splitlines()) == shape(typed.output), f"{typed.command}\n{done.stdout}"
        ran += 1
    assert ran >= 4
