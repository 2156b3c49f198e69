"""The table of a corpus' results, as Markdown: by kind of project, then each failure with its cause and remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.corpus.trial import Result

__all__ = ["VERDICTS", "line_of", "report"]

VERDICTS = {
    "run": "run passed",
    "outside": "run failed, reason outside",
    "failed-run": "run failed",
    "built": "built, not run",
    "planned": "planned only",
    "failed-build": "build failed",
    "failed-plan": "plan failed",
}
"""What can come of a project, best first."""
_BUILT = frozenset({"run", "outside", "failed-run", "built"})


def report(results: Sequence[Result]) -> str:
    """The shares by kind of project, and what failed by cause."""
    baselines = any(result.resolves_with_pip is not None for result in results)
    head = ["kind", "projects", "planned", "built, imports checked", *list(VERDICTS.values())[:3], "planned only"]
    head += ["pip's way (3.12, today)", "best Python, today"] if baselines else []
    lines = [f"| {' | '.join(head)} |", "|---|" + "--:|" * (len(head) - 1)]
    for kind, _ in Counter(result.kind for result in results).most_common():
        lines.append(_row(kind, [result for result in results if result.kind == kind], with_baselines=baselines))
    lines.append(_row("all", results, with_baselines=baselines))
    stubs = sum(not result.is_own_code for result in results)
    failed = [result for result in results if result.failed]
    unexplained = sum(not result.is_explained for result in failed)
    lines += ["", f"{len(failed)} failed, {unexplained} of them without a cause or a remedy; {stubs} stubs.", ""]
    lines += _by_cause(failed)
    lines += _listed("Reasons outside", [result for result in results if result.verdict == "outside"])
    lines += _listed("Planned only", [result for result in results if result.verdict == "planned"])
    return "\n".join(lines)


def line_of(result: Result) -> str:
    """What came of a project, in one line."""
    seconds = sum(step.elapsed_seconds for step in result.steps)
    text = f"{result.id} {VERDICTS[result.verdict]}, {seconds:.0f} s"
    if result.failed:
        return f"{text}: {result.failed.kind}: {_short(result.failed.message)}"
    return f"{text}: {result.reason}" if result.reason else text


def _row(name: str, results: Sequence[Result], *, with_baselines: bool) -> str:
    built = sum(result.verdict in _BUILT for result in results)
    only = [result for result in results if result.verdict == "planned"]
    planned = built + len(only) + sum(result.verdict == "failed-build" for result in results)
    could = len(results) - len(only)
    cells = [name, str(len(results)), _share(planned, len(results)), _share(built, could)]
    cells += [str(sum(result.verdict == verdict for result in results)) for verdict in list(VERDICTS)[:3]]
    cells.append(str(len(only)))
    if with_baselines:
        for values in ([one.resolves_with_pip for one in results], [one.resolves_with_best for one in results]):
            known = [value for value in values if value is not None]
            cells.append(_share(sum(known), len(known)))
    return f"| {' | '.join(cells)} |"


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.0f} %)" if whole else "–"


def _by_cause(failed: Sequence[Result]) -> list[str]:
    by_cause: dict[str, list[Result]] = {}
    for result in failed:
        if result.failed:
            by_cause.setdefault(f"{result.failed.name}, {result.failed.kind}", []).append(result)
    lines = []
    for cause, members in sorted(by_cause.items(), key=lambda item: -len(item[1])):
        lines.append(f"- {cause}: {len(members)}")
        for one in members:
            if one.failed:
                remedy = _short(one.failed.hint) or "no remedy"
                lines.append(f"  - {one.id}: {_short(one.failed.message)} → {remedy}")
    return lines


def _listed(title: str, results: Sequence[Result]) -> list[str]:
    return ["", f"{title}:", "", *(f"- {one.id}: {one.reason}" for one in results)] if results else []


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
