"""Django's cache in the database, with values as JSON: its own pickles them, so that a row written by somebody else is code.

One statement a write: of two processes that `add` the same expired key, one gets it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.db import DatabaseError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

NEVER = datetime.max.replace(microsecond=0, tzinfo=UTC)


class JsonDatabaseCache(DatabaseCache):
    """For SQLite and PostgreSQL. What is no JSON raises TypeError when it is set; a row that is none counts as missing."""

    _table: str
    _max_entries: int

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        names = {self.make_and_validate_key(key, version=version): key for key in keys}
        if not names:
            return {}
        connection = connections[router.db_for_read(self.cache_model_class) or "default"]
        marks = ", ".join(["%s"] * len(names))
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT cache_key, value FROM {self._quoted(connection)} WHERE cache_key IN ({marks}) AND expires > %s",  # noqa: S608
                [*names, _moment(connection, timezone.now())],
            )
            rows = cursor.fetchall()
        found = {}
        for name, text in rows:
            try:
                found[names[name]] = json.loads(text)
            except ValueError:  # pickled by an earlier version, or planted
                continue
        return found

    def _base_set(self, mode: str, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT) -> bool:
        """`mode`: set, add (only where nothing lives) or touch. False when nothing was written."""
        connection = connections[router.db_for_write(self.cache_model_class) or "default"]
        table, now = self._quoted(connection), timezone.now()
        seconds = self.get_backend_timeout(timeout)  # since 1970; None = for ever
        until = _moment(connection, NEVER if seconds is None else datetime.fromtimestamp(seconds, tz=UTC))
        if mode == "touch":
            statement = f"UPDATE {table} SET expires = %s WHERE cache_key = %s AND expires > %s"  # noqa: S608
            values = [until, key, _moment(connection, now)]
        else:
            statement = (
                f"INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s) "  # noqa: S608
                "ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
            )
            values = [key, json.dumps(value), until]
        if mode == "add":
            statement += f" WHERE {table}.expires <= %s"
            values.append(_moment(connection, now))
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                if mode != "touch":
                    self._make_room(connection, cursor, now)
                cursor.execute(statement, values)
                return bool(cursor.rowcount)
        except DatabaseError:  # as Django's: a cache that cannot be written holds nobody up
            return False

    def _make_room(self, connection: BaseDatabaseWrapper, cursor: CursorWrapper, now: datetime) -> None:
        """Only of what is over: were living rows taken too, strangers could push out the limits of the sign-in."""
        table = self._quoted(connection)
        cursor.execute(f"SELECT COUNT(*) FROM {table}")  # noqa: S608
        if cursor.fetchone()[0] >= self._max_entries:
            cursor.execute(f"DELETE FROM {table} WHERE expires <= %s", [_moment(connection, now)])  # noqa: S608

    def _quoted(self, connection: BaseDatabaseWrapper) -> str:
        return connection.ops.quote_name(self._table)


def _moment(connection: BaseDatabaseWrapper, moment: datetime) -> Any:
    """As the column holds it."""
    return connection.ops.adapt_datetimefield_value(moment)
