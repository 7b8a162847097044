"""`manage.py send` and the job: a whole message from the outside."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Tenant
from mailboxes.jobs.send import send_batch
from mailboxes.models import Mailbox, OutboxMessage
from mailboxes.services.deliver import claim_due
from tests.outbox.conftest import Queue, connected_mailbox
from tests.outbox.faulty_smtp import DROP, FaultySmtp


def run(*args: str) -> str:
    out = StringIO()
    call_command("send", *args, stdout=out)
    return out.getvalue()


def test_it_sends_and_tells_each_step(smtp: FaultySmtp, mailbox: Mailbox, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("Grüße\n")

    said = run(
        "ANNA@contoso.example",
        "--to",
        "a@b.org",
        "--to",
        "c@d.org, e@f.org",
        "--subject",
        "Hi",
        "--text-file",
        str(text),
    )

    assert smtp.taken[0].recipients == ("a@b.org", "c@d.org", "e@f.org")
    for words in ("Queued as", "Connected: localhost", "Signed in", "Recipients accepted: 3 of 3", "Accepted", "Sent."):
        assert words in said


def test_json_is_one_document_and_nothing_else(smtp: FaultySmtp, mailbox: Mailbox) -> None:
    told = json.loads(run("anna@contoso.example", "--to", "a@b.org", "--subject", "Hi", "--json"))

    outbox = OutboxMessage.objects.get()
    assert (told["id"], told["state"], told["message_id"]) == (str(outbox.pk), "sent", outbox.message_id)
    assert [attempt["stage"] for attempt in told["attempts"]][-1] == "accepted"


def test_what_was_not_sent_exits_with_1(smtp: FaultySmtp, mailbox: Mailbox, capsys: Any) -> None:
    smtp.fail("dot", DROP)

    with pytest.raises(SystemExit) as ended:
        run("anna@contoso.example", "--to", "a@b.org", "--subject", "Hi")
    assert ended.value.code == 1


@pytest.mark.parametrize(
    "args",
    [
        ["nobody@contoso.example", "--to", "a@b.org"],
        ["anna@contoso.example", "--to", "bob"],
        ["anna@contoso.example", "--to", "a@b.org", "--text-file", "/nowhere"],
        ["anna@contoso.example", "--to", "a@b.org", "--tenant", "other"],
        ["twice@contoso.example", "--to", "a@b.org"],
    ],
)
def test_wrong_usage_exits_with_2(args: list[str], mailbox: Mailbox) -> None:
    for name in ("Fabrikam", "Northwind"):
        connected_mailbox(1, "twice@contoso.example", tenant=Tenant.objects.create(name=name))

    with pytest.raises(CommandError) as error:
        run(*args, "--subject", "Hi")
    assert error.value.returncode == 2
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_sends_for_many_mailboxes_and_a_doubled_job_sends_nothing_twice(
    smtp: FaultySmtp, queue: Queue, mailbox: Mailbox
) -> None:
    boxes = [connected_mailbox(smtp.port, f"p{n}@contoso.example", tenant=mailbox.tenant) for n in range(10)]
    for box in (*boxes, mailbox):
        queue(mailbox=box)
        queue(mailbox=box)
    pairs = [(str(claim.mailbox_id), str(claim.lease_id)) for claim in claim_due(timezone.now(), 50)]
    assert len(pairs) == 11

    send_batch(pairs)
    send_batch(pairs)

    assert set(OutboxMessage.objects.values_list("state", flat=True)) == {"sent"}
    assert len(smtp.taken) == 22
    assert smtp.connections == 11
