"""The API as Django and OpenAPI see it: what holds for every call, whichever noun it is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NoReturn

from csp.decorators import csp_update
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.parser import Parser

from mailboxes.api import openapi, problems
from mailboxes.api.problems import Problem

# The pictures of ninja's page lie in its style sheet as data: URLs.
docs_policy: Final = csp_update({"img-src": ["'self'", "data:"]})


class StrictParser(Parser):
    """NaN and Infinity are no JSON (RFC 8259, 6), though Python's parser takes them."""

    def parse_body(self, request: HttpRequest) -> Any:
        return json.loads(request.body, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


class MailhubAPI(NinjaAPI):
    """Opened by keys alone: no page of the site's sign-in, no second factor, no CSRF token stands before it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(parser=StrictParser(), docs_decorator=docs_policy, **options)
        problems.add_handlers(self)

    def _get_urls(self) -> list[Any]:
        patterns: list[Any] = super()._get_urls()
        for pattern in patterns:
            pattern.callback = login_not_required(csrf_exempt(_uniform(pattern.callback)))
        return patterns

    def get_openapi_schema(self, **where: Any) -> Any:
        return openapi.complete(super().get_openapi_schema(**where))


def _uniform(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What ninja answers by itself, said in our way; and nothing of the API lies in anybody's cache."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if response.status_code == 405:
            allowed = {"Allow": response["Allow"]}
            problem = Problem("invalid", f"{request.method} is not possible here.", status=405, headers=allowed)
            return problems.answer(request, problem)
        response.setdefault("Cache-Control", "no-store")
        return response

    return answered


@csrf_exempt
@login_not_required
def unknown(request: HttpRequest, rest: str = "") -> HttpResponse:
    """An address below /api/ that no call has."""
    return problems.answer(request, Problem("not_found", "There is no such call."))
