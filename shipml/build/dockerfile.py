"""An equivalent Dockerfile: the same Python, packages, files, user, environment and command, built without shipml.

Pure: a plan in, text out. It needs no BuildKit feature, so that every builder takes it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable

from shipml.build.application import owner_of
from shipml.facts.data import HUB_HOME, NLTK_HOME
from shipml.facts.plan import (
    PREFIX,
    ImageBasePin,
    LockedWheel,
    Plan,
)

__all__ = ["dockerfile"]

_HEADER = """\
# Written by: shipml dockerfile
# Builds the same image content without shipml: docker build -t {name} .
# Wheels are pinned by hash; Debian packages are the suite's newest on the day of the build."""


def dockerfile(plan: Plan, *, ignored: Iterable[str] = ()) -> str:
    """The Dockerfile's text.

    Args:
        plan: what to build.
        ignored: patterns that shipml leaves out and a .dockerignore should name too; they are told in a comment.
    """
    blocks = [
        _HEADER.format(name=plan.name),
        *_ignore_comment(ignored),
        f"FROM --platform={plan.platform} {_base(plan)}",
        *_system_packages(plan),
        _user(plan),
        *_wheels(plan),
        *_data(plan),
        *_environment(plan),
        *_labels(plan),
        f"WORKDIR {plan.working_dir}",
        _application(plan),
        *_generated(plan),
        *(f"EXPOSE {port}" for port in plan.exposed_ports),
        f"USER {plan.user}",
        *([f"ENTRYPOINT {json.dumps(plan.entrypoint)}"] if plan.entrypoint or _is_image(plan) else []),
        f"CMD {json.dumps(plan.command)}",
    ]
    return "\n\n".join(blocks) + "\n"


def _is_image(plan: Plan) -> bool:
    """Whether the base is an image of a registry, which may have an entrypoint of its own."""
    return isinstance(plan.base, ImageBasePin)


def _base(plan: Plan) -> str:
    if isinstance(plan.base, ImageBasePin):
        return f"{plan.base.reference.partition('@')[0]}@{plan.base.digest}"
    return f"python:{plan.python}-slim-{plan.base.suite}"


def _ignore_comment(ignored: Iterable[str]) -> list[str]:
    patterns = sorted(set(ignored))
    if not patterns:
        return []
    lines = "\n".join(f"#   {pattern}" for pattern in patterns)
    return [f"# shipml leaves these out by itself; put them into .dockerignore:\n{lines}"]


def _system_packages(plan: Plan) -> list[str]:
    # "because" of a package that was asked for by name is its own reason; what only came along is left to apt.
    names = sorted({package.name for package in plan.base.extra_packages})
    if not names:
        return []
    listed = " \\\n      ".join(names)
    return [
        f"""\
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends \\
      {listed} \\
 && rm -rf /var/lib/apt/lists/*"""
    ]


def _user(plan: Plan) -> str:
    owner = owner_of(plan.user)
    if owner == 0:
        return "# runs as root: the settings say so"
    return (
        f"RUN groupadd --gid {owner} nonroot \\\n"
        f" && useradd --uid {owner} --gid {owner} --create-home --shell /usr/sbin/nologin nonroot"
    )


def _wheels(plan: Plan) -> list[str]:
    python, pip = "python", "pip"
    if isinstance(plan.base, ImageBasePin):  # it may have several
        python = shlex.quote(plan.base.interpreter)
        pip = f"{python} -m pip"
    if not plan.wheels:
        return [f"RUN {python} -m venv --without-pip /{PREFIX}"]
    pins = " \\\n      ".join(shlex.quote(_pin(wheel)) for wheel in plan.wheels)
    return [
        f"""\
RUN {python} -m venv --without-pip /{PREFIX} \\
 && printf '%s\\n' \\
      {pins} \\
      > /tmp/requirements.txt \\
 && {pip} --python /{PREFIX}/bin/python install --no-cache-dir --no-deps --only-binary :all: \\
      --require-hashes --requirement /tmp/requirements.txt \\
 && rm /tmp/requirements.txt"""
    ]


