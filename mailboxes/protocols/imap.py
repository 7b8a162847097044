"""One signed-in IMAP session (RFC 3501), read-only: EXAMINE and BODY.PEEK[] alone.

    session = ImapSession.connect(host, port, security="tls", egress=egress, deadline=Deadline(15))
    session.sign_in(address, access_token)
    folders = session.list_folders()
    session.examine("INBOX")
    session.logout()

Everything is bounded by `session.deadline`, which the caller sets anew for a longer piece of work. Faults are MailErrors.
After ConnectionLost, Throttled, ServerUnavailable and ProtocolFault close the session; CommandRefused leaves it usable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from imapclient import imap_utf7

from mailboxes.errors import CommandRefused, MailError, ProtocolFault
from mailboxes.protocols import imap_folders
from mailboxes.protocols.imap_connection import ImapConnection
from mailboxes.protocols.imap_fetch import MAX_UID, Chunk, Fetched, read_fetch, read_uid_set, uid_sets
from mailboxes.protocols.imap_folders import FolderInfo, FolderStatus
from mailboxes.protocols.imap_wire import Response, quoted
from mailboxes.protocols.stream import Stream

SEARCH_WINDOW = 50_000  # UIDs in one answer to SEARCH: about half a megabyte
MAX_MESSAGES = 20_000_000  # in one folder: what a server says beyond that is not believed


class ImapSession(ImapConnection):
    def __init__(self, stream: Stream, host: str, port: int) -> None:
        super().__init__(stream, host, port)
        self._wire_names: dict[str, bytes] = {}

    # -- folders ----------------------------------------------------------------------------------------------------

    def list_folders(self, *, with_status: bool = False) -> list[FolderInfo]:
        """Every folder with its role. `with_status`: also its numbers, where the server tells them in the same answer
        (LIST-STATUS, RFC 5819); `status` is None where it does not."""
        extended = "LIST-EXTENDED" in self.capabilities
        options = [b"SPECIAL-USE"] if extended and "SPECIAL-USE" in self.capabilities else []
        if extended and with_status and "LIST-STATUS" in self.capabilities:
            options.append(b"STATUS (" + self._status_items() + b")")
        command = b'LIST "" "*"' + (b" RETURN (" + b" ".join(options) + b")" if options else b"")
        found: list[FolderInfo] = []
        numbers: dict[bytes, FolderStatus] = {}
        for response in self._run(command, "listing the folders"):
            word = response.head[:7].upper()
            if word.startswith(b"LIST ") and (folder := imap_folders.read_list(response)):
                found.append(folder)
            elif word == b"STATUS " and (told := imap_folders.read_status(response)):
                numbers[told[0]] = told[1]
        folders = imap_folders.with_roles(found)
        self._wire_names = {folder.name: folder.wire_name for folder in folders}
        return [imap_folders.with_status(folder, numbers) for folder in folders] if numbers else folders

    def examine(self, name: str) -> FolderStatus:
        """Opens the folder read-only. Raises CommandRefused when there is no such folder (any more)."""
        self.opened = None
        condstore = b" (CONDSTORE)" if "CONDSTORE" in self.capabilities else b""
        exists, codes = 0, dict[str, int]()
        for response in self._run(b"EXAMINE " + self._quoted_name(name) + condstore, "opening a folder"):
            if (count := self._told_exists(response)) is not None:
                exists = count
                if exists > MAX_MESSAGES:
                    raise ProtocolFault(f"a folder of {exists} messages")
            elif response.status and response.status.code_value.isdigit():
                codes[response.status.code] = int(response.status.code_value)
        if not codes.get("UIDVALIDITY"):
            raise ProtocolFault("a folder without UIDVALIDITY")
        self.opened = FolderStatus(
            codes["UIDVALIDITY"], codes.get("UIDNEXT", 0), exists, codes.get("HIGHESTMODSEQ") or None
        )
        return self.opened

    def status(self, name: str) -> FolderStatus:
        """The numbers of a folder without opening it. Raises CommandRefused as `examine`."""
        command = b"STATUS " + self._quoted_name(name) + b" (" + self._status_items() + b")"
        for response in self._run(command, "asking for a folder's numbers"):
            if response.head[:7].upper() == b"STATUS " and (told := imap_folders.read_status(response)):
                return told[1]
        raise ProtocolFault("no answer to STATUS")

    def _status_items(self) -> bytes:
        return b"MESSAGES UIDNEXT UIDVALIDITY" + (b" HIGHESTMODSEQ" if "CONDSTORE" in self.capabilities else b"")

    def _quoted_name(self, name: str) -> bytes:
        return quoted(self._wire_names.get(name) or bytes(imap_utf7.encode(name)))

    # -- messages ---------------------------------------------------------------------------------------------------

    def uids(self, first: int = 1, last: int = MAX_UID) -> list[int]:
        """The UIDs of the opened folder from `first` to `last`, ascending, asked for in windows."""
        exists = self._opened().exists
        if not exists:
            return []
        edges = [0, MAX_UID]
        if exists > SEARCH_WINDOW:
            places = b",".join(b"%d" % place for place in range(SEARCH_WINDOW, exists, SEARCH_WINDOW))
            told = (fetched.uid for fetched in self._fetch(b"FETCH " + places + b" (UID)", "counting messages"))
            edges = sorted({0, MAX_UID, *told})
        found: set[int] = set()
        for below, upto in pairwise(edges):
            low, high = max(below + 1, first), min(upto, last)
            if low <= high:
                found.update(self._search(low, high))
        # "n:*" names the last message even when its UID is below n
        return sorted(uid for uid in found if first <= uid <= last)

    def _search(self, low: int, high: int) -> Iterator[int]:
        returning = b"RETURN (ALL) " if "ESEARCH" in self.capabilities else b""
        upper = b"*" if high == MAX_UID else b"%d" % high
        for response in self._run(b"UID SEARCH %sUID %d:%s" % (returning, low, upper), "listing messages"):
            head = response.head
            if head[:6].upper() == b"SEARCH":
                yield from _numbers(head[6:])
            elif head[:7].upper() == b"ESEARCH" and b" ALL " in head.upper():
                position = head.upper().index(b" ALL ") + 5
                # arrivals since EXAMINE are listed as well
                yield from read_uid_set(head[position:].split(b" ")[0], at_most=self._opened().exists + SEARCH_WINDOW)

    def sizes(self, uids: Iterable[int]) -> dict[int, int]:
        """RFC822.SIZE of each: what chunks are planned by. UIDs that are gone are absent."""
        told: dict[int, int] = {}
        for window in uid_sets(uids):
            for fetched in self._fetch(b"UID FETCH " + window + b" (UID RFC822.SIZE)", "asking for sizes"):
                if fetched.size is not None:
                    told[fetched.uid] = fetched.size
        return told

    def fetch_chunks(self, chunks: Iterable[Iterable[int]], *, section: str = "") -> Iterator[Chunk]:
        """The messages, a chunk at a time; the next chunk is asked for before the last is handed out.

        `section` as in BODY[section]: '' is the whole message, "HEADER", "TEXT"; never sets \\Seen. A generator that is
        left before its end closes the session: the answers still under way belong to nobody.
        """
        identity = b" EMAILID" if "OBJECTID" in self.capabilities else b""
        identity = b" X-GM-MSGID" if "X-GM-EXT-1" in self.capabilities else identity
        items = b" (UID RFC822.SIZE INTERNALDATE FLAGS%s BODY.PEEK[%s])" % (identity, section.encode("ascii"))
        under_way: list[_Asked] = []
        told: dict[int, Fetched] = {}
        coming = iter(chunks)

        def ask() -> None:
            if (uids := next(coming, None)) is not None:
                wanted = tuple(dict.fromkeys(uids))
                told.update((uid, Fetched(uid)) for uid in wanted)
                self._in_flight += 1
                tags = {self._wire.send(b"UID FETCH " + part + items) for part in uid_sets(wanted)}
                under_way.append(_Asked(wanted, tags))

        try:
            ask()
            while under_way:
                ask()
                first = under_way[0]
                self._stream.doing = "fetching messages"
                while first.tags:
                    self._take(told, under_way)
                under_way.pop(0)
                self._in_flight -= 1
                found = [told.pop(uid) if uid in told else Fetched(uid) for uid in first.wanted]
                whole = [fetched for fetched in found if fetched.raw is not None]
                missing = [fetched.uid for fetched in found if fetched.raw is None]
                yield Chunk(first.wanted, whole, missing, first.refusal)
        finally:
            if self._in_flight:
                self._in_flight = 0
                self._stream.close()

    def _take(self, told: dict[int, Fetched], under_way: list[_Asked]) -> None:
        """Reads one response and gives it to whom it belongs. A server may work on several commands at once and answer
        them mingled (RFC 3501, 5.5): Dovecot does while large messages are on their way."""
        response = self._wire.read()
        if response.tag == b"*":
            fetched = self._fetched_message(response)
            if fetched and fetched.uid in told:
                told[fetched.uid].merge(fetched)
            return
        owner = next((one for one in under_way if response.tag in one.tags), None)
        if owner is None or response.status is None:
            self._stream.close()
            raise ProtocolFault("a response with a tag that was not asked for")
        owner.tags.discard(response.tag)
        if response.status.kind != "OK":
            error = self._failure(response.status)
            if not isinstance(error, CommandRefused):
                raise error
            owner.refusal = error.detail  # such as [EXPUNGEISSUED]: what was told all the same counts

    def fetch(self, uids: Iterable[int], *, section: str = "") -> Chunk:
        """One chunk, as `fetch_chunks`."""
        return next(self.fetch_chunks([list(uids)], section=section))

    def flags(
        self, uids: Iterable[int] | None = None, *, changed_since: int | None = None
    ) -> Iterator[tuple[int, tuple[str, ...]]]:
        """UID and flags of these messages (None: of all); with `changed_since` only of those that changed after this
        mod-sequence (CONDSTORE, RFC 7162; only where `examine` told a highestmodseq)."""
        since = b"" if changed_since is None else b" (CHANGEDSINCE %d)" % changed_since
        if not self._opened().exists:
            return
        for window in [b"1:*"] if uids is None else uid_sets(uids):
            for fetched in self._fetch(b"UID FETCH " + window + b" (UID FLAGS)" + since, "reading flags"):
                if fetched.flags is not None:
                    yield fetched.uid, fetched.flags

    def noop(self) -> None:
        """Keeps the session alive; the server may tell that messages arrived (`opened.exists`)."""
        self._run(b"NOOP", "keeping the connection")

    def _opened(self) -> FolderStatus:
        if self.opened is None:
            raise ProtocolFault("no folder is open")
        return self.opened

    def _fetch(self, command: bytes, doing: str) -> Iterator[Fetched]:
        """Sends one command; the answers are read as they are asked for. Left early, the session is closed."""
        tag = self._wire.send(command)
        self._in_flight += 1
        try:
            yield from self._fetched(tag, doing)
            self._in_flight -= 1
        except GeneratorExit:
            self._in_flight = 0
            self._stream.close()
            raise
        except MailError:
            self._in_flight -= 1
            raise

    def _fetched(self, tag: bytes, doing: str) -> Iterator[Fetched]:
        self._stream.doing = doing
        for response in self._wire.until(tag, expected=self._opened().exists):
            if response.tag == tag and response.status and response.status.kind != "OK":
                raise self._failure(response.status)
            if fetched := self._fetched_message(response):
                yield fetched

    def _fetched_message(self, response: Response) -> Fetched | None:
        if response.status is None and b" FETCH (" in response.head[:24].upper():
            return read_fetch(response)
        self._untagged(response)
        return None


@dataclass(slots=True)
class _Asked:
    """A chunk under way, and the commands for it that are not answered yet."""

    wanted: tuple[int, ...]
    tags: set[bytes]
    refusal: str = ""


def _numbers(text: bytes) -> Iterator[int]:
    """The UIDs of a SEARCH response; "(MODSEQ n)" may follow them (RFC 7162, 3.1.5)."""
    for word in text.partition(b"(")[0].split():
        if not word.isdigit() or not 0 < int(word) <= MAX_UID:
            raise ProtocolFault("a list of UIDs that cannot be read")
        yield int(word)
