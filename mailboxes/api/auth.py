"""The door of the API: whose key it is, how often it asks, and whether its role reaches as far as the call."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest
from ninja.security import HttpBearer

from accounts.models import ApiKey
from accounts.models.api_key import PREFIX, digest_of
from accounts.roles import Right
from mailboxes.api import limits, problems
from mailboxes.api.problems import Problem

LONGEST_KEY: Final = 100  # characters; ours have 46


class BearerKey(HttpBearer):
    """`Authorization: Bearer mh_…`. A session opens nothing here, so that no page can make a browser ask."""

    openapi_bearerFormat = "mh_…"
    openapi_description = "A key of one organisation, made on the page “API keys” or by `manage.py create_api_key`."

    def __init__(self, right: Right, *, greatest_body: int) -> None:
        super().__init__()
        self.right = right
        self.greatest_body = greatest_body

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey:
        """Raises Problem: auth, rate, role, too_large, in this order."""
        key = find(token)
        if key is None:
            raise Problem("auth")
        limits.count(key)
        if self.right not in key.rights():
            raise Problem("role", f"The call needs the right “{self.right.value}”.")
        limits.read_body(request, self.greatest_body)
        return key


def find(token: str) -> ApiKey | None:
    """The key, if it still opens anything."""
    if not token.startswith(PREFIX) or len(token) > LONGEST_KEY:
        return None
    key = ApiKey.objects.select_related("tenant", "made_by").filter(digest=digest_of(token)).first()
    return key if key is not None and key.is_active and key.rights() else None


def key_of(request: HttpRequest) -> ApiKey:
    """Who asks, after the door."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]
    return key


def opens(right: Right, *codes: str, greatest_body: int = limits.GREATEST_BODY, **described: Any) -> dict[str, Any]:
    """For a route: the right that it asks for, and the problems that it may answer besides those of every call."""
    responses: dict[int, Any] = described.pop("responses", {})
    for code in codes:
        kind = problems.KINDS[code]
        said = responses.setdefault(kind.status, {"description": ""})
        said["description"] = " · ".join(filter(None, (said["description"], f"`{code}`: {kind.title}")))
    extra = {"responses": responses, "x-right": right.value, **described}
    return {"auth": BearerKey(right, greatest_body=greatest_body), "openapi_extra": extra, "by_alias": True}
