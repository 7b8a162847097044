"""The sandbox's own certificate authority, kept on disk so that Mailhub trusts it once."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

from sandbox import private_file


def ensure(folder: Path) -> ssl.SSLContext:
    """A server context with a new certificate for localhost, signed by the CA in `folder` (made on the first start)."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    if certificate.exists() and key.exists():
        ca = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    else:
        ca = trustme.CA(organization_name="Mailhub sandbox", organization_unit_name="Valid on this machine only")
        private_file.write(key, ca.private_key_pem.bytes())
        private_file.write(certificate, ca.cert_pem.bytes(), mode=0o644)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context
