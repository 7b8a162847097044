from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.db import connection

from accounts.roles import Role
from audit.heads import write_heads
from audit.models import AuditEvent
from tests.api.house import House
from tests.audit.lifted_triggers import lifted_triggers

FIELDS = {"seq", "at", "actor", "action", "object", "outcome", "detail", "hash"}


def test_events_come_in_order_with_the_fields_of_the_contract(house: House) -> None:
    auditor = house.program(Role.AUDITOR)

    first, second = auditor.get("/audit-events?limit=1"), auditor.get("/audit-events?limit=500")

    (event,) = first["items"]
    assert set(event) == FIELDS
    assert (event["seq"], event["action"], event["outcome"]) == (1, "outbox.queued", "ok")
    assert event["actor"] == {"kind": "person", "id": str(house.owner.pk), "label": house.owner.email}
    assert event["object"]["type"] == "mailboxes.outboxmessage"
    rest = auditor.get(f"/audit-events?limit=1&after={first['next']}")
    assert [each["seq"] for each in rest["items"]] == [2]
    assert [each["seq"] for each in second["items"]] == [1, 2, 3]
    assert second["items"][-1]["hash"] == AuditEvent.objects.get(chain=house.tenant.pk, seq=3).hash


def test_only_the_keys_own_chain_is_shown(house: House, stranger: Any) -> None:
    labels = json.dumps(stranger.get("/audit-events"))

    assert house.owner.email not in labels and str(house.mailbox.pk) not in labels


def test_a_whole_chain_is_verified_and_signed_heads_prove_its_tail(house: House, settings: Any, tmp_path: Path) -> None:
    settings.MAILHUB_AUDIT_HEADS = tmp_path / "heads.jsonl"
    auditor = house.program(Role.AUDITOR)

    unproven = auditor.get("/audit-events/verify")
    write_heads()
    proven = auditor.get("/audit-events/verify")

    last = AuditEvent.objects.filter(chain=house.tenant.pk).latest("seq")
    assert {name: unproven[name] for name in ("ok", "count", "head", "first_bad", "tail_proven")} == {
        "ok": True,
        "count": last.seq,
        "head": last.hash,
        "first_bad": None,
        "tail_proven": False,
    }
    assert proven == {**unproven, "tail_proven": True, "why": "proven by signed heads"}


def test_a_changed_event_is_found(house: House) -> None:
    with lifted_triggers(connection):
        AuditEvent.objects.filter(chain=house.tenant.pk, seq=2).update(actor_label="somebody else")

    verdict = house.program(Role.AUDITOR).get("/audit-events/verify")

    assert (verdict["ok"], verdict["first_bad"], verdict["count"]) == (False, 2, 1)
