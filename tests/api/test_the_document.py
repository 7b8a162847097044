"""The OpenAPI document and its page."""

from __future__ import annotations

import json
import re
from typing import Any

from django.core.management import call_command
from openapi_spec_validator import OpenAPIV31SpecValidator

from mailboxes.api.problems import KINDS
from tests.accounts.people import browser


def document() -> dict[str, Any]:
    found: dict[str, Any] = browser().get("/api/v1/openapi.json").json()
    return found


def operations() -> list[dict[str, Any]]:
    return [operation for methods in document()["paths"].values() for operation in methods.values()]


def test_an_independent_validator_accepts_it() -> None:
    assert document()["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document()).validate()


def test_it_is_read_without_a_key_and_without_signing_in() -> None:
    answer = browser().get("/api/v1/openapi.json")

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_every_call_is_named_described_and_asks_for_a_key() -> None:
    names = [operation["operationId"] for operation in operations()]

    assert len(set(names)) == len(names) == 24
    for operation in operations():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
        assert operation["summary"] and operation["description"] and operation["tags"]
        assert operation["security"] == [{"BearerKey": []}]
        assert operation["x-right"]


def test_every_refusal_is_a_problem_document() -> None:
    for operation in operations():
        assert {"401", "403", "429"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                (kind,) = response["content"]
                assert kind == "application/problem+json"
    codes = document()["components"]["schemas"]["ProblemDocument"]["properties"]["code"]["enum"]
    promised = {"auth", "role", "not_found", "invalid", "idempotency_conflict", "in_use", "rate", "too_large"}
    assert promised < set(codes) == set(KINDS)


def test_bodies_have_an_example_and_secrets_go_in_alone() -> None:
    schemas = document()["components"]["schemas"]

    for name in ("NewApp", "ChangedApp", "NewLink", "NewMailbox", "NewMessage"):
        assert schemas[name]["examples"], name
        assert schemas[name]["additionalProperties"] is False
    with_secret = {name for name, schema in schemas.items() if "client_secret" in json.dumps(schema.get("properties"))}
    assert with_secret == {"NewApp", "ChangedApp", "AppAnswer"}  # the answer's auth_method is called client_secret_…
    assert "client_secret" not in schemas["AppAnswer"]["properties"]


def test_the_page_takes_everything_from_our_own_origin() -> None:
    answer = browser().get("/api/v1/docs")
    page = answer.content.decode()

    assert answer.status_code == 200
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    scripts = re.findall(r"<script([^>]*)>", page)
    assert all("src=" in script or 'type="application/json"' in script for script in scripts), scripts
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "img-src 'self' data:" in answer["Content-Security-Policy"]


def test_its_files_get_hashed_names_as_production_wants_them(settings: Any, tmp_path: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }

    call_command("collectstatic", verbosity=0, interactive=False)

    assert list((tmp_path / "ninja").glob("swagger-ui-bundle.*.js"))
