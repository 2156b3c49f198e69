"""The only import of `docker`: opens the SDK's low-level client, and turns what it raises into our errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from shipml.docker_engine.endpoint import Endpoint, TlsFiles
from shipml.docker_engine.explain import engine_gone, explain

__all__ = ["NEWEST_API", "OLDEST_API", "Api", "Attached", "Sdk", "open_api"]

Api: TypeAlias = Any
"""docker.APIClient, which has no type information."""

OLDEST_API = "1.41"
"""Of Docker Engine 20.10."""
NEWEST_API = "1.52"
"""Of Docker Engine 29, the newest that shipml was written for."""
_SHORT_SECONDS = 60.0
_QUIET_SECONDS = 1800.0
"""A push or a build may be silent for minutes; an engine's machine that vanished is still noticed some day."""


def open_api(url: str, tls: TlsFiles | None, version: str, timeout_seconds: float) -> Api:
    """A client of the SDK; nothing is connected yet.

    Raises:
        docker.errors.DockerException: the TLS files cannot be used.
    """
    import docker
    import docker.tls
    import requests.utils

    config: Any = False
    if tls is not None:
        pair = (str(tls.certificate), str(tls.key)) if tls.certificate and tls.key else None
        config = docker.tls.TLSConfig(client_cert=pair, ca_cert=str(tls.ca) if tls.ca else None, verify=tls.verify)
    api = docker.APIClient(base_url=url, version=version, timeout=timeout_seconds, tls=config)
    if url.startswith("unix://"):
        api.trust_env = False  # ALL_PROXY would be used for the socket, too
    elif tls is not None and tls.ca:
        api.trust_env = False  # $REQUESTS_CA_BUNDLE would replace the engine's own CA
        api.proxies = requests.utils.get_environ_proxies(api.base_url)
    return api


def failure_text(error: Exception) -> str:
    """What the engine, or the way to it, said."""
    explanation = getattr(error, "explanation", None)
    text = explanation.decode(errors="replace") if isinstance(explanation, bytes) else explanation
    return str(text or error)


def sdk_errors() -> tuple[type[Exception], ...]:
    """All that a call of the SDK raises for reasons outside this process."""
    import docker.errors
    import docker.utils.socket
    import requests.exceptions
    import urllib3.exceptions

    return (
        docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError,
        docker.errors.StreamParseError,
        docker.utils.socket.SocketError,
    )  # fmt: skip


class Sdk:
    """A connected client: `api` for short calls, `stream` for those that may be silent for minutes."""

    def __init__(self, endpoint: Endpoint, url: str, version: str) -> None:
        self.endpoint = endpoint
        self.api = open_api(url, endpoint.tls, version, _SHORT_SECONDS)
        self.stream = open_api(url, endpoint.tls, version, _QUIET_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self.api.close()
        self.stream.close()

    @contextmanager
    def doing(self, what: str, *, asks_registry: bool = False) -> Iterator[None]:
        """Translate what the SDK raises in the block; `what` completes "the Docker Engine cannot …".

        `asks_registry` tells that the engine asks a registry for it.

        Raises:
            TryAgainError: the engine went away.
            ShipmlError: as the engine's complaint says.
        """
        import docker.errors

        try:
            yield
        except docker.errors.APIError as error:
            raise explain(failure_text(error), what, asks_registry=asks_registry) from error
        except sdk_errors() as error:
            raise engine_gone(what, self.endpoint) from error

    def unless_missing(self, call: Callable[[], Any], what: str) -> Any:  # noqa: ANN401  (the SDK's own values)
        """The value of `call()`, None where the engine answers 404."""
        import docker.errors

        with self.doing(what):
            try:
                return call()
            except docker.errors.NotFound:
                return None

    def messages(
        self, stream: Iterable[Mapping[str, Any]], what: str, *, asks_registry: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The JSON messages of a stream. It is read to its end, which frees the connection; then its error is raised.

        Raises:
            ShipmlError: as the engine's complaint says.
        """
        with self.doing(what, asks_registry=asks_registry):
            failure = ""
            for message in stream:
                failure = failure or error_of(message)
                if not failure:
                    yield dict(message)
            if failure:
                raise explain(failure, what, asks_registry=asks_registry)

    def attach(self, container: str) -> Attached:
        """The output of a container that is started next; to be closed."""
        connection = self.stream.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1})
        return Attached(connection)

    def post(
        self,
        path: str,
        *,
        body: Iterable[bytes],
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> Iterator[dict[str, Any]]:
        """POST a stream of bytes; the JSON messages of the answer, for calls that the SDK does not know in full."""
        api = self.stream
        response = api._post(  # noqa: SLF001  (the SDK has no `version` for builds, nor a load without time limit)
            api._url(path),  # noqa: SLF001
            data=iter(body),
            params=dict(parameters),
            headers=dict(headers),
            stream=True,
        )
        api._raise_for_status(response)  # noqa: SLF001
        messages: Iterator[dict[str, Any]] = api._stream_helper(response, decode=True)  # noqa: SLF001
        return messages


class Attached:
    """The output of a container, as it comes: 1 or 2 (stdout or stderr), and bytes."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401  (the SDK's own value)
        self._connection = connection

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        from docker.utils.socket import frames_iter

        frames: Iterator[tuple[int, bytes]] = frames_iter(self._connection, tty=False)
        return frames

    def close(self) -> None:
        """Close the connection, which the SDK leaves to the garbage collector."""
        response = getattr(self._connection, "_response", None)
        (self._connection if response is None else response).close()


def error_of(message: Mapping[str, Any]) -> str:
    """The complaint in a message of a stream, "" for none."""
    detail = message.get("errorDetail")
    text = detail.get("message") if isinstance(detail, dict) else None
    return str(text or message.get("error") or "")
