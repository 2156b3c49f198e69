"""Reads the stream of a push or pull through an engine: progress per layer, and the digest at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from shipml.events import Step
from shipml.oci.digest import Digest

__all__ = ["layer_progress"]

_DIGEST_LINE = re.compile(r"digest: (sha256:[0-9a-f]{64})", re.IGNORECASE)
_FINISHED = ("Pushed", "Layer already exists", "Mounted from", "Pull complete", "Already exists")


def layer_progress(messages: Iterable[Mapping[str, Any]], running: Step) -> Digest | None:
    """Report what the messages say of each layer; the digest that they name, None where they name none.

    A push ends with `aux.Digest`; podman has it in a status line ("1: digest: sha256:… size: 528").
    """
    totals: dict[str, int] = {}
    done: dict[str, int] = {}
    digest: Digest | None = None
    for message in messages:
        status, layer = str(message.get("status") or message.get("stream") or ""), str(message.get("id") or "")
        aux = message.get("aux")
        if isinstance(aux, dict) and aux.get("Digest"):
            digest = Digest.parse(str(aux["Digest"]))
        elif found := _DIGEST_LINE.search(status):
            digest = digest or Digest.parse(found[1])
        detail = message.get("progressDetail")
        if layer and isinstance(detail, dict) and status.startswith(("Pushing", "Downloading")):
            current = int(detail.get("current") or 0)
            totals[layer] = max(int(detail.get("total") or 0), current)
            done[layer] = current
        elif layer and status.startswith(_FINISHED):
            done[layer] = totals.get(layer, 0)
        else:
            continue
        running.progress(sum(done.values()), sum(totals.values()) or None, detail=f"{layer} {status}".strip())
    return digest
