"""The project as an installed distribution: what `pip install --editable` leaves in the virtual environment. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator

from shipml.facts.plan import PREFIX, WORKING_DIR, GeneratedFile
from shipml.facts.project import Distribution

__all__ = ["installed_files"]

_SCRIPT = """\
#!/{prefix}/bin/python
import sys

from {module} import {first}

if __name__ == "__main__":
    sys.exit({attribute}())
"""
_MODULE_SCRIPT = """\
#!/{prefix}/bin/python
import runpy

runpy.run_module("{module}", run_name="__main__", alter_sys=True)
"""


def installed_files(one: Distribution, python: str, root: str = WORKING_DIR) -> tuple[GeneratedFile, ...]:
    """The files of the distribution in the image: metadata, commands, a path to its sources, its version files.

    Args:
        one: what to install; its sources lie below `root` as they are.
        python: the minor version.
        root: where the project lies in the image.
    """
    site_packages = f"/{PREFIX}/lib/python{python}/site-packages"
    stem = re.sub(r"[-_.]+", "_", one.name).lower()
    info = f"{site_packages}/{stem}-{one.version}.dist-info"
    sources = root if one.source_folder == "." else f"{root.rstrip('/')}/{one.source_folder}"
    files = [
        GeneratedFile(f"{site_packages}/__editable__.{stem}-{one.version}.pth", f"{sources}\n"),
        GeneratedFile(f"{info}/INSTALLER", "shipml\n"),
        GeneratedFile(f"{info}/METADATA", _metadata(one)),
        GeneratedFile(f"{info}/direct_url.json", _direct_url(one, root)),
        *([GeneratedFile(f"{info}/entry_points.txt", _entry_points(one))] if one.entry_points else []),
        *(GeneratedFile(f"/{PREFIX}/bin/{name}", _script(target), executable=True) for name, target in one.scripts),
    ]
    record = "".join(_record_line(file, site_packages) for file in sorted(files))
    inside = f"{info}/RECORD".removeprefix(f"{site_packages}/")
    files.append(GeneratedFile(f"{info}/RECORD", f"{record}{inside},,\n"))
    files += [GeneratedFile(f"{root.rstrip('/')}/{path}", _version_file(one.version)) for path in one.version_files]
    return tuple(sorted(files))


def _metadata(one: Distribution) -> str:
    """METADATA (core metadata 2.1)."""
    lines = ["Metadata-Version: 2.1", f"Name: {one.name}", f"Version: {one.version}"]
    lines += [f"Summary: {one.summary}"] if one.summary else []
    lines += [f"Requires-Python: {one.requires_python}"] if one.requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in one.requirements]
    return "\n".join(lines) + "\n"


def _direct_url(one: Distribution, root: str) -> str:
    """PEP 610."""
    folder = one.source.rpartition("/")[0]
    url = f"file://{root.rstrip('/')}/{folder}".rstrip("/")
    return json.dumps({"dir_info": {"editable": True}, "url": url}, sort_keys=True) + "\n"


def _entry_points(one: Distribution) -> str:
    return "\n".join(_sections(one))


def _sections(one: Distribution) -> Iterator[str]:
    for group in sorted({group for group, _, _ in one.entry_points}):
        entries = [f"{name} = {target}\n" for at, name, target in one.entry_points if at == group]
        yield f"[{group}]\n{''.join(entries)}"


def _script(target: str) -> str:
    module, _, attribute = re.sub(r"\s*\[.*", "", target).partition(":")
    if not attribute:
        return _MODULE_SCRIPT.format(prefix=PREFIX, module=module)
    return _SCRIPT.format(prefix=PREFIX, module=module, first=attribute.partition(".")[0], attribute=attribute)


def _record_line(file: GeneratedFile, site_packages: str) -> str:
    data = file.text.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    inside = f"{site_packages}/"
    is_below = file.path.startswith(inside)
    path = file.path.removeprefix(inside) if is_below else "../../../" + file.path.removeprefix(f"/{PREFIX}/")
    return f"{path},sha256={digest},{len(data)}\n"


def _version_file(version: str) -> str:
    """As setuptools-scm and hatch-vcs write it."""
    parts = [int(part) if part.isdecimal() else part for part in re.split(r"[.+]", version)]
    return f"__version__ = version = {json.dumps(version)}\n__version_tuple__ = version_tuple = {tuple(parts)!r}\n"
