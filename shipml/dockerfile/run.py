"""Understands the commands of RUN that ML Dockerfiles are made of: pip, uv, poetry, conda, apt-get, mkdir, useradd."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence

from shipml.dockerfile import tools
from shipml.dockerfile.accounts import add_group, add_user
from shipml.dockerfile.pip_install import read_pip_install
from shipml.dockerfile.ran import GROUPS, Ran, RunError
from shipml.dockerfile.shell_words import ShellCommand, split_commands
from shipml.facts.dockerfile import DockerfileUser

__all__ = ["Ran", "RunError", "understand_run"]

_INSTALLERS = frozenset({"pip", "wheel"})
"""What a program does not need: it was there to install others."""
_TOOLS = frozenset({"poetry", "pipenv", "pdm", "virtualenv", "pipx", "poetry-plugin-export"})
"""The same, where they install the project."""
_HARMLESS = frozenset(
    {"true", ":", "echo", "set", "ldconfig", "ls", "cat", "env", "printenv", "which", "id", "whoami", "pwd", "date"}
    | {"sleep", "sync", "source", ".", "shopt", "hash", "type", "command", "virtualenv", "printf", "test", "uname"}
)
"""What leaves nothing behind, or what an image of Debian's packages has anyway."""
_LIGHT: Mapping[str, str] = {
    **dict.fromkeys(("apk", "yum", "dnf", "microdnf", "zypper"), "it installs packages of another system"),
    **dict.fromkeys(
        ("locale-gen", "update-locale", "dpkg-reconfigure", "update-ca-certificates", "update-alternatives"),
        "it sets up the system",
    ),
    **dict.fromkeys(("apt-key", "add-apt-repository", "gpg", "apt-mark"), "Debian's own packages are taken"),
    **dict.fromkeys(("touch", "ln", "find", "strip", "umask", "git-lfs", "dvc", "pre-commit"), "it is not understood"),
    **dict.fromkeys(("pytest", "ruff", "mypy", "flake8", "black", "tox"), "it tests the project"),
}
"""What the image can do without, and why."""
_LIGHT_FILES = re.compile(r"/etc/|~/|/root/|\$HOME/|\$\{HOME\}/|/var/log/")
"""Files that set up the system or a shell of it."""
_INSTALLER_ADDRESSES = re.compile(
    r"install\.python-poetry\.org|get-poetry\.py|astral\.sh/uv|get-pip\.py|bootstrap\.pypa"
)
_ADDRESS = re.compile(r"https?://[^\s'\"]+")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=\S*")
_DATA = re.compile(r"nltk|spacy|download|transformers|huggingface|torch|sentence|whisper|from_pretrained|import ")
_CLEANS = re.compile(
    r"/var/lib/apt/lists.*|/var/cache/.*|/tmp/.*|/root/\.cache.*|~/\.cache.*|/var/tmp/.*|/usr/share/(?:doc|man).*"
)


def understand_run(text: str, users: Sequence[DockerfileUser] = (), groups: Mapping[str, int] | None = None) -> Ran:
    """What the commands of a RUN do.

    Args:
        text: the commands, lines parted by newlines.
        users: those that earlier RUNs made.
        groups: their groups, by name.

    Raises:
        RunError: one of them is not known, and the image cannot do without it.
    """
    ran = Ran(known_users=tuple(users), groups={**GROUPS, **(groups or {})})
    for command in split_commands(text):
        try:
            _understand(command, ran)
        except RunError as error:
            if not error.is_light:
                raise
            ran.skipped.append((command.text, str(error)))
    return ran


