"""Packs: immutable files of many bodies, in the storage "packs" (a local folder, or whatever the settings name)."""

from __future__ import annotations

import io
from collections.abc import Iterable

from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.utils import timezone

from accounts.ids import new_id
from mailboxes import errors
from mailboxes.models import Mailbox, Pack


def storage() -> Storage:
    return storages["packs"]


def write(mailbox: Mailbox, pieces: Iterable[bytes]) -> Pack:
    """Writes a file and answers its row, still `writing`. Not inside the transaction that will use it.

    The row commits before the file is begun, so that no file lies there which no row tells of.
    """
    content = b"".join(pieces)
    pack_id = new_id()
    pack = Pack.objects.create(
        id=pack_id,
        tenant_id=mailbox.tenant_id,
        mailbox=mailbox,
        name=f"{mailbox.tenant_id}/{mailbox.pk}/{pack_id}.pack",
        size=len(content),
    )
    storage().save(pack.name, File(io.BytesIO(content), name=pack.name))
    return pack


def make_live(pack: Pack) -> None:
    """Inside the transaction that stores what refers to the pack.

    Raises LeaseLost when the sweep gave it up in the meantime: whoever was away for so long starts again.
    """
    changes = {"state": Pack.State.LIVE, "changed_at": timezone.now()}
    if not Pack.objects.filter(pk=pack.pk, state=Pack.State.WRITING).update(**changes):
        raise errors.LeaseLost


def read(pack: Pack, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`, fewer when the file ends before. Raises FileNotFoundError, StorageFault."""
    try:
        with storage().open(pack.name, "rb") as file:
            file.seek(offset)
            found: bytes = file.read(length)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise errors.StorageFault(private=str(error)) from error
    return found
