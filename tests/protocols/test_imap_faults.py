"""ImapSession against scripted servers: what no sound server does, and what Google and Microsoft do."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from mailboxes.errors import (
    ConnectionLost,
    MailboxUnusable,
    MailError,
    ProtocolFault,
    ServerUnavailable,
    SignInRefused,
    Throttled,
    TlsRefused,
)
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.imap import ImapSession
from tests.servers.scripted import Line, Scripted

EXCHANGE = b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS] ready"
TOKEN = "canary-token-0123456789"
Script = Callable[[Line], None]


@pytest.fixture
def session_on(egress: Egress, server_context: ssl.SSLContext) -> Iterator[Callable[[Script], ImapSession]]:
    servers: list[Scripted] = []
    sessions: list[ImapSession] = []

    def make(script: Script) -> ImapSession:
        server = Scripted(script, tls=server_context)
        server.__enter__()
        servers.append(server)
        session = ImapSession.connect("localhost", server.port, security="tls", egress=egress, deadline=Deadline(3))
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()
    for server in servers:
        server.__exit__(None, None, None)


def signed_in(line: Line, greeting: bytes = EXCHANGE) -> None:
    line.say(greeting)
    line.answer(b"TAG OK [CAPABILITY IMAP4rev1 UIDPLUS] done")


def examined(line: Line, exists: int = 3) -> None:
    line.answer(
        b"* %d EXISTS" % exists, b"* OK [UIDVALIDITY 7] v", b"* OK [UIDNEXT 100] n", b"TAG OK [READ-ONLY] opened"
    )


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        (b"TAG NO AUTHENTICATE failed.", SignInRefused, "signin_refused"),  # Exchange: no code, no challenge
        (b"TAG NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", SignInRefused, "signin_refused"),
        (b"TAG NO [ALERT] Invalid credentials (Failure)", SignInRefused, "signin_refused"),
        (b"TAG NO [AUTHENTICATIONFAILED] Temporary words do not matter", SignInRefused, "signin_refused"),
        (b"TAG BAD Command argument error", SignInRefused, "signin_refused"),
        (b"TAG NO [UNAVAILABLE] Temporary System Error", ServerUnavailable, "provider_down"),
        (b"TAG NO Server Unavailable. 15", ServerUnavailable, "provider_down"),
        (b"* BYE [UNAVAILABLE] going down", ServerUnavailable, "provider_down"),
        (b"* BYE Session expired, please login again.", ConnectionLost, "connection_lost"),
        (b"TAG NO [LIMIT] Maximum number of connections", Throttled, "too_many_connections"),
        (b"TAG NO [ALERT] Too many simultaneous connections. (Failure)", Throttled, "too_many_connections"),
        (b"TAG NO [ALERT] Account exceeded command or bandwidth limits. (Failure)", Throttled, "throttled"),
        (b"TAG NO Request is throttled. Suggested Backoff Time: 2000 milliseconds", Throttled, "throttled"),
        (b"TAG NO [ALERT] Your account is not enabled for IMAP use.", MailboxUnusable, "imap_off"),
        (b"TAG NO [WEBALERT https://x.test/] Web login required.", MailboxUnusable, "mailbox_unusable"),
        (b"TAG NO [AUTHORIZATIONFAILED] not yours", MailboxUnusable, "mailbox_unusable"),
        (b"TAG NO [PRIVACYREQUIRED] not so", TlsRefused, "tls_untrusted"),
    ],
)
def test_each_reply_to_a_sign_in_has_its_meaning(
    session_on: Callable[[Script], ImapSession], said: bytes, kind: type[MailError], reason: str
) -> None:
    def script(line: Line) -> None:
        line.say(EXCHANGE)
        line.answer(said)

    session = session_on(script)
    with pytest.raises(kind) as refused:
        session.sign_in("a@b.test", TOKEN)

    assert type(refused.value) is kind
    assert refused.value.reason == reason
    assert session.last_sign_in is not None
    assert session.last_sign_in.outcome in ("refused", "failed")
    if b"Backoff" in said:
        assert refused.value.retry_after is not None
        assert refused.value.retry_after.total_seconds() == 2


def test_authenticated_but_not_connected_is_not_a_dead_token(session_on: Callable[[Script], ImapSession]) -> None:
    def script(line: Line) -> None:
        signed_in(line)
        line.answer(b"TAG BAD User is authenticated but not connected.")

    session = session_on(script)
    session.sign_in("a@b.test", TOKEN)

    with pytest.raises(MailboxUnusable):
        session.list_folders()


def test_a_two_step_sign_in_answers_the_error_challenge(session_on: Callable[[Script], ImapSession]) -> None:
    heard: list[bytes] = []

    def script(line: Line) -> None:
        line.say(b"* OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER] ready")
        tag, _, command = line.hear().partition(b" ")
        line.say(b"+ ")
        first = base64.b64decode(line.hear())
        line.say(b"+ " + base64.b64encode(b'{"status":"invalid_token","scope":"mail"}'))
        heard.extend((command, first, line.hear()))
        line.say(tag + b" NO refused")

    session = session_on(script)
    with pytest.raises(SignInRefused) as refused:
        session.sign_in("a@b.test", TOKEN)

    assert heard[0] == b"AUTHENTICATE OAUTHBEARER"
    assert heard[1].startswith(b"n,a=a@b.test,\x01host=localhost\x01port=")
    assert heard[2] == b"AQ=="
    assert refused.value.detail == "NO refused (status invalid_token, scope mail)"


def test_a_long_token_goes_in_two_steps_although_one_is_offered(session_on: Callable[[Script], ImapSession]) -> None:
    commands: list[bytes] = []

    def script(line: Line) -> None:
        line.say(EXCHANGE)
        tag, _, command = line.hear().partition(b" ")
        commands.append(command)
        line.say(b"+")
        commands.append(line.hear())
        line.say(tag + b" OK [CAPABILITY IMAP4rev1] done")

    session_on(script).sign_in("a@b.test", "t" * 6000)

    assert commands[0] == b"AUTHENTICATE XOAUTH2"
    assert len(commands[1]) > 8000


def test_a_reply_that_repeats_the_token_does_not_carry_it_on(session_on: Callable[[Script], ImapSession]) -> None:
    def script(line: Line) -> None:
        line.say(EXCHANGE)
        line.answer(b"TAG NO " + TOKEN.encode() + b" is wrong")

    session = session_on(script)
    with pytest.raises(SignInRefused) as refused:
        session.sign_in("a@b.test", TOKEN)

    assert "canary" not in refused.value.detail + repr(session.last_sign_in)


def test_no_token_leaves_when_no_bearer_mechanism_is_offered(session_on: Callable[[Script], ImapSession]) -> None:
    lines: list[Line] = []

    def script(line: Line) -> None:
        lines.append(line)
        line.say(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready")
        line.wait_for_end()

    session = session_on(script)
    with pytest.raises(ProtocolFault):
        session.sign_in("a@b.test", TOKEN)

    assert lines[0].heard == []


@pytest.mark.parametrize(
    "answer",
    [b"TAG NO not here", b"TAG BAD unknown command", b"* BYE no", b"* OK what", b"nonsense"],
)
def test_starttls_is_never_skipped(egress: Egress, answer: bytes) -> None:
    def script(line: Line) -> None:
        line.say(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] ready")
        line.answer(answer)
        line.wait_for_end()

    with Scripted(script) as server, pytest.raises(MailError) as refused:
        ImapSession.connect("localhost", server.port, security="starttls", egress=egress, deadline=Deadline(0.5))

    assert [said.partition(b" ")[2] for said in server.heard] == [b"STARTTLS"]
    assert b"not here" not in refused.value.detail.encode()  # no banner before TLS


def test_what_follows_the_consent_to_starttls_in_clear_is_never_believed(
    egress: Egress, server_context: ssl.SSLContext
) -> None:
    def script(line: Line) -> None:
        line.say(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready")
        tag = line.hear().split(b" ")[0]
        line.say(tag + b" OK begin", b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] injected")
        line.start_tls(server_context)

    with Scripted(script) as server, pytest.raises((TlsRefused, ConnectionLost)):
        ImapSession.connect("localhost", server.port, security="starttls", egress=egress, deadline=Deadline(3))


def test_capabilities_said_in_clear_do_not_count(egress: Egress, server_context: ssl.SSLContext) -> None:
    def script(line: Line) -> None:
        line.say(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=XOAUTH2 SASL-IR] ready")
        line.answer(b"TAG OK begin")
        line.start_tls(server_context)
        line.answer(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN", b"TAG OK done")
        line.wait_for_end()

    with Scripted(script) as server:
        session = ImapSession.connect(
            "localhost", server.port, security="starttls", egress=egress, deadline=Deadline(3)
        )
        with pytest.raises(ProtocolFault):
            session.sign_in("a@b.test", TOKEN)
        session.close()


@pytest.mark.parametrize("greeting", [b"* PREAUTH welcome", b"220 smtp.test ESMTP", b"+OK pop", b"", b"* LIST x"])
def test_a_server_that_greets_as_another_is_refused(egress: Egress, greeting: bytes) -> None:
    with Scripted(lambda line: line.say(greeting)) as server, pytest.raises(MailError) as refused:
        ImapSession.connect("localhost", server.port, security="starttls", egress=egress, deadline=Deadline(1))

    assert isinstance(refused.value, ProtocolFault)


def test_a_server_that_says_goodbye_at_once_is_unavailable(session_on: Callable[[Script], ImapSession]) -> None:
    with pytest.raises(Throttled):
        session_on(lambda line: line.say(b"* BYE [LIMIT] too many"))


def test_a_server_that_hangs_after_its_greeting_ends_with_the_deadline(
    session_on: Callable[[Script], ImapSession],
) -> None:
    def script(line: Line) -> None:
        line.say(EXCHANGE)
        line.wait_for_end()

    session = session_on(script)
    session.deadline = Deadline(0.3)
    started = time.monotonic()

    with pytest.raises(ConnectionLost):
        session.sign_in("a@b.test", TOKEN)
    assert time.monotonic() - started < 2


def test_logging_out_of_a_server_that_hangs_takes_no_time(
    session_on: Callable[[Script], ImapSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailboxes.protocols.imap_connection.FAREWELL", 0.2)

    def script(line: Line) -> None:
        line.say(EXCHANGE)
        line.wait_for_end()

    session = session_on(script)
    started = time.monotonic()
    session.logout()

    assert session.closed
    assert time.monotonic() - started < 2


def fetching(line: Line, *lines: bytes) -> None:
    signed_in(line)
    examined(line)
    line.answer(*lines)
    line.wait_for_end()


def open_inbox(session: ImapSession) -> ImapSession:
    session.sign_in("a@b.test", TOKEN)
    session.examine("INBOX")
    return session


def test_a_message_that_is_listed_and_not_returned_is_missing(session_on: Callable[[Script], ImapSession]) -> None:
    session = open_inbox(
        session_on(
            lambda line: fetching(
                line,
                b"* 1 FETCH (UID 11 RFC822.SIZE 2 BODY[] {2}",
                b"ab FLAGS (\\Seen))",  # Exchange may put what is left behind the bytes
                b"* 2 FETCH (UID 12 RFC822.SIZE 5 FLAGS ())",  # OK with no body
                b"* 3 FETCH (UID 13 BODY[] NIL)",
                b"* 3 FETCH (FLAGS (\\Answered))",  # told to all, without a UID
                b"* 4 FETCH (UID 99 BODY[] {1}",
                b"z)",  # nobody asked for this one
                b'* 5 FETCH (BODY[] "quoted \\"text\\"" UID 14 X-UNKNOWN (1 (2)))',
                b"* 6 FETCH (UID 15 BODY[] {0}",
                b")",
                b"TAG OK done",
            )
        )
    )

    chunk = session.fetch([11, 12, 13, 14, 15, 16])

    assert {fetched.uid: fetched.raw for fetched in chunk.messages} == {11: b"ab", 14: b'quoted "text"', 15: b""}
    assert chunk.messages[0].flags == ("\\Seen",)
    assert chunk.missing == [12, 13, 16]
    assert chunk.refusal == ""


def test_a_refused_fetch_keeps_what_came_before(session_on: Callable[[Script], ImapSession]) -> None:
    session = open_inbox(
        session_on(
            lambda line: fetching(
                line, b"* 1 FETCH (UID 1 BODY[] {1}", b"a)", b"TAG NO [EXPUNGEISSUED] Some messages no longer exist."
            )
        )
    )

    chunk = session.fetch([1, 2])

    assert (chunk.missing, chunk.refusal) == ([2], "NO [EXPUNGEISSUED] Some messages no longer exist.")
    assert not session.closed


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 1 BODY[] {99999999999}",
        b"* 1 FETCH (UID 1 BODY[] {200000000}",
        b"* 1 FETCH (UID 1",
        b"* 1 FETCH (UID 1 BODY[] ((((",
        b"* 1 FETCH (UID UID UID)",
        b"* x FETCH ()",
        b"* 1 FETCH " + b"(" * 5000,
        b"m99 OK another's",
        b"OK",
        b"* 1 FETCH (UID 1 BODY[] {10}\r\nabc",
        b"* " + b"x" * 2_000_000,
    ],
)
def test_an_answer_outside_the_protocol_is_a_fault_and_never_a_crash(
    session_on: Callable[[Script], ImapSession], answer: bytes
) -> None:
    def script(line: Line) -> None:
        signed_in(line)
        examined(line)
        line.answer(answer)

    session = open_inbox(session_on(script))

    with pytest.raises((ProtocolFault, ConnectionLost)):
        session.fetch([1])


def test_a_line_that_breaks_in_the_middle_of_a_message_loses_only_that_chunk(
    session_on: Callable[[Script], ImapSession],
) -> None:
    def script(line: Line) -> None:
        signed_in(line)
        examined(line)
        line.answer(b"* 1 FETCH (UID 1 BODY[] {1}", b"a)", b"TAG OK done")
        line.answer(b"* 2 FETCH (UID 2 BODY[] {100}", b"cut")

    session = open_inbox(session_on(script))
    coming = session.fetch_chunks([[1], [2]])

    assert next(coming).messages[0].raw == b"a"
    with pytest.raises(ConnectionLost):
        next(coming)
    assert session.closed


@pytest.mark.parametrize(
    "answer",
    [
        (b"* SEARCH 3 1 2 (MODSEQ 917)",),
        (b"* SEARCH 1", b"* SEARCH 2 3"),
        (b"* 4 EXISTS", b"* SEARCH 1 2 3 3", b"* 1 FETCH (FLAGS ())"),
    ],
)
def test_uids_are_read_in_every_shape(session_on: Callable[[Script], ImapSession], answer: tuple[bytes, ...]) -> None:
    session = open_inbox(session_on(lambda line: fetching(line, *answer, b"TAG OK done")))

    assert session.uids() == [1, 2, 3]


@pytest.mark.parametrize("answer", [b"* SEARCH 1 x", b"* SEARCH 0", b"* SEARCH 4294967296", b"* SEARCH -1"])
def test_uids_that_are_none_are_a_fault(session_on: Callable[[Script], ImapSession], answer: bytes) -> None:
    session = open_inbox(session_on(lambda line: fetching(line, answer, b"TAG OK done")))

    with pytest.raises(ProtocolFault):
        session.uids()


def test_a_set_of_more_uids_than_messages_is_not_spread_out(session_on: Callable[[Script], ImapSession]) -> None:
    session = open_inbox(
        session_on(lambda line: fetching(line, b'* ESEARCH (TAG "x") UID ALL 1:4294967295', b"TAG OK done"))
    )
    session.capabilities |= {"ESEARCH"}

    with pytest.raises(ProtocolFault):
        session.uids()


@pytest.mark.parametrize("told", [b"* 3 EXISTS", b"* OK [UIDVALIDITY 0] v", b"* 99999999 EXISTS"])
def test_a_folder_without_uidvalidity_or_beyond_belief_is_a_fault(
    session_on: Callable[[Script], ImapSession], told: bytes
) -> None:
    def script(line: Line) -> None:
        signed_in(line)
        line.answer(told, b"TAG OK opened")

    session = session_on(script)
    session.sign_in("a@b.test", TOKEN)

    with pytest.raises(ProtocolFault):
        session.examine("INBOX")


def test_a_folder_name_cannot_smuggle_a_command(session_on: Callable[[Script], ImapSession]) -> None:
    commands: list[bytes] = []

    def script(line: Line) -> None:
        signed_in(line)
        commands.append(line.answer(b"TAG NO [NONEXISTENT] no"))

    session = session_on(script)
    session.sign_in("a@b.test", TOKEN)
    with pytest.raises(ProtocolFault):
        session.examine('x"\r\nA1 DELETE INBOX\r\n')

    assert commands == [b'EXAMINE "x\\"&AA0ACg-A1 DELETE INBOX&AA0ACg-"']
