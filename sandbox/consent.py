"""The consent page: who is it, what may Mailhub do, allow or deny. Plain forms, no script."""

from __future__ import annotations

import secrets
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from authlib.oauth2 import OAuth2Error

from sandbox.client import MAIL_SCOPES
from sandbox.oauth import OAuthRequest, Server
from sandbox.people import PEOPLE
from sandbox.web import Request, Response, Routes

PAGES = Path(__file__).parent / "pages"
COOKIE = "mailhub_sandbox_consent"  # cookies ignore ports: a name of our own beside Mailhub's
SCOPE_WORDS = {
    "mail.imap": ("Read the mail by IMAP", "See all folders and messages, and keep up with new ones."),
    "mail.pop": ("Read the inbox by POP3", "Fetch the messages in the inbox."),
    "mail.smtp": ("Send mail as this person", "Hand over messages with this address as the sender."),
    "offline_access": ("Keep working later", "Stay connected while nobody is here, until it is taken back."),
    "email": ("See the e-mail address", "To be sure that it is this mailbox and no other."),
    "profile": ("See the name", "As it stands on this page."),
    "openid": ("Know who signed in", "A number that stands for this account."),
}
MAY_BE_UNTICKED = (*MAIL_SCOPES, "offline_access")
ORDER = (*MAIL_SCOPES, "offline_access", "email", "profile", "openid")


class ConsentPage:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._templates = {path.stem: Template(path.read_text()) for path in PAGES.glob("*.html")}

    def routes(self) -> Routes:
        return {
            ("GET", "/authorize"): self.show,
            ("POST", "/authorize"): self.decide,
            ("GET", "/sandbox.css"): lambda _: _asset("sandbox.css", "text/css; charset=utf-8"),
            ("GET", "/sandbox.svg"): lambda _: _asset("sandbox.svg", "image/svg+xml"),
        }

    def show(self, request: Request) -> Response:
        found = self._check(request, request.query)
        return found if isinstance(found, Response) else self._page(request, found)

    def decide(self, request: Request) -> Response:
        if not secrets.compare_digest(request.cookie(COOKIE).encode(), request.form.get("seal", "").encode()) or (
            not request.cookie(COOKIE)
        ):
            return self._error(
                "This page was not opened in this browser, or cookies are blocked. Go back and try again."
            )
        # The scopes ticked stand for those asked, so that a narrower grant can be tried.
        ticked = [value for name, value in request.form_pairs if name == "scope"]
        asked = (request.args.get("scope") or "").split()
        kept = [scope for scope in asked if scope in ticked or scope not in MAY_BE_UNTICKED]
        pairs = [(name, " ".join(kept) if name == "scope" else value) for name, value in request.query]
        found = self._check(request, pairs)
        if isinstance(found, Response):
            return found
        if request.form.get("answer") != "allow":
            return self._answer(found, None)
        if (user := request.form.get("user", "").lower()) not in PEOPLE:
            return self._page(request, found, problem="Choose an account first.")
        if error := self._server.faults.take("authorize_error", user):
            failure = OAuth2Error(redirect_uri=found.request.payload.redirect_uri, state=found.request.payload.state)
            failure.error = error
            response: Response = self._server.handle_error_response(found.request, failure)
            return response
        return self._answer(found, user)

    def _check(self, request: Request, pairs: list[tuple[str, str]]) -> Any:
        """Authlib's grant for a sound request, else the answer: back to Mailhub where that is safe, or a page here."""
        wrapped = OAuthRequest(self._server.issuer.url, request, pairs)
        try:
            return self._server.get_consent_grant(wrapped)
        except OAuth2Error as error:
            if getattr(error, "redirect_uri", None):
                return self._server.handle_error_response(wrapped, error)
            words = error.description or error.error or "The request is not valid."
            return self._error(f"{words} Nothing was sent back, because it is not sure who asked.")

    def _answer(self, grant: Any, user: str | None) -> Response:
        response: Response = self._server.create_authorization_response(grant.request, user, grant)
        response.status = 303  # a GET follows, whatever was posted
        response.headers += [("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")]
        return response

    def _page(self, request: Request, grant: Any, problem: str = "") -> Response:
        hint = (request.form.get("user") or request.args.get("login_hint") or "").lower()
        if hint and hint not in PEOPLE and not problem:
            problem = f"{hint} has no mailbox in the sandbox. Choose one of these."
        asked = (grant.request.scope or "").split()
        ticked = {value for name, value in request.form_pairs if name == "scope"} or set(MAY_BE_UNTICKED)
        seal = request.cookie(COOKIE) or secrets.token_urlsafe(24)
        fields = {
            "problem": self._fill("_problem", text=problem) if problem else "",
            "accounts": "".join(self._account(user, hint) for user in PEOPLE),
            "scopes": "".join(self._scope(name, name in ticked) for name in ORDER if name in asked),
            "host": escape(self._server.client.base_url.partition("://")[2]),
            "seal": escape(seal),
        }
        response = self._html(200, self._templates["consent"].substitute(fields))
        response.headers.append(("Set-Cookie", f"{COOKIE}={seal}; Path=/authorize; HttpOnly; SameSite=Lax"))
        return response

    def _account(self, user: str, hint: str) -> str:
        checked = "checked" if user == hint else ""
        return self._fill("_account", user=user, name=PEOPLE[user], initial=PEOPLE[user][0], checked=checked)

    def _scope(self, name: str, ticked: bool) -> str:
        title, detail = SCOPE_WORDS[name]
        if name not in MAY_BE_UNTICKED:
            return self._fill("_scope_fixed", name=name, title=title, detail=detail)
        return self._fill("_scope", name=name, title=title, detail=detail, checked="checked" if ticked else "")

    def _error(self, words: str) -> Response:
        return self._html(400, self._fill("error", words=words))

    def _fill(self, template: str, **texts: str) -> str:
        return self._templates[template].substitute({name: escape(text) for name, text in texts.items()})

    def _html(self, status: int, page: str) -> Response:
        client = self._server.client.base_url
        policy = (
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {client}"  # Chromium checks the redirect after the POST too
        )
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", policy),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "same-origin"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return Response(status, page.encode(), headers)


def _asset(name: str, kind: str) -> Response:
    return Response(200, (PAGES / name).read_bytes(), [("Content-Type", kind), ("Cache-Control", "max-age=3600")])
