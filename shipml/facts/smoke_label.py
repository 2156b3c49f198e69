"""The smoke check as a label of the image: what was demanded of it at home is demanded of it wherever it is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields

from shipml.errors import UntrustedInputError
from shipml.facts.plan import SmokeCheck
from shipml.facts.smoke_request import request_from_json
from shipml.oci.manifest import canonical_json

__all__ = ["SMOKE_LABEL", "smoke_from_labels", "smoke_label"]

SMOKE_LABEL = "io.shipml.smoke"


def smoke_label(check: SmokeCheck) -> str:
    """The label's value: what differs from the defaults, as JSON; "" where nothing does."""
    said = {
        field.name: getattr(check, field.name) for field in fields(check) if getattr(check, field.name) != field.default
    }
    if check.requests:
        said["requests"] = [request.to_json() for request in check.requests]
    return canonical_json(said).decode() if said else ""


def smoke_from_labels(labels: Mapping[str, str]) -> SmokeCheck:
    """What the image's labels demand.

    Raises:
        UntrustedInputError: the label is not one that shipml writes.
    """
    text = labels.get(SMOKE_LABEL)
    if not text:
        return SmokeCheck()
    try:
        said = json.loads(text)
        return SmokeCheck(
            expect=str(said.get("expect", "")),
            minimum=tuple((str(name), float(least)) for name, least in said.get("minimum", ())),
            http=str(said.get("http", "")),
            port=None if said.get("port") is None else int(said["port"]),
            timeout_seconds=float(said.get("timeout_seconds", SmokeCheck().timeout_seconds)),
            any_answer=bool(said.get("any_answer", False)),
            alive=bool(said.get("alive", False)),
            command=tuple(str(word) for word in said.get("command", ())),
            network=bool(said.get("network", False)),
            env=tuple(str(name) for name in said.get("env", ())),
            skip=str(said.get("skip", "")),
            calls_nothing=bool(said.get("calls_nothing", False)),
            requests=tuple(map(request_from_json, said.get("requests", ()))),
            visit=bool(said.get("visit", True)),
        )
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        raise UntrustedInputError(f"the image's label {SMOKE_LABEL} cannot be read: {text[:200]}") from error
