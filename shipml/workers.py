"""Threads that share a list of jobs; the first error, or Ctrl-C, stops all of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from shipml.errors import CancelledError

__all__ = ["WorkerGroup"]

_Job = TypeVar("_Job")


class WorkerGroup(Generic[_Job]):
    """Works on one list of jobs after the other; `check` ends a job early when another one has failed."""

    def __init__(self, limit: Callable[[], int]) -> None:
        """`limit`: how many threads may work now; asked before each job, so that it can shrink."""
        self._limit = limit
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []

    def check(self) -> None:
        """Called by jobs while they work.

        Raises:
            CancelledError: another job failed, or the user stopped the command.
        """
        if self._stopped.is_set():
            raise CancelledError("stopped before the work was done", hint="run the same command again when you like")

    def work(self, jobs: Sequence[_Job], do: Callable[[_Job], None]) -> None:
        """Do all jobs, the first ones first; raises the first error of a job."""
        left = deque(jobs)
        workers = [
            threading.Thread(target=self._work_off, args=(number, left, do), daemon=True)
            for number in range(min(self._limit(), len(jobs)))
        ]
        try:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
        finally:
            if at_work := [worker for worker in workers if worker.is_alive()]:  # Ctrl-C: jobs clean up before we leave
                self._stopped.set()
                for worker in at_work:
                    worker.join()
        if self._errors:
            raise self._errors[0]

    def _work_off(self, number: int, left: deque[_Job], do: Callable[[_Job], None]) -> None:
        while not self._stopped.is_set() and number < self._limit():
            try:
                job = left.popleft()
            except IndexError:
                return
            try:
                do(job)
            except BaseException as error:  # noqa: BLE001  (raised again by `work`, in the thread that asked)
                self._errors.append(error)
                self._stopped.set()
