"""Raw bytes in and out of packs: compressed, encrypted under the mailbox's own key, proven on reading.

The one reader of data keys. zstd without a dictionary, then AES-256-GCM: nonce (12 bytes), ciphertext, tag (16).
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Any
from uuid import UUID

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import transaction

from accounts.ids import new_id
from mailboxes import errors
from mailboxes.models import Body, Mailbox, Pack
from mailboxes.models.secret_field import SecretUnreadable
from mailboxes.services import insert_rows, packs

KEY_GENERATION = 1
LEVEL = 1  # of zstd: 3 takes a third longer and makes packs smaller by 0.4 %, as mail is mostly base64
_NONCE = 12  # bytes


class PackWriter:
    """Collects the bodies of one chunk: `add` each, `write` the file, then `commit` in the chunk's transaction."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._cipher = AESGCM(_data_key(mailbox.pk))
        self._compress = zstandard.ZstdCompressor(level=LEVEL).compress
        self._new: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._hashes: set[str] = set()
        self._pack: Pack | None = None

    def add(self, raw: bytes) -> str:
        """Takes one message; answers its SHA-256 in hexadecimal, by which `commit` names its body."""
        sha256 = hashlib.sha256(raw).hexdigest()
        if sha256 not in self._hashes:
            self._hashes.add(sha256)
            row: dict[str, Any] = {
                "id": new_id(),
                "tenant_id": self._mailbox.tenant_id,
                "mailbox_id": self._mailbox.pk,
                "sha256": sha256,
                "size": len(raw),
                "key_generation": KEY_GENERATION,
            }
            nonce = os.urandom(_NONCE)
            place = _associated(row["tenant_id"], row["mailbox_id"], row["id"], KEY_GENERATION)
            self._new[sha256] = row, nonce + self._cipher.encrypt(nonce, self._compress(raw), place)
        return sha256

    def write(self) -> None:
        """Puts what this mailbox does not hold yet into a pack. Outside of any transaction."""
        for sha256 in self._known():
            self._new.pop(sha256, None)
        if not self._new:
            return
        offset = 0
        for row, sealed in self._new.values():
            row |= {"offset": offset, "length": len(sealed)}
            offset += len(sealed)
        self._pack = packs.write(self._mailbox, (sealed for _, sealed in self._new.values()))
        self._new = {sha256: (row, b"") for sha256, (row, _) in self._new.items()}

    def commit(self) -> dict[str, UUID]:
        """The ids of the bodies by SHA-256, their rows stored and the pack live.

        Inside a transaction that holds the mailbox's row.
        """
        bodies = self._known()
        if self._pack is None:
            return bodies
        # what is known by now the outbox stored while we wrote the file
        new = [row | {"pack_id": self._pack.pk} for sha256, (row, _) in self._new.items() if sha256 not in bodies]
        packs.make_live(self._pack)
        insert_rows.insert(Body, self._mailbox.tenant_id, new)
        return bodies | {row["sha256"]: row["id"] for row in new}

    def _known(self) -> dict[str, UUID]:
        if not self._hashes:
            return {}
        return dict(self._mailbox.bodies.filter(sha256__in=self._hashes).values_list("sha256", "pk"))


def store_one(mailbox: Mailbox, raw: bytes) -> Body:
    """The body of these bytes, stored in a small pack of its own unless the mailbox has them already.

    Not for use inside a long transaction: it writes and syncs a file.
    """
    writer = PackWriter(mailbox)
    sha256 = writer.add(raw)
    writer.write()
    with transaction.atomic():
        Mailbox.objects.select_for_update().only("pk").get(pk=mailbox.pk)
        return Body.objects.select_related("pack").get(pk=writer.commit()[sha256])


def read(body: Body) -> bytes:
    """The very bytes that were stored. Raises BodyUnreadable, or KeyWrong when the mailbox's key cannot be opened."""
    key = _data_key(body.mailbox_id)
    try:
        sealed = packs.read(body.pack, body.offset, body.length)
    except OSError as error:
        body = _where_it_lies_now(body, error)
        sealed = _read_again(body)
    try:
        packed = AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _place_of(body))
        raw = zstandard.ZstdDecompressor().decompress(packed, max_output_size=body.size)
    except (InvalidTag, ValueError, zstandard.ZstdError) as error:
        raise errors.BodyUnreadable(f"body {body.pk}: its bytes in the pack were changed or cut") from error
    if len(raw) != body.size or hashlib.sha256(raw).hexdigest() != body.sha256:
        raise errors.BodyUnreadable(f"body {body.pk}: not the bytes that were stored")
    return raw


def _where_it_lies_now(body: Body, error: OSError) -> Body:
    """A row that was loaded long ago names a pack that was merged and removed since."""
    now = Body.objects.select_related("pack").filter(pk=body.pk).first()
    if now is None or now.pack_id == body.pack_id:
        raise errors.BodyUnreadable(f"body {body.pk}: its pack cannot be read") from error
    return now


def _read_again(body: Body) -> bytes:
    try:
        return packs.read(body.pack, body.offset, body.length)
    except OSError as error:
        raise errors.BodyUnreadable(f"body {body.pk}: its pack cannot be read") from error


def _place_of(body: Body) -> bytes:
    return _associated(body.tenant_id, body.mailbox_id, body.pk, body.key_generation)


def _associated(tenant_id: UUID, mailbox_id: UUID, body_id: UUID, key_generation: int) -> bytes:
    """Ties the ciphertext to its place: moved to another row, mailbox or tenant it does not open."""
    return f"mailhub body\n{tenant_id}\n{mailbox_id}\n{body_id}\n{key_generation}".encode()


def _data_key(mailbox_id: UUID) -> bytes:
    """32 bytes. Every mailbox is born with its key. Raises KeyWrong."""
    secret = Mailbox.objects.only("data_key").get(pk=mailbox_id).data_key
    try:
        return base64.b64decode(secret.reveal(), validate=True)
    except SecretUnreadable as error:
        raise errors.KeyWrong(private=str(error)) from error
