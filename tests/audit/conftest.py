from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import transaction

import audit
from audit.models import AuditEvent
from tests.audit.lifted_triggers import flush_lifts_audit_triggers  # noqa: F401  a fixture

Write = Callable[..., AuditEvent]


@pytest.fixture
def person() -> audit.NamedActor:
    return audit.NamedActor("person", str(uuid4()), "ada@example.org")


@pytest.fixture
def tenant(db: None) -> Any:
    return apps.get_model(django_settings.AUDIT_TENANT_MODEL)._default_manager.create(name="Acme", slug="acme")


@pytest.fixture
def write(person: audit.NamedActor) -> Write:
    """A deed that is nothing but its event."""

    def write(tenant_id: UUID | None, action: str = "mailbox.connected", **more: Any) -> AuditEvent:
        with transaction.atomic():
            return audit.record(action, actor=more.pop("actor", person), tenant_id=tenant_id, **more)

    return write


@pytest.fixture
def chain(db: None, write: Write) -> UUID:
    """A chain of ten events."""
    tenant_id = uuid4()
    for number in range(10):
        write(tenant_id, detail={"number": number})
    return tenant_id


@pytest.fixture(autouse=True)
def head_log(settings: Any, tmp_path: Path) -> Path:
    """Keys and heads of this test alone."""
    settings.MAILHUB_ENV, settings.MAILHUB_DATA, settings.MAILHUB_AUDIT_KEY = "local", tmp_path, ""
    settings.MAILHUB_AUDIT_HEADS = tmp_path / "audit-heads.jsonl"
    return tmp_path / "audit-heads.jsonl"
