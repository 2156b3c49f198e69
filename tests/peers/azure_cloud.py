"""A small Azure on this machine: Entra, a machine's identity, ARM, container registries.

By hand: `.venv/bin/python -m tests.peers.azure_cloud`.

Written from the documented protocols, over TLS with a CA of its own; the registries behind it are the real CNCF one.
It proves this side of the conversation only: no request ever reaches Azure.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Self

from tests.peers.acr import Acr
from tests.peers.acr_settings import AcrSettings
from tests.peers.acr_tasks import AcrTasks
from tests.peers.arm import Arm
from tests.peers.arm_import import ArmImport
from tests.peers.az_script import write_az, write_az_folder
from tests.peers.blob_storage import BlobStorage
from tests.peers.clock import Clock
from tests.peers.daemon import peer_folder
from tests.peers.directory import Directory
from tests.peers.entra import Entra
from tests.peers.faults import Fault, Faults
from tests.peers.hub import Hub
from tests.peers.identities import Grant, Identity
from tests.peers.imds import GitHubOidc, Imds
from tests.peers.registry_behind import Starter
from tests.peers.request_log import RequestLog
from tests.peers.stand_in_http import StandIn
from tests.peers.stand_in_tls import Authority
from tests.peers.way import Way

__all__ = ["INT_NAME", "PROD_NAME", "AzureCloud", "start_azure_cloud"]

INT_NAME, PROD_NAME, CHINA_NAME = "demoint", "demoprod", "demochina"
_TENANT = "11111111-1111-4111-8111-111111111111"
_GITHUB_SUBJECT = "repo:example/model:ref:refs/heads/main"


def _identities() -> list[Identity]:
    owner = (Grant("Contributor"),)
    return [
        Identity("developer", _TENANT, owner),
        Identity("machine", _TENANT, (Grant("AcrPush"),)),
        Identity("pipeline", _TENANT, (Grant("AcrPush"),), federated_subject=_GITHUB_SUBJECT),
        Identity("reader", _TENANT, (Grant("AcrPull"),)),
        Identity("nobody", _TENANT),
        Identity("abac-writer", _TENANT, (Grant("Container Registry Repository Writer", repositories="ml/"),)),
        Identity("stranger", str(uuid.UUID(int=int(_TENANT.replace("-", ""), 16) + 1)), owner),
    ]


class AzureCloud:
    """Everything running; `with` stops it.

    Identities: developer (Contributor of the subscription), machine and pipeline (AcrPush), reader (AcrPull), nobody,
    abac-writer (Container Registry Repository Writer below `ml/`), stranger (of another tenant).

    What a test may turn: `fault(…)` here, or `int.settings.faults` of one registry; `clock.advance(seconds)`;
    lifetimes in `directory.token_seconds`, `int.tokens.refresh_seconds` and `.access_seconds`; `int.tokens.expire(…)`;
    `imds.identity`; `entra.device_user`; `tasks.queue` and `tasks.build`; `imports.polls` and `.before_copy`;
    `hub.limits`. What was asked is in `log`. The registries `demoint` and `demoprod` are in ARM, `demochina` is not:
    it is Azure China's, for the login server and Entra alone.
    """

    def __init__(self) -> None:
        self.folder = peer_folder("azure")
        self.log = RequestLog()
        self.clock = Clock()
        self.faults = Faults()
        """Of the cloud: ACR_AUDIENCE_OFF, WRONG_TENANT, NO_ARM. Each registry has its own, too."""
        self.authority = Authority(self.folder)
        self.subscription = str(uuid.UUID(int=0x2222))
        self._stack = ExitStack()
        self._starter = Starter()
        self._stack.callback(self._starter.close)
        self.directory = Directory(self.authority, self.clock, self.faults, _TENANT, _identities())
        self.entra = Entra(self.directory, self.log, self.authority.server_context())
        self.imds = Imds(self.directory, None, self.log)
        self.github = GitHubOidc(self.directory, _GITHUB_SUBJECT, self.log)
        self.registries: dict[str, Acr] = {}
        self.arm = Arm(self.directory, self.faults, self.subscription, self.log)
        self.arm.create = self._start_registry
        self.storage = BlobStorage(self.authority, self.log)
        self.imports = ArmImport(self.arm, self.registries)
        self.tasks = AcrTasks(self.arm, self.registries, self.storage)
        self.way = Way(self.log)
        """The proxy by which all are reached under their real names."""
        self._lead()
        self.hub = Hub(self.authority, self.clock, self._starter, self.way)
        """Docker Hub."""
        for service in (self.entra, self.imds, self.github, self.arm, self.storage, self.way, self.hub):
            self._stack.callback(service.close)
        for name in (INT_NAME, PROD_NAME):
            settings = AcrSettings(name, self.subscription, Faults())
            self._start_registry(settings)
            self.arm.registries[name] = settings
        self._start_registry(AcrSettings(CHINA_NAME, self.subscription, Faults(), suffix=".azurecr.cn"))
        self._write_az()

    def _lead(self) -> None:
        for host in ("login.microsoftonline.com", "login.chinacloudapi.cn", "login.microsoftonline.us"):
            self.way.lead(host, self.entra.server)
        for host in ("management.azure.com", "management.chinacloudapi.cn", "management.usgovcloudapi.net"):
            self.way.lead(host, self.arm.server)
        self.way.lead("*.azurecr.*", self._login_server)
        self.way.lead("*.blob.core.windows.net", self.storage.server)

    def _login_server(self, host: str) -> StandIn | None:
        return next((acr.server for acr in self.registries.values() if acr.host == host), None)

    def _write_az(self) -> None:
        developer = self.identity("developer")
        shared = {"entra": self.entra.url, "subscription": self.subscription, "tenant": self.directory.tenant}
        client = developer.client_id, developer.secret
        self.bin = write_az(self.folder, ca=self.authority.certificate, client=client, **shared)
        """A folder with a program `az` that is logged in as developer."""
        self.az_folder = write_az_folder(
            self.folder / "azure", subscription=self.subscription, tenant=self.directory.tenant
        )
        """What az keeps."""

    def _start_registry(self, settings: AcrSettings) -> None:
        acr = Acr(settings, self.directory, self._starter, self.log)
        self._stack.callback(acr.close)
        self.registries[settings.name.lower()] = acr

    @property
    def int(self) -> Acr:
        """The registry `demoint`."""
        return self.registries[INT_NAME]

    @property
    def prod(self) -> Acr:
        """The registry `demoprod`."""
        return self.registries[PROD_NAME]

    def identity(self, name: str) -> Identity:
        """One of those above."""
        return self.directory.named(name)

    def environment(self, identity: str = "") -> dict[str, str]:
        """Environment variables that point clients at the stand-ins.

        Args:
            identity: whose client secret is in there; "" for none, so that azure-identity looks further: at the
                machine's identity (`imds.identity`, None so far), then at `az` where `bin` is on PATH.
        """
        variables = self.way.environment(self.authority) | {
            "AZURE_CONFIG_DIR": str(self.az_folder),
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.imds.url,
            "AZURE_SUBSCRIPTION_ID": self.subscription,
        }
        if identity:
            one = self.identity(identity)
            variables["AZURE_TENANT_ID"] = one.tenant
            variables |= {"AZURE_CLIENT_ID": one.client_id, "AZURE_CLIENT_SECRET": one.secret}
        return variables

    def github_environment(self) -> dict[str, str]:
        """What a job of GitHub Actions has that signs in as pipeline, besides what `environment` says."""
        one = self.identity("pipeline")
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": self.github.url,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.github.request_token,
            "AZURE_CLIENT_ID": one.client_id,
            "AZURE_TENANT_ID": one.tenant,
        }

    @contextmanager
    def az_logged_out(self) -> Iterator[None]:
        """`az` says that one must log in."""
        login = self.folder / "login.json"
        kept = login.read_text()
        login.write_text("{}")
        try:
            yield
        finally:
            login.write_text(kept)

    def reset(self) -> None:
        """As it was at the start, but for what its registries hold; those that were made are gone."""
        self.faults.clear()
        self.clock.reset()
        self.log.clear()
        self.imds.identity = None
        self.tasks.reset()
        self.hub.reset()
        for name in self.registries.keys() - {INT_NAME, PROD_NAME, CHINA_NAME}:
            self.registries.pop(name).close()
            self.arm.registries.pop(name)
        for acr in self.registries.values():
            acr.settings.reset()

    @contextmanager
    def fault(self, *faults: Fault) -> Iterator[None]:
        """Switch faults on everywhere for a `with` block."""
        with ExitStack() as stack:
            for place in (self.faults, *(acr.settings.faults for acr in self.registries.values())):
                stack.enter_context(place.on(*faults))
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        shutil.rmtree(self.folder)


@contextmanager
def start_azure_cloud() -> Iterator[AzureCloud]:
    """One for a session of tests, which fails where the stand-ins themselves did."""
    with AzureCloud() as cloud:
        yield cloud
        assert not cloud.log.mistakes, cloud.log.mistakes[0]


def _serve() -> None:
    """Print what to export, and serve until Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with start_azure_cloud() as cloud:
        cloud.way.lets_through = True
        for name, value in cloud.environment().items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        sys.stdout.write(f"export PATH={shlex.quote(str(cloud.bin))}:$PATH  # az, logged in as developer\n")
        for identity in cloud.directory.identities:
            sys.stdout.write(
                f"# {identity.name}: AZURE_CLIENT_ID={identity.client_id} AZURE_CLIENT_SECRET={identity.secret}\n"
            )
        sys.stdout.write(f"# Docker Hub: docker login --username demo, password {cloud.hub.read_write}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    _serve()
