"""A program that has a key and nothing else connects a mailbox, reads it, sends from it, and checks the chain."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.servers.installation import Installation, until
from tests.servers.sandbox import Sandbox

ALICE, BOB, CAROL = "alice@sandbox.test", "bob@sandbox.test", "carol@sandbox.test"
LETTER = b"From: zoe@elsewhere.test\r\nTo: alice@sandbox.test\r\nSubject: For the program\r\n\r\n\xff8 bits\r\n"


class Api:
    """A program somewhere else: HTTP and JSON."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {key}"

    def __call__(self, method: str, path: str, code: int = 200, body: Any = None, **headers: str) -> Any:
        answer = self.session.request(
            method, f"{self.url}/api/v1{path}", json=body, headers=headers, timeout=60, allow_redirects=False
        )
        assert answer.status_code == code, (answer.status_code, answer.text)
        kind = answer.headers.get("Content-Type", "")
        return answer.json() if "json" in kind else answer.content

    def all(self, path: str) -> list[dict[str, Any]]:
        """Every row of a list, five at a time."""
        joint = "&" if "?" in path else "?"
        page = self("GET", f"{path}{joint}limit=5")
        found: list[dict[str, Any]] = page["items"]
        while page["next"]:
            page = self("GET", f"{path}{joint}limit=5&after={page['next']}")
            found += page["items"]
        return found


@pytest.fixture
def mailhub() -> Iterator[Installation]:
    with Installation(MAILHUB_POLL_INTERVAL_SECONDS="2") as running:
        yield running


@pytest.fixture
def sandbox(mailhub: Installation) -> Sandbox:
    """The one that the installation runs."""
    found = Sandbox()
    found.data_dir, found.base_url = mailhub.data, mailhub.url
    found.endpoints = json.loads((mailhub.data / "sandbox" / "endpoints.json").read_text())
    return found


def test_a_program_drives_all_of_it(mailhub: Installation, sandbox: Sandbox) -> None:
    made = json.loads(mailhub.manage("create_tenant", "Contoso", "--owner", "olga@contoso.example", "--json"))
    key = json.loads(
        mailhub.manage(
            *("create_api_key", "--tenant", made["tenant"], "--name", "script", "--role", "admin", "--read-mail"),
            "--json",
        )
    )["key"]
    api = Api(mailhub.url, key)

    app = register(api, sandbox)
    mailbox = connect(api, sandbox, app)
    every_message_is_read_byte_for_byte(api, sandbox, mailbox)
    a_message_leaves(api, sandbox, mailbox)
    it_is_stopped_and_goes_on(api, mailbox)
    the_organisation_opens_one_by_itself(api, sandbox)
    it_is_disconnected(api, mailbox)
    the_chain_is_whole(api)
    assert key not in mailhub.output()


def register(api: Api, sandbox: Sandbox) -> str:
    client_id, client_secret = sandbox.client
    given = {"name": "Sandbox", "preset": "sandbox", "client_id": client_id, "client_secret": client_secret}
    made = api("POST", "/provider-apps", 201, given)
    assert made["reason"] is None
    assert client_secret not in json.dumps(made)
    return str(made["id"])


def connect(api: Api, sandbox: Sandbox, app: str) -> str:
    sandbox.deliver(ALICE, LETTER)
    link = api("POST", "/connect-links", 201, {"provider_app": app, "address": ALICE})
    (mailbox,) = api.all(f"/mailboxes?address={ALICE}")
    assert (mailbox["state"], mailbox["token"]) == ("pending", None)

    owner = requests.Session()
    owner.trust_env = False
    page = owner.get(link["url"], timeout=30)
    form = dict(re.findall(r'name="(csrfmiddlewaretoken)" value="([^"]+)"', page.text))
    sent = owner.post(link["url"], data=form, headers={"Referer": link["url"]}, timeout=30, allow_redirects=False)
    back = sandbox.consent(sent.headers["Location"], ALICE)
    last = owner.get(back, timeout=60)
    assert last.status_code == 200, last.text

    mailbox = api("GET", f"/mailboxes/{mailbox['id']}")
    assert (mailbox["state"], mailbox["reason"], mailbox["token"]["subject"]) != ("pending", None, "")
    assert mailbox["state"] == "active"
    assert set(mailbox["token"]["scopes"]) >= {"mail.imap", "mail.smtp"}
    return str(mailbox["id"])


