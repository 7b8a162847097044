from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.errors import ProtocolFault
from mailboxes.protocols import sasl
from mailboxes.protocols.replies import asked_pause, redact

TOKEN = "ya29.a0AfH6SMBx-_.~+/=="


def test_xoauth2_is_googles_format() -> None:
    assert sasl.xoauth2("a@b.test", TOKEN) == b"user=a@b.test\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"


def test_oauthbearer_escapes_the_name() -> None:
    said = sasl.oauthbearer("a,b=c@d.test", TOKEN, host="imap.d.test", port=993)

    assert said == (
        b"n,a=a=2Cb=3Dc@d.test,\x01host=imap.d.test\x01port=993\x01auth=Bearer " + TOKEN.encode() + b"\x01\x01"
    )


@pytest.mark.parametrize("user", ["", "a\x01b", "a\r\nb", "a\nb", "a\x00b", "a\x7fb"])
def test_an_account_name_that_would_break_the_format_is_refused(user: str) -> None:
    for mechanism in sasl.PREFERRED:
        with pytest.raises(ProtocolFault):
            sasl.initial_response(mechanism, user, TOKEN, host="h", port=1)


@pytest.mark.parametrize("token", ["", "a\x01b", "a\r\nb", "ä", "a\tb"])
def test_a_token_that_no_token_may_be_is_refused_without_naming_it(token: str) -> None:
    for mechanism in sasl.PREFERRED:
        with pytest.raises(ProtocolFault) as refused:
            sasl.initial_response(mechanism, "a@b.test", token, host="h", port=1)
        assert not token or token not in str(refused.value)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["AUTH=XOAUTH2", "SASL-IR"], "XOAUTH2"),
        (["AUTH=OAUTHBEARER", "AUTH=XOAUTH2", "AUTH=PLAIN"], "XOAUTH2"),
        (["oauthbearer"], "OAUTHBEARER"),
        (["PLAIN", "LOGIN", "AUTH=XOAUTH"], None),
        ([], None),
    ],
)
def test_the_mechanism_is_chosen_from_what_is_offered(offered: list[str], chosen: str | None) -> None:
    assert sasl.choose(offered) == chosen


def test_the_reason_of_a_refusal_is_read_and_the_empty_challenge_is_none() -> None:
    said = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}')

    assert str(sasl.read_challenge(said)) == "status 401, schemes bearer, scope https://mail.google.com/"
    assert sasl.read_challenge(b"") is None
    assert sasl.read_challenge(b"not base64!") == sasl.Challenge()
    assert sasl.read_challenge(base64.b64encode(b"[" * 3000)) == sasl.Challenge()
    assert sasl.read_challenge(base64.b64encode(b'{"status":"<script>\\r\\n"}')) == sasl.Challenge(status="?script???")


def test_each_mechanism_has_its_own_answer_to_an_error() -> None:
    assert sasl.encode(sasl.answer_to_error("XOAUTH2")) == b""
    assert sasl.encode(sasl.answer_to_error("OAUTHBEARER")) == b"AQ=="


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_challenge_can_break_the_reader(said: bytes) -> None:
    sasl.read_challenge(said)


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ("NO bad token " + "A" * 60, "NO bad token […]"),
        ("535 Bearer abc.def refused", "535 […] refused"),
        ("refused\r\n* OK injected", "refused * OK injected"),
        ("250 OK <" + "A" * 47 + "@mail.example>", "250 OK <" + "A" * 47 + "@mail.example>"),
        ("x" * 30 + " y", "x" * 30 + " y"),
    ],
)
def test_a_reply_is_shown_in_one_line_without_what_may_be_a_secret(reply: str, shown: str) -> None:
    assert redact(reply) == shown


def test_a_known_secret_is_left_out_however_short() -> None:
    assert "s3cret" not in redact(b"NO s3cret is wrong", "s3cret")


def test_the_pause_that_microsoft_asks_for_is_read() -> None:
    pause = asked_pause("NO Request is throttled. Suggested Backoff Time: 299961 milliseconds")

    assert pause is not None
    assert round(pause.total_seconds()) == 300
    assert asked_pause("NO later") is None
