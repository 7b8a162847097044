from __future__ import annotations

import time
import uuid

import pytest
from django.db import IntegrityError, transaction

from accounts.ids import new_id
from accounts.models import Tenant, User
from tests.accounts.people import make_member, make_tenant, make_user


def test_ids_are_uuids_of_version_seven_in_the_order_of_their_making() -> None:
    ids = []
    for _ in range(200):
        ids.append(new_id())

    assert ids == sorted(ids)
    assert len(set(ids)) == 200
    assert {made.version for made in ids} == {7}
    assert {made.variant for made in ids} == {uuid.RFC_4122}
    assert abs((ids[0].int >> 80) / 1000 - time.time()) < 5


@pytest.mark.django_db
def test_an_address_is_one_person_without_regard_to_case() -> None:
    person = make_user("Anna@Example.ORG")

    assert person.email == "anna@example.org"
    assert User.objects.get_by_natural_key("ANNA@example.org") == person
    with pytest.raises(IntegrityError), transaction.atomic():
        make_user("aNNA@example.org")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email="ANNA@EXAMPLE.ORG")])


@pytest.mark.django_db
def test_slugs_are_unique_and_readable() -> None:
    slugs = [make_tenant(name).slug for name in ("Contoso & Söhne", "Contoso & Söhne", "Contoso", "…")]

    assert slugs == ["contoso-sohne", "contoso-sohne-2", "contoso", "tenant"]


@pytest.mark.django_db
def test_a_new_name_keeps_the_slug() -> None:
    tenant = make_tenant()

    tenant.name = "Fabrikam"
    tenant.save()

    assert Tenant.objects.get().slug == "contoso"


@pytest.mark.django_db
def test_staff_are_those_who_belong_somewhere_or_keep_the_installation() -> None:
    assert make_member(make_tenant()).is_staff
    assert make_user(is_superuser=True).is_staff
    assert not make_user().is_staff
