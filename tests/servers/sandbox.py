"""The real sandbox process for tests: start, stop, its endpoints, its control interface, and a person who consents."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import requests

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 30  # seconds
ALL_SCOPES = "openid email profile offline_access mail.imap mail.pop mail.smtp"


class Sandbox:
    """`Sandbox().start(folder, base_url)`; a context manager, too. A second start() uses the same folder again."""

    def __init__(self) -> None:
        self.data_dir = Path()
        self.base_url = "http://localhost:8000"
        self.endpoints: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, data_dir: Path | None = None, base_url: str | None = None) -> Sandbox:
        """Returns when it answers. `data_dir` is MAILHUB_DATA; `base_url` is Mailhub's, to which consent leads back."""
        self.data_dir, self.base_url = data_dir or self.data_dir, (base_url or self.base_url).rstrip("/")
        environment = os.environ | {"MAILHUB_DATA": str(self.data_dir), "MAILHUB_BASE_URL": self.base_url}
        environment |= {"MAILHUB_ENV": "local"}
        with (self.data_dir / "sandbox.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox"], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        until = time.monotonic() + DEADLINE
        while not self._answers():
            assert self.process.poll() is None, f"the sandbox ended: {self.log()}"
            assert time.monotonic() < until, f"the sandbox does not answer: {self.log()}"
            time.sleep(0.02)
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code; 0 if it was not running. SIGKILL for a crash."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(DEADLINE)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self) -> str:
        return (self.data_dir / "sandbox.log").read_text()

    # The control interface ------------------------------------------------------------------------------------------

    def control(self, method: str = "GET", path: str = "", **data: Any) -> Any:
        answer = requests.Session()
        answer.trust_env = False
        query = {"params": data} if method == "GET" else {"json": data}
        response = answer.request(
            method, self.endpoints["control"] + path, headers={"X-Sandbox-Control": "1"}, timeout=60, **query
        )
        assert response.status_code == 200, response.text
        return response.json()

    def fault(self, name: str, value: str | float | bool, count: int | None = None, user: str = "") -> None:
        """Switch a fault on (sandbox/faults.py lists them) for `count` uses, or until clear_faults()."""
        self.control("POST", "/faults", name=name, value=value, count=count, user=user)

    def clear_faults(self) -> None:
        self.control("DELETE", "/faults")

    def expire_tokens(self, user: str = "") -> int:
        """Access tokens end now; refresh tokens stay good."""
        return int(self.control("POST", "/tokens", do="expire", user=user)["changed"])

    def revoke_tokens(self, user: str = "") -> int:
        """The grants end, as if taken back at the provider."""
        return int(self.control("POST", "/tokens", do="revoke", user=user)["changed"])

    def deliver(self, user: str, raw: bytes | None = None, folder: str = "INBOX", **letter: Any) -> dict[str, Any]:
        """These very bytes, or a letter with subject=…, text=…; answers uid and sha256."""
        given = {"raw": base64.b64encode(raw).decode()} if raw is not None else letter
        answer: dict[str, Any] = self.control("POST", "/mail", do="deliver", user=user, folder=folder, **given)
        return answer

    def fill(self, user: str, count: int, folder: str = "INBOX") -> None:
        self.control("POST", "/mail", do="fill", user=user, folder=folder, count=count)

    def delete(self, user: str, uids: list[int] | str, folder: str = "INBOX") -> None:
        """`uids`: a list, or "all"."""
        self.control("POST", "/mail", do="delete", user=user, folder=folder, uids=uids)

    def change_uidvalidity(self, user: str, folder: str = "INBOX") -> int:
        """New UIDVALIDITY, new UIDs, open sessions end; answers the new one."""
        return int(self.control("POST", "/mail", do="uidvalidity", user=user, folder=folder)["uidvalidity"])

    def drop_sessions(self, user: str = "") -> int:
        return int(self.control("POST", "/mail", do="drop", user=user)["ended"])

    def mail(self, user: str, folder: str = "INBOX") -> list[dict[str, Any]]:
        """uid, sha256, size, flags of every message."""
        found: list[dict[str, Any]] = self.control("GET", "/mail", user=user, folder=folder)
        return found

    def raw(self, user: str, uid: int, folder: str = "INBOX") -> bytes:
        """The very bytes of one message."""
        (found,) = self.control("GET", "/mail", user=user, folder=folder, uid=uid)
        return base64.b64decode(found["raw"])

    # The provider ---------------------------------------------------------------------------------------------------

    def session(self) -> requests.Session:
        """Trusts the sandbox's CA; what Mailhub or a browser would use."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.endpoints["ca"]
        return session

    @property
    def client(self) -> tuple[str, str]:
        return self.endpoints["client_id"], self.endpoints["client_secret"]

    @property
    def discovery(self) -> dict[str, Any]:
        url = self.endpoints["issuer"] + "/.well-known/openid-configuration"
        document: dict[str, Any] = self.session().get(url, timeout=10).json()
        return document

    def consent(self, url: str, user: str, *, answer: str = "allow", scopes: list[str] | None = None) -> str:
        """A person at the consent page `url`: chooses an account, unticks all but `scopes`, presses a button.

        Answers the URL that the browser is sent to.
        """
        browser = self.session()
        page = browser.get(url, timeout=10, allow_redirects=False)
        if page.is_redirect:
            return page.headers["Location"]
        assert page.status_code == 200, page.text
        seal = html.unescape(re.search(r'name="seal" value="([^"]*)"', page.text)[1])  # type: ignore[index]
        ticked = re.findall(r'type="checkbox" name="scope" value="([^"]*)" checked', page.text)
        form = [("seal", seal), ("user", user), ("answer", answer)]
        form += [("scope", scope) for scope in ticked if scopes is None or scope in scopes]
        sent = browser.post(url, data=form, timeout=10, allow_redirects=False)
        assert sent.is_redirect, sent.text
        return sent.headers["Location"]

    def ask(self, user: str = "", scope: str = ALL_SCOPES, **changes: str | None) -> tuple[str, str]:
        """The URL of a sound authorization request (with `changes`), and its PKCE verifier."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        parameters = {
            "response_type": "code",
            "client_id": self.client[0],
            "redirect_uri": f"{self.base_url}/connect/callback/{uuid4()}/",
            "scope": scope,
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "login_hint": user,
        } | changes
        kept = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.endpoints['authorization_endpoint']}?{urlencode(kept)}", verifier

    def redeem(self, asked: str, verifier: str, location: str) -> requests.Response:
        """The token endpoint's answer to the code in `location`."""
        form = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(location).query)["code"][0],
            "redirect_uri": parse_qs(urlsplit(asked).query)["redirect_uri"][0],
            "code_verifier": verifier,
        }
        return self.token(**form)

    def token(self, **form: str) -> requests.Response:
        url = self.endpoints["issuer"] + "/token"
        return self.session().post(url, data=form, auth=self.client, timeout=30)

    def grant(self, user: str, scope: str = ALL_SCOPES) -> dict[str, Any]:
        """Tokens of `user`, by consent."""
        asked, verifier = self.ask(user, scope)
        answer: dict[str, Any] = self.redeem(asked, verifier, self.consent(asked, user)).json()
        return answer

    def _answers(self) -> bool:
        path = self.data_dir / "sandbox" / "endpoints.json"
        if not path.exists():
            return False
        self.endpoints = json.loads(path.read_text())
        try:
            self.control()
        except requests.ConnectionError:
            return False
        return True
