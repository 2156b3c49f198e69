"""How far redirects are followed: never from an encrypted address to one that everybody on the way can read."""

from __future__ import annotations

import urllib.parse
from typing import Any, Self

import urllib3

from shipml.errors import UntrustedInputError
from shipml.http.settings import redacted

__all__ = ["OnlyRedirects"]

_MOST = 5


class OnlyRedirects(urllib3.Retry):
    """Follows redirects and repeats nothing. Raises UntrustedInputError before a request that would leave TLS."""

    @classmethod
    def few(cls) -> OnlyRedirects:
        """As many as an honest server needs."""
        return cls(_MOST, connect=0, read=0, status=0, other=0, redirect=_MOST, respect_retry_after_header=False)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        *further: Any,  # noqa: ANN401  (passed on)
        **options: Any,  # noqa: ANN401  (passed on)
    ) -> Self:
        """Called by urllib3 before it follows; `url` is the address that redirects."""
        location = response.get_redirect_location() if response is not None else None
        if url and location:
            target = urllib.parse.urljoin(url, location)
            if url.lower().startswith("https:") and not target.lower().startswith("https:"):
                raise UntrustedInputError(
                    f"{redacted(url)} redirects to {redacted(target)}, which is not encrypted",
                    hint="use another mirror or index, or correct its proxy: it must keep to https",
                )
        return super().increment(method, url, response, *further, **options)
