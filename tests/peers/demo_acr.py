"""`make demo-acr`: login, build, push, promote INT → PROD with the real command line, against the stand-in for Azure.

Nothing here reaches Azure. The commands are what one would type against one's own registries; the names in them are
Azure's, and lead to this machine through a proxy and a CA that only these commands know of.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.peers.azure_cloud import INT_NAME, PROD_NAME, AzureCloud, start_azure_cloud
from tests.peers.registry_behind import need_registry

__all__ = ["run_demo"]

_EXAMPLE = Path(__file__).parents[2] / "example_project"
_REPOSITORY, _TAG = "ml/iris", "1.0"
_SETTINGS = f"""
[environments.int]
registry = "{INT_NAME}.azurecr.io"
repository = "{_REPOSITORY}"

[environments.prod]
registry = "{PROD_NAME}.azurecr.io"
repository = "{_REPOSITORY}"
"""
_COMMANDS = (
    f"shipml login acr --name {INT_NAME}",
    "shipml build . --builder embedded --name iris",
    f"shipml push iris --registry acr --name {INT_NAME} --repository {_REPOSITORY} --tag {_TAG}",
    f"shipml push iris --registry acr --name {INT_NAME} --repository {_REPOSITORY} --tag {_TAG}",
    f"shipml promote {_TAG} --from int --to prod",
    f"shipml promote {_TAG} --from int --to prod",
)


def run_demo(cloud: AzureCloud, folder: Path) -> bool:
    """Run the commands in a copy of the example below `folder`, which are printed as one would type them.

    Returns:
        whether all went well and both registries have the same digest.
    """
    project = folder / "iris"
    shutil.copytree(_EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__"))
    with (project / "shipml.toml").open("a") as settings:
        settings.write(_SETTINGS)
    environment = _environment(cloud, folder)
    _say("signed in with `az` as developer@example.org; registries: demoint and demoprod, both on this machine")
    for command in _COMMANDS:
        _say(f"\n$ {command}")
        done = subprocess.run(shlex.split(command), cwd=project, env=environment, check=False)
        if done.returncode != 0:
            _say(f"ended with {done.returncode}")
            return False
    return _same(cloud)


def _environment(cloud: AzureCloud, folder: Path) -> dict[str, str]:
    """Without any identity but that of `az`, and with a place of its own for credentials."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "ACTIONS_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), str(cloud.bin), os.environ.get("PATH", "")])
    return kept | cloud.environment() | {"DOCKER_CONFIG": str(folder / "docker"), "PATH": path}


def _same(cloud: AzureCloud) -> bool:
    digests = {acr.host: acr.place(_REPOSITORY).digest(_TAG) for acr in (cloud.int, cloud.prod)}
    _say("\nwhat the registries have:")
    for host, digest in digests.items():
        _say(f"{host}/{_REPOSITORY}:{_TAG} {digest or 'is not there'}")
    imports = cloud.log.find("arm", "POST", "importImage", 202)
    _say(f"copied inside the cloud by importImage: {'yes' if imports else 'no'}")
    return "" not in digests.values() and len(set(digests.values())) == 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """The program."""
    try:
        need_registry()
        with tempfile.TemporaryDirectory() as folder, start_azure_cloud() as cloud:
            cloud.way.lets_through = True  # the packages come from where they always do
            return 0 if run_demo(cloud, Path(folder)) else 1
    except pytest.skip.Exception as missing:
        _say(f"the demonstration needs a real registry behind the stand-in: {missing}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
