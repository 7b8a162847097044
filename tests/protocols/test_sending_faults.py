"""SmtpSession against scripted servers: the line breaks at each step, STARTTLS is stripped, replies make no sense."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from mailboxes.errors import (
    ConnectionLost,
    Deferred,
    DeliveryFault,
    MailError,
    ProtocolFault,
    Rejected,
    TlsRefused,
    Uncertain,
)
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.smtp import SmtpSession
from tests.servers.scripted import Line, Scripted

ME, YOU = "me@example.test", "you@example.test"
TOKEN = "canary-token"
RAW = b"Subject: x\r\n\r\nbody\r\n"
Script = Callable[[Line], None]


@pytest.fixture
def session_on(egress: Egress, server_context: ssl.SSLContext) -> Iterator[Callable[..., SmtpSession]]:
    servers: list[Scripted] = []
    sessions: list[SmtpSession] = []

    def make(script: Script, seconds: float = 3) -> SmtpSession:
        server = Scripted(script, tls=server_context)
        server.__enter__()
        servers.append(server)
        session = SmtpSession.connect(
            "localhost", server.port, security="tls", egress=egress, deadline=Deadline(seconds)
        )
        sessions.append(session)
        session.sign_in(ME, TOKEN)
        return session

    yield make
    for session in sessions:
        session.close()
    for server in servers:
        server.__exit__(None, None, None)


def up_to_sign_in(line: Line, *extensions: bytes) -> None:
    line.say(b"220 smtp.test ESMTP")
    line.hear()
    line.say(b"250-smtp.test", *(b"250-" + extension for extension in extensions), b"250 AUTH XOAUTH2")
    line.hear()
    line.say(b"334 ")
    line.hear()
    line.say(b"235 2.7.0 done")


def up_to(line: Line, stage: str) -> None:
    """Serves until the client has taken the step named; what follows is the script's."""
    up_to_sign_in(line)
    for verb, reply in (("mail", b"250 ok"), ("rcpt", b"250 ok"), ("data", b"354 go")):
        line.hear()
        if verb == stage:
            return
        line.say(reply)
    if stage == "body":
        return
    line.hear_until_dot()


def hand_over(session: SmtpSession, marks: list[str]) -> None:
    session.envelope(ME, [YOU], RAW)
    session.data(RAW, before_dot=lambda: marks.append("dot follows"))


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_a_line_lost_before_the_content_is_deferred(session_on: Callable[..., SmtpSession], stage: str) -> None:
    session, marks = session_on(lambda line: up_to(line, stage)), list[str]()

    with pytest.raises(Deferred) as lost:
        hand_over(session, marks)

    assert (lost.value.stage, lost.value.status, lost.value.reply) == (stage, 0, "")
    assert marks == []
    assert session.closed


def test_a_line_lost_after_the_dot_is_uncertain(session_on: Callable[..., SmtpSession]) -> None:
    session, marks = session_on(lambda line: up_to(line, "dot")), list[str]()

    with pytest.raises(Uncertain) as lost:
        hand_over(session, marks)

    assert (lost.value.stage, lost.value.reason) == ("dot", "reply_lost")
    assert marks == ["dot follows"]


def test_a_server_that_hangs_after_the_dot_is_uncertain_at_the_deadline(
    session_on: Callable[..., SmtpSession],
) -> None:
    def script(line: Line) -> None:
        up_to(line, "dot")
        line.wait_for_end()

    session = session_on(script)
    session.envelope(ME, [YOU], RAW)
    session.deadline = Deadline(0.3)
    started = time.monotonic()
    with pytest.raises(Uncertain):
        session.data(RAW, before_dot=lambda: None)

    assert time.monotonic() - started < 2


@pytest.mark.parametrize("answer", [b"what?", b"354 go on", b"999 x", b"250-begins\r\n550 and turns", b"x" * 10_000])
def test_an_answer_to_the_dot_that_is_none_is_uncertain(session_on: Callable[..., SmtpSession], answer: bytes) -> None:
    def script(line: Line) -> None:
        up_to(line, "dot")
        line.say(answer)

    session = session_on(script)
    with pytest.raises(Uncertain):
        hand_over(session, [])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"552 5.3.4 too big", Rejected),
        (b"451 4.3.0 later", Deferred),
        (b"421 4.4.2 timeout", Deferred),
        (b"", Deferred),
    ],
)
def test_a_server_that_interrupts_the_content_is_heard_and_gets_no_dot(
    session_on: Callable[..., SmtpSession], answer: bytes, kind: type[DeliveryFault]
) -> None:
    heard: list[bytes] = []

    def script(line: Line) -> None:
        up_to(line, "body")
        heard.append(line.hear())
        if answer:
            line.say(answer)
            line.wait_for_end()
        else:
            line.sock.close()

    session, marks = session_on(script), list[str]()
    session.envelope(ME, [YOU], RAW)

    with pytest.raises(kind) as refused:
        # so much that the client is still sending, or has just sent, when the answer comes
        session.data(RAW + b"x\r\n" * 3_000_000, before_dot=lambda: marks.append("dot follows"))

    assert refused.value.stage == "body"
    assert marks == []
    assert heard == [b"Subject: x"]


