"""A certificate authority for the stand-ins: their server certificate, and the key with which they sign tokens."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.peers.marks import MARK

__all__ = ["NAMES", "Authority"]

NAMES = (
    "login.microsoftonline.com", "login.chinacloudapi.cn", "login.microsoftonline.us",
    "management.azure.com", "management.chinacloudapi.cn", "management.usgovcloudapi.net",
    "*.azurecr.io", "*.azurecr.cn", "*.azurecr.us", "*.blob.core.windows.net",
    "auth.docker.io", "registry-1.docker.io", "index.docker.io", "hub.docker.com", "*.actions.githubusercontent.com",
)  # fmt: skip
"""Of the services that are stood in for."""
_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_ALGORITHM = "ES256"


class Authority:
    """Made anew for each session; its files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("shipml stand-ins, for tests only")
        self._certificate = self._certify(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.certificate = folder / "ca.pem"
        """The CA alone: what a docker-registry trusts tokens by."""
        self.certificate.write_bytes(_pem(self._certificate))
        self.bundle = folder / "bundle.pem"
        """The CA and those that this machine trusts: for REQUESTS_CA_BUNDLE and SSL_CERT_FILE."""
        trusted = Path(os.environ.get("SSL_CERT_FILE") or _SYSTEM_BUNDLE)
        self.bundle.write_bytes((trusted.read_bytes() if trusted.exists() else b"") + _pem(self._certificate))
        self._server_files = folder / "server.pem", folder / "server.key"
        self._make_server_certificate()
        self._signing_key = ec.generate_private_key(ec.SECP256R1())
        signer = self._certify(_named("token signer"), self._signing_key)
        self._chain = [base64.b64encode(signer.public_bytes(serialization.Encoding.DER)).decode()]

    def server_context(self) -> ssl.SSLContext:
        """For a server on 127.0.0.1, or under one of NAMES."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._server_files)
        return context

    def client_context(self) -> ssl.SSLContext:
        """For clients that trust the stand-ins and nobody else."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def sign(self, claims: dict[str, Any]) -> str:
        """A JSON Web Token with these claims after the mark, in the form that docker-registry 2.8 verifies (x5c)."""
        return jwt.encode({"mark": MARK} | claims, self._signing_key, _ALGORITHM, headers={"x5c": self._chain})

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that was signed here, whenever that was; None for any other text."""
        try:
            claims = jwt.decode(
                token,
                self._signing_key.public_key(),
                [_ALGORITHM],
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            return None
        return dict(claims)

    def _make_server_certificate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(name) for name in ("localhost", *NAMES)]
        addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
        certificate = self._certify(
            _named("localhost"),
            key,
            x509.SubjectAlternativeName([*names, *addresses]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        )
        public, private = self._server_files
        public.write_bytes(_pem(certificate))
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def _certify(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
