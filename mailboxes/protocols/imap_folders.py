"""Folders: LIST and STATUS read, names decoded (modified UTF-7, RFC 3501, 5.1.3), roles found (RFC 6154)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from imapclient import imap_utf7

from mailboxes.errors import ProtocolFault
from mailboxes.protocols.imap_wire import Piece, Response, can_be_quoted, parsed

MAX_FOLDERS = 20_000

_BY_ATTRIBUTE = {
    "\\all": "all", "\\allmail": "all",
    "\\archive": "archive",
    "\\drafts": "drafts",
    "\\flagged": "flagged", "\\starred": "flagged",
    "\\junk": "junk", "\\spam": "junk",
    "\\sent": "sent",
    "\\trash": "trash",
}  # fmt: skip

# For servers without SPECIAL-USE (Exchange): what mail programs call these folders, in the languages we met.
_NAMES = {
    "sent": "sent|sent items|sent messages|sent mail|gesendet|gesendete elemente|gesendete objekte|éléments envoyés|envoyés|"
    "elementos enviados|enviados|itens enviados|posta inviata|inviata|verzonden items|verzonden|skickade objekt|sendte elementer|"
    "lähetetyt|elementy wysłane|wysłane|отправленные|已发送邮件|已傳送郵件|送信済みアイテム|送信済み",
    "drafts": "drafts|draft|entwürfe|brouillons|borradores|rascunhos|bozze|concepten|utkast|kladder|luonnokset|"
    "wersje robocze|черновики|草稿|下書き",
    "junk": "junk|junk email|junk e-mail|spam|bulk mail|junk-e-mail|unerwünscht|courrier indésirable|correo no deseado|"
    "lixo eletrônico|posta indesiderata|ongewenste e-mail|skräppost|uønsket e-mail|roskaposti|wiadomości-śmieci|"
    "нежелательная почта|спам|垃圾邮件|垃圾郵件|迷惑メール",
    "trash": "trash|deleted items|deleted messages|deleted|bin|gelöscht|gelöschte elemente|gelöschte objekte|papierkorb|"
    "éléments supprimés|corbeille|elementos eliminados|papelera|itens excluídos|lixeira|posta eliminata|cestino|"
    "verwijderde items|prullenbak|borttaget|slettede elementer|poistetut|elementy usunięte|kosz|удаленные|корзина|"
    "已删除邮件|刪除的郵件|削除済みアイテム|ゴミ箱",
    "archive": "archive|archives|archiv|archivo|arquivo|archivio|archief|arkiv|arkisto|archiwum|архив|存档|封存|アーカイブ",
}
_BY_NAME = {name: role for role, names in _NAMES.items() for name in names.split("|")}


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """A folder as EXAMINE or STATUS describes it. `highestmodseq` is None without CONDSTORE (RFC 7162)."""

    uidvalidity: int
    uidnext: int
    exists: int
    highestmodseq: int | None = None


@dataclass(frozen=True, slots=True)
class FolderInfo:
    """`name` is decoded, `wire_name` what the server calls it; `role` '' or one of Folder.Role's values."""

    name: str
    wire_name: bytes
    delimiter: str
    attributes: frozenset[str]
    role: str = ""
    status: FolderStatus | None = None

    @property
    def selectable(self) -> bool:
        """Not where the name has bytes that no command of ours can say (RFC 3501 names are seven-bit)."""
        return not self.attributes & {"\\noselect", "\\nonexistent"} and can_be_quoted(self.wire_name)


def read_list(response: Response) -> FolderInfo | None:
    """A LIST response; None for the names that nobody can open or show."""
    return _read_list(tuple(response.pieces))


