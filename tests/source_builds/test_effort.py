"""How long compiling takes, and how much of it at once."""

from __future__ import annotations

import pytest

from shipml.source_builds.effort import effort_text, expected_minutes, impossible, parallel_jobs

GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("cores", "memory_bytes", "builds", "jobs"),
    [
        (8, 64 * GIGABYTE, 1, 8),
        (8, 7 * GIGABYTE, 1, 4),
        (8, 7 * GIGABYTE, 2, 2),
        (2, 24 * GIGABYTE, 2, 2),
        (4, GIGABYTE // 2, 1, 1),
    ],
)
def test_compilers_run_at_once_within_cores_and_memory(cores: int, memory_bytes: int, builds: int, jobs: int) -> None:
    """A gigabyte and a half each; one always."""
    assert parallel_jobs(cores, memory_bytes, builds) == jobs


def test_effort_is_known_by_name_or_by_size() -> None:
    """Shared by the jobs; what takes seconds is not said."""
    assert expected_minutes("dlib", jobs=1) > expected_minutes("dlib", jobs=2) > 1
    assert effort_text(expected_minutes("unheard-of", 60_000_000, jobs=2)) == "about 10 min"
    assert effort_text(expected_minutes("unheard-of", 20_000)) == ""
    assert impossible("tensorflow")
    assert not impossible("dlib")
