from __future__ import annotations

import imaplib
import poplib
import smtplib
import time
from collections.abc import Callable

import pytest
import requests

from tests.sandbox.mail_clients import imap, pop3, smtp
from tests.servers.sandbox import Sandbox

ALICE, BOB, CAROL = "alice@sandbox.test", "bob@sandbox.test", "carol@sandbox.test"
LETTER = b"From: bob@sandbox.test\r\nTo: carol@sandbox.test\r\nSubject: fault\r\n\r\nText.\r\n"


def refresh(sandbox: Sandbox, token: str, timeout: float = 30) -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    url = sandbox.endpoints["issuer"] + "/token"
    return sandbox.session().post(url, data=form, auth=sandbox.client, timeout=timeout)


def send(sandbox: Sandbox) -> None:
    client = smtp(sandbox, BOB, sandbox.grant(BOB)["access_token"])
    try:
        client.sendmail(BOB, [CAROL], LETTER)
    finally:
        client.close()


def test_the_token_endpoint_answers_any_status_and_retry_after(sandbox: Sandbox) -> None:
    token = sandbox.grant(ALICE)["refresh_token"]
    sandbox.fault("token_status", 429, 1)
    sandbox.fault("token_retry_after", 7, 1)
    limited = refresh(sandbox, token)
    sandbox.fault("token_status", 500, 1)
    broken = refresh(sandbox, token)

    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")
    assert (broken.status_code, "Retry-After" in broken.headers) == (500, False)
    assert refresh(sandbox, token).status_code == 200


def test_the_token_endpoint_names_any_error(sandbox: Sandbox) -> None:
    token = sandbox.grant(ALICE)["refresh_token"]
    sandbox.fault("token_error", "temporarily_unavailable", 1)

    assert refresh(sandbox, token).json()["error"] == "temporarily_unavailable"


def test_the_token_endpoint_is_slow_or_never_answers(sandbox: Sandbox) -> None:
    token = sandbox.grant(ALICE)["refresh_token"]
    sandbox.fault("token_delay", 0.3, 1)
    started = time.monotonic()
    token = refresh(sandbox, token).json()["refresh_token"]
    assert time.monotonic() - started >= 0.3

    sandbox.fault("token_hang", 3, 1)
    with pytest.raises(requests.ReadTimeout):
        refresh(sandbox, token, timeout=0.3)
    assert refresh(sandbox, token).status_code == 200


def test_a_lost_answer_has_rotated_the_token(sandbox: Sandbox) -> None:
    token = sandbox.grant(ALICE)["refresh_token"]
    sandbox.fault("token_lose_answer", True, 1)
    with pytest.raises(requests.ConnectionError):
        refresh(sandbox, token)

    assert refresh(sandbox, token).json()["error"] == "invalid_grant"


def test_the_life_of_tokens_is_set_and_runs_out(sandbox: Sandbox) -> None:
    sandbox.fault("token_life", 1, user=CAROL)
    token = sandbox.grant(CAROL)
    assert token["expires_in"] == 1

    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            imap(sandbox, CAROL, token["access_token"]).logout()
        except imaplib.IMAP4.error:
            return
    pytest.fail("the token did not run out")


def test_discovery_and_keys_can_be_broken(sandbox: Sandbox) -> None:
    for switch, path in {"discovery_status": "/.well-known/openid-configuration", "jwks_status": "/jwks"}.items():
        sandbox.fault(switch, 503, 1)
        url = sandbox.endpoints["issuer"] + path
        assert [sandbox.session().get(url, timeout=10).status_code for _ in range(2)] == [503, 200]


def test_allow_can_come_back_as_an_error(sandbox: Sandbox) -> None:
    sandbox.fault("authorize_error", "consent_required", 1, user=ALICE)
    asked, _ = sandbox.ask(ALICE)

    assert "error=consent_required" in sandbox.consent(asked, ALICE)


def test_a_fetch_is_cut(sandbox: Sandbox) -> None:
    client = imap(sandbox, ALICE, sandbox.grant(ALICE)["access_token"])
    client.select("INBOX", readonly=True)
    sandbox.fault("imap_drop_after", 3000, 1)

    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        client.uid("FETCH", "1:*", "(BODY.PEEK[])")
    client.shutdown()


def test_imap_is_slow(sandbox: Sandbox) -> None:
    client = imap(sandbox, CAROL, sandbox.grant(CAROL)["access_token"])
    sandbox.fault("imap_delay", 0.3, user=CAROL)
    started = time.monotonic()
    client.noop()

    assert time.monotonic() - started >= 0.3
    client.shutdown()


def test_imap_says_bye(sandbox: Sandbox) -> None:
    client = imap(sandbox, CAROL, sandbox.grant(CAROL)["access_token"])
    sandbox.fault("imap_bye", "Too many connections", 1, user=CAROL)

    with pytest.raises(imaplib.IMAP4.abort):
        client.noop()
    client.shutdown()


