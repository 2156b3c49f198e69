"""Hashes that a project states bind what is taken, whichever file states them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shipml.errors import UntrustedInputError
from tests.package_index import PackageIndex
from tests.resolver.conftest import Resolving

WRONG = "1" * 64
PYPROJECT = '[project]\nname = "own"\nversion = "1"\ndependencies = ["alpha"]\n'
POETRY = '[tool.poetry]\nname = "own"\n[tool.poetry.dependencies]\nalpha = "*"\n'
Writer = Callable[[Path, str, int], None]


def _uv_lock(folder: Path, sha256: str, size_bytes: int) -> None:
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "uv.lock").write_text(
        'version = 1\n\n[[package]]\nname = "alpha"\nversion = "1.0"\n'
        'source = { registry = "https://example.invalid/simple" }\nwheels = [\n    { url = "https://example.invalid/a",'
        f' hash = "sha256:{sha256}", size = {size_bytes} }},\n]\n'
    )


def _poetry_lock(folder: Path, sha256: str, size_bytes: int) -> None:
    del size_bytes
    (folder / "pyproject.toml").write_text(POETRY)
    (folder / "poetry.lock").write_text(
        '[[package]]\nname = "alpha"\nversion = "1.0"\n'
        f'files = [{{file = "alpha-1.0-py3-none-any.whl", hash = "sha256:{sha256}"}}]\n'
    )


def _old_poetry_lock(folder: Path, sha256: str, size_bytes: int) -> None:
    del size_bytes
    (folder / "pyproject.toml").write_text(POETRY)
    (folder / "poetry.lock").write_text(
        '[[package]]\nname = "alpha"\nversion = "1.0"\n\n[metadata.files]\n'
        f'alpha = [{{file = "alpha-1.0-py3-none-any.whl", hash = "sha256:{sha256}"}}]\n'
    )


def _pdm_lock(folder: Path, sha256: str, size_bytes: int) -> None:
    del size_bytes
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "pdm.lock").write_text(
        '[[package]]\nname = "alpha"\nversion = "1.0"\n'
        f'files = [\n    {{file = "alpha-1.0-py3-none-any.whl", hash = "sha256:{sha256}"}},\n]\n'
    )


def _pylock(folder: Path, sha256: str, size_bytes: int) -> None:
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "pylock.toml").write_text(
        'lock-version = "1.0"\ncreated-by = "pip"\n\n[[packages]]\nname = "alpha"\nversion = "1.0"\n\n'
        f'[[packages.wheels]]\nname = "alpha-1.0-py3-none-any.whl"\nurl = "https://example.invalid/a"\n'
        f'size = {size_bytes}\nhashes = {{sha256 = "{sha256}"}}\n'
    )


def _pipfile_lock(folder: Path, sha256: str, size_bytes: int) -> None:
    del size_bytes
    (folder / "Pipfile").write_text('[packages]\nalpha = "*"\n')
    default = {"alpha": {"version": "==1.0", "hashes": [f"sha256:{sha256}"]}}
    (folder / "Pipfile.lock").write_text(json.dumps({"_meta": {}, "default": default}, indent=2))


def _requirements(folder: Path, sha256: str, size_bytes: int) -> None:
    del size_bytes
    (folder / "requirements.txt").write_text(f"alpha==1.0 \\\n    --hash=sha256:{sha256}\n")


WRITERS: tuple[Writer, ...] = (
    _uv_lock,
    _poetry_lock,
    _old_poetry_lock,
    _pdm_lock,
    _pylock,
    _pipfile_lock,
    _requirements,
)


def _wheel(index: PackageIndex) -> bytes:
    return index.files["alpha-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_that_is_not_the_one_that_is_stated_is_refused(
    write: Writer, index: PackageIndex, folder: Path, resolving: Resolving
) -> None:
    """The error names the place and the package; with the right hash the same project resolves."""
    index.add("alpha", "1.0")
    write(folder, WRONG, len(_wheel(index)))
    with pytest.raises(UntrustedInputError) as caught:
        resolving()
    assert caught.value.exit_code == 1
    assert ":" in caught.value.message
    assert "alpha" in caught.value.message
    write(folder, hashlib.sha256(_wheel(index)).hexdigest(), len(_wheel(index)))
    assert [one.version for one in resolving()[1].wheels] == ["1.0"]


@pytest.mark.parametrize("write", [_uv_lock, _pylock])
def test_a_size_that_is_not_the_one_that_is_stated_is_refused(
    write: Writer, index: PackageIndex, folder: Path, resolving: Resolving
) -> None:
    """Where a lock states sizes, they bind too."""
    index.add("alpha", "1.0")
    write(folder, hashlib.sha256(_wheel(index)).hexdigest(), len(_wheel(index)) + 1)
    with pytest.raises(UntrustedInputError):
        resolving()


def test_the_file_that_is_stated_is_taken_before_a_better_one(index: PackageIndex, resolving: Resolving) -> None:
    """A hash that only the general wheel has leaves out the one for this platform."""
    index.add("alpha", "1.0")
    index.add("alpha", "1.0", "cp313-cp313-manylinux_2_17_x86_64")
    digest = hashlib.sha256(_wheel(index)).hexdigest()
    lock = resolving(f"alpha==1.0 --hash=sha256:{digest}\n")[1]
    assert lock.wheels[0].filename == "alpha-1.0-py3-none-any.whl"


def test_another_algorithm_than_sha256_is_compared_by_content(index: PackageIndex, resolving: Resolving) -> None:
    """Pip takes SHA-384 and SHA-512 as well."""
    index.add("alpha", "1.0")
    digest = hashlib.sha512(_wheel(index)).hexdigest()
    assert resolving(f"alpha==1.0 --hash=sha512:{digest}\n")[1].wheels
    with pytest.raises(UntrustedInputError):
        resolving(f"alpha==1.0 --hash=sha512:{'2' * 128}\n")


@pytest.mark.parametrize("others", ["beta==1.0\n", "beta\n", "--require-hashes\n"])
def test_one_hash_means_all(others: str, index: PackageIndex, resolving: Resolving) -> None:
    """A requirement without a hash beside one that has a hash is refused, and so is a dependency that is not listed."""
    index.add("alpha", "1.0", requires=["gamma"])
    index.add("beta", "1.0")
    index.add("gamma", "1.0")
    digest = hashlib.sha256(_wheel(index)).hexdigest()
    with pytest.raises(UntrustedInputError) as caught:
        resolving(f"alpha==1.0 --hash=sha256:{digest}\n{others}")
    assert ("gamma" if "require" in others else "beta") in caught.value.message
