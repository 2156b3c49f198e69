"""Writing a lock: equal locks are equal texts."""

from __future__ import annotations

import json
from collections.abc import Iterator

from shipml.facts.plan import (
    Base,
    ImageBasePin,
    LockedSource,
    LockedWheel,
)
from shipml.facts.project import Lock
from shipml.lock.choosing import MACHINES

__all__ = ["dump_lock"]


def dump_lock(lock: Lock, base: Base | None) -> str:
    """`lock` and `base` as the text of a pylock.toml; equal locks are equal texts."""
    machine = MACHINES[lock.platform.architecture]
    marker = f"sys_platform == 'linux' and platform_machine == '{machine}' and python_version == '{lock.python}'"
    lines = [
        'lock-version = "1.0"',
        f"environments = [{_string(marker)}]",
        'created-by = "shipml"',
    ]
    packages: list[LockedWheel | LockedSource] = [*lock.wheels, *lock.sources]
    for one in sorted(packages, key=lambda one: one.name):
        lines += [
            "",
            "[[packages]]",
            f"name = {_string(one.name)}",
            f"version = {_string(one.version)}",
            _dump_file(one),
        ]
    lines += [
        "",
        "[tool.shipml]",
        f"inputs = {_string(str(lock.inputs))}",
        f"suite = {_string(lock.suite)}",
        f"platform = {_string(str(lock.platform))}",
        *(_dump_base(base) if base is not None else ()),
        *_dump_layers(lock),
    ]
    return "\n".join(lines) + "\n"


def _dump_file(one: LockedWheel | LockedSource) -> str:
    """The file of a package, as a line."""
    size = f", size = {one.size_bytes}" if one.size_bytes is not None else ""
    hashes = f"hashes = {{ sha256 = {_string(one.digest.hex)} }}"
    if isinstance(one, LockedSource):
        uploaded = f", upload-time = {one.uploaded_at}" if one.uploaded_at else ""
        return f"sdist = {{ name = {_string(one.filename)}{uploaded}, url = {_string(one.url)}{size}, {hashes} }}"
    if one.direct:
        return f"archive = {{ url = {_string(one.url)}{size}, {hashes} }}"
    return f"wheels = [{{ name = {_string(one.filename)}, url = {_string(one.url)}{size}, {hashes} }}]"


def _dump_base(base: Base) -> Iterator[str]:
    yield ""
    yield "[tool.shipml.base]"
    yield f"python = {_string(base.python)}"
    if isinstance(base, ImageBasePin):
        yield from _dump_image(base)
    for key, packages in (("packages", base.packages), ("extra-packages", base.extra_packages)):
        for package in packages:
            fields = {
                "name": package.name,
                "version": package.version,
                "architecture": package.architecture,
                "archive": package.archive,
                "path": package.path,
                "sha256": package.digest.hex,
                "because": package.because,
            }
            yield ""
            yield f"[[tool.shipml.base.{key}]]"
            yield from (f"{name} = {_string(value)}" for name, value in fields.items())
            yield f"root = {str(package.root).lower()}"
            yield f"size = {package.size_bytes}"


def _dump_layers(lock: Lock) -> Iterator[str]:
    for layer in lock.layers:
        yield ""
        yield "[[tool.shipml.layers]]"
        yield f"kind = {_string(layer.kind)}"
        yield f"key = {_string(layer.key)}"
        yield f"digest = {_string(str(layer.digest))}"
        yield f"diff-id = {_string(str(layer.diff_id))}"
        yield f"size = {layer.size_bytes}"


def _dump_image(base: ImageBasePin) -> Iterator[str]:
    fields = {
        "image": base.reference,
        "digest": str(base.digest),
        "glibc": base.glibc,
        "interpreter": base.interpreter,
        "debian": base.suite,
    }
    yield from (f"{name} = {_string(value)}" for name, value in fields.items() if value)
    variables = ", ".join(f"{_string(name)} = {_string(value)}" for name, value in base.environment)
    yield f"environment = {{ {variables} }}"
    for layer in base.layers:
        yield ""
        yield "[[tool.shipml.base.layers]]"
        yield f"media-type = {_string(layer.media_type)}"
        yield f"digest = {_string(str(layer.digest))}"
        yield f"diff-id = {_string(str(layer.diff_id))}"
        yield f"size = {layer.size_bytes}"


def _string(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
