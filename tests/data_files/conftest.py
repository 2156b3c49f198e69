"""The plan made by hand that the builders elsewhere are tried with, too."""

from tests.build_elsewhere.conftest import folder, plan, store

__all__ = ["folder", "plan", "store"]
