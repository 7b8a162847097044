"""Messages shown to people: what hostile mail tries, and what is left of it."""

from __future__ import annotations

import base64
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailboxes.services import sanitise_html
from mailboxes.services.read_message import attachment, read


def html_mail(html: str) -> bytes:
    return b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html.encode()


def mixed(*parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return (
        b'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + body
        + b"--b--\r\n"
    )


def test_text_html_and_files_are_found() -> None:
    raw = mixed(
        b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe",
        b"Content-Type: text/html\r\n\r\n<p>Hi <b>Bob</b></p>",
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''M%C3%A4rz.pdf\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"%PDF"),
        b"Content-Type: image/png\r\nContent-ID: <i@x>\r\n\r\npng",
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nforwarded",
    )

    message = read(raw)

    assert message.header("subject") == "Grüße"
    assert message.text == "Grüße"
    assert message.html == "<p>Hi <b>Bob</b></p>"
    assert [(file.index, file.filename, file.content_type, file.size) for file in message.attachments] == [
        (0, "März.pdf", "application/pdf", 4),
        (1, "attachment-4.png", "image/png", 3),
        (2, "attachment-5.eml", "message/rfc822", 27),
    ]
    assert attachment(raw, 0).content == b"%PDF"
    assert b"forwarded" in attachment(raw, 2).content
    assert message.problem == ""
    for number in (-1, 3):
        with pytest.raises(LookupError):
            attachment(raw, number)


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<img src='http://spy.example/p.gif'>",
        "<a href='javascript:alert(1)'>x</a>", "<a href='JaVaScRiPt&#58;alert(1)'>x</a>", "<a href='data:text/html,x'>x</a>",
        "<a href='/admin/logout/'>x</a>", "<a href='//spy.example'>x</a>", "<a href='?next=1'>x</a>",
        "<form action='http://spy.example'><input name=password><button>Go</button></form>",
        "<iframe src='http://spy.example'></iframe>", "<object data=x></object>", "<embed src=x>", "<base href='http://spy.example'>",
        "<meta http-equiv=refresh content='0;url=http://spy.example'>", "<link rel=stylesheet href='http://spy.example/a.css'>",
        "<style>@import 'http://spy.example'</style>", "<div style='background:url(http://spy.example)'>x</div>",
        "<table background='http://spy.example/a.png'><tr><td>x</table>", "<svg><script>alert(1)</script></svg>",
        "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>", "<math><mtext><script>alert(1)</script>",
        "<video src='http://spy.example' autoplay>", "<div onclick=alert(1)>x</div>", "<p id=content class=button name=x>y</p>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>", "<!--[if mso]><script>x</script><![endif]-->",
        "<img src='cid:logo@x'>", "<textarea><script>alert(1)</script></textarea>", "<isindex prompt=x action='http://spy.example'>",
    ],
)  # fmt: skip
def test_nothing_of_an_attack_is_left(html: str) -> None:
    shown = read(html_mail(f"<p>before</p>{html}<p>after</p>")).html

    assert shown.startswith("<p>before</p>")
    for trace in ("spy.example", "alert(", "src=", "script:", "style", "onclick", "action", "data:", "/admin", "next=", "<input",
                  "<img", "id=", "class="):  # fmt: skip
        assert trace not in shown.lower()


def test_links_open_apart_and_tell_nothing() -> None:
    shown = read(
        html_mail('<a href="https://example.org/x?y=1" target="_self" rel="opener" ping="http://spy">x</a>')
    ).html

    assert 'href="https://example.org/x?y=1"' in shown
    assert 'rel="noopener noreferrer nofollow"' in shown
    assert 'target="_blank"' in shown
    assert "ping" not in shown


def test_it_says_that_images_were_left_out() -> None:
    assert read(html_mail("<img src='http://x/y.png'>")).left_out
    assert not read(html_mail("<p>url and background</p>")).left_out


@pytest.mark.parametrize(
    "html", ["<div>" * 100_000, "<ul><li>" * 100_000, "<div><!--</div>-->" * 50_000, "a" * 5_000_000]
)  # fmt: skip
def test_html_that_would_keep_a_process_busy_for_minutes_is_not_shown(html: str) -> None:
    begun = time.monotonic()

    message = read(html_mail(html))

    assert time.monotonic() - begun < 12
    assert message.html == ""
    assert "too large or too tangled" in message.problem


