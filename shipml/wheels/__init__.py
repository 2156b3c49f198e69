"""Lock → layers: wheels are downloaded, checked, and spliced into layers as an installer would lay them out."""

from shipml.wheels.facts import NativeFacts, native_facts
from shipml.wheels.fetch import fetch
from shipml.wheels.interpreter import Interpreter
from shipml.wheels.layers import (
    LayerRequest,
    layer,
    layer_keys,
    layers,
)
from shipml.wheels.splice import Venv

__all__ = [
    "Interpreter",
    "LayerRequest",
    "NativeFacts",
    "Venv",
    "fetch",
    "layer",
    "layer_keys",
    "layers",
    "native_facts",
]
