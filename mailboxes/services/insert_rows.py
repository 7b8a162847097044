"""Many rows at once, without an instance of the model for each: for what arrives by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection, models

from accounts.models import TenantRow

Row = Mapping[str, Any]
"""Every column of a row by its attribute (`mailbox_id`, not `mailbox`); no default of the model is filled in."""

_AS_THEY_ARE = (models.CharField, models.TextField, models.IntegerField, models.BooleanField)
_EACH_ONCE = (models.ForeignKey, models.UUIDField, models.DateTimeField)  # many cells of a column are alike


def insert(model: type[TenantRow], tenant_id: UUID, rows: Sequence[Row]) -> None:
    """Inserts rows of one tenant by one prepared statement, inside a transaction.

    What rows refer to is not looked up, as `bulk_create` would: callers take each reference from a row of this tenant
    that they hold. Raises ValueError when a row lacks a column, has one too many or belongs to another tenant, and
    TypeError for a model with columns that need more care than this (secrets, files).
    """
    if not rows:
        return
    if not connection.in_atomic_block:
        raise RuntimeError("rows are inserted inside a transaction")
    statement, writers = _plan(model)
    names = writers.keys()
    for row in rows:
        if row.keys() != names:
            raise ValueError(f"not the columns of {model.__name__}: {sorted(row.keys() ^ names)}")
        if row["tenant_id"] != tenant_id:
            raise ValueError(f"a {model.__name__} of another tenant")
    columns = [write([row[name] for row in rows]) for name, write in writers.items()]
    with connection.cursor() as cursor:
        cursor.executemany(statement, list(zip(*columns, strict=True)))


@cache
def _plan(model: type[TenantRow]) -> tuple[str, dict[str, Callable[[list[Any]], list[Any]]]]:
    fields = model._meta.concrete_fields
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join("%s" for _ in fields)
    statement = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({places})"  # noqa: S608 - names of the model alone
    return statement, {field.attname: _writer(field) for field in fields}


def _writer(field: models.Field[Any, Any]) -> Callable[[list[Any]], list[Any]]:
    """From Python's values of a column to the database's."""

    def one_by_one(cells: list[Any]) -> list[Any]:
        return [field.get_db_prep_save(cell, connection) for cell in cells]

    def each_once(cells: list[Any]) -> list[Any]:
        known = {cell: field.get_db_prep_save(cell, connection) for cell in set(cells)}
        return [known[cell] for cell in cells]

    plain = type(field).__module__.startswith("django.db.models.fields")  # no field of our own: it may seal or refuse
    if plain and isinstance(field, _EACH_ONCE):
        return each_once
    if plain and isinstance(field, models.JSONField):
        return one_by_one
    if plain and isinstance(field, _AS_THEY_ARE):
        return list
    raise TypeError(f"{field} is not written without its model")
