"""The life of one mailbox, told against a real Dovecot and an OAuth provider that is not ours."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime

from tests.servers.installation import until
from tests.stories import canary
from tests.stories.letters import is_plain, letters
from tests.stories.real_world import SAID, RealWorld

SEED, COUNT = 20261121, 300
FIRST_LIFE = 12  # seconds of the first access token


def test_a_mailbox_from_its_first_consent_to_its_second() -> None:
    with RealWorld() as world:
        sent_to_us = fill(world)
        world.provider.lives(AccessToken=FIRST_LIFE)
        world.register()
        world.connect()
        world.provider.lives(AccessToken=3600)
        world.note_grant()
        assert world.mailhub.one("select subject from mailboxes_token") == f"sub-{world.address}"
        expires_at = datetime.fromisoformat(world.mailhub.one("select expires_at from mailboxes_token")).replace(
            tzinfo=UTC
        )

        all_of_it_is_here_exactly_once(world, sent_to_us)
        a_message_leaves_as_it_was_made(world)
        the_token_expires_and_mail_goes_on(world, expires_at)
        the_permission_is_taken_back_and_given_anew(world)
        the_log_is_whole(world)
        nothing_secret_lies_in_clear(world)


def fill(world: RealWorld) -> Counter[bytes]:
    """The bytes of the plain ones are known; what the server makes of the others, it will say itself."""
    given: Counter[bytes] = Counter()
    for folder, raw in letters(SEED, COUNT, world.address):
        world.dovecot.deliver(world.address, raw, folder)
        if is_plain(raw):
            given[raw] += 1
    return given


def all_of_it_is_here_exactly_once(world: RealWorld, sent_to_us: Counter[bytes]) -> None:
    until("everything is read", lambda: world.stored() >= COUNT and world.all_is_read())
    served = world.at_server()

    stored = world.in_store()

    assert len(served) == COUNT == world.stored()
    assert stored == served
    assert not sent_to_us - Counter(stored.values()), (
        "the server, and so we, changed a message that nothing is wrong with"
    )
    assert world.mailhub.one("select message_count from mailboxes_mailbox") == COUNT
    assert world.mailhub.one("select count(*) from mailboxes_fetchdebt") == 0


def a_message_leaves_as_it_was_made(world: RealWorld) -> None:
    outbox_id = world.write("An order: 5 boxes, für Öland")
    world.wait_for_outbox(outbox_id, "sent")

    (received,) = world.sink.messages
    assert received.sender == world.address
    assert received.recipients == ("bob@elsewhere.test", "carol@elsewhere.test")
    # Dovecot's submission service puts one Received header before the message, as each server on the way does.
    trace = re.match(rb"Received: .*\r\n(?:[ \t].*\r\n)*", received.raw)
    assert trace, received.raw[:500]
    assert received.raw[trace.end() :] == world.composed(outbox_id)
    assert b"carol" not in received.raw[trace.end() :]
    assert world.stages(outbox_id) == ["started", "connected", "signed_in", "recipients", "dot_follows", "accepted"]


def the_token_expires_and_mail_goes_on(world: RealWorld, expires_at: datetime) -> None:
    until("the first token has expired", lambda: datetime.now(UTC) > expires_at)
    world.dovecot.deliver(world.address, letter("after the first token"))

    until("mail arrives under the new token", lambda: world.arrived("after the first token"))

    assert world.provider.seen("token:refresh_token") == 1, "one renewal, and no second one beside it"
    assert world.mailhub.one("select generation from mailboxes_token") == 2
    used = "select count(*) from mailboxes_signin where protocol = 'imap' and outcome = 'ok' and token_generation = 2"
    assert world.mailhub.one(used) >= 1
    assert world.state() == ("active", "")


def the_permission_is_taken_back_and_given_anew(world: RealWorld) -> None:
    mailbox_id = world.mailhub.one("select id from mailboxes_mailbox")
    before = world.in_store()
    world.take_back_at_provider()
    world.dovecot.deliver(world.address, letter("while nobody may read"))

    until("the mailbox says so", lambda: world.state() == ("reconnect", "consent_revoked"), seconds=60)
    assert world.mailhub.one("select dead_reason from mailboxes_token") == "consent_revoked"
    assert world.in_store() == before, "what was read stays"
    queued = world.write("Waits for the new permission")

    world.connect()

    until("what came in the meantime arrives", lambda: world.arrived("while nobody may read"))
    world.dovecot.deliver(world.address, letter("after the second consent"))
    until("and what comes now", lambda: world.arrived("after the second consent") and world.all_is_read())
    world.wait_for_outbox(queued, "sent", seconds=90)
    world.note_grant()
    assert world.mailhub.one("select count(*) from mailboxes_token") == 1
    assert world.state() == ("active", "")
    assert world.mailhub.one("select id from mailboxes_mailbox") == mailbox_id
    assert world.in_store() == world.at_server()
    assert world.stored() == COUNT + 3
    assert len(world.sink.messages) == 2


def letter(subject: str) -> bytes:
    return f"Subject: {subject}\r\n\r\n{SAID}\r\n".encode()


def the_log_is_whole(world: RealWorld) -> None:
    deeds = [action for (action,) in world.mailhub.rows("select action from audit_auditevent order by id")]
    assert deeds.count("mailbox.connected") == 2
    mechanisms = {
        name for (name,) in world.mailhub.rows("select mechanism from mailboxes_signin where protocol != 'token'")
    }
    assert mechanisms <= {"XOAUTH2", "OAUTHBEARER"}
    assert {"providerapp.created", "link.created", "consent.started", "outbox.queued", "outbox.sent"} <= set(deeds)

    verified = json.loads(world.mailhub.manage("audit_verify", "--json"))

    assert verified["ok"], verified


def nothing_secret_lies_in_clear(world: RealWorld) -> None:
    """Tokens, codes, states, links, the client's secret, the text of mail: not in files, not on pages."""
    assert len(world.secrets) >= 11

    assert canary.found(world.secrets, canary.files(world.mailhub.data)) == []
    assert canary.found(world.secrets, canary.pages(world.mailhub)) == []
    assert canary.found([SAID], [("a place that has it", world.sink.messages[0].raw)]), "the search itself works"
