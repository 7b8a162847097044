"""Requests made up from the OpenAPI document, sound ones and unsound ones: every answer is one that the document names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, settings
from schemathesis import checks

from accounts.roles import Role
from mailhub.api import api
from tests.api.house import House

schema = schemathesis.openapi.from_dict(json.loads(json.dumps(api.get_openapi_schema())))
NOT_ASKED = [
    checks.positive_data_acceptance,  # what fits the document may be refused for what it says: an address that is none
    checks.ignored_auth,  # it takes the key that is sent here for an invented one; the golden matrix asks without
]


@pytest.fixture
def key(house: House) -> str:
    return house.program(Role.ADMIN, reads=True).key


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """As Django's own test client does: the end of a request does not end the transaction of the test."""
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_document_names(case: Any, house: House, key: str) -> None:
    for name, pk in house.ids().items():
        if name in (case.path_parameters or {}) and case.meta.generation.mode.is_positive:
            case.path_parameters[name] = str(pk)
    before = transaction.savepoint()

    response = case.call(
        app=get_wsgi_application(), base_url="http://localhost:8000", headers={"Authorization": f"Bearer {key}"}
    )

    transaction.savepoint_rollback(before)
    assert response.status_code < 500 or response.status_code == 503, response.text
    case.validate_response(response, excluded_checks=NOT_ASKED)
