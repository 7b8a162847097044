"""A Mailhub of real processes between an independent OAuth provider, a real Dovecot and an SMTP server behind it."""

from __future__ import annotations

import imaplib
import os
import re
import ssl
from contextlib import ExitStack
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
import trustme

from tests.servers.dovecot import Dovecot, ServerMissing
from tests.servers.installation import Installation, until
from tests.servers.oidc_provider import OidcProvider
from tests.servers.smtp_sink import SmtpSink

SAID = "only-for-the-eyes-of-the-recipient-7f3a91"  # in the text of every message that is written here
_PASSWORD = "for-the-independent-reader"


class RealWorld:
    """A context manager. `address` is the mailbox of the story; `environment` goes to the installation.

    `imap_port`: where Mailhub finds IMAP; Dovecot itself, unless it is changed before `register()`.
    """

    def __init__(self, address: str = "anna@example.test", *, sink: SmtpSink | None = None, **environment: str) -> None:
        self.address = address
        authority = trustme.CA()
        self.sink = sink or SmtpSink()
        self.mailhub = Installation(MAILHUB_SANDBOX="off", MAILHUB_POLL_INTERVAL_SECONDS="1", **environment)
        self.provider = OidcProvider(ca=authority, redirect_prefix=f"{self.mailhub.url}/connect/callback/")
        self.dovecot = Dovecot(
            introspection_url=self.provider.introspection_url,
            client_id=self.provider.mail_server[0],
            client_secret=self.provider.mail_server[1],
            introspection_ca=self.provider.ca_path,
            password=_PASSWORD,
            ca=authority,
        )
        self.imap_port = self.dovecot.imaps
        self.secrets = {self.provider.client_secret, SAID}
        """What must lie nowhere in clear; grows with each consent and each `note_grant()`."""
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            starting.enter_context(self.sink)
            self.dovecot.relay = ("127.0.0.1", self.sink.port)
            try:
                starting.enter_context(self.provider)
                starting.enter_context(self.dovecot)
            except ServerMissing as missing:
                if os.environ.get("CI"):
                    raise
                pytest.skip(str(missing))
            self.provider.account(self.address)
            self.mailhub.environment |= {
                "MAILHUB_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
                "MAILHUB_CA_BUNDLE": str(self.provider.ca_path),
            }
            starting.enter_context(self.mailhub)
            self._running = starting.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._running.__exit__(*error)

    # The administrator's part -----------------------------------------------------------------------------------------

    def register(self) -> str:
        """The provider app, by the service that form and API call; its id."""
        data = {
            "name": "Contoso Mail",
            "preset": "oidc",
            "issuer": self.provider.issuer,
            "client_id": self.provider.client_id,
            "client_secret": self.provider.client_secret,
            "imap": {"host": "localhost", "port": self.imap_port, "security": "tls"},
            "smtp": {"host": "localhost", "port": self.dovecot.submission, "security": "starttls"},
            "scopes": {"imap": ["mail.imap"], "pop3": ["mail.pop"], "smtp": ["mail.smtp"]},
        }
        app_id, reason = self.mailhub.shell(_REGISTER, data=data)
        assert not reason, reason
        return str(app_id)

    def link(self) -> str:
        """The URL of a new link for the owner of `address`."""
        return str(self.mailhub.shell(_LINK, address=self.address))

    # The owner's part -------------------------------------------------------------------------------------------------

    def consent(self, link: str) -> str:
        """From the link over Mailhub's page and the provider's pages to the last page, whose text is answered."""
        browser = requests.Session()
        browser.trust_env = False
        page = browser.get(link, timeout=10)
        assert page.status_code == 200, page.text
        sealed = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert sealed, page.text
        away = browser.post(link, data={"csrfmiddlewaretoken": sealed[1]}, timeout=30, allow_redirects=False)
        assert away.is_redirect, away.text
        back = self.provider.consent(away.headers["Location"], self.address)
        answered = parse_qs(urlsplit(back).query)
        self.secrets |= {urlsplit(link).path.split("/")[2], answered["code"][0], answered["state"][0]}
        receipt = browser.get(back, timeout=60)
        assert receipt.status_code == 200, receipt.text
        return receipt.text

    def connect(self) -> None:
        assert "Connected. Thank you." in self.consent(self.link())

    def note_grant(self) -> str:
        """Remembers the tokens of this hour as secrets; answers the refresh token."""
        access_token, refresh_token = self.mailhub.shell(_TOKENS)
        self.secrets |= {access_token, refresh_token}
        return str(refresh_token)

    def take_back_at_provider(self) -> None:
        """What "Remove access" on an account page does: the whole grant ends (RFC 7009)."""
        answer = self.provider.session().post(
            f"{self.provider.issuer}/token/revocation",
            data={"token": self.note_grant(), "token_type_hint": "refresh_token"},
            auth=(quote(self.provider.client_id, safe=""), quote(self.provider.client_secret, safe="")),
            timeout=10,
        )
        assert answer.status_code == 200, answer.text

    # What is where ----------------------------------------------------------------------------------------------------

    def at_server(self) -> dict[tuple[str, int], bytes]:
        """(folder, UID) → bytes, read by Python's own IMAP client, by password and without a trace."""
        trust = ssl.create_default_context(cafile=str(self.dovecot.ca_path))
        found = {}
        with imaplib.IMAP4_SSL("localhost", self.dovecot.imaps, ssl_context=trust) as client:
            client.login(self.address, _PASSWORD)
            for line in client.list()[1]:
                name = bytes(line).rpartition(b' "/" ')[2]  # type: ignore[arg-type]
                opened, [exists] = client.select(name.decode(), readonly=True)
                if opened != "OK" or exists == b"0":
                    continue
                for answer in client.fetch("1:*", "(UID BODY.PEEK[])")[1]:
                    if isinstance(answer, tuple):
                        uid = re.search(rb"UID (\d+)", answer[0])
                        assert uid
                        found[name.decode().strip('"'), int(uid[1])] = answer[1]
        return found

    def in_store(self) -> dict[tuple[str, int], bytes]:
        """(folder in modified UTF-7, UID) → bytes as Mailhub gives them out. Asserts that each is there once."""
        listed = self.mailhub.shell(_STORE)
        found = {(folder, uid): bytes.fromhex(raw) for folder, uid, raw in listed}
        assert len(found) == len(listed), "a message is stored twice"
        return found

    def stored(self) -> int:
        return int(self.mailhub.one("select count(*) from mailboxes_message"))

    def arrived(self, subject: str) -> int:
        return int(self.mailhub.one("select count(*) from mailboxes_message where subject = ?", subject))

    def state(self) -> tuple[str, str]:
        """State and reason of the mailbox."""
        return self.mailhub.rows("select state, reason from mailboxes_mailbox")[0]  # type: ignore[return-value]

    def all_is_read(self) -> bool:
        """A poll has ended well and nothing is left of the past."""
        query = (
            "select count(*) from mailboxes_mailbox m where state = 'active' and last_synced_at is not null and not exists"
            " (select 1 from mailboxes_folder f where f.mailbox_id = m.id and f.backfill_uid is not null)"
        )
        return bool(self.mailhub.one(query))

    # Sending ----------------------------------------------------------------------------------------------------------

    def write(self, subject: str) -> str:
        """Queues a message as the API does; its id, 32 hexadecimal digits."""
        return str(self.mailhub.shell(_WRITE, subject=subject, said=SAID))

    def outbox(self, outbox_id: str) -> str:
        return str(self.mailhub.one("select state from mailboxes_outboxmessage where id = ?", outbox_id))

    def wait_for_outbox(self, outbox_id: str, state: str, *, seconds: float = 30) -> None:
        until(f"the message is {state}", lambda: self.outbox(outbox_id) == state, seconds=seconds)

    def stages(self, outbox_id: str) -> list[str]:
        query = "select stage from mailboxes_sendattempt where outbox_id = ? order by at, id"
        return [stage for (stage,) in self.mailhub.rows(query, outbox_id)]

    def composed(self, outbox_id: str) -> bytes:
        """The bytes that Mailhub meant to send."""
        return bytes.fromhex(self.mailhub.shell(_COMPOSED, pk=outbox_id))


