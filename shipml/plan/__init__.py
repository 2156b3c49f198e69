"""Project → plan, without any I/O: what must be looked up is handed in."""

from shipml.facts.plan import Plan
from shipml.facts.project import Lock, Project
from shipml.plan.planner import PlanOptions, make_plan
from shipml.plan.python_version import PythonCandidate, python_candidates

__all__ = ["Lock", "Plan", "PlanOptions", "Project", "PythonCandidate", "make_plan", "python_candidates"]