def _understand(command: ShellCommand, ran: Ran) -> None:
    words = list(command.words)
    while words and (words[0] in {"sudo", "exec", "time", "export", "-E"} or _ASSIGNED.fullmatch(words[0])):
        words.pop(0)
    if not words:
        if command.needs_shell:
            raise RunError(f"{command.needs_shell} needs a shell", is_light=True)
        return
    program, words = _program(words)
    if command.needs_shell and program in {"curl", "wget", "yes", "echo"} and _INSTALLER_ADDRESSES.search(command.text):
        return
    if program in _LIGHT:
        raise RunError(_LIGHT[program], is_light=True)
    written = [path for path in command.written if not _LIGHT_FILES.match(path)]
    if program in {"pipenv", "poetry", "uv"} and len(written) == 1:
        ran.exported.append(written.pop())
    if written:
        raise RunError(f"it writes {written[0]}")
    if command.needs_shell and program not in {*_HARMLESS, "curl", "wget"}:
        raise RunError(f"{command.needs_shell} needs a shell")
    understand = _PROGRAMS.get(program)
    if understand is None:
        raise RunError(f"{program} is not understood")
    understand(words[1:], ran)


def _program(words: list[str]) -> tuple[str, list[str]]:
    """The program, by its usual name, and the words from there on: `python -m pip` and `uv pip` are pip."""
    program = words[0].rpartition("/")[2]
    if program in tools.RUNNERS and words[1:2] == ["run"]:
        words = tools.without_runner(words)
        program = words[0].rpartition("/")[2] if words else ":"
    is_python = re.fullmatch(r"python[\d.]*", program) is not None
    if is_python and words[1:2] == ["-m"] and len(words) > 2:  # noqa: PLR2004  (python -m MODULE)
        modules = {"pip": "pip", "poetry": "poetry", "pipenv": "pipenv", "uv": "uv", "venv": "venv"}
        if words[2] in modules:
            program, words = modules[words[2]], words[2:]
    elif program == "uv" and words[1:2] == ["pip"]:
        program, words = "pip", words[1:]
    if re.fullmatch(r"pip[\d.]*", program):
        program = "pip"
    return "python" if re.fullmatch(r"python[\d.]*", program) else program, words


def _python(words: Sequence[str], ran: Ran) -> None:
    """`python -m spacy download`, `python -c "import nltk; …"`: data that is fetched; a script makes what it makes."""
    if words[:3] == ["-m", "spacy", "download"]:
        ran.requirements += [word.replace("_", "-") for word in words[3:4] if not word.startswith("-")]
        return
    if words[:1] in (["--version"], ["-V"]):
        return
    text = " ".join(words)
    if words[:1] == ["-c"] or (words[:1] == ["-m"] and _DATA.search(text)):
        raise RunError("it fetches data, or tries something out", is_light=True)
    if words[:2] == ["manage.py", "collectstatic"]:
        raise RunError("it gathers files that Django serves itself in development", is_light=True)
    raise RunError(f"python {' '.join(words[:2])} makes what only an engine keeps")


def _download(words: Sequence[str], ran: Ran) -> None:
    del ran
    address = _ADDRESS.search(" ".join(words))
    if _INSTALLER_ADDRESSES.search(" ".join(words)):
        return
    what = address[0] if address else "a file"
    raise RunError(f"it downloads {what}: keep the file in the project, and COPY it")


def _pip(words: Sequence[str], ran: Ran) -> None:
    action, rest = next(((word, at) for at, word in enumerate(words) if not word.startswith("-")), ("", 0))
    if action in {"cache", "check", "list", "config", "--version", "freeze", "show", "debug", ""}:
        return
    if action in {"uninstall", "download", "compile", "sync"}:
        raise RunError(f"pip {action} is not understood", is_light=action == "uninstall")
    if action not in {"install", "wheel"}:
        raise RunError(f"pip {action} is not understood")
    asked = read_pip_install([*words[:rest], *words[rest + 1 :]])
    if asked.lacking:
        raise RunError(f"pip {action} {asked.lacking} lacks its value")
    folders = {"--prefix", "--target", "-t", "--wheel-dir", "-w", "--no-index", "--require-hashes"}
    for one in asked.others:
        if one not in folders:
            raise RunError(f"pip {action} {one} is not understood")
    _own(asked.places, asked.editable, ran)
    ran.requirement_files += [posixpath.join(ran.folder, path) for path in asked.files]
    ran.constraint_files += [posixpath.join(ran.folder, path) for path in asked.constraints]
    ran.index_options += asked.index_options
    ran.requirements += [
        one for one in asked.requirements if re.split(r"[<>=!~\[ ]", one)[0].lower() not in _INSTALLERS
    ]


