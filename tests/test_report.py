from __future__ import annotations

import json
from dataclasses import replace

from shipml.facts.plan import BasePin, Decision, Plan
from shipml.inspection import describe_image
from shipml.oci import manifest as names
from shipml.oci.image import assemble_image
from shipml.oci.manifest import Platform
from shipml.oci.reference import Reference
from shipml.report import report_build
from shipml.store.evidence import SmokeResult
from tests.image_fixtures import MakeImage

PLATFORM = Platform("linux", "arm64")
PLAN = Plan(
    name="iris",
    platform=PLATFORM,
    python="3.11",
    base=BasePin("bookworm", "3.11.2", PLATFORM, ()),
    wheels=(),
    application=(),
    layers=(),
    command=("python", "app.py"),
    decisions=(Decision("python", "3.11", "the project says so"),),
)


def test_a_report_says_what_was_made_and_what_was_there(make_image: MakeImage) -> None:
    """Names, sizes, kinds and sources come from the image; a layer counts as reused when its blob was known."""
    plain = make_image({"a": b"1"}, {"b": b"2"})
    first, second = plain.layers
    noted = replace(first, annotations={names.KIND: "wheel", names.SOURCE: "scipy==1.17.1"})  # type: ignore[type-var]
    image = assemble_image(plain.config, [noted, second])
    report = report_build(
        PLAN, image, [Reference.parse("iris:1")], builder="embedded", known={second.digest}, elapsed_seconds=1.23456
    )
    assert [layer.reused for layer in report.layers] == [False, True]
    assert report.reused_layers == 1
    blobs_bytes = sum(layer.size_bytes for layer in image.layers)
    assert report.size_bytes == len(image.manifest) + len(image.config) + blobs_bytes
    document = json.loads(json.dumps(report.to_json()))
    assert document == {
        "digest": str(image.digest),
        "references": ["iris:1"],
        "size_bytes": report.size_bytes,
        "builder": "embedded",
        "base": "debian:bookworm",
        "python": "3.11",
        "platform": "linux/arm64",
        "platforms": ["linux/arm64"],
        "layers": document["layers"],
        "decisions": [{"what": "python", "value": "3.11", "because": "the project says so"}],
        "changes": [],
        "elapsed_seconds": 1.235,
    }
    assert document["layers"][0] == {
        "digest": str(first.digest),
        "diff_id": str(first.diff_id),
        "size_bytes": first.size_bytes,
        "kind": "wheel",
        "source": "scipy==1.17.1",
        "reused": False,
    }
    assert document["layers"][1]["kind"] == ""


def test_an_inspection_has_the_config_as_it_stands(make_image: MakeImage) -> None:
    """Inspect shows names, platform and config, and of layers only what the image itself says."""
    image = make_image({"a": b"1"}, architecture="arm64", command="/bin/app")
    passed = SmokeResult(image.digest, "sandbox", True, 0, {"accuracy": 0.97}, "", 1.5, "exit code 0")
    document = describe_image(image, ["iris:latest"], smoke=passed).to_json()
    assert document["references"] == ["iris:latest"]
    assert document["platform"] == "linux/arm64"
    assert document["config"] == json.loads(image.config)
    assert document["smoke"] == passed.to_json()
    assert set(document["layers"][0]) == {"digest", "diff_id", "size_bytes", "kind", "source"}
