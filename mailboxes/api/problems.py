"""Every answer that is not a success: a problem document (RFC 9457) with a code that stays the same for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from django.core.exceptions import ValidationError as Refusal
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as Misfit
from pydantic import Field

from mailboxes.api.schema import Answer

MEDIA_TYPE: Final = "application/problem+json"
_OURS: Final = {"sender": "from"}  # what services call a field that has another name here


class Kind(NamedTuple):
    status: int
    title: str
    detail: str


KINDS: Final[dict[str, Kind]] = {
    "auth": Kind(401, "No valid key", "Send a key that works: Authorization: Bearer mh_…"),
    "role": Kind(403, "The key may not do this", "The key's role, or its right to read mail, does not reach that far."),
    "not_found": Kind(404, "Not found", "There is nothing here under this id."),
    "invalid": Kind(422, "The request is not acceptable", "The request is not acceptable."),
    "idempotency_conflict": Kind(409, "Key used for another request", "This Idempotency-Key came with another body."),
    "in_use": Kind(409, "In use", "Something still points to it."),
    "rate": Kind(429, "Too many requests", "This key has asked too often; come back after Retry-After seconds."),
    "too_large": Kind(413, "Too large", "The request is larger than what is taken here."),
    "unavailable": Kind(503, "Not possible now", "Something that is needed for this does not answer now; try again."),
    "internal": Kind(500, "A fault on our side", "Mailhub could not finish this. The log knows more under request_id."),
}


class FieldFault(Answer):
    field: str = Field(description="Which part of the request: a path of names with dots, or '' for the whole.")
    message: str = Field(description="What is wrong with it, in a sentence.")


class ProblemDocument(Answer):
    """RFC 9457. Programs look at `code`, people at `detail`."""

    type: str = Field(
        description="A link to the explanation of the code.", json_schema_extra={"format": "uri-reference"}
    )
    title: str
    status: int
    code: str = Field(description="Stays the same for ever.", json_schema_extra={"enum": list(KINDS)})
    detail: str = Field(description="What happened, and what to do, in words.")
    errors: list[FieldFault] = Field(default=[], description="For `invalid`: each fault, with the field it lies in.")
    request_id: str = Field(description="The name of this request in Mailhub's log; also the header X-Request-ID.")


class Problem(Exception):
    """Ends a call. `errors`: field → sentence; `status` only where the usual one of the code says too little."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Mapping[str, str] | None = None,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.errors = dict(errors or {})
        self.status = status
        self.headers = dict(headers or {})


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The document. Never holds what was sent: a secret may be among it."""
    kind = KINDS[problem.code]
    status = problem.status or kind.status
    errors = [{"field": field, "message": message} for field, message in problem.errors.items()]
    said = " ".join(f"{each['field']}: {each['message']}" if each["field"] else each["message"] for each in errors)
    document: dict[str, Any] = {
        "type": f"/api/v1/docs#{problem.code}",
        "title": kind.title,
        "status": status,
        "code": problem.code,
        "detail": problem.detail or said or kind.detail,
        "errors": errors,
        "request_id": getattr(request, "request_id", ""),
    }
    response = JsonResponse(document, status=status, content_type=MEDIA_TYPE, headers=problem.headers)
    response["Cache-Control"] = "no-store"
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Mailhub"'
    return response


def of_refusal(refusal: Refusal) -> Problem:
    """A service said no, with words for each field."""
    if not hasattr(refusal, "error_dict"):
        return Problem("invalid", errors={"": " ".join(refusal.messages)})
    found = {_OURS.get(name, name): " ".join(words) for name, words in refusal.message_dict.items()}
    return Problem("invalid", errors={"" if name == "__all__" else name: words for name, words in found.items()})


def of_misfit(misfit: Misfit) -> Problem:
    """The request does not have the shape of the call; pydantic's own sentences, without what was sent."""
    errors: dict[str, str] = {}
    for each in misfit.errors:
        place = [str(part) for part in each["loc"]]
        place = place[2:] if place[0] == "body" else place[1:]  # after "body" stands the name of our own parameter
        message = str(each["msg"]).removeprefix("Value error, ")
        errors.setdefault(".".join(place), message if message.endswith(".") else f"{message}.")
    return Problem("invalid", errors=errors)


def add_handlers(api: Any) -> None:
    """What may be raised in a call, and what it is answered with."""
    own: dict[type[Exception], Callable[[Any], Problem]] = {
        Problem: lambda problem: problem,
        Misfit: of_misfit,
        Refusal: of_refusal,
        Http404: lambda _: Problem("not_found"),
        AuthenticationError: lambda _: Problem("auth"),
        HttpError: lambda _: Problem("invalid", "The body is no JSON document.", status=400),
    }
    for kind, make in own.items():
        api.add_exception_handler(kind, partial(_answered, make))


def _answered(make: Callable[[Any], Problem], request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(request, make(error))
