"""The image's config document (OCI image-spec 1.1, config.md), the same for every builder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shipml.facts.plan import Plan
from shipml.oci.image import Layer
from shipml.oci.manifest import KIND, SOURCE, canonical_json

__all__ = ["config_bytes"]


def config_bytes(plan: Plan, layers: Sequence[Layer]) -> bytes:
    """The config of `plan`'s image with these layers, oldest first, as canonical JSON."""
    settings: dict[str, Any] = {
        "User": plan.user,
        "Env": [f"{name}={value}" for name, value in plan.environment],
        "WorkingDir": plan.working_dir,
        "Cmd": list(plan.command),
        "Labels": dict(plan.labels),
    }
    if plan.entrypoint:
        settings["Entrypoint"] = list(plan.entrypoint)
    if plan.exposed_ports:
        settings["ExposedPorts"] = {f"{port}/tcp": {} for port in plan.exposed_ports}
    return canonical_json(
        {
            "created": plan.created_at,
            "architecture": plan.platform.architecture,
            "os": plan.platform.os,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [str(layer.diff_id) for layer in layers]},
            "history": [_history(plan, layer) for layer in layers],
        }
    )


def _history(plan: Plan, layer: Layer) -> dict[str, str]:
    kind = layer.annotations.get(KIND, "layer")
    source = layer.annotations.get(SOURCE, "")
    return {"created": plan.created_at, "created_by": f"shipml {kind}: {source}"}
