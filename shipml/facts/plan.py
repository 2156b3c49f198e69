"""The plan: a value that says what the image will be. Every builder's only input; printed, saved, compared.

All collections are tuples in a defined order, so that equal plans are equal bytes (`Plan.to_json`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeAlias

from shipml.facts.data import DataPin
from shipml.facts.smoke_request import SmokeRequest
from shipml.oci.digest import Digest
from shipml.oci.manifest import Platform

__all__ = [
    "ApplicationFile",
    "Base",
    "BaseLayerPin",
    "BasePin",
    "DebianPackagePin",
    "Decision",
    "DecisionKind",
    "GeneratedFile",
    "ImageBasePin",
    "LayerPlan",
    "LockedLayer",
    "LockedSource",
    "LockedWheel",
    "Plan",
    "SmokeCheck",
]

PREFIX = "opt/venv"
"""Where packages live in the image, relative to its root: a virtual environment."""
WORKING_DIR = "/app"
"""Where the application lives in the image."""
USER_ID = 65532
"""The user that the image runs as unless told otherwise (distroless's nonroot)."""
NONROOT_HOME = "/home/nonroot"
"""That user's home in the image."""


DecisionKind: TypeAlias = Literal["", "accelerator", "added", "change", "index", "source", "tried", "warning"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice that was made, and why."""

    what: str
    """One or two words: "python", "base", "command", "layer order", …"""
    value: str
    because: str
    """A clause that completes "because …", without full stop."""
    kind: DecisionKind = ""
    """What code may depend on: "warning" is a decision that the user should look at, "change" what was taken
    otherwise than the project says it; "" is any other."""

    def to_json(self) -> dict[str, str]:
        """As `--json` prints it."""
        return {"what": self.what, "value": self.value, "because": self.because}


@dataclass(frozen=True, slots=True, order=True)
class LockedWheel:
    """One wheel of the lock (PEP 751, packages.wheels)."""

    name: str
    """Normalised distribution name (PEP 503)."""
    version: str
    url: str = field(repr=False)
    """http(s) or file URL, without credentials."""
    size_bytes: int | None
    """None where the lock does not say."""
    digest: Digest
    filename: str
    """As the index names it; carries the tags (PEP 427)."""
    direct: bool = False
    """Asked for by URL or path rather than by name: gets a direct_url.json (PEP 610)."""


@dataclass(frozen=True, slots=True, order=True)
class LockedSource:
    """A source distribution of the lock (PEP 751, packages.sdist): to be built into a wheel."""

    name: str
    """Normalised distribution name (PEP 503)."""
    version: str
    url: str = field(repr=False)
    """http(s) or file URL, without credentials."""
    size_bytes: int | None
    """None where the lock does not say."""
    digest: Digest
    filename: str
    """As the index names it: `NAME-VERSION.tar.gz` or `.zip`."""
    uploaded_at: str = ""
    """RFC 3339, where it is known: build tools are taken as they were then."""


@dataclass(frozen=True, slots=True, order=True)
class LockedLayer:
    """A layer as the machine that wrote the lock made it: no other bytes are taken for it from a last image."""

    key: str
    """SHA-256 (hex) of all that its bytes depend on."""
    kind: str
    """"base", "system", "wheel" or "packages"."""
    digest: Digest
    diff_id: Digest
    size_bytes: int
    """Compressed."""


@dataclass(frozen=True, slots=True, order=True)
class DebianPackagePin:
    """One .deb, as the signed package index lists it."""

    name: str
    version: str
    architecture: str
    """Debian's: "amd64", "arm64", "all"."""
    path: str
    """Below the archive's root: `pool/main/…`."""
    archive: Literal["debian", "debian-security"]
    size_bytes: int
    digest: Digest
    because: str = "part of the base"
    root: bool = True
    """Whether it was asked for itself, not only needed by another."""


@dataclass(frozen=True, slots=True)
class BasePin:
    """The base, pinned: which packages of which suite make it."""

    suite: str
    """Debian code name: "bookworm", …"""
    python: str
    """Full version of the suite's CPython, as "3.11.2"."""
    platform: Platform
    packages: tuple[DebianPackagePin, ...]
    """The canonical base, the same for all projects on this suite, sorted by name: the first layer."""
    extra_packages: tuple[DebianPackagePin, ...] = ()
    """What this project needs beyond it, sorted by name: the second layer."""

    @property
    def reference(self) -> str:
        """As `--base` takes it: `debian:bookworm`."""
        return f"debian:{self.suite}"


@dataclass(frozen=True, slots=True)
class BaseLayerPin:
    """One layer of an image that is a base."""

    media_type: str
    """OCI's name for how it is packed, whatever the image itself calls it: one manifest never mixes both families."""
    digest: Digest
    diff_id: Digest
    size_bytes: int
    """As transported."""


@dataclass(frozen=True, slots=True)
class ImageBasePin:
    """An image of a registry as the base, pinned by digest."""

    reference: str
    """As `--base` takes it: `python:3.12-slim`; where it is pulled from, too."""
    digest: Digest
    """Of the manifest for `platform`."""
    python: str
    """Full version of its CPython, as "3.12.12"."""
    glibc: str
    """Version of its C library, as "2.36"."""
    interpreter: str
    """Absolute path of the program, as "/usr/local/bin/python3.12"."""
    platform: Platform
    layers: tuple[BaseLayerPin, ...]
    """Oldest first."""
    environment: tuple[tuple[str, str], ...] = ()
    """What its config sets, sorted by name."""
    suite: str = ""
    """Debian code name where it is one, else ""."""
    packages: tuple[DebianPackagePin, ...] = ()
    """None: an image brings its packages in its layers."""
    extra_packages: tuple[DebianPackagePin, ...] = ()
    """What this project needs beyond it, sorted by name: a layer on top of the image's."""


Base: TypeAlias = BasePin | ImageBasePin
"""Both kinds have `reference`, `python`, `platform`, `suite`, `packages` and `extra_packages`."""


@dataclass(frozen=True, slots=True, order=True)
class ApplicationFile:
    """A file, folder or link of the project that goes into the image."""

    path: str
    """Relative to the project folder and to /app, with `/`; undecodable bytes as surrogate escapes."""
    kind: Literal["file", "directory", "symlink"]
    size_bytes: int = 0
    executable: bool = False
    target: str = ""
    """Of a symlink, as it stands."""
    digest: Digest | None = None
    """Of a file's content."""


@dataclass(frozen=True, slots=True, order=True)
class GeneratedFile:
    """A small text file of the image that the project does not have: shipml writes it."""

    path: str
    """Absolute."""
    text: str = field(repr=False)
    executable: bool = False


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer: what goes into it. Layers are planned oldest first."""

    kind: Literal["base", "system", "wheel", "packages", "data", "weights", "application"]
    members: tuple[str, ...]
    """Wheels: `name==version`; files: their paths; Debian packages: `name=version`; data: `kind name`."""


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """What `shipml run` demands of the image: the settings table `[smoke]`."""

    expect: str = ""
    """Regular expression that the output must contain; "" demands nothing."""
    minimum: tuple[tuple[str, float], ...] = ()
    """Measures printed as `NAME: NUMBER` (or `NAME = NUMBER`) and the least each must reach, sorted by name."""
    http: str = ""
    """Path that must answer 2xx or 3xx, such as "/health"; "" for programs that are not servers."""
    port: int | None = None
    """Where it answers; None takes the image's exposed port, else $PORT 8080."""
    timeout_seconds: float = 600.0
    any_answer: bool = False
    """Whether every answer below 500 passes: `http` is a guess, and nothing is known that must be there."""
    alive: bool = False
    """Whether still running at the time limit passes."""
    command: tuple[str, ...] = ()
    """Instead of the image's own command; () runs that."""
    network: bool = False
    """Whether the program may reach the network while it is tested."""
    env: tuple[str, ...] = ()
    """Names of variables that the program gets from the environment of whoever tests it."""
    skip: str = ""
    """The reason why this image is not to be run here; "" runs it."""
    calls_nothing: bool = False
    """Whether the program is a file that only defines things: it ends at once, and has done nothing."""
    requests: tuple[SmokeRequest, ...] = ()
    """What the server is asked once it answers, in order."""
    visit: bool = True
    """Whether an app whose work begins when a browser comes is visited."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be built."""

    name: str
    """Of the image's repository: lower case, as in `name:latest`."""
    platform: Platform
    python: str
    """Minor version: "3.11"."""
    base: Base
    wheels: tuple[LockedWheel, ...]
    """Sorted by name."""
    application: tuple[ApplicationFile, ...]
    """Sorted by path; every parent folder is an entry of its own."""
    layers: tuple[LayerPlan, ...]
    command: tuple[str, ...]
    """Config.Cmd: the program and its arguments, or what follows the entrypoint."""
    entrypoint: tuple[str, ...] = ()
    """Config.Entrypoint: what stays where a run gives a command of its own."""
    environment: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""
    labels: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""
    exposed_ports: tuple[int, ...] = ()
    user: str = str(USER_ID)
    """Config.User: a number, `uid:gid` or a name of the base's passwd."""
    working_dir: str = WORKING_DIR
    """Absolute; the application's files lie below it at their own paths, but for those in `places`."""
    places: tuple[tuple[str, str], ...] = ()
    """(path, absolute path in the image) of application files that do not lie there alone, sorted; a path comes once
    for each place."""
    folders: tuple[str, ...] = ()
    """Empty folders that the application expects: absolute, sorted."""
    home: str = ""
    """The user's home folder, to be made where the base does not have it; anybody may write there."""
    generated: tuple[GeneratedFile, ...] = ()
    """Files beside the application's, sorted by path: the project's metadata and commands, what starts programs."""
    data: tuple[DataPin, ...] = ()
    """That the code reads and no package brings; sorted."""
    created_at: str = "1970-01-01T00:00:00Z"
    """RFC 3339, for config and label; SOURCE_DATE_EPOCH or the commit time."""
    modified_at_seconds: int = 0
    """Of the application's files in their layers (POSIX time): SOURCE_DATE_EPOCH where it is set."""
    smoke: SmokeCheck = SmokeCheck()
    decisions: tuple[Decision, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON document: what `shipml plan --json` prints."""
        document: dict[str, Any] = _plain(self)
        return document


_OBJECTS = frozenset({"environment", "labels", "minimum"})
"""Fields that hold (name, value) pairs."""


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    if isinstance(value, (Digest, Platform)):
        return str(value)
    if isinstance(value, Decision):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        names = [one.name for one in fields(value)]
        return {
            name: dict(getattr(value, name)) if name in _OBJECTS else _plain(getattr(value, name)) for name in names
        }
    return value