def test_a_refusal_of_data_is_no_acceptance(session_on: Callable[..., SmtpSession]) -> None:
    def script(line: Line) -> None:
        up_to(line, "data")
        line.say(b"554 5.5.1 no valid recipients")

    with pytest.raises(Rejected) as refused:
        hand_over(session_on(script), [])

    assert refused.value.stage == "data"


def test_all_recipients_refused_for_now_is_deferred_even_when_one_is_for_good(
    session_on: Callable[..., SmtpSession],
) -> None:
    def script(line: Line) -> None:
        up_to_sign_in(line)
        for reply in (b"250 ok", b"450 4.2.1 later", b"550 5.1.1 never"):
            line.hear()
            line.say(reply)

    session = session_on(script)
    with pytest.raises(Deferred) as refused:
        session.envelope(ME, [YOU, "them@example.test"], RAW)

    assert (refused.value.stage, refused.value.enhanced) == ("rcpt", "4.2.1")


def test_sender_and_recipients_go_in_one_flight_where_the_server_can(session_on: Callable[..., SmtpSession]) -> None:
    lines: list[list[bytes]] = []

    def script(line: Line) -> None:
        up_to_sign_in(line, b"PIPELINING", b"SIZE 1000000")
        lines.append([line.hear() for _ in range(3)])  # nothing is said until all have come
        line.say(b"250-2.1.0 two", b"250 2.1.0 lines", b"550-5.1.1 no", b"550 5.1.1 such user", b"250 2.1.5 ok")
        line.wait_for_end()

    replies = session_on(script).envelope(ME, ["no@example.test", YOU], RAW)

    assert lines == [
        [b"MAIL FROM:<me@example.test> SIZE=20", b"RCPT TO:<no@example.test>", b"RCPT TO:<you@example.test>"]
    ]
    assert [str(reply) for reply in replies] == ["550 5.1.1 no such user", "250 2.1.5 ok"]


def test_eight_bit_content_is_refused_where_the_server_takes_seven(session_on: Callable[..., SmtpSession]) -> None:
    def script(line: Line) -> None:
        up_to_sign_in(line)
        line.wait_for_end()

    session = session_on(script)
    with pytest.raises(Rejected, match="8-bit"):
        session.envelope(ME, [YOU], b"Subject: x\r\n\r\n\xff\r\n")
    with pytest.raises(Rejected, match="SMTPUTF8"):
        session.envelope(ME, ["jörg@example.test"], RAW)


@pytest.mark.parametrize(
    "answer", [b"454 4.7.0 not now", b"500 unknown", b"250 fine, without", b"220", b"nonsense", b""]
)
def test_starttls_is_never_skipped(egress: Egress, answer: bytes) -> None:
    def script(line: Line) -> None:
        line.say(b"220 smtp.test")
        line.hear()
        line.say(b"250-smtp.test", b"250 AUTH XOAUTH2")
        line.hear()
        if answer:
            line.say(answer)
        with contextlib.suppress(OSError):
            line.heard.append(line.sock.recv(5)[:1])  # what the client says next: a TLS record (0x16) or nothing

    with Scripted(script) as server, pytest.raises(MailError) as refused:
        SmtpSession.connect("localhost", server.port, security="starttls", egress=egress, deadline=Deadline(1))

    assert server.heard[1] == b"STARTTLS"
    assert server.heard[2:] in ([b"\x16"], [b""], [])
    assert not isinstance(refused.value, DeliveryFault)


def test_what_follows_the_consent_to_starttls_in_clear_is_never_believed(
    egress: Egress, server_context: ssl.SSLContext
) -> None:
    def script(line: Line) -> None:
        line.say(b"220 smtp.test")
        line.hear()
        line.say(b"250 STARTTLS")
        line.hear()
        line.say(b"220 begin", b"250 AUTH XOAUTH2")
        line.start_tls(server_context)

    with Scripted(script) as server, pytest.raises((TlsRefused, ConnectionLost)):
        SmtpSession.connect("localhost", server.port, security="starttls", egress=egress, deadline=Deadline(3))


@pytest.mark.parametrize(
    "greeting", [b"554 5.7.1 no service", b"421 4.3.2 too busy", b"* OK imap", b"220-" + b"x" * 5000]
)
def test_a_server_that_does_not_greet_well_is_left(egress: Egress, greeting: bytes) -> None:
    with Scripted(lambda line: line.say(greeting)) as server, pytest.raises(MailError) as refused:
        SmtpSession.connect("localhost", server.port, security="starttls", egress=egress, deadline=Deadline(1))

    for banner in ("no service", "too busy", "imap", "xxx"):
        assert banner not in refused.value.detail  # no banner before TLS


def test_a_token_is_never_in_the_auth_line(session_on: Callable[..., SmtpSession]) -> None:
    lines: list[Line] = []

    def script(line: Line) -> None:
        lines.append(line)
        up_to_sign_in(line)
        line.wait_for_end()

    session_on(script)

    assert lines[0].heard[1] == b"AUTH XOAUTH2"


def test_a_server_without_bearer_tokens_gets_none(session_on: Callable[..., SmtpSession]) -> None:
    def script(line: Line) -> None:
        line.say(b"220 smtp.test")
        line.hear()
        line.say(b"250-smtp.test", b"250 AUTH PLAIN LOGIN")
        line.wait_for_end()

    with pytest.raises(ProtocolFault):
        session_on(script)
