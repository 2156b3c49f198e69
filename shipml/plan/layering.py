"""Which layer holds what. The order is the same for all projects, so that they share layers and their places.

Base, what the project needs beyond it, large wheels (larger class first, then name, then hash), the small rest, data,
large files of the application, its code. A snapshot is keyed by all that lies beneath, so what is large and common
lies low.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shipml.facts.data import DataPin
from shipml.facts.plan import (
    ApplicationFile,
    Base,
    ImageBasePin,
    LayerPlan,
    LockedWheel,
)

__all__ = ["LARGE_WHEEL_BYTES", "MOST_LAYERS", "plan_layers", "size_class"]

MOST_LAYERS = 60
LARGE_WHEEL_BYTES = 4 << 20
_CLASS_FACTOR = 4
_MOST_CLASSES = 5
_LARGE_FILE_BYTES = 4 << 20
_LARGE_WEIGHTS_BYTES = 1 << 20
_WEIGHTS = (
    ".bin", ".ckpt", ".gguf", ".h5", ".hdf5", ".joblib", ".keras", ".model", ".npy", ".npz", ".onnx", ".pb", ".pickle",
    ".pkl", ".pt", ".pth", ".safetensors", ".tflite", ".ubj", ".cbm",
)  # fmt: skip
_DATA_LAYERS = 6
_SHARED_LAYERS = 4
"""Base (of one layer), system, packages and application: always kept free."""


def plan_layers(
    base: Base,
    wheels: Sequence[LockedWheel],
    files: Sequence[ApplicationFile],
    *,
    data: Sequence[DataPin] = (),
    has_generated: bool = False,
) -> tuple[LayerPlan, ...]:
    """All layers, oldest first, at most MOST_LAYERS: the smallest of too many go with the small rest.

    `has_generated` says that files are written besides the project's: they lie in the application's layer.
    """
    beneath = len(base.layers) - 1 if isinstance(base, ImageBasePin) else 0
    of_data = _data_layers(data)
    own_wheels, own_files = _largest(
        [wheel for wheel in wheels if _deserves_layer(wheel)],
        [file for file in files if _is_large(file)],
        room=max(0, MOST_LAYERS - _SHARED_LAYERS - beneath - len(of_data)),
    )
    if isinstance(base, ImageBasePin):
        layers = [LayerPlan("base", (str(layer.digest),)) for layer in base.layers]
    else:
        layers = [LayerPlan("base", tuple(f"{one.name}={one.version}" for one in base.packages))]
    if base.extra_packages:
        layers.append(LayerPlan("system", tuple(f"{one.name}={one.version}" for one in base.extra_packages)))
    layers += [LayerPlan("wheel", (_name(wheel),)) for wheel in sorted(own_wheels, key=_wheel_order)]
    rest = sorted(set(wheels) - set(own_wheels))
    layers.append(LayerPlan("packages", tuple(map(_name, rest))))  # even empty: it makes the virtual environment
    layers += of_data
    layers += [LayerPlan("weights", (file.path,)) for file in sorted(own_files)]
    code = tuple(file.path for file in files if file not in own_files)
    if code or has_generated:
        layers.append(LayerPlan("application", code))
    return tuple(layers)


def _data_layers(data: Sequence[DataPin]) -> list[LayerPlan]:
    """The largest repositories one layer each, all else together."""
    own = sorted((pin for pin in data if pin.kind == "huggingface"), key=lambda pin: (-pin.size_bytes, pin.name))
    own = own[:_DATA_LAYERS]
    rest = tuple(f"{pin.kind} {pin.name}" for pin in data if pin not in own)
    of_rest = [LayerPlan("data", rest)] if rest else []
    return [*of_rest, *(LayerPlan("data", (f"{pin.kind} {pin.name}",)) for pin in own)]


def size_class(size_bytes: int) -> int:
    """0 below 4 MiB, 1 below 16 MiB, 2 below 64 MiB, … 5 from 1 GiB: sizes that change with every release keep it."""
    least_bytes, number = LARGE_WHEEL_BYTES, 0
    while size_bytes >= least_bytes and number < _MOST_CLASSES:
        number += 1
        least_bytes *= _CLASS_FACTOR
    return number


def _wheel_order(wheel: LockedWheel) -> tuple[int, str, str]:
    return -size_class(wheel.size_bytes or 0), wheel.name, wheel.digest.hex


def _deserves_layer(wheel: LockedWheel) -> bool:
    """Large, or of unknown size with compiled code (indexes without sizes, such as PyTorch's, hold the largest)."""
    if wheel.size_bytes is None:
        return not wheel.filename.endswith("-none-any.whl")
    return wheel.size_bytes >= LARGE_WHEEL_BYTES


def _is_large(file: ApplicationFile) -> bool:
    least_bytes = _LARGE_WEIGHTS_BYTES if file.path.lower().endswith(_WEIGHTS) else _LARGE_FILE_BYTES
    return file.kind == "file" and file.size_bytes >= least_bytes


def _largest(
    wheels: Iterable[LockedWheel], files: Iterable[ApplicationFile], *, room: int
) -> tuple[set[LockedWheel], set[ApplicationFile]]:
    """As many of both as there is `room` for layers, the largest first."""
    by_size: list[tuple[int, str, LockedWheel | ApplicationFile]] = [
        *((-(wheel.size_bytes or 0), wheel.digest.hex, wheel) for wheel in wheels),
        *((-file.size_bytes, file.path, file) for file in files),
    ]
    kept = [item for _, _, item in sorted(by_size, key=lambda entry: entry[:2])][:room]
    return (
        {item for item in kept if isinstance(item, LockedWheel)},
        {item for item in kept if isinstance(item, ApplicationFile)},
    )


def _name(wheel: LockedWheel) -> str:
    return f"{wheel.name}=={wheel.version}"
