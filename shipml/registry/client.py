"""The distribution specification's client: one registry, any number of repositories (distribution-spec 1.1)."""

from __future__ import annotations

import io
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

from shipml.errors import ShipmlError, UntrustedInputError
from shipml.events import Emit, ignore
from shipml.oci.digest import Digest
from shipml.oci.documents import (
    DOCKER_INDEX_MEDIA_TYPE,
    DOCKER_MANIFEST_MEDIA_TYPE,
    DOCUMENT_LIMIT_BYTES,
    parse_document,
)
from shipml.oci.manifest import INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, Descriptor
from shipml.registry.address import Address
from shipml.registry.authorized_client import AuthorizedClient, Request
from shipml.registry.blob_stream import BlobStream
from shipml.registry.credentials import Credentials
from shipml.registry.errors import NotFoundError
from shipml.registry.keychain import Keychain
from shipml.registry.scopes import Access
from shipml.registry.tokens import Tokens
from shipml.registry.transport import Response, RetryPolicy, Transport
from shipml.registry.upload import Blob, BlobUpload, Upload, session_of

__all__ = ["MANIFEST_MEDIA_TYPES", "RegistryClient", "RemoteManifest"]

MANIFEST_MEDIA_TYPES = (MANIFEST_MEDIA_TYPE, INDEX_MEDIA_TYPE, DOCKER_MANIFEST_MEDIA_TYPE, DOCKER_INDEX_MEDIA_TYPE)
"""What is asked for as a manifest."""
_CHUNK_BYTES = 32 << 20
_STREAM_BYTES = 1 << 20
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_PAGES = 1000


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """A manifest or index as a registry gave it, its digest checked."""

    data: bytes
    media_type: str
    digest: Digest


