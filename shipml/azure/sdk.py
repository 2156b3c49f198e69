"""How the Azure SDKs reach the network here: through one session that trusts what the rest of shipml trusts.

Left alone they take certifi's authorities, or REQUESTS_CA_BUNDLE's, and know neither SSL_CERT_FILE nor the system's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from shipml.http import trust

if TYPE_CHECKING:
    import requests
    from azure.core.pipeline.transport import RequestsTransport

__all__ = ["azure_errors", "make_session", "make_transport"]

_CONNECT_SECONDS = 15.0
_READ_SECONDS = 60.0
"""The SDKs would wait for 300 s on a host that accepts and stays silent."""


def make_session() -> requests.Session:
    """A session for HTTP that trusts the system's authorities and those that the environment names.

    Raises:
        ConfigurationError: a variable names something else than certificates.
    """
    import requests
    from requests.adapters import HTTPAdapter

    context = trust()

    class Trusting(HTTPAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  (passed on)
            super().init_poolmanager(*arguments, **options, ssl_context=context)

        def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  (passed on)
            return super().proxy_manager_for(*arguments, **options, ssl_context=context)

    session = requests.Session()
    session.auth = _as_it_is  # else requests puts what ~/.netrc has, its default too, in the place of Azure's tokens
    for scheme in ("https://", "http://"):
        session.mount(scheme, Trusting())
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def make_transport(session: requests.Session) -> RequestsTransport:
    """The session as the SDKs take it; closing it is left to who made it."""
    from azure.core.pipeline.transport import RequestsTransport

    for name in ("azure", "msal"):  # else what they log goes to stderr, where nobody asked for logs
        logging.getLogger(name).addHandler(logging.NullHandler())
    return RequestsTransport(
        session=session, session_owner=False, connection_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS
    )


def azure_errors() -> tuple[type[Exception], ...]:
    """All that the SDKs raise for reasons outside this process."""
    from azure.core.exceptions import AzureError
    from requests.exceptions import RequestException

    return (AzureError, RequestException)
