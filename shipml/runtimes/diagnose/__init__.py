"""What to do after a failed smoke test: pure, from what is known of the run. Only the program's text is read."""

from __future__ import annotations

from shipml.runtimes.diagnose.failure import Failure, FailureKind, LeftOut, SettingsPlace
from shipml.runtimes.diagnose.remedy import remedy

__all__ = ["Failure", "FailureKind", "LeftOut", "SettingsPlace", "remedy"]
