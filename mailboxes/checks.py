"""At the start: can the configured keys open what lies in the database? Asked by `check --database default`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connections

from mailboxes.models.secret_field import SecretField
from mailboxes.services.tokens import opens

LOOKED_AT = ("pk", "-pk")  # the oldest and the newest: a key that was dropped too early, and one that is alien


@register(Tags.database)
def stored_secrets_open(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """One value of each end of each table that holds secrets; nothing is shown of them."""
    if "default" not in (databases or ()):
        return []
    tables = set(connections["default"].introspection.table_names())
    faults: list[CheckMessage] = []
    for model in apps.get_models():
        fields = [field for field in model._meta.concrete_fields if isinstance(field, SecretField)]
        if model._meta.db_table not in tables:  # before the first migration
            continue
        faults += [fault for field in fields if (fault := _look_at(model, field.name))]
    return faults


def _look_at(model: Any, name: str) -> CheckMessage | None:
    rows = model._base_manager.filter(**{f"{name}__isnull": False}).only("pk", name)
    try:
        ends = [row for order in LOOKED_AT if (row := rows.order_by(order).first())]
    except DatabaseError:  # the column comes with a migration that has not run yet
        return None
    if all(opens(getattr(row, name)) for row in ends):
        return None
    return Error(
        f"MAILHUB_ENCRYPTION_KEYS does not open what is stored in {model._meta.db_table}.{name}.",
        hint="Put the key that sealed it back into MAILHUB_ENCRYPTION_KEYS (a comma list: the first encrypts, all decrypt). "
        "A database that was restored needs the keys of its time. Nothing was changed.",
        id="mailboxes.E001",
    )
