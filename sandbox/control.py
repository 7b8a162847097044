"""The control interface: JSON over HTTP on localhost, for tests, drills and the curious. See README.md in this folder.

Every request must carry the header X-Sandbox-Control: 1, which a page of another origin can't send.
"""

from __future__ import annotations

import asyncio
import resource
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any, TypeVar

from sandbox.faults import Faults
from sandbox.folders import RawMessage
from sandbox.imap import ImapServer
from sandbox.people import PEOPLE
from sandbox.post_office import PostOffice
from sandbox.samples import bulk
from sandbox.store import Grants, Token
from sandbox.web import Request, Response, Routes, as_json

T = TypeVar("T")
WAIT = 120  # seconds that a deed on the event loop may take


class Control:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, office: PostOffice, grants: Grants, faults: Faults, imap: ImapServer
    ) -> None:
        self._loop, self._office, self._grants, self._faults, self._imap = loop, office, grants, faults, imap

    def routes(self) -> Routes:
        views: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "/_sandbox"): self.state,
            ("GET", "/_sandbox/faults"): lambda _: self._faults.describe(),
            ("POST", "/_sandbox/faults"): self.switch,
            ("DELETE", "/_sandbox/faults"): self.clear,
            ("POST", "/_sandbox/tokens"): self.change_tokens,
            ("GET", "/_sandbox/mail"): self.list_mail,
            ("POST", "/_sandbox/mail"): self.change_mail,
        }
        return {route: _guarded(view) for route, view in views.items()}

    def state(self, request: Request) -> dict[str, Any]:
        live = [token for token in self._grants.all() if token.live]
        return {
            "faults": {n: fault for n, fault in self._faults.describe().items() if fault["left"] or fault["value"]},
            "tokens": [
                {"user": t.user, "scope": t.scope, "expires_at": t.expires_at, "grant": t.grant_id} for t in live
            ],
            "mail": self._on_loop(self._counts()),
            "peak_memory_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }

    def switch(self, request: Request) -> dict[str, Any]:
        """{"name", "value", "count"?, "user"?}: count uses, for this person's tokens and sessions only."""
        wish = request.json()
        self._faults.switch(wish["name"], wish["value"], wish.get("count"), wish.get("user") or "")
        return self._faults.describe()[wish["name"]]

    def clear(self, request: Request) -> dict[str, Any]:
        self._faults.clear()
        return {}

    def change_tokens(self, request: Request) -> dict[str, Any]:
        """{"do": "expire" | "revoke", "user"?}: expire ends access tokens; revoke ends grants. Answers how many."""
        wish = request.json()
        user = wish.get("user", "").lower()
        deeds = {"expire": self._grants.expire, "revoke": self._grants.end}

        def wanted(token: Token) -> bool:
            return user in ("", token.user)

        return {"changed": deeds[wish["do"]](wanted)}

    def list_mail(self, request: Request) -> list[dict[str, Any]]:
        """?user=&folder=INBOX: every message with its SHA-256; with &uid= that one and its raw bytes (base64)."""
        args = request.args
        found = self._on_loop(self._listing(args["user"], args.get("folder", "INBOX")))
        if "uid" in args:
            return [_described(m) | {"raw": b64encode(m.raw).decode()} for m in found if m.uid == int(args["uid"])]
        return [_described(message) for message in found]

    def change_mail(self, request: Request) -> dict[str, Any]:
        """{"do", "user", "folder"?, …}: see the methods named _do_…"""
        wish = {"folder": "INBOX", **request.json()}
        if wish.get("user", "").lower() not in PEOPLE and (wish["do"], wish.get("user", "")) != ("drop", ""):
            raise ValueError(f"no such user: {wish.get('user')}")
        deeds = {
            "deliver": self._do_deliver,
            "fill": self._do_fill,
            "delete": self._do_delete,
            "uidvalidity": self._do_uidvalidity,
            "drop": self._do_drop,
        }
        return self._on_loop(deeds[wish["do"]](wish))

    async def _do_deliver(self, wish: dict[str, Any]) -> dict[str, Any]:
        """ "raw" (base64 of the very bytes), or "subject", "text", "from"."""
        raw = b64decode(wish["raw"], validate=True) if "raw" in wish else _letter(wish)
        message = await self._office.deliver(wish["user"], raw, wish["folder"], wish.get("flags", ()))
        return {"uid": message.uid, "sha256": message.digest}

    async def _do_fill(self, wish: dict[str, Any]) -> dict[str, Any]:
        """ "count" generated messages."""
        return {
            "delivered": await self._office.fill(wish["user"], bulk(wish["user"], int(wish["count"])), wish["folder"])
        }

    async def _do_delete(self, wish: dict[str, Any]) -> dict[str, Any]:
        """ "uids": a list, or "all"."""
        folder = await self._office.folder(wish["user"], wish["folder"])
        uids = [m.uid for m in folder.listing()] if wish["uids"] == "all" else [int(uid) for uid in wish["uids"]]
        await folder.delete(uids)
        return {"deleted": len(uids)}

    async def _do_uidvalidity(self, wish: dict[str, Any]) -> dict[str, Any]:
        """A new UIDVALIDITY and new UIDs; open IMAP sessions end."""
        folder = await self._office.folder(wish["user"], wish["folder"])
        await folder.rebuild()
        await self._imap.end_sessions(wish["user"].lower())
        return {"uidvalidity": folder.uid_validity}

    async def _do_drop(self, wish: dict[str, Any]) -> dict[str, Any]:
        """End the open IMAP sessions of "user", or of all when it is empty."""
        return {"ended": await self._imap.end_sessions(wish["user"].lower())}

    async def _counts(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for (person, name), folder in self._office.folders().items():
            counts.setdefault(person, {})[name] = len(folder.listing())
        return counts

    async def _listing(self, user: str, name: str) -> list[RawMessage]:
        return (await self._office.folder(user, name)).listing()

    def _on_loop(self, deed: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(deed, self._loop).result(WAIT)


def _guarded(view: Callable[[Request], Any]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        headers = request.headers
        host = (headers.get("Host") or "").partition(":")[0]  # a page of another name may be led here (DNS rebinding)
        if headers.get("X-Sandbox-Control") != "1" or headers.get("Origin") or host not in ("localhost", "127.0.0.1"):
            return as_json({"error": "send the header X-Sandbox-Control: 1; browsers have no business here"}, 403)
        try:
            return as_json(view(request))
        except KeyError as error:
            return as_json({"error": f"missing or unknown: {error}"}, 400)
        except (ValueError, TypeError) as error:
            return as_json({"error": str(error)}, 400)

    return answer


def _letter(wish: dict[str, Any]) -> bytes:
    message = EmailMessage()
    message["From"] = wish.get("from", "Sandbox <postmaster@sandbox.test>")
    message["To"] = wish["user"]
    message["Subject"] = wish.get("subject", "A message from the control interface")
    message["Message-ID"] = make_msgid(domain="sandbox.test")
    message["Date"] = format_datetime(datetime.now(UTC))
    message.set_content(wish.get("text", "Hello.\n"))
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _described(message: RawMessage) -> dict[str, Any]:
    return {
        "uid": message.uid,
        "sha256": message.digest,
        "size": len(message.raw),
        "flags": sorted(bytes(flag).decode() for flag in message.permanent_flags),
    }
