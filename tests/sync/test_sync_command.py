from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Tenant
from mailboxes.models import Mailbox
from mailboxes.services import leases
from tests.servers.dovecot import Dovecot
from tests.sync.mail import connected_mailbox, message


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("sync", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_it_syncs_in_the_foreground_and_tells_what_it_did(mailbox: Mailbox, dovecot: Dovecot) -> None:
    for number in range(3):
        dovecot.deliver(mailbox.address, message(number))

    told = json.loads(run(mailbox.address.upper(), "--json"))

    assert (told["state"], told["added"], told["message_count"], told["reason"]) == ("done", 3, 3, None)
    assert run(mailbox.address) == f"{mailbox.address}: 0 new, 0 changed, 0 gone; 3 in all.\n"


def test_wrong_usage_ends_with_2(mailbox: Mailbox) -> None:
    with pytest.raises(CommandError, match="there is no mailbox") as none:
        run("nobody@example.org")
    assert none.value.returncode == 2

    other = Tenant.objects.create(name="Other")
    connected_mailbox(mailbox.address, imap={}, tenant=other)
    with pytest.raises(CommandError, match="--tenant") as several:
        run(mailbox.address)
    assert several.value.returncode == 2
    assert "0 new" in run(mailbox.address, "--tenant", mailbox.tenant.slug)


def test_what_cannot_run_says_why_and_ends_with_1(mailbox: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    Mailbox.objects.filter(pk=mailbox.pk).update(state="suspended")
    with pytest.raises(SystemExit) as ended:
        call_command("sync", mailbox.address, "--json")
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["reason"] == "suspended"


def test_a_mailbox_that_a_worker_reads_is_left_to_it(mailbox: Mailbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert leases.claim_one(mailbox.pk, mailbox.created_at)

    with pytest.raises(SystemExit):
        call_command("sync", mailbox.address)

    assert "already under way" in capsys.readouterr().out.lower()