class RegistryClient:
    """Speaks with one registry; threads may share it. Nothing is sent before the first call."""

    def __init__(
        self,
        registry: str,
        keychain: Keychain,
        *,
        emit: Emit = ignore,
        retry: RetryPolicy | None = None,
        chunk_bytes: int = _CHUNK_BYTES,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Of the registry that references name so.

        Args:
            registry: host with port if any; `docker.io` for Docker Hub.
            keychain: what knows credentials.
            emit: hears when the registry lets us wait.
            retry: how patient it is.
            chunk_bytes: larger blobs are uploaded in pieces of this size, each resumable.
            environment: where SHIPML_INSECURE_REGISTRIES is looked up.
        """
        address = Address.of(registry, environment)
        transport = Transport(address, retry or RetryPolicy(), emit)
        tokens = Tokens(address, keychain, transport)
        self.registry = registry
        self._client = AuthorizedClient(address, transport, tokens)
        self._chunk_bytes = chunk_bytes
        self._pushed: set[str] = set()

    @property
    def throttled(self) -> int:
        """How often the registry has answered 429 so far."""
        return self._client.transport.throttled

    def credentials(self, repository: str) -> Credentials:
        """Those used for a repository; its `str` says where they came from."""
        return self._client.tokens.credentials(repository)

    def ping(self) -> None:
        """Make sure that it is a registry which lets us in.

        Raises:
            NotAllowedError: credentials are missing or refused.
            ShipmlError: it is not there, or not a registry.
        """
        try:
            self._ask("GET", "/v2/", Access(""), "log in", 200)
        except NotFoundError as error:
            raise NotFoundError(
                error.message,
                hint=f"check how the host is spelled: {self.registry} has nothing at /v2/, as every registry has",
            ) from error

    def manifest(self, repository: str, reference: str, accept: Sequence[str] = MANIFEST_MEDIA_TYPES) -> RemoteManifest:
        """The manifest or index under a tag or digest.

        Raises:
            NotFoundError: there is none.
            UntrustedInputError: it is not what its digest says, or too large.
            ShipmlError: as `AuthorizedClient.ask`.
        """
        what = f"pull {self._named(repository, reference)}"
        answer = self._ask(
            "GET",
            _manifest_path(repository, reference),
            Access.pull(repository),
            what,
            200,
            headers={"Accept": ", ".join(accept)},
        )
        digest = Digest.of(answer.data)
        expected = {_digest_of(answer), Digest.parse(reference) if reference.startswith("sha256:") else None}
        if expected - {None, digest}:
            raise UntrustedInputError(
                f"{self.registry} returned different content for {self._named(repository, reference)}: its digest is"
                f" {digest}"
            )
        return RemoteManifest(answer.data, answer.headers.get("Content-Type", "").partition(";")[0].strip(), digest)

    def head_manifest(self, repository: str, reference: str) -> Digest | None:
        """The digest of what is under a tag or digest; None: nothing is."""
        answer = self._ask(
            "HEAD",
            _manifest_path(repository, reference),
            self._access_to_look(repository),
            f"look up {self._named(repository, reference)}",
            200,
            404,
            headers={"Accept": ", ".join(MANIFEST_MEDIA_TYPES)},
        )
        if answer.status != HTTPStatus.OK:
            return None
        return _digest_of(answer) or self.manifest(repository, reference).digest

    def put_manifest(self, repository: str, reference: str, data: bytes, media_type: str) -> Digest:
        """Put a manifest or index under a tag or its digest; all that it names must be there.

        Raises:
            UntrustedInputError: the registry says that it has got something else.
            ShipmlError: as `AuthorizedClient.ask`.
        """
        digest = Digest.of(data)
        answer = self._ask(
            "PUT",
            _manifest_path(repository, reference),
            Access.push(repository),
            f"push {self._named(repository, reference)}",
            200,
            201,
            202,
            204,
            headers={"Content-Type": media_type},
            body=data,
        )
        confirmed = _digest_of(answer) or self.head_manifest(repository, reference)  # a login page answers 200, too
        if confirmed != digest:
            raise UntrustedInputError(
                f"{self.registry} has {confirmed or 'nothing'} as {self._named(repository, reference)}, not {digest},"
                " which was sent",
                hint="push again; if that does not help, something between here and the registry changes what is sent",
            )
        return digest

    def delete_manifest(self, repository: str, digest: Digest) -> None:
        """Remove a manifest with all its tags; one that is not there is fine."""
        named = self._named(repository, str(digest))
        self._ask(
            "DELETE", _manifest_path(repository, str(digest)), Access.delete(repository), f"delete {named}", 202, 404
        )

    def has_blob(self, repository: str, digest: Digest) -> bool:
        """Whether a repository has a blob already."""
        answer = self._ask(
            "HEAD",
            f"/v2/{repository}/blobs/{digest}",
            self._access_to_look(repository),
            f"look for {digest.short} in {self.registry}/{repository}",
            200,
            404,
        )
        return answer.status == HTTPStatus.OK

    def open_blob(self, repository: str, descriptor: Descriptor) -> BinaryIO:
        """A blob's bytes, streamed; resumed after a cut. At the end they are checked by size and digest.

        A layer that registries need not have (image-spec, descriptor.md, "urls") comes from where its URLs point,
        unless the registry has it.

        Raises:
            NotFoundError: there is none.
            UntrustedInputError: the bytes are others than described; from reading.
            ShipmlError: as `AuthorizedClient.ask`; from reading, too.
        """
        what = f"pull {descriptor.digest.short} of {self.registry}/{repository}"
        url = self._url(f"/v2/{repository}/blobs/{descriptor.digest}")
        access = Access.pull(repository)
        for place in (url, *descriptor.urls):
            self._client.address.check(place, "where a layer is")
            try:
                stream = BlobStream(self._client, Request("GET", place, access, what), descriptor)
            except NotFoundError as error:
                missing = error
            else:
                return io.BufferedReader(stream, _STREAM_BYTES)
        raise missing

    def mount_blob(self, repository: str, digest: Digest, from_repository: str) -> Upload | None:
        """Let a repository have a blob that another one of the registry has.

        Returns:
            None: it has it now. Else a session to upload it in.
        """
        query = urllib.parse.urlencode({"mount": str(digest), "from": from_repository})
        what = f"mount {digest.short} from {from_repository} in {repository}"
        access = Access.push(repository, from_repository)
        try:
            answer = self._ask("POST", f"/v2/{repository}/blobs/uploads/?{query}", access, what, 201, 202)
        except ShipmlError:
            return self._open_session(repository)
        return None if answer.status == HTTPStatus.CREATED else session_of(answer, self._client)

    def upload_blob(
        self,
        repository: str,
        blob: Blob,
        *,
        upload: Upload | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Upload a blob, in the session `upload` if there is one.

        `progress` is called with the bytes that have gone out since the last call, negative when some must go again.

        Raises:
            UntrustedInputError: the bytes are not those of the digest.
            NotAllowedError: the credentials do not allow it.
            TryAgainError: the registry fails too often, or asks to wait for too long.
        """
        BlobUpload(
            self._client,
            repository,
            blob,
            lambda: self._open_session(repository),
            lambda: self.has_blob(repository, blob.digest),
            chunk_bytes=self._chunk_bytes,
            progress=progress,
        ).run(upload)

    def expect_push(self, repository: str) -> None:
        """Ask for tokens that allow a push from now on, so that looking first and pushing then need only one."""
        self._pushed.add(repository)

    def tags(self, repository: str) -> list[str]:
        """All tags of a repository, sorted; none where there is no such repository."""
        found: set[str] = set()
        path = f"/v2/{repository}/tags/list"
        for answer in self._pages(path, Access.pull(repository), f"list the tags of {self.registry}/{repository}"):
            found.update(_tags_in(answer))
        return sorted(found)

    def _access_to_look(self, repository: str) -> Access:
        return Access.push(repository) if repository in self._pushed else Access.pull(repository)

    def _pages(self, path: str, access: Access, what: str) -> Iterator[Response]:
        """A list's pages (distribution-spec 1.1, "Listing Tags")."""
        url = self._url(path)
        for _ in range(_PAGES):
            answer = self._client.ask(Request("GET", url, access, what), 200, 404)
            yield answer
            following = _NEXT.search(answer.headers.get("Link", "")) if answer.status == HTTPStatus.OK else None
            if following is None:
                return
            url = self._client.address.follow(following[1], answer.url, "where a list goes on")

    def _open_session(self, repository: str) -> Upload:
        what = f"upload to {self.registry}/{repository}"
        answer = self._ask("POST", f"/v2/{repository}/blobs/uploads/", Access.push(repository), what, 202)
        return session_of(answer, self._client)

    def _ask(
        self,
        method: str,
        path: str,
        access: Access,
        what: str,
        *fine: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        sent = dict(headers or {})
        if method == "POST":
            sent["Content-Length"] = "0"
        request = Request(method, self._url(path), access, what, sent, body)
        return self._client.ask(request, *fine, limit_bytes=DOCUMENT_LIMIT_BYTES)

    def _url(self, path: str) -> str:
        return self._client.address.url + path

    def _named(self, repository: str, reference: str) -> str:
        separator = "@" if ":" in reference else ":"
        return f"{self.registry}/{repository}{separator}{reference}"


def _manifest_path(repository: str, reference: str) -> str:
    return f"/v2/{repository}/manifests/{reference}"


def _digest_of(answer: Response) -> Digest | None:
    """What the registry says; None where it says nothing, or uses an algorithm that we do not."""
    text = answer.headers.get("Docker-Content-Digest", "")
    return Digest.parse(text) if text.startswith("sha256:") else None


def _tags_in(answer: Response) -> Iterator[str]:
    if answer.status == HTTPStatus.OK:
        tags = parse_document(answer.data, "the list of tags").get("tags") or []
        yield from (tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
