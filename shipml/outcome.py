"""What `build`, `push` or `ship` came to: as a document, as outputs of a workflow's step, as a page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipml.publish.pushed import Pushed
from shipml.report import BuildReport
from shipml.text import size_text

__all__ = ["Outcome", "output_file_text"]

_LARGEST_LAYERS = 10
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `build`, `push` or `ship` came to; what was not done is None."""

    built: BuildReport | None = None
    smoke: Mapping[str, Any] | None = None
    """As `SmokeResult.to_json` has it, of this run or an earlier one of the same digest."""
    pushed: Pushed | None = None
    elapsed_seconds: float = 0.0

    @property
    def measures(self) -> dict[str, float]:
        """What the smoke test measured, without what is not a number."""
        measures = (self.smoke or {}).get("measures")
        found = measures.items() if isinstance(measures, Mapping) else ()
        return {str(name): value for name, value in found if isinstance(value, (int, float))}

    def to_json(self) -> dict[str, Any]:
        """As `shipml ship --json` prints it: what counts at the top, each command's own document below."""
        pushed, built = self.pushed, self.built
        made = pushed or built
        return {
            "reference": pushed.pinned if pushed else None,
            "digest": str(made.digest) if made else None,
            "size_bytes": built.size_bytes if built else None,
            "measures": self.measures,
            "build": built.to_json() if built else None,
            "run": dict(self.smoke) if self.smoke else None,
            "push": pushed.to_json() if pushed else None,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
        }

    def outputs(self) -> dict[str, str]:
        """For the next steps of a workflow; a measure that is called like another output has `measure_` before it.

        `digest`, `reference` (with digest), `references` (one a line), `size_bytes`, `passed`, and each measure.
        """
        found: dict[str, str] = {}
        if self.built is not None:
            found |= {
                "digest": str(self.built.digest),
                "references": "\n".join(self.built.references),
                "size_bytes": str(self.built.size_bytes),
            }
        if self.pushed is not None:
            found |= {
                "digest": str(self.pushed.digest),
                "reference": self.pushed.pinned,
                "references": "\n".join(str(reference) for reference in self.pushed.references),
            }
        if self.smoke is not None:
            found["passed"] = json.dumps(bool(self.smoke.get("passed")))
        for name, value in self.measures.items():
            key = re.sub(r"[^A-Za-z0-9_]+", "_", name)
            key = key if re.match(r"[A-Za-z_]", key) and key not in _RESERVED else f"measure_{key}"
            found.setdefault(key, f"{value:g}")
        return found

    def markdown(self) -> str:
        """The summary of a job."""
        title = ", ".join(_code(name) for name in self._names()) or "an image"
        lines = [f"### {title}", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in self._rows() if value]
        if self.built is not None:
            lines += ["", *_layer_table(self.built)]
        return "\n".join(lines) + "\n"

    def _names(self) -> tuple[str, ...]:
        if self.pushed is not None:
            return tuple(str(reference) for reference in self.pushed.references)
        return self.built.references if self.built is not None else ()

    def _rows(self) -> list[tuple[str, str]]:
        rows = []
        if self.pushed is not None:
            rows.append(("deploy", _code(self.pushed.pinned)))
        elif self.built is not None:
            rows.append(("digest", _code(str(self.built.digest))))
        if self.built is not None:
            rows += [
                ("size", f"{size_text(self.built.size_bytes)} in {len(self.built.layers)} layers"),
                ("reused", f"{self.built.reused_layers} of {len(self.built.layers)} layers"),
                ("base", _words(self.built.base)),
                ("Python", _words(self.built.python)),
                ("platform", _words(", ".join(self.built.platforms))),
            ]
        if self.smoke is not None:
            rows.append(("smoke test", _words(str(self.smoke.get("because") or "passed"))))
        elif self.pushed is not None:
            rows.append(("smoke test", _words(self.pushed.smoke)))
        rows += [(_words(name), f"{value:g}") for name, value in self.measures.items()]
        if self.pushed is not None and self.pushed.uploaded_bytes is not None:
            rows.append(("uploaded", size_text(self.pushed.uploaded_bytes)))
        return [*rows, ("time", f"{self.elapsed_seconds:.1f} s" if self.elapsed_seconds else "")]


_RESERVED = frozenset({"digest", "passed", "reference", "references", "size_bytes"})


def output_file_text(outputs: Mapping[str, str], delimiter: str) -> str:
    """What is appended to the file that GITHUB_OUTPUT names, for values of any number of lines.

    Args:
        outputs: by name.
        delimiter: a line that no value may hold: a value that could end its own block could set any output.

    Raises:
        ValueError: a value holds the delimiter.
    """
    if any(delimiter in value for value in outputs.values()):
        raise ValueError(delimiter)
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in outputs.items())


def _layer_table(built: BuildReport) -> list[str]:
    largest = sorted(built.layers, key=lambda layer: -layer.size_bytes)[:_LARGEST_LAYERS]
    return [
        "<details><summary>Largest layers</summary>",
        "",
        "| layer | size | |",
        "|---|---:|---|",
        *(
            f"| {_words(layer.source or layer.kind or layer.digest.short)} | {size_text(layer.size_bytes)}"
            f" | {'reused' if layer.reused else 'new'} |"
            for layer in largest
        ),
        "",
        "</details>",
    ]


def _words(text: str) -> str:
    """Text from outside as it stands: neither a table's cell nor a page can be broken by it."""
    return _MARKDOWN.sub(r"\\\1", _CONTROL.sub(" ", text)[:300])


def _code(text: str) -> str:
    return "`" + _CONTROL.sub(" ", text).replace("`", "'").replace("|", "/") + "`"
