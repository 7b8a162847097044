"""The OpenAPI document, completed by what is the same for every call."""

from __future__ import annotations

from typing import Any

from ninja.schema import NinjaGenerateJsonSchema

from mailboxes.api.problems import KINDS, MEDIA_TYPE, ProblemDocument

OF_EVERY_CALL = ("auth", "role", "rate")
OF_INPUT = ("invalid",)
OF_BODIES = ("too_large",)


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Adds the problems that each call may answer, and their one schema."""
    schema = ProblemDocument.model_json_schema(
        ref_template="#/components/schemas/{model}", schema_generator=NinjaGenerateJsonSchema, mode="serialization"
    )
    schemas = document["components"]["schemas"]
    schemas.update(schema.pop("$defs", {}))
    schemas["ProblemDocument"] = schema
    for methods in document["paths"].values():
        for method, operation in methods.items():
            _add_problems(operation, may_have_body=method in ("post", "patch"))
    return document


def _add_problems(operation: dict[str, Any], *, may_have_body: bool) -> None:
    has_input = operation.get("requestBody") or operation["parameters"]
    codes = [*OF_EVERY_CALL, *(OF_INPUT if has_input else ()), *(OF_BODIES if may_have_body else ())]
    responses = operation["responses"]
    for code in codes:
        kind = KINDS[code]
        responses.setdefault(kind.status, {"description": f"`{code}`: {kind.title}"})
    if may_have_body:
        responses[400] = {"description": "`invalid`: The body is no JSON document"}
        responses[411] = {"description": "`invalid`: The body came without a Content-Length"}
        responses[415] = {"description": "`invalid`: The body is not sent as application/json"}
    for status, response in responses.items():
        if int(status) >= 400:
            reference = {"$ref": "#/components/schemas/ProblemDocument"}
            response["content"] = {MEDIA_TYPE: {"schema": reference}}
        if int(status) == 429:
            response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