@lru_cache(maxsize=4096)  # polls that find nothing new hear the same lines again and again
def _read_list(pieces: tuple[Piece, ...]) -> FolderInfo | None:
    parts = parsed(pieces)
    if len(parts) < 4 or not isinstance(parts[1], tuple):
        raise ProtocolFault("a LIST response that cannot be read")
    wire_name = _as_bytes(parts[3])
    if not wire_name or len(wire_name) > 1000:
        return None
    attributes = frozenset(_as_bytes(word).decode("ascii", "replace").lower() for word in parts[1])
    delimiter = (
        _as_bytes(parts[2]).decode("ascii", "replace").replace("\0", "\ufffd")[:4] if parts[2] is not None else ""
    )
    name = decode_name(wire_name)
    role = next((_BY_ATTRIBUTE[word] for word in sorted(attributes) if word in _BY_ATTRIBUTE), "")
    return FolderInfo(name, wire_name, delimiter, attributes, "inbox" if name == "INBOX" else role)


def decode_name(wire_name: bytes) -> str:
    """For people and the database. INBOX has one spelling (RFC 3501, 5.1). What is no proper modified UTF-7, or decodes
    to characters that a database refuses, stays as the server spells it."""
    if wire_name.upper() == b"INBOX":
        return "INBOX"
    try:
        name: str = imap_utf7.decode(wire_name)
        if imap_utf7.encode(name) == wire_name and not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", name):
            return name
    except (UnicodeError, ValueError):
        pass
    return wire_name.decode("ascii", "backslashreplace").replace("\0", "\\x00")


def with_roles(folders: Iterable[FolderInfo]) -> list[FolderInfo]:
    """Names tell the roles that no attribute told; each role is given once. Two folders never bear one name."""
    unique: dict[str, FolderInfo] = {}
    for folder in folders:
        unique.setdefault(folder.name, folder)
        if len(unique) > MAX_FOLDERS:
            raise ProtocolFault(f"more than {MAX_FOLDERS} folders")
    taken: set[str] = set()
    for name, folder in unique.items():
        if folder.role in taken:
            unique[name] = replace(folder, role="")
        elif folder.role:
            taken.add(folder.role)
    for name, folder in unique.items():
        role = "" if folder.role or not folder.selectable else _role_by_name(folder)
        if role and role not in taken:
            taken.add(role)
            unique[name] = replace(folder, role=role)
    return list(unique.values())


def _role_by_name(folder: FolderInfo) -> str:
    """Only at the top or directly below INBOX: "Projects/Archive" is somebody's own folder."""
    path = folder.name.split(folder.delimiter) if folder.delimiter else [folder.name]
    if len(path) > 1 and (len(path) > 2 or path[0].upper() != "INBOX"):
        return ""
    return _BY_NAME.get(path[-1].casefold(), "")


def read_status(response: Response) -> tuple[bytes, FolderStatus] | None:
    """A STATUS response: the name on the wire and the numbers; None when it lacks one of them."""
    return _read_status(tuple(response.pieces))


@lru_cache(maxsize=4096)
def _read_status(pieces: tuple[Piece, ...]) -> tuple[bytes, FolderStatus] | None:
    parts = parsed(pieces)
    if len(parts) < 3 or not isinstance(parts[2], tuple) or len(parts[2]) % 2:
        raise ProtocolFault("a STATUS response that cannot be read")
    words = {_as_bytes(parts[2][i]).upper(): parts[2][i + 1] for i in range(0, len(parts[2]), 2)}
    numbers = [words.get(word) for word in (b"UIDVALIDITY", b"UIDNEXT", b"MESSAGES")]
    uidvalidity, uidnext, exists = (number if isinstance(number, int) else -1 for number in numbers)
    if min(uidvalidity, uidnext, exists) < 0:
        return None
    modseq = words.get(b"HIGHESTMODSEQ")
    return _as_bytes(parts[1]), FolderStatus(
        uidvalidity, uidnext, exists, modseq if isinstance(modseq, int) and modseq else None
    )


def _as_bytes(value: Any) -> bytes:
    """A name such as 2026 or NIL reaches us as a number or None."""
    if isinstance(value, bytes):
        return value
    return b"NIL" if value is None else str(value).encode()


def with_status(folder: FolderInfo, numbers: dict[bytes, FolderStatus]) -> FolderInfo:
    return replace(folder, status=numbers.get(folder.wire_name))