def every_message_is_read_byte_for_byte(api: Api, sandbox: Sandbox, mailbox: str) -> None:
    run = api("POST", f"/mailboxes/{mailbox}/sync", 202)
    assert run["state"] in ("queued", "running", "done")
    inbox = sandbox.mail(ALICE)

    def stored() -> list[dict[str, Any]]:
        folder = next((each for each in api.all(f"/mailboxes/{mailbox}/folders") if each["role"] == "inbox"), None)
        return api.all(f"/mailboxes/{mailbox}/messages?folder={folder['id']}") if folder else []

    until("the inbox is read", lambda: len(stored()) == len(inbox), seconds=60)
    assert sorted(each["sha256"] for each in stored()) == sorted(each["sha256"] for each in inbox)
    (letter,) = api.all(f"/mailboxes/{mailbox}/messages?q=for%20the%20program")
    assert api("GET", f"/messages/{letter['id']}/raw") == LETTER
    assert letter["sha256"] == hashlib.sha256(LETTER).hexdigest()
    assert api("GET", f"/messages/{letter['id']}")["from"] == [{"name": "", "address": "zoe@elsewhere.test"}]

    def runs() -> set[str]:
        return {each["state"] for each in api.all(f"/mailboxes/{mailbox}/sync-runs")}

    until("a run says that it is done", lambda: "done" in runs(), seconds=60)


def a_message_leaves(api: Api, sandbox: Sandbox, mailbox: str) -> None:
    draft = {"to": [BOB], "subject": "From a program", "text": "Hello Bob\n"}
    first = api("POST", f"/mailboxes/{mailbox}/outbox", 202, draft, **{"Idempotency-Key": "one"})
    again = api("POST", f"/mailboxes/{mailbox}/outbox", 202, draft, **{"Idempotency-Key": "one"})
    other = api("POST", f"/mailboxes/{mailbox}/outbox", 409, draft | {"text": "x"}, **{"Idempotency-Key": "one"})
    assert (again["id"], other["code"]) == (first["id"], "idempotency_conflict")

    def outbox() -> Any:
        return api("GET", f"/outbox/{first['id']}")

    until("it is sent", lambda: outbox()["state"] == "sent", seconds=60)
    stages = [each["stage"] for each in outbox()["attempts"]]
    assert stages == ["started", "connected", "signed_in", "recipients", "dot_follows", "accepted"]
    assert outbox()["sent_at"].endswith("Z")
    came = [each for each in sandbox.mail(BOB) if b"From a program" in sandbox.raw(BOB, each["uid"])]
    assert len(came) == 1


def it_is_stopped_and_goes_on(api: Api, mailbox: str) -> None:
    assert api("POST", f"/mailboxes/{mailbox}/suspend")["state"] == "suspended"
    skipped = api("POST", f"/mailboxes/{mailbox}/sync", 202)
    assert (skipped["state"], skipped["reason"]["code"]) == ("skipped", "suspended")
    assert api("POST", f"/mailboxes/{mailbox}/resume")["state"] == "active"


def the_organisation_opens_one_by_itself(api: Api, sandbox: Sandbox) -> None:
    client_id, client_secret = sandbox.client
    given = {"name": "Own client", "preset": "sandbox", "client_id": client_id, "client_secret": client_secret}
    app = api("POST", "/provider-apps", 201, given | {"flow": "client_credentials"})

    made = api(
        "POST", "/mailboxes", 201, {"provider_app": app["id"], "address": CAROL, "receive": "imap", "send": False}
    )

    assert (made["state"], made["token"]["subject"], made["send"]) == ("active", "", False), made
    until("it is read", lambda: api("GET", f"/mailboxes/{made['id']}")["last_synced_at"], seconds=60)


def it_is_disconnected(api: Api, mailbox: str) -> None:
    ended = api("POST", f"/mailboxes/{mailbox}/disconnect")
    assert set(ended) == {"revoked", "why"}
    after = api("GET", f"/mailboxes/{mailbox}")
    assert (after["state"], after["token"], after["next_poll_at"]) == ("disconnected", None, None)
    assert api("DELETE", f"/provider-apps/{after['provider_app']}", 409)["code"] == "in_use"


def the_chain_is_whole(api: Api) -> None:
    events = api.all("/audit-events")
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    deeds = {each["action"] for each in events if each["actor"]["kind"] == "key"}
    assert {"providerapp.created", "link.created", "outbox.queued", "message.opened", "mailbox.disconnected"} <= deeds
    verdict = api("GET", "/audit-events/verify")
    assert (verdict["ok"], verdict["count"], verdict["head"]) == (True, len(events), events[-1]["hash"])
