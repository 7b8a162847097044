"""npm's oidc-provider in a process of its own, and a person who signs in there with a browser of few words."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import requests
import trustme

from tests.servers.dovecot import ServerMissing, free_ports

SOURCE = Path(__file__).parent / "oidc_provider"
DEADLINE = 30  # seconds
ALL_SCOPES = ["mail.imap", "mail.pop", "mail.smtp"]


def ensure_installed() -> Path:
    """The folder with server.mjs beside its node_modules, installed once by `npm ci` outside of the repository.

    Raises ServerMissing without Node 20 or a package index.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise ServerMissing("needs Node 20 (Debian: nodejs, npm)")
    lock = (SOURCE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailhub-tests" / "oidc-provider"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "node_modules" / "oidc-provider").exists() or (cache / "package-lock.json").read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, cache / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            subprocess.run(command, cwd=cache, check=True, capture_output=True, timeout=300)
        except subprocess.SubprocessError as error:
            shutil.rmtree(cache / "node_modules", ignore_errors=True)
            raise ServerMissing("npm's oidc-provider cannot be installed") from error
    shutil.copy(SOURCE / "server.mjs", cache / "server.mjs")
    return cache


@dataclass
class OidcProvider:
    """`start()` … `stop()`, or a context manager. `redirect_prefix`: where codes may be sent."""

    ca: trustme.CA = field(default_factory=trustme.CA)
    redirect_prefix: str = "http://localhost:8000/connect/callback/"
    client_id: str = "mailhub client"
    client_secret: str = "100 % + a secret"  # needs encoding in HTTP Basic (RFC 6749, 2.3.1)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.port,) = free_ports(1)
        self.issuer = f"https://localhost:{self.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="mho"))
        self.process: subprocess.Popen[bytes] | None = None
        self.mail_server = ("mail-server", "what-mail-servers-know")

    def __enter__(self) -> OidcProvider:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ca_path(self) -> Path:
        return self._folder / "ca.pem"

    @property
    def introspection_url(self) -> str:
        return f"{self.issuer}/token/introspection"

    def start(self) -> OidcProvider:
        home = ensure_installed()
        self._folder.chmod(0o755)  # mail servers of other users read ca.pem
        self.ca.cert_pem.write_to_path(self.ca_path)
        certificate = self.ca.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(self._folder / "key.pem")
        for number, blob in enumerate(certificate.cert_chain_pems):
            blob.write_to_path(self._folder / "cert.pem", append=number > 0)
        config = {
            "port": self.port,
            "key": str(self._folder / "key.pem"),
            "cert": str(self._folder / "cert.pem"),
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "mail_server_secret": self.mail_server[1],
            "redirect_prefix": self.redirect_prefix,
            "accounts": self.accounts,
        }
        (self._folder / "config.json").write_text(json.dumps(config))
        environment = {**os.environ, "NODE_ENV": "production"}
        with (self._folder / "log").open("wb") as output:
            self.process = subprocess.Popen(
                ["node", "server.mjs", str(self._folder / "config.json")],
                cwd=home,
                env=environment,
                stdout=output,
                stderr=output,
            )
        until = time.monotonic() + DEADLINE
        while b"ready" not in (log := (self._folder / "log").read_bytes()):
            assert self.process.poll() is None and time.monotonic() < until, log.decode()
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(DEADLINE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca_path)
        return session

    # What tests change and read ---------------------------------------------------------------------------------------

    def _test(self, path: str, **data: Any) -> Any:
        answer = self.session().post(f"{self.issuer}/_test/{path}", json=data, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def account(self, login: str, *, sub: str | None = None, email: str | None = None, verified: bool = True) -> str:
        """Somebody who can sign in; answers the login name."""
        self._test(
            "accounts",
            login=login,
            account={"sub": sub or f"sub-{login}", "email": email or login, "verified": verified},
        )
        return login

    def lives(self, **seconds: int) -> None:
        """AccessToken=…, RefreshToken=…, IdToken=…"""
        self._test("lives", **seconds)

    def fault(self, name: str, value: Any = True, count: int = 1) -> None:
        """status, error, delay (ms), id_token (payload, signature, none, missing), scope, no_refresh_token,
        drop_answer (done, but nobody learns of it), drop_request (never heard), discovery (what is announced instead).
        """
        self._test("faults", name=name, value=value, count=count)

    def clear(self) -> None:
        self._test("faults", clear=True)
        self._test("reset")

    def seen(self, kind: str) -> int:
        """Requests at the token endpoint: "token:refresh_token", "token:authorization_code", "token:refused" …"""
        return int(self._test("seen")["counts"].get(kind, 0))

    def refresh_tokens_used(self) -> list[str]:
        found: list[str] = self._test("seen")["used"]
        return found

    def is_active(self, token: str) -> bool:
        """By introspection (RFC 7662)."""
        answer = self.session().post(self.introspection_url, data={"token": token}, auth=self.mail_server, timeout=10)
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["active"])

    def revoke(self, token: str) -> None:
        """As its owner would, on the account's page."""
        answer = self.session().post(f"{self.issuer}/_test/revoke", json={"token": token}, timeout=10)
        assert answer.json() == {"ended": True}, answer.text

    # A person ---------------------------------------------------------------------------------------------------------

    def consent(self, url: str, login: str, *, allow: bool = True, scopes: list[str] | None = None) -> str:
        """Signs in and answers; the URL that the browser is sent to at the end, not opened."""
        browser = self.session()
        for _ in range(10):
            page = browser.get(url, allow_redirects=False, timeout=10)
            if page.status_code == 200:
                page = self._fill_in(browser, url, page.text, login, allow, scopes)
            assert page.is_redirect, f"{page.status_code} {page.text[:2000]}"
            url = urljoin(url, page.headers["Location"])
            if url.startswith(self.redirect_prefix):
                return url
        raise AssertionError(f"no way back from {url}")

    def grant(self, login: str, scope: str = "openid email offline_access mail.imap mail.smtp") -> dict[str, Any]:
        """The token endpoint's answer to a whole consent."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": f"{self.redirect_prefix}any/",
            "scope": scope,
            "prompt": "consent",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        back = self.consent(f"{self.issuer}/auth?{urlencode(asked)}", login)
        form = {
            "grant_type": "authorization_code",
            "code": parse_qs(urlsplit(back).query)["code"][0],
            "redirect_uri": asked["redirect_uri"],
            "code_verifier": verifier,
        }
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        answer = self.session().post(f"{self.issuer}/token", data=form, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _fill_in(
        self, browser: requests.Session, url: str, page: str, login: str, allow: bool, scopes: list[str] | None
    ) -> requests.Response:
        actions = re.findall(r'<form method=post action="([^"]+)"', page)
        wanted = "/login" if "name=login" in page else "/confirm" if allow else "/abort"
        (action,) = [html.unescape(action) for action in actions if action.endswith(wanted)]
        data: list[tuple[str, str]] = [("login", login)]
        data += [("scope", scope) for scope in (ALL_SCOPES if scopes is None else scopes)]
        return browser.post(urljoin(url, action), data=data, allow_redirects=False, timeout=10)