@pytest.mark.parametrize(
    ("switch", "text", "sign_in", "error"),
    [
        ("imap_refuse", "[UNAVAILABLE] later", imap, imaplib.IMAP4.error),
        ("pop3_refuse", "[SYS/TEMP] later", pop3, poplib.error_proto),
        ("smtp_auth", "454 4.7.0 later", smtp, smtplib.SMTPAuthenticationError),
    ],
)
def test_a_good_token_can_be_refused(
    sandbox: Sandbox, switch: str, text: str, sign_in: Callable[..., object], error: type[Exception]
) -> None:
    token = sandbox.grant(CAROL)["access_token"]
    sandbox.fault(switch, text, 1, user=CAROL)

    with pytest.raises(error, match="later"):
        sign_in(sandbox, CAROL, token)
    sign_in(sandbox, CAROL, token)


def test_uidvalidity_grows_uids_begin_anew_and_sessions_end(sandbox: Sandbox) -> None:
    client = imap(sandbox, BOB, sandbox.grant(BOB)["access_token"])
    client.select("INBOX")
    old = int(client.response("UIDVALIDITY")[1][0])  # type: ignore[arg-type]
    before = sandbox.mail(BOB)
    new = sandbox.change_uidvalidity(BOB)

    after = sandbox.mail(BOB)
    assert new > old
    assert [m["sha256"] for m in after] == [m["sha256"] for m in before]
    assert [m["uid"] for m in after] == list(range(1, len(after) + 1))
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        client.noop()
    client.shutdown()


@pytest.mark.parametrize(
    ("switch", "reply"),
    [("smtp_mail", "451 4.3.0 later"), ("smtp_rcpt", "452 4.2.2 full"), ("smtp_data", "554 5.7.1 spam")],
)
def test_smtp_replies_at_each_stage(sandbox: Sandbox, switch: str, reply: str) -> None:
    before = len(sandbox.mail(CAROL))
    sandbox.fault(switch, reply, 1)

    with pytest.raises(smtplib.SMTPException, match=reply[:3]):
        send(sandbox)
    assert len(sandbox.mail(CAROL)) == before


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
def test_smtp_is_cut_at_the_final_dot(sandbox: Sandbox, when: str, stored: int) -> None:
    inbox, sent = len(sandbox.mail(CAROL)), len(sandbox.mail(BOB, "Sent"))
    sandbox.fault("smtp_drop_at_dot", when, 1)

    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(sandbox)
    assert len(sandbox.mail(CAROL)) == inbox + stored
    assert len(sandbox.mail(BOB, "Sent")) == sent + stored


def test_smtp_answers_late_after_storing(sandbox: Sandbox) -> None:
    sandbox.fault("smtp_data_delay", 0.3, 1)
    started = time.monotonic()
    send(sandbox)

    assert time.monotonic() - started >= 0.3


def test_a_retr_is_cut(sandbox: Sandbox) -> None:
    client = pop3(sandbox, CAROL, sandbox.grant(CAROL)["access_token"])
    sandbox.fault("pop3_drop_after", 40, 1)

    with pytest.raises((poplib.error_proto, OSError)):
        client.retr(1)
    client.close()


def test_thousands_of_messages_are_filled_in(sandbox: Sandbox) -> None:
    sandbox.fill(CAROL, 2000, "Archive")
    assert len(sandbox.mail(CAROL, "Archive")) >= 2000

    sandbox.delete(CAROL, "all", "Archive")
    assert sandbox.mail(CAROL, "Archive") == []


def test_a_fault_is_for_one_person_and_a_number_of_uses(sandbox: Sandbox) -> None:
    sandbox.fault("smtp_mail", "451 4.3.0 later", 2, user=ALICE)
    send(sandbox)

    assert sandbox.control("GET", "/faults")["smtp_mail"]["left"] == 2


@pytest.mark.parametrize(
    "wish",
    [{"name": "no_such", "value": 1}, {"name": "token_status", "value": "500"}, {"name": "token_status"},
     {"name": "imap_delay", "value": True}, {"name": "imap_bye", "value": "x", "count": 0}],
)  # fmt: skip
def test_a_misspelt_fault_is_refused(sandbox: Sandbox, wish: dict[str, object]) -> None:
    url = sandbox.endpoints["control"] + "/faults"
    answer = sandbox.session().post(url, json=wish, headers={"X-Sandbox-Control": "1"}, timeout=10)

    assert answer.status_code == 400


def test_the_control_interface_refuses_browsers(sandbox: Sandbox) -> None:
    url, session = sandbox.endpoints["control"], sandbox.session()
    sent = {"X-Sandbox-Control": "1"}
    for headers in (
        {},
        {"X-Sandbox-Control": "0"},
        sent | {"Origin": "http://evil.test"},
        sent | {"Host": "evil.test"},
    ):
        assert session.get(url, headers=headers, timeout=10).status_code == 403
        assert session.post(f"{url}/tokens", json={"do": "revoke"}, headers=headers, timeout=10).status_code == 403
    preflight = session.options(url, headers={"Origin": "http://evil.test"}, timeout=10)
    assert preflight.status_code >= 400
    assert (
        session.get(
            sandbox.endpoints["issuer"] + "/_sandbox", headers={"X-Sandbox-Control": "1"}, timeout=10
        ).status_code
        == 404
    )
