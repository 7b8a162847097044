from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.protocols.dots import longest_line, normal_form, stuffed


def test_bare_line_ends_become_crlf_and_the_last_line_has_one() -> None:
    assert normal_form(b"a\nb\rc\r\nd") == b"a\r\nb\r\nc\r\nd\r\n"
    assert normal_form(b"a\r\r\nb") == b"a\r\n\r\nb\r\n"
    assert normal_form(b"") == b"\r\n"
    assert normal_form(b"a\r\n") == b"a\r\n"


def test_every_known_smuggled_end_of_mail_is_defused() -> None:
    for end in (b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\r", b"\r\n\x00.\r\n"):
        sent = stuffed(b"a" + end + b"MAIL FROM:<x@y.test>") + b".\r\n"

        assert sent.index(b"\r\n.\r\n") == len(sent) - 5
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", sent)


text = st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"..", b"\x00", b"\xff"]), max_size=60).map(
    b"".join
)


@settings(deadline=None)
@given(text)
def test_what_is_sent_ends_once_and_reads_back_as_the_normal_form(message: bytes) -> None:
    sent = stuffed(message) + b".\r\n"

    assert sent.index(b".\r\n") == 0 if sent == b".\r\n" else (b"\r\n" + sent).index(b"\r\n.\r\n") == len(sent) - 3
    lines = sent[:-3].split(b"\r\n")
    assert b"\r\n".join(line.removeprefix(b".") for line in lines) == normal_form(message)
    assert normal_form(normal_form(message)) == normal_form(message)


def test_the_longest_line_is_counted_without_its_end() -> None:
    assert longest_line(b"ab\r\n" + b"x" * 998 + b"\r\nc") == 998