def _pin(wheel: LockedWheel) -> str:
    what = f"{wheel.name} @ {wheel.url}" if wheel.direct else f"{wheel.name}=={wheel.version}"
    return f"{what} --hash={wheel.digest}"


def _data(plan: Plan) -> list[str]:
    """By the readers' own tools: NLTK's are not pinned, repositories are by their commit."""
    blocks = []
    python = f"/{PREFIX}/bin/python"
    if names := sorted(pin.name for pin in plan.data if pin.kind == "nltk"):
        blocks.append(f"RUN {python} -m nltk.downloader -d {NLTK_HOME} {' '.join(names)}")
    for pin in plan.data:
        if pin.kind == "huggingface":
            paths = [file.path.partition(f"/snapshots/{pin.revision}/")[2] for file in pin.files if not file.text]
            call = f"snapshot_download({pin.name!r}, revision={pin.revision!r}, allow_patterns={paths!r})"
            code = f"from huggingface_hub import snapshot_download; {call}"
            blocks.append(f"RUN HF_HOME={HUB_HOME} {python} -c {shlex.quote(code)} \\\n && chmod -R a+rwX {HUB_HOME}")
    return blocks


def _environment(plan: Plan) -> list[str]:
    return _assignments("ENV", plan.environment)


def _labels(plan: Plan) -> list[str]:
    return _assignments("LABEL", plan.labels)


def _assignments(instruction: str, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    if not pairs:
        return []
    indent = " \\\n" + " " * (len(instruction) + 1)
    return [f"{instruction} " + indent.join(f"{name}={_quoted(value)}" for name, value in pairs)]


def _quoted(value: str) -> str:
    """A value in double quotes, with what a Dockerfile would expand or end escaped."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'


def _application(plan: Plan) -> str:
    """One COPY for the top-level files, one for each top-level folder (COPY takes a folder's content, not itself).

    Links at the top are made: COPY would follow one that it is given by name.
    """
    owner = owner_of(plan.user)
    chown = "" if owner == 0 else f"--chown={owner}:{owner} "
    top = [file for file in plan.application if "/" not in file.path]
    files = [file.path for file in top if file.kind == "file"]
    lines = [f"RUN chown {owner}:{owner} {plan.working_dir}"] if owner else []
    if files:
        lines.append(f"COPY {chown}{json.dumps([*map(_literal, files), './'])}")
    lines += [
        f"COPY {chown}{json.dumps([f'{_literal(file.path)}/', f'./{_unexpanded(file.path)}/'])}"
        for file in top
        if file.kind == "directory"
    ]
    lines += [f"RUN {_link(file.path, file.target, owner)}" for file in top if file.kind == "symlink"]
    return "\n".join(lines) or "# the project has no files"


def _link(path: str, target: str, owner: int) -> str:
    name = shlex.quote(f"./{path}")
    made = f"ln -s -- {shlex.quote(target)} {name}"
    return f"{made} && chown -h {owner}:{owner} {name}" if owner else made


def _generated(plan: Plan) -> list[str]:
    """RUN instructions that write the files which the project does not have: COPY takes no text without BuildKit."""
    written = []
    for one in plan.generated:
        if one.path == "/etc/passwd":
            continue  # useradd writes it
        lines = " \\\n      ".join(shlex.quote(line) for line in one.text.splitlines())
        folder, path = shlex.quote(one.path.rpartition("/")[0]), shlex.quote(one.path)
        mode = f" \\\n && chmod 755 {path}" if one.executable else ""
        written.append(f"RUN mkdir -p {folder} && printf '%s\\n' \\\n      {lines} \\\n      > {path}{mode}")
    return written


def _literal(path: str) -> str:
    """A source of COPY that stands for itself: Go's filepath.Match would take these characters for a pattern."""
    return _unexpanded(re.sub(r"[*?\[]", r"[\g<0>]", path.replace("\\", "\\\\")))


def _unexpanded(path: str) -> str:
    """A word of COPY in which nothing is a variable or a quote."""
    return re.sub(r"[\\$'\"]", r"\\\g<0>", path)
