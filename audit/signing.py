"""The Ed25519 key that signs heads: kept outside the database, so that whoever can write there cannot sign."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

LOCAL_KEY = "audit-signing.key"  # in MAILHUB_DATA
_PEM_END = b"-----END PUBLIC KEY-----"

PublicKeys = Mapping[str, Ed25519PublicKey]  # by key id


def private_key() -> Ed25519PrivateKey:
    """The key of MAILHUB_AUDIT_KEY (PEM, or PEM in base64); locally one made once in MAILHUB_DATA.

    Raises ImproperlyConfigured, whose text never holds the key.
    """
    if settings.MAILHUB_AUDIT_KEY:
        return _parsed(settings.MAILHUB_AUDIT_KEY.encode(), "MAILHUB_AUDIT_KEY")
    if settings.MAILHUB_ENV != "local":
        raise ImproperlyConfigured(
            "MAILHUB_AUDIT_KEY (or MAILHUB_AUDIT_KEY_FILE) must hold an Ed25519 private key, PEM"
        )
    path = Path(settings.MAILHUB_DATA) / LOCAL_KEY
    if not path.exists():
        _make(path)
    if path.stat().st_mode & 0o077:
        raise ImproperlyConfigured(f"{path} can be read by others: its mode must be 0600")
    return _parsed(path.read_bytes(), str(path))


def own_public_keys() -> PublicKeys:
    """The public half of the key that signs here."""
    key = private_key().public_key()
    return {key_id(key): key}


def public_keys(pem: bytes) -> PublicKeys:
    """All public keys of a PEM file; ValueError when there is none or one is no Ed25519 key."""
    blocks = [block + _PEM_END for block in pem.split(_PEM_END)[:-1]]
    found = {}
    for block in blocks:
        key = serialization.load_pem_public_key(block.lstrip())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("a public key that is not Ed25519")  # noqa: TRY004  # the file is wrong, not the caller
        found[key_id(key)] = key
    if not found:
        raise ValueError("no public key in it (PEM)")
    return found


def public_pem(key: Ed25519PublicKey) -> bytes:
    """What an auditor keeps to check signed heads with."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Ed25519PublicKey) -> str:
    """The first 128 bits of the SHA-256 of the raw public key, hex."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:32]


def _parsed(text: bytes, where: str) -> Ed25519PrivateKey:
    try:
        pem = text if text.lstrip().startswith(b"-----BEGIN") else base64.b64decode(text, validate=True)
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, binascii.Error, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ImproperlyConfigured(f"{where} holds no Ed25519 private key (PEM, without a password)")
    return key


def _make(path: Path) -> None:
    """Write a new key; of several processes that try, the first one's holds."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600 from the first byte
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
