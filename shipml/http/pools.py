"""Pools of connections: one for each proxy that the environment names, and one without."""

from __future__ import annotations

import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from shipml.errors import ConfigurationError
from shipml.http.connections import bounded_pools
from shipml.http.settings import redacted, split_credentials, trust
from shipml.http.trace import traced

if TYPE_CHECKING:
    import urllib3

__all__ = ["Pools"]


class Pools:
    """Finds the pool for a URL; safe to share between threads. urllib3 is imported with the first request."""

    def __init__(
        self,
        *,
        connections: int,
        block_bytes: int,
        timeout_seconds: float,
        check_peer: Callable[[str, str], None] | None = None,
    ) -> None:
        """`check_peer` gets host name and address of each new connection before it is used, and may raise."""
        self._check_peer = check_peer
        self._connections = connections
        self._block_bytes = block_bytes
        self._timeout_seconds = timeout_seconds
        self._pools: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def pool_for(self, url: str, *, direct: bool = False) -> urllib3.PoolManager:
        """The pool whose proxy the environment names for `url`; with `direct` the one without a proxy.

        Raises:
            ConfigurationError: the proxy cannot be used, or a certificate bundle cannot be read.
        """
        proxy = "" if direct else _proxy_for(url)
        encrypted = not (direct and url.startswith("http:"))  # what is not direct may be redirected to https
        with self._lock:
            if (proxy, encrypted) not in self._pools:
                self._pools[proxy, encrypted] = self._make(proxy, encrypted=encrypted)
            return self._pools[proxy, encrypted]

    def _make(self, proxy: str, *, encrypted: bool) -> urllib3.PoolManager:
        import urllib3

        options: dict[str, Any] = {
            "ssl_context": trust() if encrypted else None,  # reading all authorities takes 40 ms
            "maxsize": self._connections,
            "timeout": urllib3.Timeout(connect=self._timeout_seconds, read=self._timeout_seconds),
            "blocksize": self._block_bytes,
        }
        if not proxy:
            manager = urllib3.PoolManager(**options)
            return _recording(manager, bounded_pools(self._timeout_seconds, self._check_peer))
        address, credentials = split_credentials(proxy if "://" in proxy else f"http://{proxy}")
        headers = {"Proxy-Authorization": credentials} if credentials else None
        try:
            through = urllib3.ProxyManager(address, proxy_headers=headers, **options)
        except urllib3.exceptions.HTTPError as error:
            raise ConfigurationError(
                f"{redacted(address)} is not a proxy that shipml can use", hint="give http://HOST:PORT in HTTPS_PROXY"
            ) from error
        return _recording(through, through.pool_classes_by_scheme)


def _recording(
    manager: urllib3.PoolManager, kinds: Mapping[str, type[urllib3.HTTPConnectionPool]]
) -> urllib3.PoolManager:
    manager.pool_classes_by_scheme = {scheme: traced(kind) for scheme, kind in kinds.items()}
    return manager


def _proxy_for(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return "" if proxy and urllib.request.proxy_bypass(parts.netloc) else proxy
