from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from audit.heads import write_heads
from audit.models import AuditEvent, ChainHead
from audit.signed_head import read_heads
from audit.signing import own_public_keys, private_key, public_keys
from tests.audit.conftest import Write
from tests.audit.lifted_triggers import lifted_triggers

pytestmark = pytest.mark.django_db


def pem(key: Ed25519PrivateKey | X25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_bytes().splitlines()]


def test_each_chain_gets_a_head_only_when_it_had_events_since_the_last_one(
    chain: UUID, write: Write, head_log: Path
) -> None:
    signed = [write_heads().signed, write_heads().signed]
    newest = write(chain)
    other = write(None)
    signed += [write_heads().signed, write_heads().signed]

    assert signed == [1, 0, 2, 0]
    found = {(line["chain"], line["seq"], line["hash"]) for line in lines(head_log)[1:]}
    assert found == {(str(event.chain), event.seq, event.hash) for event in (newest, other)}


def test_all_heads_of_a_log_are_genuine(chain: UUID, write: Write, head_log: Path) -> None:
    for _ in range(3):
        write(chain)
        write_heads()

    with head_log.open("rb") as log:
        heads = read_heads(log, public_keys(head_log.with_suffix(".pub").read_bytes()))

    assert sorted(heads[str(chain)].hashes) == [11, 12, 13]
    assert heads[str(chain)].prove_something


def test_a_line_torn_by_a_crash_is_cut_off(chain: UUID, write: Write, head_log: Path) -> None:
    write_heads()
    with head_log.open("ab") as log:
        log.write(b'{"chain":"' + b"x" * 10_000)
    write(chain)

    write_heads()

    assert [line["seq"] for line in lines(head_log)] == [10, 11]


def test_a_crash_between_the_log_and_its_memory_repeats_nothing(chain: UUID, write: Write, head_log: Path) -> None:
    write_heads()
    memory = head_log.with_suffix(".last.json").read_bytes()
    write(chain)
    write_heads()
    head_log.with_suffix(".last.json").write_bytes(memory)

    assert write_heads().signed == 0
    head_log.with_suffix(".last.json").write_text("not json")
    assert write_heads().signed == 0


def test_a_log_that_was_moved_away_begins_anew(chain: UUID, head_log: Path) -> None:
    write_heads()
    head_log.rename(head_log.with_name("shipped.jsonl"))

    assert write_heads().signed == 1
    assert [line["seq"] for line in lines(head_log)] == [10]


@pytest.mark.parametrize("how", ["cut off", "rewritten", "gone", "head row put back"])
def test_a_chain_that_went_back_is_told_and_not_signed_again(
    chain: UUID, head_log: Path, write: Write, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    write_heads()
    events, head = AuditEvent.objects.filter(chain=chain), ChainHead.objects.filter(chain=chain)
    with lifted_triggers(connection):
        if how == "cut off":
            events.filter(seq__gt=7).delete()
            head.update(seq=7, hash=events.get(seq=7).hash)
        elif how == "rewritten":
            events.filter(seq=10).update(hash="a" * 64)
            head.update(hash="a" * 64)
        elif how == "gone":
            events.delete()
            head.delete()
        else:
            head.update(seq=7, hash=events.get(seq=7).hash)
    if how == "cut off":
        for _ in range(5):
            write(chain)  # now longer than what was signed, but another chain

    written = write_heads()

    assert (written.signed, written.gone_back) == (0, (chain,))
    assert str(chain) in caplog.text
    assert len(lines(head_log)) == 1


def test_of_processes_that_sign_at_once_one_does_it(head_log: Path) -> None:
    code = """
import sys
from pathlib import Path
from audit import head_log
from audit.signed_head import SignedHead
for number in range(1, 101):
    with head_log.opened(Path(sys.argv[1])) as log:
        if log.last.get("it", (0, ""))[0] < number:
            log.append([SignedHead("it", number, "a" * 64, "now", "key", "c2ln")])
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, str(head_log)]) for _ in range(3)]

    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert [line["seq"] for line in lines(head_log)] == list(range(1, 101))


def test_the_local_key_is_made_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    first, again = own_public_keys().keys(), own_public_keys().keys()

    assert first == again
    assert (tmp_path / "audit-signing.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["audit-signing.key"]


def test_a_local_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    private_key()
    (tmp_path / "audit-signing.key").chmod(0o640)

    with pytest.raises(ImproperlyConfigured, match="0600"):
        private_key()


@pytest.mark.parametrize("wrap", [str, lambda text: base64.b64encode(text.encode()).decode()], ids=["pem", "base64"])
def test_a_key_from_the_settings_signs(settings: Any, tmp_path: Path, wrap: Any) -> None:
    key = Ed25519PrivateKey.generate()
    settings.MAILHUB_ENV, settings.MAILHUB_AUDIT_KEY = "production", wrap(pem(key))

    assert private_key().public_key() == key.public_key()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "hunter2", "aHVudGVyMg==", pem(X25519PrivateKey.generate())], ids=range(4))
def test_production_refuses_a_missing_or_wrong_key_without_showing_it(settings: Any, text: str) -> None:
    settings.MAILHUB_ENV, settings.MAILHUB_AUDIT_KEY = "production", text

    with pytest.raises(ImproperlyConfigured, match="Ed25519 private key") as refusal:
        private_key()

    assert "hunter2" not in str(refusal.value)


def test_after_a_change_of_the_key_both_public_keys_are_published(
    chain: UUID, write: Write, head_log: Path, settings: Any
) -> None:
    write_heads()
    settings.MAILHUB_AUDIT_KEY = pem(Ed25519PrivateKey.generate())
    write(chain)
    write_heads()

    with head_log.open("rb") as log:
        heads = read_heads(log, public_keys(head_log.with_suffix(".pub").read_bytes()))

    assert sorted(heads[str(chain)].hashes) == [10, 11]
    assert not heads[str(chain)].refused
