"""Pure reading of IMAP: FETCH in two ways, UID sets, chunks, folder names and roles."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imapclient import imap_utf7

from mailboxes.errors import ProtocolFault
from mailboxes.protocols import imap_fetch
from mailboxes.protocols.imap_fetch import Fetched, chunks_by_size, internaldate, read_fetch, read_uid_set, uid_sets
from mailboxes.protocols.imap_folders import FolderInfo, decode_name, read_list, read_status, with_roles
from mailboxes.protocols.imap_wire import Piece, Response, quoted

SHAPES: dict[str, list[Piece]] = {
    "Dovecot": [
        (
            b'1 FETCH (UID 7 RFC822.SIZE 5 INTERNALDATE "21-Nov-2026 13:00:45 +0100" FLAGS (\\Seen \\Recent) BODY[] {5}',
            b"a)\r\n ",
        ),
        b")",
    ],
    "Google": [
        (
            b"1 FETCH (X-GM-MSGID 1278455344230334865 UID 7 RFC822.SIZE 5"
            b' INTERNALDATE "21-Nov-2026 12:00:45 +0000" FLAGS (\\Seen) BODY[] {5}',
            b"a)\r\n ",
        ),
        b")",
    ],
    "Exchange": [
        (b"1 FETCH (BODY[] {5}", b"a)\r\n "),
        b' FLAGS (\\Seen) INTERNALDATE "21-Nov-2026 12:00:45 +0000" RFC822.SIZE 5 UID 7)',
    ],
    "RFC 8474": [
        (
            b'1 FETCH (UID 7 EMAILID (M6d99) FLAGS (\\Seen) RFC822.SIZE 5 INTERNALDATE "21-Nov-2026 12:00:45 +0000"'
            b" MODSEQ (99) BODY[] {5}",
            b"a)\r\n ",
        ),
        b")",
    ],
    "small letters": [
        (
            b'1 fetch (uid 7 flags (\\Seen) rfc822.size 5 internaldate "21-Nov-2026 12:00:45 +0000" body[] {5}',
            b"a)\r\n ",
        ),
        b")",
    ],
}


@pytest.mark.parametrize("server", SHAPES)
def test_every_servers_shape_is_read_quickly_and_both_ways_agree(server: str) -> None:
    quick, slow = imap_fetch._read_quickly(SHAPES[server]), imap_fetch._read_slowly(SHAPES[server])

    assert quick is not None
    assert quick == slow
    assert (quick.uid, quick.raw, quick.flags, quick.size) == (7, b"a)\r\n ", ("\\Seen",), 5)
    assert quick.internaldate == dt.datetime(2026, 11, 21, 12, 0, 45, tzinfo=dt.UTC)
    assert quick.email_id == {"Google": "1278455344230334865", "RFC 8474": "M6d99"}.get(server, "")


@pytest.mark.parametrize(
    ("piece", "told"),
    [
        (b"1 FETCH (UID 7 RFC822.SIZE 9)", Fetched(7, size=9)),
        (b"1 FETCH (UID 7 FLAGS (\\Seen \\Recent))", Fetched(7, flags=("\\Seen",))),
        (b"1 FETCH (FLAGS () MODSEQ (12) UID 7)", Fetched(7, flags=(), modseq=12)),
        (b"1 FETCH (UID 7 BODY[] NIL)", Fetched(7)),
    ],
)
def test_an_answer_without_a_literal_is_read_quickly_too(piece: bytes, told: Fetched) -> None:
    assert imap_fetch._read_quickly([piece]) == told == imap_fetch._read_slowly([piece])


@pytest.mark.parametrize("piece", [b"1 FETCH (UID 7 RFC822.SIZE 9", b"1 FETCH (UID 7 FLAGS ()))", b"1 FETCH ()"])
def test_half_an_answer_is_left_to_the_full_parser(piece: bytes) -> None:
    assert imap_fetch._read_quickly([piece]) is None


@pytest.mark.parametrize(
    "pieces",
    [
        [b'1 FETCH (UID 7 BODY[] "short \\"body\\" FLAGS (x)")'],
        [b'1 FETCH (UID 7 X-ODD ("a" (b)) BODY[] "short \\"body\\" FLAGS (x)")'],
        [(b"1 FETCH (UID 7 X-ODD {3}", b"((("), (b" BODY[] {22}", b'short "body" FLAGS (x)'), b")"],
    ],
)
def test_unusual_shapes_are_read_by_the_full_parser(pieces: list[Piece]) -> None:
    fetched = read_fetch(Response(b"*", pieces))

    assert fetched is not None
    assert (fetched.uid, fetched.raw, fetched.flags) == (7, b'short "body" FLAGS (x)', None)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"UID 7", b"FLAGS (", b")", b"(", b'"', b" ", b"{3}", b"BODY[]", b"NIL", b"\\", b"[", b"]"])
    )
)
def test_no_response_can_break_the_reader(parts: list[bytes]) -> None:
    text = b"1 FETCH (" + b"".join(parts)
    for pieces in ([text], [(text + b" {3}", b"abc"), b")"]):
        with contextlib.suppress(ProtocolFault):
            read_fetch(Response(b"*", pieces))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (b" 1-Jan-2020 00:00:00 +0000", dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        (b"01-Jan-2020 00:30:00 +0530", dt.datetime(2019, 12, 31, 19, 0, tzinfo=dt.UTC)),
        (b"31-DEC-2016 23:59:60 -0800", dt.datetime(2017, 1, 1, 7, 59, 59, tzinfo=dt.UTC)),
        (b"31-Feb-2020 00:00:00 +0000", None),
        (b"01-Jan-0001 00:00:00 +1400", None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_the_internal_date_is_read_in_utc(text: bytes, meant: dt.datetime | None) -> None:
    assert internaldate(text) == meant


@settings(deadline=None)
@given(st.sets(st.integers(1, 400) | st.integers(2**32 - 5, 2**32 - 1), max_size=100), st.integers(12, 200))
def test_uid_sets_name_each_uid_once_in_short_commands(uids: set[int], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imap_fetch, "MAX_COMMAND", max(limit, 22))
        assert all(len(part) <= max(limit, 22) for part in uid_sets(uids))
    parts = list(uid_sets(uids))

    assert sorted(uid for part in parts for uid in read_uid_set(part, at_most=10**6)) == sorted(uids)


def test_a_scattered_folder_is_asked_for_in_commands_of_a_fair_length() -> None:
    assert {len(part) <= imap_fetch.MAX_COMMAND for part in uid_sets(range(1, 100_000, 2))} == {True}


def test_neighbours_become_ranges() -> None:
    assert list(uid_sets([5, 1, 2, 3, 9, 3])) == [b"1:3,5,9"]
    assert list(uid_sets([])) == []


@pytest.mark.parametrize("text", [b"", b"1:", b"x", b"1,,2", b"0", b"1:4294967296", b"*", b"1:*", b"1:100"])
def test_a_set_that_is_none_or_too_large_is_a_fault(text: bytes) -> None:
    with pytest.raises(ProtocolFault):
        read_uid_set(text, at_most=50)


def test_chunks_keep_the_order_and_their_limit_in_bytes() -> None:
    sizes = {9: 40, 8: 40, 7: 40, 6: 500, 5: 1, 4: 1}

    assert list(chunks_by_size([9, 8, 7, 6, 5, 4, 3], sizes, max_bytes=100)) == [[9, 8], [7], [6], [5, 4, 3]]
    assert list(chunks_by_size(range(5), {}, max_bytes=100, max_count=2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks_by_size([], {}, max_bytes=1)) == []


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"&ZeVnLIqe-", "日本語"),
        (b"A &- B", "A & B"),
        (b"inbox", "INBOX"),
        (b"INBOX/Sub", "INBOX/Sub"),
        (b"&Jjo", "&Jjo"),  # cut: no proper UTF-7
        (b"&AAA-", "&AAA-"),  # NUL: no database takes it
        (b"&2AA-", "&2AA-"),  # half a surrogate pair
        (b"\xe4\xf6", "\\xe4\\xf6"),  # 8-bit
        (b"a&AGE-", "a&AGE-"),  # ASCII in base64: not the canonical spelling
    ],
)
def test_names_are_decoded_when_they_lead_back_to_the_wire(wire: bytes, name: str) -> None:
    assert decode_name(wire) == name


def folder(name: str, *attributes: str, role: str = "", delimiter: str = "/") -> FolderInfo:
    return FolderInfo(name, bytes(imap_utf7.encode(name)), delimiter, frozenset(attributes), role)


def test_exchanges_names_tell_the_roles_that_no_attribute_tells() -> None:
    names = ["INBOX", "Gesendete Elemente", "Entwürfe", "Junk-E-Mail", "Gelöschte Elemente", "Archiv", "Projekte/Sent"]

    found = {
        one.name: one.role for one in with_roles([folder(name, role="inbox" * (name == "INBOX")) for name in names])
    }

    assert found == dict(zip(names, ["inbox", "sent", "drafts", "junk", "trash", "archive", ""], strict=True))


def test_an_attribute_wins_over_a_name_and_a_role_is_given_once() -> None:
    found = with_roles(
        [folder("Sent"), folder("INBOX.Sent Items", role="sent", delimiter="."), folder("Trash", "\\noselect")]
    )

    assert [one.role for one in found] == ["", "sent", ""]


def test_a_list_response_is_read_in_every_shape() -> None:
    def read(pieces: list[Piece]) -> FolderInfo | None:
        return read_list(Response(b"*", pieces))

    google = read([b'LIST (\\HasNoChildren \\Sent) "/" "[Gmail]/Sent Mail"'])
    literal = read([(b"LIST () NIL {4}", b'a"b\\'), b""])
    number = read([b"LIST (\\Noselect) NIL 2026"])

    assert google is not None
    assert literal is not None
    assert number is not None
    assert (google.name, google.role, google.delimiter, google.selectable) == ("[Gmail]/Sent Mail", "sent", "/", True)
    assert (literal.name, literal.delimiter) == ('a"b\\', "")
    assert (number.name, number.selectable) == ("2026", False)
    with pytest.raises(ProtocolFault):
        read([b"LIST nothing"])


def test_a_status_without_its_numbers_is_none() -> None:
    assert read_status(Response(b"*", [b"STATUS x (MESSAGES 1)"])) is None
    told = read_status(Response(b"*", [b'STATUS "a b" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 0)']))
    assert told is not None
    assert (told[0], told[1].exists, told[1].highestmodseq) == (b"a b", 3, None)


def test_a_name_with_a_line_end_is_never_quoted() -> None:
    assert quoted('a"b\\') == b'"a\\"b\\\\"'
    for name in ("a\r\nb", "ä", "\x00"):
        with pytest.raises(ProtocolFault):
            quoted(name)
