"""The config document."""

from __future__ import annotations

import json
from pathlib import Path

from shipml.build.application import application_layer
from shipml.build.config import config_bytes
from shipml.facts.plan import Plan
from shipml.store import Store


def test_the_config_says_what_the_plan_says(plan: Plan, folder: Path, store: Store) -> None:
    """Command, environment, user, ports, labels and one history entry a layer stand in the config."""
    layers = [application_layer(plan, layer, folder, store) for layer in plan.layers]
    document = json.loads(config_bytes(plan, layers))
    assert document["config"]["Cmd"] == ["python", "app.py"]
    assert document["config"]["Env"] == ["LANG=C.UTF-8", "PATH=/opt/venv/bin:/usr/bin"]
    assert document["config"]["User"] == "65532"
    assert document["config"]["WorkingDir"] == "/app"
    assert document["config"]["ExposedPorts"] == {"8080/tcp": {}}
    assert document["rootfs"]["diff_ids"] == [str(layer.diff_id) for layer in layers]
    assert [entry["created_by"] for entry in document["history"]] == [
        "shipml weights: models/weights.bin",
        "shipml application: app.py and 2 more",
    ]


def test_equal_plans_have_equal_bytes(plan: Plan, folder: Path, store: Store) -> None:
    """The config is canonical JSON: the same plan gives the same bytes."""
    layers = [application_layer(plan, layer, folder, store) for layer in plan.layers]
    assert config_bytes(plan, layers) == config_bytes(plan, list(layers))
