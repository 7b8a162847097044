"""The way round the audit triggers that only tests have: to tamper on purpose, and to flush between tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.operations import BaseDatabaseOperations

TABLES = ("audit_auditevent", "audit_chainhead")


@contextmanager
def lifted_triggers(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Inside, whoever can write to the database can do anything to the chain; afterwards the triggers stand again."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (%s, %s)", TABLES
            )
            triggers = cursor.fetchall()
            down = [f"DROP TRIGGER {name}" for name, _ in triggers]
            up = [sql for _, sql in triggers]
        else:
            cursor.execute("SELECT tablename FROM pg_tables WHERE tablename IN (%s, %s)", TABLES)
            tables = [name for (name,) in cursor.fetchall()]
            down = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables]
            up = [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in tables]
        for statement in down:
            cursor.execute(statement)
        yield
        for statement in up:
            cursor.execute(statement)


@pytest.fixture(scope="session", autouse=True)
def flush_lifts_audit_triggers() -> Iterator[None]:
    """Django empties the tables after each transactional test (DELETE on SQLite, TRUNCATE on PostgreSQL)."""
    flush = BaseDatabaseOperations.execute_sql_flush

    def lifting(self: Any, sql_list: list[str]) -> None:
        with lifted_triggers(self.connection):
            flush(self, sql_list)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", lifting)
        yield
