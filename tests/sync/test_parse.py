from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.services.parse import Headers, parse


def test_encoded_words_addresses_and_date_are_read() -> None:
    told = parse(
        b"From: =?utf-8?q?M=C3=BCller=2C_Anna?= <anna@example.org>\r\nTo: Ben <b@x.y>, c@d.e\r\nCc: undisclosed:;\r\n"
        b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\nDate: Mon, 3 Feb 2025 10:00:00 +0100\r\nMessage-ID: <1@x>\r\n"
        b"X-Mailhub-ID: abc\r\n\r\nHello"
    )

    assert told.sender == [{"name": "Müller, Anna", "address": "anna@example.org"}]
    assert told.to == [{"name": "Ben", "address": "b@x.y"}, {"name": "", "address": "c@d.e"}]
    assert told.cc == []
    assert (told.subject, told.message_id, told.mailhub_id) == ("Grüße", "<1@x>", "abc")
    assert told.date == datetime(2025, 2, 3, 9, tzinfo=UTC)
    assert "müller, anna" in told.search_text
    assert told.unreadable == ""


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"From: a@b.c, d@e.f", ["a@b.c", "d@e.f"]),
        (b"From: a <a@b>, garbage, c@d.e", ["a@b", "garbage", "c@d.e"]),
        (b"From: group: a@b.c, d@e.f;", ["a@b.c", "d@e.f"]),
        (b"junk\r\nFrom: a@b.c", ["a@b.c"]),
        ("From: Jürgen <j@x.y>".encode("latin-1"), ["j@x.y"]),
    ],
)
def test_lists_that_the_fast_parser_cannot_read_are_read_by_the_other(header: bytes, found: list[str]) -> None:
    assert [entry["address"] for entry in parse(header + b"\r\n\r\n").sender] == found


def test_an_unknown_charset_shows_something_readable() -> None:
    assert parse(b"Subject: =?x-unknown?q?abc=FC?=\r\n\r\n").subject == "abcü"


@pytest.mark.parametrize("date", ["nonsense", "Thu, 99 Jan 2025 00:00:00 +0000", "Mon, 1 Jan 99999 00:00:00 +0000", ""])
def test_a_date_of_no_use_is_none(date: str) -> None:
    assert parse(f"Subject: x\r\nDate: {date}\r\n\r\n".encode()).date is None


def test_what_a_database_refuses_is_taken_out_and_the_rest_cut() -> None:
    told = parse(
        b"Subject: a\x00b =?utf-8?b?7aCA?= " + b"x" * 3000 + b"\r\nMessage-ID: <" + b"i" * 3000 + b"@x>\r\n\r\n"
    )

    assert "\x00" not in told.subject
    told.subject.encode()  # no lone surrogate
    assert len(told.subject) == len(told.message_id) == 998


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\r\n\r\nx",
        b"To: " + b"(" * 1_500_000 + b"\r\n\r\nx",
        b"To: " + b"<" * 500_000 + b"\r\n\r\nx",
        b"From: " + b"a:" * 500_000 + b"\r\n\r\nx",
        b"To: " + b"=?utf-8?q?a?= <a@b.c>, " * 60_000 + b"\r\n\r\nx",
        b"X: y\r\n" * 250_000 + b"\r\n\r\nx",
        b"Subject: a\r\n" + b" b\r\n" * 250_000 + b"\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 500_000,
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(2000)),
        b"\xff\xfe\x00" * 300_000,
        b"\r" * 1_000_000,
        b"\n" * 1_000_000,
        b"",
    ],
    ids=[
        "words",
        "comments",
        "angles",
        "groups",
        "list",
        "headers",
        "folds",
        "parts",
        "deep",
        "binary",
        "cr",
        "lf",
        "nothing",
    ],
)
def test_hostile_mail_costs_little_and_never_raises(raw: bytes) -> None:
    started = time.process_time()

    assert isinstance(parse(raw), Headers)

    assert time.process_time() - started < 1.0


@given(st.binary(max_size=2000))
def test_any_bytes_give_storable_text(raw: bytes) -> None:
    told = parse(b"From: " + raw)

    for text in (told.subject, told.message_id, told.in_reply_to, told.search_text, told.mailhub_id):
        text.encode()
        assert "\x00" not in text


@pytest.mark.parametrize(
    ("raw", "has"),
    [
        (b"Content-Type: text/plain\r\n\r\nContent-Disposition: attachment\r\n", False),
        (b"Content-Type: application/pdf\r\n\r\nx", True),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: ATTACHMENT; filename=a\r\n\r\nx", True),
        (b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx", False),
        (b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nx", False),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type:\r\n application/zip\r\n\r\nx", True),
    ],
)  # fmt: skip
def test_the_paper_clip(raw: bytes, has: bool) -> None:
    assert parse(raw).has_attachments is has
