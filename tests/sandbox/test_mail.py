from __future__ import annotations

import hashlib
import imaplib
import poplib
import smtplib
import socket
import time
from email.message import EmailMessage
from email.policy import SMTP
from secrets import token_hex

import pytest

from tests.sandbox.mail_clients import imap, pop3, smtp, trust
from tests.servers.sandbox import Sandbox

ALICE, BOB, CAROL = "alice@sandbox.test", "bob@sandbox.test", "carol@sandbox.test"
BOTH = pytest.mark.parametrize("starttls", [False, True])
MECHANISMS = pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])


def token(sandbox: Sandbox, user: str, scope: str = "openid mail.imap mail.pop mail.smtp") -> str:
    return str(sandbox.grant(user, scope)["access_token"])


def note(to: str = CAROL, sender: str = BOB) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, f"note {token_hex(4)}"
    message["Message-ID"], message["X-Mailhub-ID"] = f"<{token_hex(8)}@mailhub.test>", token_hex(16)
    message.set_content("hello\n.a dot\n..two dots\n")
    return message


def digests(sandbox: Sandbox, user: str, folder: str = "INBOX") -> list[str]:
    return [message["sha256"] for message in sandbox.mail(user, folder)]


@BOTH
@MECHANISMS
def test_imap_takes_the_token(sandbox: Sandbox, mechanism: str, starttls: bool) -> None:
    client = imap(sandbox, CAROL, token(sandbox, CAROL), mechanism=mechanism, starttls=starttls)

    assert client.select("INBOX", readonly=True)[0] == "OK"
    client.logout()


@BOTH
@MECHANISMS
@pytest.mark.parametrize("initial", [False, True])
def test_pop3_takes_the_token(sandbox: Sandbox, mechanism: str, starttls: bool, initial: bool) -> None:
    client = pop3(sandbox, CAROL, token(sandbox, CAROL), mechanism=mechanism, starttls=starttls, initial=initial)

    assert client.stat()[0] == len(sandbox.mail(CAROL))
    client.quit()


@BOTH
@MECHANISMS
@pytest.mark.parametrize("initial", [False, True])
def test_smtp_takes_the_token(sandbox: Sandbox, mechanism: str, starttls: bool, initial: bool) -> None:
    client = smtp(sandbox, CAROL, token(sandbox, CAROL), mechanism=mechanism, starttls=starttls, initial=initial)

    assert client.noop()[0] == 250
    client.quit()


def test_imap_takes_an_initial_response_and_says_why_a_token_is_refused(sandbox: Sandbox) -> None:
    import base64

    def ask(blob: str) -> list[bytes]:
        port = sandbox.endpoints["imap"]["port"]
        raw = socket.create_connection(("localhost", port), timeout=10)
        with trust(sandbox).wrap_socket(raw, server_hostname="localhost") as wire, wire.makefile("rwb") as file:
            file.readline()
            file.write(f"a1 AUTHENTICATE XOAUTH2 {blob}\r\n".encode())
            file.flush()
            lines = [file.readline()]
            if lines[0].startswith(b"+"):
                file.write(b"\r\n")
                file.flush()
                lines.append(file.readline())
            return lines

    def blob(value: str) -> str:
        return base64.b64encode(f"user={CAROL}\x01auth=Bearer {value}\x01\x01".encode()).decode()

    assert ask(blob(token(sandbox, CAROL)))[0].startswith(b"a1 OK")
    challenge, answer = ask(blob("nonsense"))
    assert b'"status": "401"' in base64.b64decode(challenge[2:])
    assert answer.startswith(b"a1 NO [AUTHENTICATIONFAILED]")


