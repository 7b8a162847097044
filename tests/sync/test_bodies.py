from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from mailboxes import errors
from mailboxes.models import Body, Mailbox, Pack
from mailboxes.services import bodies, packs, sweep
from tests.sync.mail import connected_mailbox

pytestmark = pytest.mark.both_databases
IMAP = {"host": "imap.example.org", "port": 993, "security": "tls"}


@pytest.fixture
def mailbox(db: None, packs: Path) -> Mailbox:
    return connected_mailbox(imap=IMAP)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_bytes_come_back_exactly_and_lie_on_the_disk_unreadable(mailbox: Mailbox, packs: Path) -> None:
    raw = b"Subject: secret\r\n\r\n" + os.urandom(5000) + b"secret words " * 100

    body = bodies.store_one(mailbox, raw)

    assert bodies.read(Body.objects.get(pk=body.pk)) == raw
    (file,) = files(packs)
    assert b"secret" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_the_same_bytes_are_stored_once_a_mailbox(mailbox: Mailbox, packs: Path) -> None:
    first, second = bodies.store_one(mailbox, b"same"), bodies.store_one(mailbox, b"same")

    assert first.pk == second.pk
    assert len(files(packs)) == 1


def test_an_empty_message_is_a_message(mailbox: Mailbox) -> None:
    assert bodies.read(bodies.store_one(mailbox, b"")) == b""


@pytest.mark.parametrize("place", [0, 5, 13, -1])
def test_a_changed_byte_is_found(mailbox: Mailbox, packs: Path, place: int) -> None:
    body = bodies.store_one(mailbox, b"the very bytes")
    (file,) = files(packs)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)

    with pytest.raises(errors.BodyUnreadable):
        bodies.read(body)


def test_a_cut_or_missing_file_is_found(mailbox: Mailbox, packs: Path) -> None:
    body = bodies.store_one(mailbox, b"the very bytes")
    (file,) = files(packs)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(errors.BodyUnreadable):
        bodies.read(body)

    file.unlink()
    with pytest.raises(errors.BodyUnreadable):
        bodies.read(body)


def test_a_body_moved_to_another_row_or_mailbox_does_not_open(mailbox: Mailbox) -> None:
    body = bodies.store_one(mailbox, b"for Anna")
    other = bodies.store_one(mailbox, b"for none")
    body.pack, body.offset = other.pack, other.offset

    with pytest.raises(errors.BodyUnreadable):
        bodies.read(body)


def test_a_chunk_that_is_rolled_back_leaves_no_body_and_its_pack_is_given_up_after_a_day(
    mailbox: Mailbox, packs: Path
) -> None:
    writer = bodies.PackWriter(mailbox)
    writer.add(b"lost with its chunk")
    writer.write()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        writer.commit()
        raise ZeroDivisionError

    assert not Body.objects.exists()
    assert sweep.sweep() == (0, 0)
    assert len(files(packs)) == 1

    assert sweep.sweep(timezone.now() + timedelta(hours=25)) == (1, 0)
    assert files(packs) == []
    assert not Pack.objects.exists()


def test_a_chunk_that_comes_back_after_its_pack_was_given_up_stores_nothing(mailbox: Mailbox) -> None:
    writer = bodies.PackWriter(mailbox)
    writer.add(b"late")
    writer.write()
    sweep.sweep(timezone.now() + timedelta(hours=25))

    with pytest.raises(errors.LeaseLost), transaction.atomic():
        writer.commit()

    assert not Body.objects.exists()


def test_small_packs_are_merged_and_the_old_files_kept_for_a_day(mailbox: Mailbox, packs: Path) -> None:
    contents = [b"message %d" % number * number for number in range(sweep.FEWEST + 2)]
    stored = [bodies.store_one(mailbox, raw) for raw in contents]

    assert sweep.sweep() == (0, len(contents))

    assert Pack.objects.filter(state="live").count() == 1
    assert [bodies.read(Body.objects.get(pk=body.pk)) for body in stored] == contents
    assert [bodies.read(body) for body in stored] == contents  # rows that were loaded before
    assert len(files(packs)) == len(contents) + 1

    assert sweep.sweep(timezone.now() + timedelta(hours=25)) == (len(contents), 0)
    assert len(files(packs)) == 1
    assert [bodies.read(body) for body in stored] == contents


def test_a_pack_that_still_holds_bodies_is_never_removed(mailbox: Mailbox, packs: Path) -> None:
    body = bodies.store_one(mailbox, b"kept")
    Pack.objects.update(state="merged", changed_at=timezone.now() - timedelta(days=9))

    assert sweep.sweep() == (0, 0)

    assert bodies.read(body) == b"kept"


def test_a_name_is_never_written_twice(mailbox: Mailbox) -> None:
    pack = packs_write(mailbox)

    with pytest.raises(FileExistsError):
        packs.storage().save(pack.name, packs.File(packs.io.BytesIO(b"other")))


def packs_write(mailbox: Mailbox) -> Pack:
    return packs.write(mailbox, [b"one"])
