"""Nobody sees a button that he may not press, and nobody finds what belongs to another organisation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import reverse

from accounts.roles import Role
from tests.accounts.people import make_member, make_tenant, make_user, signed_in
from tests.pages.house import House


def pages_of(house: House) -> Iterator[str]:
    """Without those that name no object: they exist for everybody who may see the list."""
    ids = [str(each.pk) for each in (house.tenant, house.app, house.mailbox, house.link, house.message)]
    ids += [str(house.uncertain.pk), str(house.queued.pk), f"auditevent/{house.event.pk}/"]
    for page in house.pages():
        path = page.partition("?")[0]
        if any(each in path for each in ids):
            yield path


def test_what_belongs_to_another_organisation_is_not_there(house: House, neighbour: House) -> None:
    stranger = signed_in(make_member(house.tenant, Role.OWNER, reads=True))
    before = neighbour.rows()
    pages, deeds = set(pages_of(neighbour)), set(neighbour.deeds())
    pages.add(reverse("admin:mailboxes_mailbox_reconnect", args=[neighbour.mailbox.pk]))

    assert {page for page in pages if stranger.get(page).status_code != 404} == set()
    assert {
        deed for deed in deeds if stranger.post(deed, {"address": "anna@contoso.example"}).status_code != 404
    } == set()
    assert neighbour.rows() == before


def test_no_list_names_what_belongs_to_another_organisation(house: House, neighbour: House) -> None:
    type(neighbour.mailbox).objects.filter(pk=neighbour.mailbox.pk).update(address="secret@fabrikam.example")
    type(neighbour.app).objects.filter(pk=neighbour.app.pk).update(name="Fabrikam app")
    stranger = signed_in(make_member(house.tenant, Role.OWNER, reads=True))

    for page in house.pages():
        answer = stranger.get(page)
        text = b"".join(answer).decode() if answer.streaming else answer.content.decode()
        assert "secret@fabrikam.example" not in text and "Fabrikam" not in text, page


def test_the_message_list_offers_no_folder_of_another_organisation(house: House, neighbour: House) -> None:
    stranger = signed_in(make_member(house.tenant, Role.OWNER, reads=True))
    url = reverse("admin:mailboxes_message_changelist")

    answer = stranger.get(f"{url}?folder={neighbour.folder.pk}&mailbox__id__exact={neighbour.mailbox.pk}")

    assert answer.context["mailbox"] is None
    assert {row.tenant_id for row in answer.context["cl"].result_list} <= {house.tenant.pk}


def forbidden(house: House, role: Role) -> set[str]:
    """The addresses behind buttons that a role may not press."""
    changes = {
        reverse("admin:mailboxes_providerapp_add"),
        reverse("admin:mailboxes_providerapp_check", args=[house.app.pk]),
        reverse("admin:mailboxes_providerapp_remove", args=[house.app.pk]),
        reverse("admin:mailboxes_mailbox_disconnect", args=[house.mailbox.pk]),
        reverse("admin:audit_auditevent_changelist"),
        reverse("admin:accounts_membership_changelist"),
    }
    return {Role.OPERATOR: changes, Role.ADMIN: {reverse("admin:accounts_membership_add")}}[role]


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
@pytest.mark.parametrize("state", ["active", "reconnect", "misconfigured", "suspended"])
def test_a_role_sees_no_button_that_it_may_not_press(house: House, role: Role, state: str) -> None:
    reason = {"reconnect": "consent_revoked", "misconfigured": "app_misconfigured"}.get(state, "")
    type(house.mailbox).objects.filter(pk=house.mailbox.pk).update(state=state, reason=reason)
    person = signed_in(make_member(house.tenant, role))
    shown = {
        page: answer.content.decode()
        for page in house.pages()
        if (answer := person.get(page)).status_code == 200 and not answer.streaming
    }

    assert len(shown) > 15
    assert {(page, url) for page, text in shown.items() for url in forbidden(house, role) if f'"{url}' in text} == set()


def test_the_first_steps_offer_an_operator_no_page_that_is_closed_to_him(house: House) -> None:
    tenant = make_tenant("New")
    text = signed_in(make_member(tenant, Role.OPERATOR)).get(reverse("dashboard")).content.decode()

    assert "Four steps" in text and reverse("admin:mailboxes_providerapp_add") not in text


def test_an_auditor_sees_the_log_and_nothing_of_the_mailboxes(house: House) -> None:
    auditor = signed_in(make_member(house.tenant, Role.AUDITOR))

    opened = {page for page in house.pages() if auditor.get(page).status_code == 200}

    assert {page.partition("?")[0] for page in opened} == {
        reverse("dashboard"),
        reverse("admin:audit_auditevent_changelist"),
        reverse("admin:audit_auditevent_change", args=[house.event.pk]),
        reverse("admin:audit_auditevent_export", args=[house.tenant.pk]),
    }
    text = auditor.get(reverse("dashboard")).content.decode()
    assert "anna@contoso.example" not in text and "Connect a mailbox" not in text and "Open the audit log" in text


def test_an_auditor_can_do_no_deed(house: House) -> None:
    auditor = signed_in(make_member(house.tenant, Role.AUDITOR))
    before = house.rows()

    assert {auditor.post(deed).status_code for deed in house.deeds()} == {404}
    assert house.rows() == before


def test_an_operator_can_do_the_deeds_of_the_role_alone(house: House) -> None:
    operator = signed_in(make_member(house.tenant, Role.OPERATOR))

    refused = {deed for deed in house.deeds() if operator.post(deed).status_code == 404}

    assert refused == {
        reverse("admin:mailboxes_mailbox_disconnect", args=[house.mailbox.pk]),
        reverse("admin:mailboxes_providerapp_check", args=[house.app.pk]),
        reverse("admin:mailboxes_providerapp_remove", args=[house.app.pk]),
    }


def test_an_operator_looks_at_a_provider_app_and_cannot_save_it(house: House) -> None:
    operator = signed_in(make_member(house.tenant, Role.OPERATOR))
    page = reverse("admin:mailboxes_providerapp_change", args=[house.app.pk])

    text = operator.get(page).content.decode()

    assert 'name="client_secret"' not in text and "Your role may look but not change" in text
    assert operator.post(page, {"name": "Mine"}).status_code == 404


def test_the_platforms_operator_sees_mailboxes_and_no_mail_and_acts_for_none(house: House) -> None:
    keeper = signed_in(make_user("root@example.org", is_superuser=True))

    assert keeper.get(reverse("admin:mailboxes_mailbox_change", args=[house.mailbox.pk])).status_code == 200
    assert keeper.get(reverse("admin:mailboxes_message_change", args=[house.message.pk])).status_code == 404
    assert {keeper.post(deed).status_code for deed in house.deeds()} == {404}


def test_with_one_organisation_chosen_the_other_ones_buttons_are_its_own(house: House, neighbour: House) -> None:
    person = make_member(house.tenant, Role.OWNER)
    make_member(neighbour.tenant, Role.AUDITOR, user=person)
    client = signed_in(person)

    assert client.get(reverse("admin:mailboxes_mailbox_change", args=[neighbour.mailbox.pk])).status_code == 404
    client.get(f"/?tenant={neighbour.tenant.slug}")

    assert client.get(reverse("admin:mailboxes_mailbox_connect")).status_code == 404
    assert client.get(reverse("admin:mailboxes_mailbox_changelist")).status_code == 404
