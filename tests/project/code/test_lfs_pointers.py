"""Files that Git LFS has elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipml.facts.project import LfsPointer
from shipml.project import read_project

OID = "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
POINTER = f"version https://git-lfs.github.com/spec/v1\n{OID}\nsize 12300000\n"


def pointers(folder: Path, **texts: str) -> tuple[LfsPointer, ...]:
    for name, text in {"app.py": "print(1)\n", **texts}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return read_project(folder, None).lfs_pointers


@pytest.mark.parametrize("path", ["models/classifier.joblib", "data.csv", "logo.png", "weights", "README.txt"])
def test_any_file_may_be_a_pointer(tmp_path: Path, path: str) -> None:
    """Whatever it is called; with the size of what is missing, and without a reader."""
    assert pointers(tmp_path, **{path: POINTER}) == (LfsPointer(path, 12_300_000),)


@pytest.mark.parametrize(
    "text",
    [
        POINTER.replace("\nsize", "\nsizes"),
        POINTER.replace("version", "Version"),
        "# the format\n" + POINTER,
        POINTER + "#" * 1000,
        "",
    ],
)
def test_other_files_are_themselves(tmp_path: Path, text: str) -> None:
    """What only looks like one, or talks of one."""
    assert pointers(tmp_path, **{"notes.txt": text}) == ()


def test_extensions_and_an_older_address_are_known(tmp_path: Path) -> None:
    """As the specification allows them."""
    extended = POINTER.replace("oid", "ext-0-foo sha256:1\noid").replace("git-lfs", "hawser")
    assert [one.size_bytes for one in pointers(tmp_path, **{"a.bin": extended})] == [12_300_000]


def test_what_reads_it_is_found(tmp_path: Path) -> None:
    """The whole path counts more than the name alone."""
    code = {"a.py": "load('model.pt')\n", "b.py": "import a\n\nload('models/model.pt')\n"}
    (one, other) = pointers(tmp_path, **code, **{"models/model.pt": POINTER, "other/model.pt": POINTER})
    assert (one.reader, other.reader) == ("b.py:3", "a.py:1")


def test_what_is_left_out_does_not_matter(tmp_path: Path) -> None:
    """A pointer that no image gets is not missing."""
    assert pointers(tmp_path, **{"raw/a.csv": POINTER, ".dockerignore": "raw\n"}) == ()
