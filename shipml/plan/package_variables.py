"""Variables that packages look at, so that they do without what an image does not have. Pure."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["package_variables"]


def package_variables(packages: Collection[str], debian: Collection[str], *, is_notebook: bool) -> dict[str, str]:
    """Name → value.

    Args:
        packages: normalised names of Python's.
        debian: names of Debian's.
        is_notebook: whether a notebook runs, whose kernel shows pictures itself.
    """
    variables = {}
    if "matplotlib" in packages and not is_notebook:
        variables["MPLBACKEND"] = "Agg"  # old versions take Tk where nothing is said, and fail without a display
    if "gitpython" in packages and "git" not in debian:
        variables["GIT_PYTHON_REFRESH"] = "quiet"  # else its import fails; whoever lists it seldom calls it
    return variables
