"""Every reference between rows, of all our applications: none may lead out of a tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import models

from accounts import references
from accounts.ids import new_id
from accounts.models import Tenant, TenantRow, User
from accounts.roles import Right
from accounts.visibility import TenantQuerySet

OURS = ("accounts", "mailboxes")
# What a tenant's row may point to besides rows of its own tenant.
SHARED = {Tenant, User}


def our_models() -> list[type[models.Model]]:
    return [model for label in OURS for model in apps.get_app_config(label).get_models()]


def foreign_keys() -> Iterator[tuple[type[models.Model], Any]]:
    for model in our_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, models.ForeignKey):
                yield model, field


BETWEEN_TENANT_ROWS = [
    (model, field) for model, field in foreign_keys() if references.is_tenant_row(field.related_model)
]


def test_whatever_belongs_to_a_tenant_is_a_tenant_row_with_a_right_and_a_door() -> None:
    for model, field in foreign_keys():
        if model in SHARED:
            continue
        assert issubclass(model, TenantRow), f"{model._meta.label}.{field.name} points out of an unscoped table"
        assert isinstance(model.view_right, Right), model
        assert isinstance(model._default_manager.all(), TenantQuerySet), model
        related = field.related_model
        assert related in SHARED or issubclass(related, TenantRow), f"{model._meta.label}.{field.name}"


def test_no_relation_has_rows_of_its_own_that_nobody_checks() -> None:
    for model in our_models():
        for relation in model._meta.many_to_many:
            assert model is User, f"{model._meta.label}.{relation.name}: a relation's table has no tenant"


@pytest.mark.parametrize(("model", "field"), BETWEEN_TENANT_ROWS, ids=lambda each: getattr(each, "name", None))
def test_a_reference_to_another_tenants_row_is_refused(model: Any, field: Any) -> None:
    ours, theirs = new_id(), new_id()
    row = model(tenant_id=ours)

    setattr(row, field.name, field.related_model(tenant_id=ours))
    references.check_many(model, [row])

    setattr(row, field.name, field.related_model(tenant_id=theirs))
    with pytest.raises(references.CrossTenantReference):
        references.check_many(model, [row])
    with pytest.raises(references.CrossTenantReference):
        row.save()


def test_there_are_references_to_guard() -> None:
    assert len(BETWEEN_TENANT_ROWS) > 10
