"""Write docs/reference.md from the program itself: `python docs/generate_reference.py`. A test keeps it fresh."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from shipml import errors
from shipml.project.settings_shape import ORGANISATION, SETTINGS, Table

REFERENCE = Path(__file__).with_name("reference.md")
COMMANDS = (
    "init",
    "plan",
    "build",
    "run",
    "serve",
    "shell",
    "dockerfile",
    "login",
    "logout",
    "tag",
    "push",
    "ship",
    "promote",
    "images",
    "pull",
    "rm",
    "inspect",
    "cache info",
    "cache prune",
    "version",
)

INTRODUCTION = """\
# Reference

Written by `python docs/generate_reference.py` from the program itself; do not edit.

- [Commands](#commands)
- [Output](#output)
- [Exit codes](#exit-codes)
- [Settings](#settings)
- [Environment variables](#environment-variables)
"""

OUTPUT = """\
## Output

stdout carries data, stderr everything else, so that output can be piped and kept. Without `--json`:
`build` prints the digest, `plan` the plan, `dockerfile` a Dockerfile, `run` what the program in the image writes, `serve` the URL, `shell` what the shell writes,
`login` and `logout` the registry's host, `tag` the new name, `push`, `ship` and `promote` what arrived as `repository@sha256:…`, `images` a table, `pull` the digest, `rm` the names that are gone, `inspect` JSON, `init` the files that it wrote.

With `--json` the result is one JSON document on stdout. The fields that are there at least:

| command | fields |
|---|---|
| `build` | `digest`, `references`, `size_bytes`, `builder`, `base`, `python`, `platform`, `layers` (each `digest`, `diff_id`, `size_bytes`, `kind`, `source`, `reused`), `decisions`, `changes` (what was corrected), `elapsed_seconds` |
| `run` | `digest`, `runtime`, `passed`, `exit_code`, `measures`, `output`, `elapsed_seconds`, `because` |
| `serve` | `url`, `digest`, each time that an image is up |
| `push` | `reference` (with digest), `digest`, `references`, `pushed_by`, `identity`, `credentials` (their source), `smoke`, `uploaded_bytes`, `mounted_bytes`, `skipped_bytes` (each null where an engine cannot tell), `elapsed_seconds` |
| `ship` | `reference`, `digest`, `size_bytes`, `measures`, `elapsed_seconds`, and the documents of `build`, `run` and `push` |
| `promote` | `reference`, `digest`, `source`, `references`, `before`, `after`, `way`, `way_back` (a command), `smoke`, `uploaded_bytes`, `mounted_bytes`, `skipped_bytes`, `elapsed_seconds` |
| `login` | `registry`, `username`, `kept_in`, `in_clear_text` |
| `logout` | `registry`, `found`, `left` (where there are still credentials) |
| `tag` | `reference`, `digest` |
| `plan` | the plan, with `decisions` (each `what`, `value`, `because`); with `--lock` also `lock`, the file's path |
| `dockerfile` | `dockerfile` |
| `images` | a list, each with `reference`, `digest`, `platform`, `size_bytes`, `unique_bytes`, `layers`, `passed`, `source`, `created_at_seconds` |
| `pull` | as one of `images` |
| `rm` | `removed`, each with `reference` and `digest` |
| any that fails | `error` (`kind`, `message`, `hint`, `exit_code`); a failed `run` also has the fields above |

Progress is a live display on a terminal and one line a step elsewhere; `--progress` chooses. Sizes are decimal
(1 MB = 1,000,000 bytes); `--memory` counts as docker does (1m = 1,048,576 bytes).
"""  # noqa: E501  (a table row is one line)

ENVIRONMENT = """\
## Environment variables

| variable | meaning |
|---|---|
| `SHIPML_CONFIG` | the defaults of the organisation, in place of `/etc/shipml.toml` (see Settings); empty: none |
| `SHIPML_LOG` | `http`: show each HTTP request on stderr, as with `-vv` |
| `CI` | `true`: what a build corrected in the requirements is its last line |
| `SHIPML_HOME` | where the store is; default: `$XDG_CACHE_HOME/shipml`, `~/.cache/shipml`, on macOS `~/Library/Caches/shipml` |
| `SHIPML_CACHE_MAX_SIZE` | how large the store may be after a build, such as `20 GB`; before the setting `[cache] max-size` |
| `SHIPML_USERNAME`, `SHIPML_PASSWORD` | credentials for the registry that is pushed to, before those of docker and podman |
| `SHIPML_REGISTRY` | the host that these two are for; without it the one that the command line names, never one that only settings name |
| `SHIPML_HUB_MIRROR` | a registry that images of Docker Hub are pulled from in its place: a host, with port if any, after `http://` where it speaks no TLS; pushes to Docker Hub go to Docker Hub, and its credentials are not sent to the mirror |
| `SHIPML_NLTK_DATA_URL` | where NLTK's data is fetched from: a copy of nltk_data's `gh-pages`, with `index.xml` and `packages/` |
| `SHIPML_SPACY_MODELS_URL` | where spaCy's models are fetched from: `compatibility.json`, and `NAME-VERSION/NAME-VERSION-py3-none-any.whl` |
| `HF_ENDPOINT` | where repositories of Hugging Face are fetched from, as its own libraries take it |
| `SHIPML_INSECURE_REGISTRIES` | registries, separated by commas, that are spoken to without TLS; those on this machine always are |
| `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`, `REGISTRY_AUTH_FILE` | the Docker Engine, and where docker's and podman's credentials lie |
| `GITHUB_STEP_SUMMARY`, `GITHUB_OUTPUT` | set by GitHub Actions: where `build`, `push` and `ship` write a summary and outputs (`digest`, `reference`, `references`, `size_bytes`, `passed`, and each measure, as `accuracy`) |
| `SHIPML_DEBIAN_MIRROR` | the Debian mirror; default: the one that apt uses on this machine, else Debian's own |
| `SOURCE_DATE_EPOCH` | time of everything in the image, in seconds since 1970 |
| `NO_COLOR`, `TERM=dumb` | no colours |
| `UV_DEFAULT_INDEX`, `UV_INDEX`, `UV_INDEX_NAME_USERNAME`, `UV_KEYRING_PROVIDER`, … | package indexes and their credentials, as uv reads them |
| `SHIPML_PYTORCH_INDEX` | a mirror of PyTorch's own index, which has the builds of torch for one accelerator each; it has the same layout: `URL/cpu/torch/` |
| `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, … | proxies and certificate authorities |
"""  # noqa: E501


def exit_codes() -> Iterator[str]:
    """The table of exit codes, from the error classes."""
    yield "## Exit codes\n"
    yield "| code | when | `error.kind` |"
    yield "|---|---|---|"
    yield "| 0 | done | |"
    found: dict[int, list[type[errors.ShipmlError]]] = {}
    for name in errors.__all__:
        error = getattr(errors, name)
        if error is not errors.ShipmlError:
            found.setdefault(error.exit_code, []).append(error)
    for code, classes in sorted(found.items()):
        # The class that the others of the same code derive from says what the code means.
        classes.sort(key=lambda one: len(one.__mro__))
        meaning = inspect.cleandoc(classes[0].__doc__ or "").splitlines()[0].rstrip(".")
        kinds = [f"`{one.kind}`" for one in classes] + (["`internal`"] if code == 1 else [])
        yield f"| {code} | {meaning[0].lower()}{meaning[1:]} | {', '.join(kinds)} |"
    yield ""


def commands() -> Iterator[str]:
    """What `--help` says, command by command."""
    yield "## Commands\n"
    shipml = Path(sys.executable).with_name("shipml")
    for command in ("", *COMMANDS):
        yield f"### {f'shipml {command}'.strip()}\n"
        yield "```text"
        done = subprocess.run(
            [shipml, *command.split(), "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": "102", "NO_COLOR": "1"},
        )
        yield done.stdout.strip()
        yield "```\n"


def settings() -> Iterator[str]:
    """The keys of the settings, from the loader's own table."""
    yield "## Settings\n"
    yield "`shipml.toml`, or the same keys under `[tool.shipml]` in `pyproject.toml`. Unknown keys are errors.\n"
    yield "| key | holds | meaning |"
    yield "|---|---|---|"
    yield from _rows(SETTINGS, "")
    yield ""
    yield "### Defaults of an organisation\n"
    yield "`/etc/shipml.toml`, or the file that `SHIPML_CONFIG` names (empty: none). A project's win, key by key,"
    yield "but what is forbidden stays so: no project widens `allowed-bases` or ends `strict`.\n"
    yield "| key | holds | meaning |"
    yield "|---|---|---|"
    yield from _rows(ORGANISATION, "")
    yield ""


def _rows(table: Table, prefix: str) -> Iterator[str]:
    for name, key in table.keys.items():
        if isinstance(key, Table):
            yield f"| `[{prefix}{name}]` | a table | {key.description.rstrip('.')} |"
            yield from _rows(key, f"{prefix}{name}.")
        else:
            yield f"| `{prefix}{name}` | {key.wanted} | {key.description.rstrip('.')} |"
    if isinstance(table.every, Table):
        yield from _rows(table.every, f"{prefix}NAME.")
    elif table.every is not None:
        yield f"| `{prefix}NAME` | {table.every.wanted} | |"


def reference() -> str:
    """The whole document."""
    parts = [INTRODUCTION, *commands(), OUTPUT, *exit_codes(), *settings(), ENVIRONMENT]
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
