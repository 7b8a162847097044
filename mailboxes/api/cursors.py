"""Lists page by page: the next page begins after the last row seen, whatever was added or removed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from ninja import Query
from pydantic import Field

from mailboxes.api.auth import key_of
from mailboxes.api.problems import Problem
from mailboxes.api.schema import Answer, Text

DEFAULT_LIMIT = 50
GREATEST_LIMIT = 500


class Page(Answer):
    """Asked for with every list."""

    after: Text | None = Field(None, max_length=500, description="The `next` of the page before.")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=GREATEST_LIMIT, description="Rows of a page.")


Paging = Annotated[Page, Query()]
Next = Annotated[str | None, Field(description="Send it as `after` for the next page; null: this is the last one.")]


def page(
    request: HttpRequest, rows: QuerySet[Any], asked: Page, show: Callable[[Any], dict[str, Any]], *columns: str
) -> dict[str, Any]:
    """One page of `rows`, in the order of `columns` (all of them ascending or, with a minus, all descending).

    The last column must be unique in the list.
    """
    names = [column.lstrip("-") for column in columns]
    rows = rows.order_by(*columns)
    if asked.after is not None:
        rows = rows.filter(_beyond(names, _read(request, asked.after, names), "lt" if columns[0][0] == "-" else "gt"))
    found = list(rows[: asked.limit + 1])
    shown = found[: asked.limit]
    more = len(found) > asked.limit
    return {"items": [show(row) for row in shown], "next": _write(request, shown[-1], names) if more else None}


def _beyond(names: list[str], values: list[Any], way: str) -> Q:
    """(a, b) < (x, y) as a < x, or a = x and b < y; said so that an index on (a, b) is used."""
    first, *rest = names
    if not rest:
        return Q(**{f"{first}__{way}": values[0]})
    equal = Q(**{first: values[0]}) & _beyond(rest, values[1:], way)
    return Q(**{f"{first}__{way}e": values[0]}) & (Q(**{f"{first}__{way}": values[0]}) | equal)


def _salt(request: HttpRequest) -> str:
    """A cursor is good for the list that it came from, with the same filters, and for its tenant alone."""
    asked = {name: values for name, values in request.GET.lists() if name not in ("after", "limit")}
    return f"mailboxes.api.cursor:{key_of(request).tenant_id}:{request.path}:{sorted(asked.items())}"


def _write(request: HttpRequest, row: Model, names: list[str]) -> str:
    return signing.dumps([_plain(getattr(row, name)) for name in names], salt=_salt(request))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    return {"id": str(value)} if isinstance(value, UUID) else value


def _read(request: HttpRequest, cursor: str, names: list[str]) -> list[Any]:
    try:
        values = signing.loads(cursor, salt=_salt(request))
    except signing.BadSignature:
        raise Problem("invalid", errors={"after": "This is no cursor of this list."}) from None
    return [_loaded(value) for value in values]


def _loaded(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["at"]) if "at" in value else UUID(value["id"])
    return value