def test_large_but_honest_html_is_shown() -> None:
    rows = "".join(f"<tr><td>{number}</td><td><b>x</b></td></tr>" for number in range(5000))

    message = read(html_mail(f"<table>{rows}</table>"))

    assert message.html.count("<tr>") == 5000
    assert message.problem == ""


def nested(depth: int) -> bytes:
    return (
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
        + b"\nx\n" * 1000
    )


@pytest.mark.parametrize(
    "raw", [nested(150), nested(5000), b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\na\n" * 50_000,
            b"Subject: " + b"=?utf-8?q?a?= " * 110_000 + b"\n\nx", b"X: y\n" * 100_000 + b"\nx", b"\n" * 1_000_000,
            nested(100) + b"x\n" * 1_000_000]
)  # fmt: skip
def test_messages_built_to_cost_time_cost_little(raw: bytes) -> None:
    begun = time.monotonic()

    message = read(raw)

    assert time.monotonic() - begun < 6
    assert message.text or message.headers or message.attachments or message.problem or not raw.strip()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\x00", b"no header at all", b"Content-Type: ; ;;=\r\n\r\nx",
        b"Content-Type: text/plain; charset=no-such\r\n\r\n\xff",
        b"Content-Type: text/plain; charset=idna\r\n\r\n\xff.\xff", b"Content-Type: text/plain; charset=hex\r\n\r\nzz",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!", b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\nM",
        b"Content-Type: multipart/mixed\r\n\r\n--x\r\n", b"Content-Type: message/rfc822\r\n\r\n",
        b"Subject: =?x?b?====?=\r\n\r\n", b"Content-Type: message/partial\r\n\r\nx",
        b"Content-Disposition: attachment; filename*=utf-8'\r\n\r\n",
        b"Content-Disposition: attachment; filename*0*=x''%ZZ\r\n\r\nx",
        b"Content-Type: text/plain; name*=bogus'en'%E4\r\n\r\nx",
        b"Content-Type: message/delivery-status\r\n\r\na: b\r\n\r\nc: d",
        b"From: \xff\xfe\r\nSubject: \xff\r\n\r\n\xff",
    ],
)  # fmt: skip
def test_malformed_mail_never_raises(raw: bytes) -> None:
    message = read(raw)

    for file in message.attachments:
        assert attachment(raw, file.index).filename == file.filename


_HEADERS = st.sampled_from(
    [b"Content-Type: multipart/mixed; boundary=b\n", b"Content-Type: text/html\n", b"Content-Type: message/rfc822\n", b"\n",
     b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: quoted-printable\n", b"--b\n", b"--b--\n", b"=?u?q?\n",
     b"Content-Disposition: attachment; filename=\"\n", b" folded\n", b"Content-Type: text/plain; charset=utf-7\n", b"<div>\n"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_HEADERS | st.binary(max_size=20), max_size=30))
def test_no_heap_of_pieces_raises(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)

    for file in read(raw).attachments:
        attachment(raw, file.index)


@pytest.mark.parametrize(
    ("named", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        (r"C:\\Windows\\evil.exe", "evil.exe"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        (".htaccess", "htaccess"),
        ('a"b<c>.pdf', "a b c .pdf"),
        ("x" * 300 + ".pdf", "x" * 100 + ".pdf"),
        ("...", "attachment-2.pdf"),
    ],
)
def test_file_names_are_safe(named: str, safe: str) -> None:
    word = f"=?utf-8?b?{base64.b64encode(named.encode()).decode()}?=".encode()
    raw = mixed(b"\r\ntext", b'Content-Type: application/pdf; name="' + word + b'"\r\n\r\nx')

    (file,) = read(raw).attachments

    assert file.filename == safe


def test_control_characters_do_not_reach_the_page() -> None:
    text = read(b"Content-Type: text/plain; charset=utf-8\r\n\r\na\x1b[2Jb\xe2\x80\xaec\x00\td\r\ne").text

    assert text == "a\ufffd[2Jb\ufffdc\ufffd\td\ne"


def test_the_cleaning_process_reads_nothing_of_ours() -> None:
    rng = random.Random(1)
    html = "".join(f"<p>{rng.random()}</p>" for _ in range(2000))

    assert sanitise_html.sanitise(html) == html
