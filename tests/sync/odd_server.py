"""An IMAP server that can be told to misbehave: it withholds messages, breaks off, lets its numbers go back."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field

from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Line, Scripted


@dataclass
class OddServer:
    messages: dict[int, bytes]
    uidvalidity: int = 7
    uidnext: int = 0
    """0: one more than the highest."""
    withheld: set[int] = field(default_factory=set)
    """Listed, and not returned by a FETCH of the whole message."""
    breaks_at: int | None = None
    """The connection ends in the middle of this message."""
    folders: tuple[str, ...] = ("INBOX",)
    extra: dict[str, str] = field(default_factory=dict)
    """Folder → attributes."""
    capabilities: str = "IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS LITERAL+"

    def over_tls(self, dovecot: Dovecot) -> Scripted:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        dovecot.ca.issue_cert("localhost").configure_cert(context)
        return Scripted(self.serve, tls=context)

    def serve(self, line: Line) -> None:
        line.say(b"* OK [CAPABILITY %s] hello" % self.capabilities.encode())
        while said := line.hear():
            tag, _, command = said.partition(b" ")
            if command.upper().startswith(b"LOGOUT"):
                line.say(b"* BYE", tag + b" OK")
                return
            if not self._answer(line, command):
                return
            line.say(tag + b" OK done")

    def _answer(self, line: Line, command: bytes) -> bool:
        word = command.upper()
        next_uid = self.uidnext or max(self.messages, default=0) + 1
        if word.startswith(b"LIST"):
            line.say(
                *(b'* LIST (%s) "/" "%s"' % (self.extra.get(name, "").encode(), name.encode()) for name in self.folders)
            )
        elif word.startswith(b"STATUS"):
            told = b"MESSAGES %d UIDNEXT %d UIDVALIDITY %d" % (len(self.messages), next_uid, self.uidvalidity)
            line.say(b"* STATUS %s (%s)" % (command.split(b" ")[1], told))
        elif word.startswith(b"EXAMINE"):
            line.say(b"* %d EXISTS" % len(self.messages), b"* OK [UIDVALIDITY %d]" % self.uidvalidity)
            line.say(b"* OK [UIDNEXT %d]" % next_uid)
        elif found := re.match(rb"UID SEARCH UID (\d+):(\d+|\*)", word):
            high = 2**32 if found[2] == b"*" else int(found[2])
            uids = [uid for uid in sorted(self.messages) if int(found[1]) <= uid <= high]
            line.say(b"* SEARCH" + b"".join(b" %d" % uid for uid in uids))
        elif found := re.match(rb"UID FETCH ([\d:,]+) \((.*)\)", word):
            return all(self._fetch(line, uid, found[2]) for uid in self._uids(found[1]))
        return True

    def _uids(self, sets: bytes) -> list[int]:
        wanted: list[int] = []
        for part in sets.split(b","):
            low, _, high = part.partition(b":")
            wanted += [uid for uid in sorted(self.messages) if int(low) <= uid <= int(high or low)]
        return wanted

    def _fetch(self, line: Line, uid: int, items: bytes) -> bool:
        raw = self.messages[uid]
        told = b"UID %d FLAGS () RFC822.SIZE %d" % (uid, len(raw))
        section = re.search(rb"BODY\.PEEK\[([^\]]*)\]", items)
        if section is None:
            line.say(b"* 1 FETCH (%s)" % told)
            return True
        head, _, text = raw.partition(b"\r\n\r\n")
        head += b"\r\n\r\n"
        part = {b"": raw, b"TEXT": text}.get(section[1], head)
        if section[1] == b"" and uid in self.withheld:
            return True
        told += b' INTERNALDATE "03-Feb-2025 10:00:00 +0000"'
        if section[1] == b"" and uid == self.breaks_at:
            line.send(b"* 1 FETCH (%s BODY[] {%d}\r\n" % (told, len(part)) + part[:10])
            return False
        line.send(b"* 1 FETCH (%s BODY[%s] {%d}\r\n" % (told, section[1], len(part)) + part + b")\r\n")
        return True
