"""Small files of the image that start programs: variables without a shell, notebooks as in Jupyter. Pure texts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shipml.facts.plan import GeneratedFile

__all__ = ["EXPANDED", "NOTEBOOK", "launchers", "started_in", "with_variables"]

_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)")
EXPANDED = "/opt/shipml/expand.py"
"""Runs the command that follows, with its variables filled in from the environment."""
NOTEBOOK = "/opt/shipml/notebook.py"
"""Runs the cells of the notebook that follows."""

_TEXTS = {
    EXPANDED: '''\
"""Run a command with $NAME and ${NAME} filled in from the environment, after NAME=VALUE words: without a shell.

--chdir=FOLDER as the first word starts it there.
"""

import os
import sys

words = [os.path.expandvars(word) for word in sys.argv[1:]]
if words[0].startswith("--chdir="):
    os.chdir(words.pop(0).partition("=")[2])
while "=" in words[0]:
    name, _, value = words.pop(0).partition("=")
    os.environ[name] = value
os.execvp(words[0], words)
''',
    NOTEBOOK: '''\
"""Run the code cells of a notebook in order, in a kernel as Jupyter's, and print what they print."""

import os
import re
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

ANSI = re.compile(r"\\x1b\\[[0-9;]*m")


class Printing(NotebookClient):
    """A client that prints each output as it comes."""

    def process_message(self, msg, cell, cell_index):
        content = msg["content"]
        if msg["msg_type"] == "stream":
            stream = sys.stderr if content["name"] == "stderr" else sys.stdout
            print(ANSI.sub("", content["text"]), end="", file=stream, flush=True)
        elif msg["msg_type"] in ("execute_result", "display_data"):
            print(content["data"].get("text/plain", ""), flush=True)
        return super().process_message(msg, cell, cell_index)


path = sys.argv[1]
notebook = nbformat.read(path, as_version=4)
folder = os.path.dirname(os.path.abspath(path))
client = Printing(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": folder}})
kernel = client.create_kernel_manager()
kernel.transport, kernel.ip = "ipc", f"/tmp/kernel-{os.getpid()}"
try:
    client.execute()
except CellExecutionError as error:
    outputs = [[one.output_type for one in cell.get("outputs", ())] for cell in notebook.cells]
    number = next(at for at, kinds in enumerate(outputs, 1) if "error" in kinds)
    print(ANSI.sub("", error.traceback), file=sys.stderr)
    sys.exit(f"{path}: cell {number} failed: {error.ename}: {error.evalue}")
except DeadKernelError:
    sys.exit(f"{path}: the kernel ended before its cell did")
finally:
    if len(sys.argv) > 2:
        nbformat.write(notebook, sys.argv[2])
''',
}


def with_variables(words: Sequence[str]) -> tuple[str, ...]:
    """The command that runs `words`: by a launcher that fills in their variables when it starts, if they have any."""
    return ("python", EXPANDED, *words) if any(_VARIABLE.search(word) for word in words) else tuple(words)


def started_in(folder: str, words: Sequence[str]) -> tuple[str, ...]:
    """The command `words` started in a folder of the project: by the same launcher; "" is where it starts anyway."""
    if not folder:
        return tuple(words)
    rest = words[2:] if tuple(words[:2]) == ("python", EXPANDED) else words
    return ("python", EXPANDED, f"--chdir={folder}", *rest)


def launchers(command: Sequence[str]) -> tuple[GeneratedFile, ...]:
    """The files that a command starts with, of those that shipml writes."""
    return tuple(GeneratedFile(path, _TEXTS[path]) for path in sorted(_TEXTS) if path in command)