def test_no_sign_in_is_offered_before_tls(sandbox: Sandbox) -> None:
    client = imaplib.IMAP4("localhost", sandbox.endpoints["imap_starttls"]["port"], timeout=10)
    assert {"STARTTLS", "LOGINDISABLED"} <= set(client.capabilities)
    assert not [name for name in client.capabilities if name.startswith("AUTH=")]
    client.logout()

    post = smtplib.SMTP("localhost", sandbox.endpoints["smtp_starttls"]["port"], timeout=10)
    post.ehlo()
    assert "auth" not in post.esmtp_features
    assert post.docmd("AUTH", "XOAUTH2 x")[0] in (530, 538)
    post.quit()

    box = poplib.POP3("localhost", sandbox.endpoints["pop3_starttls"]["port"], timeout=10)
    assert "SASL" not in box.capa()
    with pytest.raises(poplib.error_proto):
        box._shortcmd("AUTH XOAUTH2 x")
    box.quit()


@pytest.mark.parametrize("missing", ["mail.imap", "mail.pop", "mail.smtp"])
def test_each_protocol_wants_its_own_scope(sandbox: Sandbox, missing: str) -> None:
    scopes = [scope for scope in ("mail.imap", "mail.pop", "mail.smtp") if scope != missing]
    narrow = token(sandbox, CAROL, "openid " + " ".join(scopes))

    for scope, sign_in in {"mail.imap": imap, "mail.pop": pop3, "mail.smtp": smtp}.items():
        if scope == missing:
            with pytest.raises((imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPAuthenticationError)):
                sign_in(sandbox, CAROL, narrow)
        else:
            sign_in(sandbox, CAROL, narrow)


def test_a_token_opens_its_own_mailbox_and_an_app_only_token_opens_all(sandbox: Sandbox) -> None:
    with pytest.raises(imaplib.IMAP4.error):
        imap(sandbox, BOB, token(sandbox, CAROL))

    app = sandbox.token(grant_type="client_credentials").json()["access_token"]
    for user in (BOB, CAROL):
        imap(sandbox, user, app).logout()


def test_an_expired_or_revoked_token_is_refused_everywhere(sandbox: Sandbox) -> None:
    for end in (sandbox.expire_tokens, sandbox.revoke_tokens):
        grant = sandbox.grant(CAROL)
        end(CAROL)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap(sandbox, CAROL, grant["access_token"])
        with pytest.raises(poplib.error_proto, match="AUTH"):
            pop3(sandbox, CAROL, grant["access_token"])
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            smtp(sandbox, CAROL, grant["access_token"])
        assert refused.value.smtp_code == 535
        refreshed = sandbox.token(grant_type="refresh_token", refresh_token=grant["refresh_token"])
        assert refreshed.status_code == (200 if end == sandbox.expire_tokens else 400)


def test_folders_have_their_special_use(sandbox: Sandbox) -> None:
    client = imap(sandbox, ALICE, token(sandbox, ALICE))
    rows = [row.decode() for row in client.list()[1] if isinstance(row, bytes)]
    for name in ("Sent", "Drafts", "Archive", "Junk", "Trash"):
        assert any(f"\\{name}" in row and row.endswith(name) for row in rows)
    client.logout()


def test_imap_gives_the_very_bytes_of_every_message(sandbox: Sandbox) -> None:
    client = imap(sandbox, ALICE, token(sandbox, ALICE))
    client.select("INBOX", readonly=True)
    _, rows = client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
    bodies = [row[1] for row in rows if isinstance(row, tuple) and b"BODY[] {" in row[0]]
    client.logout()

    assert [hashlib.sha256(body).hexdigest() for body in bodies] == digests(sandbox, ALICE)


def test_imap_cuts_headers_and_text_from_the_same_bytes(sandbox: Sandbox) -> None:
    client = imap(sandbox, ALICE, token(sandbox, ALICE))
    client.select("INBOX", readonly=True)
    _, rows = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER] BODY.PEEK[TEXT])")
    parts = [row[1] for row in rows if isinstance(row, tuple)]
    joined = [hashlib.sha256(head + text).hexdigest() for head, text in zip(parts[::2], parts[1::2], strict=True)]
    assert joined == digests(sandbox, ALICE)

    folded = b"Subject: folded\r\n  twice\r\n\there\r\nX-Other: 1\r\nTO: a@b.test\r\n\r\nSubject: not this one\r\n"
    uid = str(sandbox.deliver(ALICE, folded, "Trash")["uid"])
    client.select("Trash", readonly=True)
    _, rows = client.uid("FETCH", uid, "(BODY.PEEK[HEADER.FIELDS (subject to)])")
    client.logout()
    assert rows[0][1] == b"Subject: folded\r\n  twice\r\n\there\r\nTO: a@b.test\r\n\r\n"  # type: ignore[index]