_REGISTER = """
import audit
from accounts.models import Tenant
from mailboxes.services import provider_apps
app = provider_apps.create(Tenant.objects.get(), data, actor=audit.SYSTEM)
answer = [app.pk, app.reason]
"""
_LINK = """
from accounts.models import Tenant, User
from mailboxes.models import ProviderApp
from mailboxes.services import links
app = ProviderApp.objects.get()
answer = links.create_link(Tenant.objects.get(), provider_app=app, address=address, actor=User.objects.get())[1]
"""
_TOKENS = """
from mailboxes.models import Token
token = Token.objects.get()
answer = [token.access_token.reveal(), token.refresh_token.reveal()]
"""
_STORE = """
from imapclient import imap_utf7
from mailboxes.models import Message
from mailboxes.services import bodies
rows = Message.objects.select_related("folder", "body__pack", "body__mailbox").filter(gone_at=None)
answer = [[imap_utf7.encode(row.folder.name).decode(), row.uid, bodies.read(row.body).hex()] for row in rows]
"""
_WRITE = """
from accounts.models import User
from mailboxes.models import Mailbox
from mailboxes.services.outbox import Attachment, Draft, queue
draft = Draft(to=["Bob <bob@elsewhere.test>"], bcc=["carol@elsewhere.test"], subject=subject,
    text="Grüße\\n.\\n..two dots, a line of one dot before\\nFrom here\\n" + said,
    attachments=[Attachment("plan.bin", "application/octet-stream", bytes(range(256)) * 40)])
answer = queue(Mailbox.objects.get(), draft, actor=User.objects.get()).pk.hex
"""
_COMPOSED = """
from mailboxes.models import OutboxMessage
from mailboxes.services import bodies
answer = bodies.read(OutboxMessage.objects.get(pk=pk).body).hex()
"""
