"""SmtpSession against real servers: aiosmtpd, and Dovecot's submission that relays to it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import Literal

import pytest

from mailboxes.errors import Deferred, MailboxUnusable, MailError, Rejected, SignInRefused, Throttled, Uncertain
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.dots import normal_form
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.smtp import SmtpSession
from tests.servers.dovecot import Dovecot
from tests.servers.smtp_sink import SmtpSink

ME, YOU = "me@example.test", "you@example.test"
TOKEN = "canary-token-" + "t" * 3000
RAW = b"From: me@example.test\r\nSubject: hello\r\n\r\n.dot\r\n..two\r\n\r\n.\r\nend\r\n"


def sink(context: ssl.SSLContext, *, implicit: bool = False, **options: object) -> SmtpSink:
    return SmtpSink(tokens={TOKEN: ME}, tls=context, implicit=implicit, **options)  # type: ignore[arg-type]


def connect(server: SmtpSink, egress: Egress, security: Literal["tls", "starttls"] = "starttls") -> SmtpSession:
    session = SmtpSession.connect("localhost", server.port, security=security, egress=egress, deadline=Deadline(10))
    session.sign_in(ME, TOKEN)
    return session


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(
    "raw",
    [
        RAW,
        b"Subject: bare\n\nlines\rof\r\nall\n.\nkinds",
        b"Subject: 8bit\r\n\r\n" + "Grüße\r\n".encode(),
        b"Subject: big\r\n\r\n" + b".line of text\r\n" * 150_000,
        b"Subject: zero\r\n\r\na\x00b\r\n\r.\r\n",
    ],
)
def test_what_arrives_is_what_was_given(
    egress: Egress, server_context: ssl.SSLContext, security: Literal["tls", "starttls"], raw: bytes
) -> None:
    marks: list[int] = []
    with (
        sink(server_context, implicit=security == "tls") as server,
        connect(server, egress, security) as session,
    ):
        replies = session.envelope(ME, [YOU, "them@example.test"], raw)
        final = session.data(raw, before_dot=lambda: marks.append(len(server.messages)))

        assert [reply.code for reply in replies] == [250, 250]
        assert (final.code, final.enhanced) == (250, "2.0.0")
        assert marks == [0]  # the marker came before the server had the message
        (got,) = server.messages
        assert got.raw == normal_form(raw)
        assert (got.sender, got.recipients) == (ME, (YOU, "them@example.test"))


def test_several_messages_go_over_one_session(egress: Egress, server_context: ssl.SSLContext) -> None:
    with sink(server_context) as server, connect(server, egress) as session:
        for number in range(5):
            raw = b"Subject: %d\r\n\r\nx\r\n" % number
            session.envelope(ME, [YOU], raw)
            session.data(raw, before_dot=lambda: None)

        assert len(server.messages) == 5


def test_a_refused_token_raises_with_the_reason_and_stays_out_of_every_text(
    egress: Egress, server_context: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with sink(server_context) as server:
        session = SmtpSession.connect(
            "localhost", server.port, security="starttls", egress=egress, deadline=Deadline(10)
        )
        with session, pytest.raises(SignInRefused) as refused:
            session.sign_in("other@example.test", TOKEN)

    assert refused.value.detail.startswith("535 5.7.8 ")
    assert "(status 401, schemes bearer, scope mail)" in refused.value.detail
    assert session.last_sign_in is not None
    assert (session.last_sign_in.outcome, session.last_sign_in.mechanism) == ("refused", "XOAUTH2")
    for text in (
        refused.value.detail,
        repr(refused.value),
        repr(session.last_sign_in),
        repr(vars(session)),
        caplog.text,
    ):
        assert "canary" not in text


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        ("454 4.7.0 Temporary authentication failure", MailError, "provider_down"),
        ("421 4.7.0 Too many concurrent connections", Throttled, "throttled"),
        ("535 5.7.3 Authentication unsuccessful", SignInRefused, "signin_refused"),
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
            MailboxUnusable,
            "smtp_auth_off",
        ),
        ("534 5.7.9 Please log in with your web browser", SignInRefused, "signin_refused"),
        ("555 5.5.2 Syntax error", SignInRefused, "signin_refused"),
    ],
)
def test_each_reply_to_a_sign_in_has_its_meaning(
    egress: Egress, server_context: ssl.SSLContext, reply: str, kind: type[MailError], reason: str
) -> None:
    with sink(server_context, replies={"auth": [reply]}) as server, pytest.raises(kind) as refused:
        connect(server, egress)

    assert refused.value.reason == reason


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(("reply", "kind"), [("451 4.3.0 later", Deferred), ("554 5.7.1 never", Rejected)])
def test_a_refusal_names_its_stage_and_the_session_serves_on(
    egress: Egress, server_context: ssl.SSLContext, stage: str, reply: str, kind: type[Rejected | Deferred]
) -> None:
    with sink(server_context, replies={stage: [reply]}) as server, connect(server, egress) as session:
        with pytest.raises(kind) as refused:
            session.envelope(ME, [YOU], RAW)
            session.data(RAW, before_dot=lambda: None)

        assert refused.value.stage == ("dot" if stage == "data" else stage)
        assert (refused.value.status, refused.value.enhanced) == (int(reply[:3]), reply[4:9])
        assert refused.value.reply == reply
        assert not refused.value.dot_may_have_left
        session.reset()
        session.envelope(ME, [YOU], RAW)
        session.data(RAW, before_dot=lambda: None)
        assert len(server.messages) == 1


def test_a_refused_recipient_does_not_keep_the_others_from_their_mail(
    egress: Egress, server_context: ssl.SSLContext
) -> None:
    with (
        sink(server_context, replies={"rcpt": ["550 5.1.1 no such user"]}) as server,
        connect(server, egress) as session,
    ):
        replies = session.envelope(ME, ["nobody@example.test", YOU], RAW)
        session.data(RAW, before_dot=lambda: None)

        assert [(reply.ok, str(reply)) for reply in replies] == [
            (False, "550 5.1.1 no such user"),
            (True, "250 2.1.5 OK"),
        ]
        assert server.messages[0].recipients == (YOU,)


@pytest.mark.parametrize(("script", "kept"), [("drop", 0), ("keep-drop", 1)])
def test_a_line_lost_after_the_dot_is_uncertain_whether_or_not_the_server_has_it(
    egress: Egress, server_context: ssl.SSLContext, script: str, kept: int
) -> None:
    with sink(server_context, replies={"data": [script]}) as server, connect(server, egress) as session:
        session.envelope(ME, [YOU], RAW)
        with pytest.raises(Uncertain) as lost:
            session.data(RAW, before_dot=lambda: None)

        assert (lost.value.stage, lost.value.dot_may_have_left, lost.value.retryable) == ("dot", True, False)
        assert len(server.messages) == kept


def test_a_marker_that_cannot_be_written_leaves_the_server_without_the_message(
    egress: Egress, server_context: ssl.SSLContext
) -> None:
    def no_lease() -> None:
        raise RuntimeError("lease lost")

    with sink(server_context) as server:
        session = connect(server, egress)
        session.envelope(ME, [YOU], RAW)
        with pytest.raises(RuntimeError, match="lease lost"):
            session.data(RAW, before_dot=no_lease)

        assert session.closed
    assert server.messages == []


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [
        (ME, "x>\r\nRCPT TO:<y@z.test"),
        (ME, "a b@c.test"),
        (ME, "<you@example.test>"),
        (ME, "no-at-sign"),
        (ME, "@example.test"),
        (ME, ""),
        ("me@\x00example.test", YOU),
        (ME, "x" * 300 + "@example.test"),
    ],
)
def test_what_is_no_address_never_reaches_the_wire(
    egress: Egress, server_context: ssl.SSLContext, sender: str, recipient: str
) -> None:
    with sink(server_context) as server, connect(server, egress) as session:
        with pytest.raises(Rejected):
            session.envelope(sender, [recipient], RAW)
        with pytest.raises(MailError):
            session.data(RAW, before_dot=lambda: None)

    assert server.messages == []


def test_addresses_and_headers_in_other_letters_ask_for_smtputf8(
    egress: Egress, server_context: ssl.SSLContext
) -> None:
    with sink(server_context) as server, connect(server, egress) as session:
        session.envelope(ME, ["jörg@bücher.test", "you@bücher.test"], RAW)
        session.data(RAW, before_dot=lambda: None)

        assert server.messages[0].recipients == ("jörg@xn--bcher-kva.test", "you@xn--bcher-kva.test")
        assert "SMTPUTF8" in server.messages[0].options


def test_a_message_over_the_servers_limit_is_not_sent_at_all(egress: Egress, server_context: ssl.SSLContext) -> None:
    with sink(server_context, size=5000) as server, connect(server, egress) as session:
        with pytest.raises(Rejected) as refused:
            session.envelope(ME, [YOU], b"Subject: x\r\n\r\n" + b"x\r\n" * 2000)

        assert refused.value.reason == "too_large"
        assert "6014 bytes, the server takes 5000" in refused.value.detail


def test_a_line_over_998_bytes_is_not_sent(egress: Egress, server_context: ssl.SSLContext) -> None:
    with (
        sink(server_context) as server,
        connect(server, egress) as session,
        pytest.raises(Rejected, match="998"),
    ):
        session.envelope(ME, [YOU], b"Subject: x\r\n\r\n" + b"x" * 999)


def test_dovecots_submission_takes_the_token_and_hands_the_message_on(
    dovecot: Dovecot, relay_sink: SmtpSink, egress: Egress, token_for: Callable[..., str], person: str
) -> None:
    session = SmtpSession.connect(
        "localhost", dovecot.submission, security="starttls", egress=egress, deadline=Deadline(20)
    )
    with session:
        result = session.sign_in(person, token_for(person, 3000))
        assert "PIPELINING" in session.extensions
        session.envelope(person, [YOU, "them@example.test"], RAW)
        final = session.data(RAW, before_dot=lambda: None)

    assert (result.mechanism, result.outcome) == ("XOAUTH2", "ok")
    assert final.ok
    got = [message for message in relay_sink.messages if message.sender == person]
    assert len(got) == 1
    assert got[0].raw.endswith(RAW)  # behind the Received line that Dovecot adds
    assert got[0].recipients == (YOU, "them@example.test")


def test_dovecots_submission_refuses_a_token_that_is_not_known(dovecot: Dovecot, egress: Egress, person: str) -> None:
    session = SmtpSession.connect(
        "localhost", dovecot.submission, security="starttls", egress=egress, deadline=Deadline(20)
    )
    with session, pytest.raises(SignInRefused) as refused:
        session.sign_in(person, "unknown-token")

    assert "535 5.7.8" in refused.value.detail
