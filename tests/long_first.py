"""The order of files: those that take long start first, so that no process is left alone with one at the end.

xdist gives files to its processes in this order (`--no-loadscope-reorder`); by itself it starts those with many tests
first, and the tutorial, which has three, last.
"""

from __future__ import annotations

import pytest

__all__ = ["long_files_first"]

_SECONDS = {
    "tests/runtimes/test_docker.py": 75,
    "tests/docker_engine/test_faults.py": 70,
    "tests/test_crash.py": 60,
    "tests/test_reproducible.py": 45,
    "tests/test_old_projects.py": 60,
    "tests/test_tutorial.py": 75,
    "tests/source_builds/test_building.py": 60,
    "tests/test_real_projects.py": 50,
    "tests/wheels/test_real_wheels.py": 50,
    "tests/test_end_to_end.py": 50,
    "tests/publish/test_faults.py": 40,
    "tests/debian/test_debian.py": 35,
    "tests/cli/test_platforms.py": 20,
    "tests/cli/test_commands.py": 20,
    "tests/runtimes/test_servers.py": 20,
    "tests/test_docs.py": 25,
    "tests/build_elsewhere/test_docker.py": 25,
    "tests/runtimes/test_sandbox.py": 20,
    "tests/runtimes/test_sandbox_ends.py": 20,
    "tests/test_secrets.py": 20,
    "tests/build_elsewhere/test_contract_dockerfile.py": 20,
    "tests/build_elsewhere/test_contract.py": 20,
    "tests/docker_engine/test_push.py": 18,
    "tests/docker_engine/test_build_and_run.py": 18,
    "tests/docker_engine/test_load.py": 17,
    "tests/docker_engine/test_transfer.py": 15,
    "tests/unchanged/test_unchanged.py": 13,
    "tests/publish/test_push.py": 10,
    "tests/azure/test_acr.py": 10,
}
"""How long a file takes alone on a quiet machine, roughly; files that are not named come after these, as found."""


def long_files_first(items: list[pytest.Item]) -> None:
    """Sort files by how long they take; tests of a file keep their order."""
    items.sort(key=lambda item: -_SECONDS.get(item.nodeid.partition("::")[0], 0))
