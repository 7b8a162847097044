"""Every own page of the mailbox administration, from the wrong side of each wall."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

import audit
from accounts.models import Membership, Tenant, User
from accounts.roles import Role
from audit.models import AuditEvent
from mailboxes.models import ConnectLink, Folder, Mailbox, Message, OutboxMessage
from mailboxes.services import bodies, links, outbox
from mailboxes.services.draft import Draft
from tests.accounts.people import make_member, make_tenant, make_user, signed_in
from tests.sync.mail import connected_mailbox

pytestmark = pytest.mark.django_db

RAW = (
    b"From: eve@example.net\r\nTo: anna@contoso.example\r\nSubject: CANARY-SUBJECT\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n'
    b"<p>CANARY-TEXT</p><script>alert(1)</script><a href='//admin/'>x</a><img src=https://evil.example/p>\r\n"
    b"--b\r\nContent-Type: image/svg+xml\r\n"
    b'Content-Disposition: attachment; filename="CANARY\r\n .svg"\r\n\r\n<svg onload="alert(1)"/>\r\n'
    b'--b\r\nContent-Type: text/html; name="../a\\"b.html"\r\nContent-Disposition: inline; filename="x;y.html"\r\n\r\n'
    b"<script>alert(1)</script>\r\n--b--\r\n"
)
PLACE = {"host": "imap.example.org", "port": 993, "security": "tls"}


@dataclass
class House:
    tenant: Tenant
    mailbox: Mailbox
    message: Message
    letter: OutboxMessage
    link: ConnectLink

    def urls(self) -> dict[str, str]:
        """Every address below the administration that is about a row of this house."""
        rows: dict[str, Any] = {
            "mailbox": self.mailbox,
            "message": self.message,
            "outboxmessage": self.letter,
            "providerapp": self.mailbox.provider_app,
        }
        found = {}
        for model, model_admin in admin.site._registry.items():
            row: Any = rows.get(model._meta.model_name or "")
            for pattern in model_admin.get_urls() if row else []:
                needed = pattern.pattern.converters
                if pattern.name is None or not needed:
                    continue
                values: dict[str, Any] = {"pk": row.pk, "object_id": row.pk, "number": 0}
                if pattern.name == "mailboxes_mailbox_link":
                    values["pk"] = self.link.pk
                found[pattern.name] = reverse(f"admin:{pattern.name}", kwargs={name: values[name] for name in needed})
        return found


@pytest.fixture(autouse=True)
def packs(settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = settings.STORAGES | {
        "packs": {**settings.STORAGES["packs"], "OPTIONS": {"location": tmp_path / "packs"}}
    }


@pytest.fixture
def house() -> House:
    tenant = make_tenant("Contoso")
    mailbox = connected_mailbox("anna@contoso.example", imap=PLACE, tenant=tenant)
    app = mailbox.provider_app
    app.smtp = {"host": "smtp.example.org", "port": 465, "security": "tls"}
    app.save()
    folder = Folder.objects.create(tenant=tenant, mailbox=mailbox, name="INBOX", role="inbox")
    message = Message.objects.create(
        tenant=tenant,
        mailbox=mailbox,
        folder=folder,
        uid=1,
        subject="CANARY-SUBJECT",
        search_text="canary-subject",
        date=timezone.now(),
        size=len(RAW),
        sha256="0" * 64,
        body=bodies.store_one(mailbox, RAW),
    )
    letter = outbox.queue(
        mailbox, Draft(to=["bob@example.net"], subject="CANARY-OUT", text="hello"), actor=audit.SYSTEM
    )
    link, _ = links.create_link(tenant, provider_app=app, address=mailbox.address, actor=audit.SYSTEM)
    return House(tenant, mailbox, message, letter, link)


def untouched(house: House) -> bool:
    mailbox = Mailbox.objects.get(pk=house.mailbox.pk)
    return (
        mailbox.state == "active"
        and mailbox.poll_requested_at is None
        and mailbox.token is not None
        and OutboxMessage.objects.get(pk=house.letter.pk).state == "queued"
        and links.standing(ConnectLink.objects.get(pk=house.link.pk)) == "open"
    )


def every_way(client: Client, url: str) -> list[Any]:
    form = {"address": "anna@contoso.example", "post": "yes", "confirm": "yes", "name": "taken"}
    return [client.get(url), client.head(url), client.options(url), client.post(url, form)]


def test_another_organisations_owner_finds_nothing_of_it(house: House) -> None:
    client = signed_in(make_member(make_tenant("Fabrikam"), reads=True))

    assert len(house.urls()) > 20
    for name, url in house.urls().items():
        for answer in every_way(client, url):
            # the stock short form of an address leads to the change page, which is a 404
            assert answer.status_code == 404 or answer["Location"].endswith("/change/"), name
    assert untouched(house)


def test_the_lists_of_another_organisation_hold_nothing_of_it_whatever_is_asked(house: House) -> None:
    client = signed_in(make_member(make_tenant("Fabrikam"), reads=True))

    for model in ("mailbox", "message", "outboxmessage", "providerapp"):
        url = reverse(f"admin:mailboxes_{model}_changelist")
        for query in (
            {},
            {"q": "canary"},
            {"q": "anna"},
            {"mailbox__id__exact": str(house.mailbox.pk)},
            {"mailbox__address__startswith": "anna"},
            {"mailbox__token__account__startswith": "a"},
            {"provider_app__client_id__startswith": "m"},
            {"provider_app__id__exact": str(house.mailbox.provider_app_id)},
            {"folder__id__exact": str(house.message.folder_id)},
            {"tenant": house.tenant.slug},
            {"tenant__id__exact": str(house.tenant.pk)},
            {"_to_field": "tenant"},
            {"_popup": "1"},
        ):
            text = client.get(url, query, follow=True).content.decode()
            assert "CANARY" not in text and "anna@contoso" not in text and "Contoso" not in text, (model, query)
    for app, model, field in (
        ("mailboxes", "message", "mailbox"),
        ("mailboxes", "outboxmessage", "mailbox"),
        ("mailboxes", "mailbox", "token"),
        ("mailboxes", "mailbox", "provider_app"),
        ("accounts", "membership", "user"),
        ("accounts", "membership", "tenant"),
    ):
        answer = client.get(
            "/admin/autocomplete/", {"app_label": app, "model_name": model, "field_name": field, "term": "a"}
        )
        assert answer.status_code in (403, 404) or not any(
            "anna" in str(each) or "Contoso" in str(each) for each in answer.json()["results"]
        ), field


def test_an_action_on_rows_of_another_organisation_reaches_none_of_them(house: House) -> None:
    client = signed_in(make_member(make_tenant("Fabrikam"), reads=True))

    for model, row, actions in (
        ("mailbox", house.mailbox, ("sync_now", "suspend", "resume", "delete_selected")),
        ("outboxmessage", house.letter, ("cancel", "delete_selected")),
    ):
        for action in actions:
            client.post(
                reverse(f"admin:mailboxes_{model}_changelist"),
                {"action": action, "_selected_action": [str(row.pk)], "select_across": "1", "index": "0"},
            )
    assert untouched(house)


def test_rights_count_row_by_row_for_somebody_who_belongs_to_two(house: House) -> None:
    person = make_member(make_tenant("Fabrikam"), Role.OWNER, reads=True)
    Membership.objects.create(tenant=house.tenant, user=person, role=Role.AUDITOR)
    client = signed_in(person)

    for name, url in house.urls().items():
        for answer in every_way(client, url):
            assert answer.status_code == 404 or answer["Location"].endswith("/change/"), name
    client.post(
        reverse("admin:mailboxes_mailbox_changelist"),
        {"action": "suspend", "_selected_action": [str(house.mailbox.pk)]},
    )
    compose = client.get(reverse("admin:mailboxes_outboxmessage_compose"), {"mailbox": str(house.mailbox.pk)})
    assert b"anna@contoso" not in compose.content
    assert untouched(house)


@pytest.mark.parametrize(
    "who", ["operator", "owner without the right", "platform operator", "platform operator, member"]
)
def test_nobody_reads_mail_without_the_right_to(house: House, who: str) -> None:
    person: User
    if who.startswith("platform"):
        person = make_user(is_superuser=True)
        if "member" in who:
            make_member(house.tenant, user=person, reads=True)
    else:
        person = make_member(house.tenant, Role.OPERATOR if who == "operator" else Role.OWNER)
    client = signed_in(person)

    pages = [url for name, url in house.urls().items() if "_message_" in name]
    pages += [reverse("admin:mailboxes_message_changelist"), reverse("dashboard")]
    pages += [
        url for name, url in house.urls().items() if name in ("mailboxes_mailbox_change", "mailboxes_mailbox_connected")
    ]
    for url in pages:
        for query in ("", "?tab=folders", "?tab=messages"):
            text = client.get(url + query, follow=True).content
            assert b"CANARY-SUBJECT" not in text and b"CANARY-TEXT" not in text, url
    assert not AuditEvent.objects.filter(action__startswith="message.").exists()


def test_a_platform_operator_does_no_deeds_for_an_organisation(house: House) -> None:
    client = signed_in(make_user(is_superuser=True))

    for url in house.urls().values():
        client.post(url, {"address": "anna@contoso.example", "name": "taken"})

    assert untouched(house)


@pytest.mark.parametrize("name", ["accounts_membership_add", "accounts_tenant_add"])
def test_no_parameter_leads_round_the_service_that_makes_a_row(house: House, name: str) -> None:
    client = signed_in(make_user(is_superuser=True) if "tenant" in name else make_member(house.tenant))
    before = (Membership.objects.count(), Tenant.objects.count())

    page = client.post(
        reverse(f"admin:{name}"), {"_saveasnew": "1", "name": "x", "role": "owner", "tenant": str(house.tenant.pk)}
    )

    assert page.status_code == 200 and page.context["form"].errors
    assert (Membership.objects.count(), Tenant.objects.count()) == before


def test_sending_again_from_a_mailbox_that_cannot_send_is_refused_in_words(house: House) -> None:
    OutboxMessage.objects.update(state="uncertain")
    Mailbox.objects.update(state="disconnected")

    page = signed_in(make_member(house.tenant)).post(house.urls()["mailboxes_outboxmessage_again"], follow=True)

    assert page.status_code == 200 and "connect it again first" in page.content.decode()
    assert OutboxMessage.objects.get().state == "uncertain"


def test_a_letter_cannot_act_whatever_it_holds(house: House) -> None:
    client = signed_in(make_member(house.tenant, reads=True))
    urls = house.urls()

    letter = client.get(urls["mailboxes_message_body"])
    files = [client.get(urls["mailboxes_message_attachment"].replace("/0/", f"/{n}/")) for n in range(2)]
    raw = client.get(urls["mailboxes_message_raw"])

    assert b"CANARY-TEXT" in letter.content and b"<script" not in letter.content and b"<img" not in letter.content
    assert b"href" not in letter.content.split(b"<body>")[1]
    policy = letter["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "allow-scripts" not in policy
    assert "allow-same-origin" not in policy and letter["X-Frame-Options"] == "SAMEORIGIN"
    for answer in (*files, raw):
        assert answer.status_code == 200
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["Content-Type"] in ("application/octet-stream", "message/rfc822")
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert not {"\r", "\n"} & set(answer["Content-Disposition"])
    assert raw.content == RAW


def test_the_audit_log_says_which_file_was_taken_out_but_not_what_it_is_called(house: House) -> None:
    client = signed_in(make_member(house.tenant, reads=True))

    client.get(house.urls()["mailboxes_message_attachment"])

    event = AuditEvent.objects.get(action="message.exported")
    assert event.detail == {"message": str(house.message.pk), "attachment": 0}
    assert "CANARY" not in event.object_label


def test_without_a_second_factor_no_page_opens_by_any_method(house: House) -> None:
    person = make_member(house.tenant, reads=True)
    client = signed_in(person)
    session = client.session
    session.pop("second_factor_set_up")
    session.save()

    for url in [*house.urls().values(), "/", "/admin/", "/admin/jsi18n/", "/admin/autocomplete/", "/admin/nothing/"]:
        for answer in every_way(client, url):
            assert answer.status_code == 302 and "/accounts/2fa/reauthenticate/" in answer["Location"], url
    for name in ("mfa_activate_totp", "mfa_add_webauthn", "mfa_generate_recovery_codes", "account_change_password"):
        assert "/2fa/reauthenticate/" in client.post(reverse(name))["Location"], name
    assert client.get(f"/admin/mailboxes/mailbox/{uuid4()}/change/").status_code == 302
    assert untouched(house)
