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

import contextlib
import re
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import TracebackType
from typing import Literal, Self

from imapclient import imap_utf7

from mailboxes.errors import CommandRefused, MailError, ProtocolFault, SignInRefused, TlsRefused
from mailboxes.protocols import imap_folders, imap_status, sasl
from mailboxes.protocols.deadline import Deadline
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.imap_fetch import MAX_UID, Chunk, Fetched, read_fetch, read_uid_set, uid_sets
from mailboxes.protocols.imap_folders import FolderInfo, FolderStatus
from mailboxes.protocols.imap_wire import Response, Status, Wire, quoted
from mailboxes.protocols.replies import redact
from mailboxes.protocols.sign_in import SignInResult
from mailboxes.protocols.stream import Stream

FAREWELL = 2.0  # seconds for LOGOUT: a courtesy, not worth more
SEARCH_WINDOW = 50_000  # UIDs in one answer to SEARCH: about half a megabyte
LONGEST_INITIAL_RESPONSE = 4000  # bytes; longer tokens go in two steps (servers limit the command line)

_NUMBERED = re.compile(rb"(\d{1,10}) EXISTS\Z", re.I)


class ImapSession:
    def __init__(self, stream: Stream, host: str, port: int) -> None:
        self._stream = stream
        self._wire = Wire(stream)
        self._host, self._port = host, port
        self._wire_names: dict[str, bytes] = {}
        self._in_flight = 0
        self.capabilities: frozenset[str] = frozenset()
        self.last_sign_in: SignInResult | None = None
        self.opened: FolderStatus | None = None

    # -- connection -------------------------------------------------------------------------------------------------

    @classmethod
    def connect(
        cls, host: str, port: int, *, security: Literal["tls", "starttls"], egress: Egress, deadline: Deadline
    ) -> Self:
        """Greeted and under TLS. Raises Unreachable, TlsRefused (also when STARTTLS is missing), ServerUnavailable …"""
        stream = Stream.open(host, port, tls=security == "tls", egress=egress, deadline=deadline)
        session = cls(stream, host, port)
        try:
            session._greeting()
            if security == "starttls":
                session._start_tls(egress)
        except MailError:
            stream.close()
            raise
        return session

    def _greeting(self) -> None:
        self._stream.doing = "waiting for the greeting"
        greeting = self._wire.read()
        if greeting.tag != b"*" or greeting.status is None or greeting.status.kind not in ("OK", "BYE"):
            # PREAUTH too: a session that is signed in before TLS is not ours (RFC 8314; the attack of 2021, NO STARTTLS)
            raise ProtocolFault("the server does not greet as an IMAP server")
        if greeting.status.kind == "BYE":
            raise self._failure(greeting.status)
        self._note_capabilities(greeting)

    def _start_tls(self, egress: Egress) -> None:
        self._stream.doing = "asking for TLS"
        tag = self._wire.send(b"STARTTLS")
        for response in self._wire.until(tag):
            if response.tag == tag and response.status and response.status.kind != "OK":
                raise TlsRefused("the server does not offer STARTTLS", private=redact(str(response.status)))
        self._stream.secure(self._host, egress)
        self.capabilities = frozenset()  # what was said in clear does not count (RFC 3501, 6.2.1)

    @property
    def deadline(self) -> Deadline:
        return self._stream.deadline

    @deadline.setter
    def deadline(self, deadline: Deadline) -> None:
        self._stream.deadline = deadline

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def logout(self) -> None:
        """Says goodbye where that takes no time; never raises, never waits longer than FAREWELL."""
        if not self._stream.closed and not self._in_flight:
            self.deadline = Deadline(FAREWELL)
            with contextlib.suppress(MailError):
                for _ in self._wire.until(self._wire.send(b"LOGOUT")):
                    pass
        self._stream.close()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.logout()
        else:
            self.close()

    # -- sign-in ----------------------------------------------------------------------------------------------------

    def sign_in(self, user: str, token: str) -> SignInResult:
        """AUTHENTICATE with the bearer token. `last_sign_in` is set in every case.

        Raises SignInRefused (says nothing of the grant), MailboxUnusable, Throttled, ServerUnavailable, ConnectionLost.
        """
        started = time.monotonic()
        mechanism: str = ""
        try:
            if not self.capabilities:
                self._read_capabilities()
            chosen = sasl.choose(self.capabilities)
            if chosen is None:
                raise SignInRefused("the server offers neither XOAUTH2 nor OAUTHBEARER")
            mechanism = chosen
            reply = self._authenticate(chosen, user, token)
        except MailError as error:
            self.last_sign_in = SignInResult.of_error(error, mechanism, _since(started))
            raise
        self.last_sign_in = SignInResult(mechanism, "ok", reply, _since(started))
        if not self.capabilities:
            self._read_capabilities()
        return self.last_sign_in

    def _authenticate(self, mechanism: sasl.Mechanism, user: str, token: str) -> str:
        self._stream.doing = "signing in"
        first = sasl.encode(sasl.initial_response(mechanism, user, token, host=self._host, port=self._port))
        command = b"AUTHENTICATE " + mechanism.encode()
        at_once = "SASL-IR" in self.capabilities and len(first) <= LONGEST_INITIAL_RESPONSE
        tag = self._wire.send(command + b" " + first if at_once else command)
        self.capabilities = frozenset()  # after the sign-in others may hold
        said = at_once
        reason: sasl.Challenge | None = None
        for _ in range(20):
            response = self._wire.read()
            if response.tag == b"+":
                if not said:
                    self._stream.send(first + b"\r\n")
                    said = True
                elif reason is None:
                    reason = sasl.read_challenge(response.head) or sasl.Challenge()
                    self._stream.send(sasl.encode(sasl.answer_to_error(mechanism)) + b"\r\n")
                else:
                    break
            elif response.tag == tag and response.status:
                self._note_capabilities(response)
                if response.status.kind == "OK":
                    return redact(str(response.status), token)
                error = imap_status.failure(response.status, doing="signing in", signing_in=True, secret=token)
                if reason and str(reason):
                    error.detail = f"{error.detail} ({reason})"
                raise error
            elif response.tag == b"*":
                self._untagged(response)
            else:
                break
        self._stream.close()
        raise ProtocolFault("the server does not follow the sign-in it announced")

    def _read_capabilities(self) -> None:
        self._run(b"CAPABILITY", "reading the capabilities")

    def _note_capabilities(self, response: Response) -> None:
        status = response.status
        if status and status.code == "CAPABILITY":
            self.capabilities = frozenset(status.code_value.upper().split())
        elif response.head[:11].upper() == b"CAPABILITY ":
            self.capabilities = frozenset(response.head[11:].decode("ascii", "replace").upper().split())

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
            if found := _NUMBERED.match(response.head):
                exists = int(found[1])
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
        asked: list[tuple[tuple[int, ...], list[bytes]]] = []
        coming = iter(chunks)

        def ask() -> None:
            if (uids := next(coming, None)) is not None:
                wanted = tuple(uids)
                self._in_flight += 1
                asked.append((wanted, [self._wire.send(b"UID FETCH " + part + items) for part in uid_sets(wanted)]))

        try:
            ask()
            while asked:
                ask()
                wanted, tags = asked.pop(0)
                told: dict[int, Fetched] = {uid: Fetched(uid) for uid in wanted}
                refusal = ""
                for tag in tags:
                    try:
                        for fetched in self._fetched(tag, "fetching messages"):
                            if fetched.uid in told:
                                told[fetched.uid].merge(fetched)
                    except CommandRefused as error:  # such as [EXPUNGEISSUED]: what came before it counts
                        refusal = error.detail
                self._in_flight -= 1
                whole = [told[uid] for uid in wanted if told[uid].raw is not None]
                yield Chunk(wanted, whole, [uid for uid in wanted if told[uid].raw is None], refusal)
        finally:
            if self._in_flight:
                self._in_flight = 0
                self._stream.close()

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

    # -- commands ---------------------------------------------------------------------------------------------------

    def _opened(self) -> FolderStatus:
        if self.opened is None:
            raise ProtocolFault("no folder is open")
        return self.opened

    def _run(self, command: bytes, doing: str) -> list[Response]:
        """Sends one command; returns its untagged responses. Raises what its status means."""
        self._stream.doing = doing
        tag = self._wire.send(command)
        responses = []
        for response in self._wire.until(tag):
            self._untagged(response)
            if response.tag == tag and response.status and response.status.kind != "OK":
                raise self._failure(response.status)
            responses.append(response)
        return responses

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
        for response in self._wire.until(tag):
            if response.status is None:
                if b" FETCH (" in response.head[:24].upper():
                    if fetched := read_fetch(response):
                        yield fetched
                else:
                    self._untagged(response)
            elif response.status.kind == "BYE" or (response.tag == tag and response.status.kind != "OK"):
                raise self._failure(response.status)

    def _untagged(self, response: Response) -> None:
        """What any command may be told besides its answer."""
        self._note_capabilities(response)
        if response.status and response.status.kind == "BYE":
            raise self._failure(response.status)
        if self.opened and (found := _NUMBERED.match(response.head)):
            was = self.opened
            self.opened = FolderStatus(was.uidvalidity, was.uidnext, int(found[1]), was.highestmodseq)

    def _failure(self, status: Status) -> MailError:
        error = imap_status.failure(status, doing=self._stream.doing, shown=self._stream.secured)
        if status.kind == "BYE":
            self._stream.close()
        return error


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _numbers(text: bytes) -> Iterator[int]:
    """The UIDs of a SEARCH response; "(MODSEQ n)" may follow them (RFC 7162, 3.1.5)."""
    for word in text.partition(b"(")[0].split():
        if not word.isdigit() or not 0 < int(word) <= MAX_UID:
            raise ProtocolFault("a list of UIDs that cannot be read")
        yield int(word)
