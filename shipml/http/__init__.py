"""Downloads over HTTP: one pool for wheels and Debian packages, checked by digest while they arrive.

Proxies come from the usual variables (HTTPS_PROXY, HTTP_PROXY, NO_PROXY), extra certificate authorities from
SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, as for uv, requests and OpenSSL.
"""

from __future__ import annotations

from shipml.http.client import HttpClient
from shipml.http.pools import Pools
from shipml.http.settings import redacted, trust

__all__ = ["HttpClient", "Pools", "redacted", "trust"]
