"""Names of the annotations that shipml writes on layer descriptors and manifests."""

__all__ = ["BYTECODE", "KEY", "KIND", "NATIVE", "SOURCE"]

KIND = "io.shipml.layer.kind"
"""base, system, wheel, packages, weights or application (`plan.model.LayerPlan.kind`)."""
SOURCE = "io.shipml.layer.source"
"""What is in it, for people: `scipy==1.17.1`, `debian:bookworm`, `app.py and 3 more`."""
KEY = "io.shipml.layer.key"
"""The cache key: SHA-256 (hex) over everything that the layer's bytes depend on."""
BYTECODE = "io.shipml.layer.bytecode"
"""The interpreter that compiled the bytecode, as `cpython-3.11.2`."""
NATIVE = "io.shipml.layer.native"
"""What native code the layer's wheels have (`wheels.facts`), so that who knows this image need not read the wheels."""