def test_mail_arrives_at_once_and_lies_in_sent_byte_for_byte(sandbox: Sandbox) -> None:
    watcher = imap(sandbox, CAROL, token(sandbox, CAROL))
    watcher.select("INBOX")
    watcher.send(b"i1 IDLE\r\n")
    assert watcher.readline().startswith(b"+")

    message = note()
    client = smtp(sandbox, BOB, token(sandbox, BOB))
    client.send_message(message)
    client.quit()

    assert b"EXISTS" in watcher.readline()
    watcher.shutdown()
    digest = hashlib.sha256(message.as_bytes()).hexdigest()
    assert digest in digests(sandbox, CAROL)
    sent = sandbox.mail(BOB, "Sent")[-1]
    assert (sent["sha256"], sent["flags"]) == (digest, ["\\Seen"])


def test_pop3_gives_the_same_mail_and_deletes_it(sandbox: Sandbox) -> None:
    sandbox.deliver(BOB, note(BOB).as_bytes())
    client = pop3(sandbox, BOB, token(sandbox, BOB))
    count = client.stat()[0]
    body = b"".join(line + b"\r\n" for line in client.retr(count)[1])
    assert hashlib.sha256(body).hexdigest() == digests(sandbox, BOB)[-1]
    assert len({row.split()[1] for row in client.uidl()[1]}) == count
    assert len(client.top(count, 1)[1]) < len(client.retr(count)[1])
    client.dele(count)
    client.quit()

    assert hashlib.sha256(body).hexdigest() not in digests(sandbox, BOB)


@pytest.mark.parametrize(
    ("sender", "to", "code", "words"),
    [
        (BOB, "nobody@sandbox.test", 550, b"5.1.1"),
        (BOB, "a@example.com", 550, b"5.1.1"),
        (ALICE, CAROL, 550, b"5.7.60"),
    ],
)
def test_smtp_refuses_strangers_and_borrowed_senders(
    sandbox: Sandbox, sender: str, to: str, code: int, words: bytes
) -> None:
    client = smtp(sandbox, BOB, token(sandbox, BOB))
    with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused)) as refused:
        client.sendmail(sender, [to], note(to, sender).as_bytes())
    client.close()

    error = refused.value
    found = error.recipients[to] if isinstance(error, smtplib.SMTPRecipientsRefused) else error.args[:2]
    assert found[0] == code
    assert words in found[1]


def test_imap_appends_flags_copies_and_moves(sandbox: Sandbox) -> None:
    raw = note().as_bytes()
    client = imap(sandbox, CAROL, token(sandbox, CAROL))
    client.create("Projects")
    client.append("Projects", "(\\Flagged $Label1)", "", raw)
    client.select("Projects")
    client.uid("COPY", "1:*", "Archive")
    client.uid("MOVE", "1:*", "Trash")
    client.select("Archive")
    client.logout()

    assert not sandbox.mail(CAROL, "Projects")
    for folder in ("Archive", "Trash"):
        last = sandbox.mail(CAROL, folder)[-1]
        assert last["sha256"] == hashlib.sha256(raw).hexdigest()
        assert last["flags"] == ["$Label1", "\\Flagged"]


def test_long_tokens_pass_everywhere(sandbox: Sandbox) -> None:
    sandbox.fault("token_pad", 2500, user=CAROL)
    long = token(sandbox, CAROL)

    assert len(long) > 2500
    imap(sandbox, CAROL, long).logout()
    smtp(sandbox, CAROL, long).quit()
    smtp(sandbox, CAROL, long, initial=True).quit()
    started = time.monotonic()
    pop3(sandbox, CAROL, long).quit()
    assert time.monotonic() - started < 5
