from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from audit.canonical import GENESIS
from audit.models import AuditEvent, ChainHead
from tests.audit.conftest import Write

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def refused(statement: str, *parameters: object) -> None:
    with pytest.raises(IntegrityError, match="audit: "), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.mark.parametrize("column", [field.column for field in AuditEvent._meta.fields])
def test_no_column_of_an_event_can_be_changed(chain: UUID, column: str) -> None:
    refused(f"UPDATE audit_auditevent SET {column} = {column} WHERE seq = 5")


def test_an_event_cannot_be_removed(chain: UUID) -> None:
    refused("DELETE FROM audit_auditevent WHERE seq = 10")
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEvent.objects.get(seq=10).delete()


def test_an_event_can_be_neither_saved_again_nor_replaced(chain: UUID) -> None:
    event = AuditEvent.objects.get(seq=5)
    event.actor_label = "somebody else"

    with pytest.raises(IntegrityError), transaction.atomic():
        event.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEvent.objects.bulk_create(
            [event], update_conflicts=True, unique_fields=["id"], update_fields=["actor_label"]
        )


def test_an_event_cannot_be_put_in_the_middle_nor_beyond_the_end(chain: UUID) -> None:
    last = AuditEvent.objects.get(seq=10)
    for seq, previous_hash in ((5, last.hash), (11, GENESIS), (12, last.hash), (0, GENESIS)):
        last.pk, last.seq, last.previous_hash = None, seq, previous_hash
        with pytest.raises(IntegrityError, match="audit: "), transaction.atomic():
            last.save(force_insert=True)


@pytest.mark.parametrize("change", ["seq = 9", "seq = 10", "seq = 12", "seq = 11", "hash = 'x'"])
def test_the_head_of_a_chain_moves_only_on_to_its_next_event(chain: UUID, change: str) -> None:
    refused(f"UPDATE audit_chainhead SET {change}")


def test_the_head_of_a_chain_can_be_neither_removed_nor_begun_in_the_middle(chain: UUID) -> None:
    refused("DELETE FROM audit_chainhead")
    with pytest.raises(IntegrityError, match="audit: "), transaction.atomic():
        ChainHead.objects.bulk_create([ChainHead(chain=uuid4(), seq=7, hash=GENESIS)])


def test_no_database_has_a_statement_of_its_own_that_goes_round_the_refusals(chain: UUID) -> None:
    columns = ", ".join(field.column for field in AuditEvent._meta.fields)
    own = {
        "sqlite": [
            f"INSERT OR REPLACE INTO audit_auditevent ({columns}) SELECT {columns} FROM audit_auditevent WHERE seq = 5",
            "INSERT OR REPLACE INTO audit_chainhead (chain, seq, hash) SELECT chain, 0, hash FROM audit_chainhead",
            "UPDATE OR REPLACE audit_auditevent SET seq = 6 WHERE seq = 5",
        ],
        "postgresql": [
            "TRUNCATE audit_auditevent",
            "TRUNCATE audit_chainhead CASCADE",
            "MERGE INTO audit_auditevent a USING audit_chainhead h ON a.chain = h.chain WHEN MATCHED THEN DELETE",
        ],
    }
    for statement in own[connection.vendor]:
        refused(statement)


def test_a_good_next_event_cannot_take_the_place_of_an_older_one(chain: UUID) -> None:
    last = AuditEvent.objects.get(seq=10)
    last.pk, last.seq, last.previous_hash = AuditEvent.objects.get(seq=5).pk, 11, last.hash

    with pytest.raises(IntegrityError), transaction.atomic():
        last.save(force_insert=True)
    if connection.vendor == "sqlite":
        columns = [field.column for field in AuditEvent._meta.fields]
        values = [str(last.pk) if name == "id" else "11" if name == "seq" else name for name in columns]
        values[columns.index("previous_hash")] = "hash"
        refused(
            f"INSERT OR REPLACE INTO audit_auditevent ({', '.join(columns)}) "
            f"SELECT {', '.join(values)} FROM audit_auditevent WHERE seq = 10"
        )


@pytest.mark.django_db(transaction=True)
def test_the_tests_own_flush_empties_the_tables_and_leaves_the_triggers(write: Write) -> None:
    write(None)

    call_command("flush", interactive=False, verbosity=0)

    assert not AuditEvent.objects.exists()
    write(None)
    refused("DELETE FROM audit_auditevent")