def _own(places: Sequence[str], editable: Sequence[str], ran: Ran) -> None:
    """`pip install .`, `pip install -e .[all]`: the project itself; wheels that an earlier stage made."""
    for one in (*places, *editable):
        place = one.partition("[")[0].rstrip("/") or "/"
        if place in {".", "./"}:
            ran.installs_itself = True
            ran.extras += re.findall(r"[\w.-]+", one.partition("[")[2])
            ran.project_files.append("pyproject.toml")
        elif not one.endswith((".whl", "/*", "/wheels", "/wheelhouse")):
            raise RunError(f"pip install {one}: what lies in the project is not understood")


def _apt(words: Sequence[str], ran: Ran) -> None:
    plain = [word for word in words if not word.startswith("-")]
    action = plain[0] if plain else ""
    if action in {"update", "clean", "autoclean", "autoremove", "upgrade", "dist-upgrade", "purge", "remove"}:
        return
    if action != "install":
        raise RunError(f"apt-get {action} is not understood")
    for word in plain[1:]:
        if "/" in word:
            raise RunError(f"apt-get install {word}: files are not understood")
        ran.system_packages.append(word.partition("=")[0])


def _cd(words: Sequence[str], ran: Ran) -> None:
    ran.folder = posixpath.normpath(posixpath.join(ran.folder, words[0])) if words else ""


def _mkdir(words: Sequence[str], ran: Ran) -> None:
    ran.folders += [posixpath.join(ran.folder, word) for word in words if not word.startswith("-")]


def _chmod(words: Sequence[str], ran: Ran) -> None:
    """What becomes executable counts; the files are readable anyway."""
    mode, *paths = [word for word in words if not re.fullmatch(r"-[Rfvc]+|--\w+", word)] or [""]
    octal = mode if re.fullmatch(r"[0-7]{3,4}", mode) else ""
    if "x" in mode.partition("-")[0] or "X" in mode or (octal and int(octal[-3]) & 1):
        ran.executables += [posixpath.join(ran.folder, path) for path in paths]


def _venv(words: Sequence[str], ran: Ran) -> None:
    ran.environments += [posixpath.join(ran.folder, word) for word in words if not word.startswith("-")]


def _rm(words: Sequence[str], ran: Ran) -> None:
    del ran
    for word in words:
        if not word.startswith("-") and not _CLEANS.fullmatch(word):
            raise RunError(f"rm of {word} is not understood", is_light=True)


def _sed(words: Sequence[str], ran: Ran) -> None:
    del ran
    files = [word for word in words[1:] if not word.startswith("-") and "/" in word]
    is_light = bool(files) and all(_LIGHT_FILES.match(word) or word.startswith("s") for word in files)
    raise RunError("it changes files", is_light=is_light)


def _git(words: Sequence[str], ran: Ran) -> None:
    del ran
    if words[:1] != ["config"]:
        raise RunError(f"git {' '.join(words[:1])} is not understood")


def _nothing(words: Sequence[str], ran: Ran) -> None:
    """What leaves nothing behind that a program would miss: files of the application belong to its user anyway."""
    del words, ran


_PROGRAMS: Mapping[str, Callable[[Sequence[str], Ran], None]] = {
    "pip": _pip,
    "pipx": _nothing,
    "uv": tools.uv,
    "poetry": tools.poetry,
    "pipenv": tools.pipenv,
    "conda": tools.conda,
    "mamba": tools.conda,
    "micromamba": tools.conda,
    "venv": _venv,
    "python": _python,
    "apt-get": _apt,
    "apt": _apt,
    "cd": _cd,
    "mkdir": _mkdir,
    "chmod": _chmod,
    "rm": _rm,
    "sed": _sed,
    "git": _git,
    "curl": _download,
    "wget": _download,
    "useradd": functools.partial(add_user, is_adduser=False),
    "adduser": functools.partial(add_user, is_adduser=True),
    "usermod": _nothing,
    "groupadd": add_group,
    "addgroup": add_group,
    "chown": _nothing,
    "chgrp": _nothing,
    **dict.fromkeys(_HARMLESS, _nothing),
}
