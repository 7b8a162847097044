"""The provider's token and revocation endpoints, by Authlib on the guarded session; what it answers, as our errors.

Clear secrets come in as arguments from services/tokens.py and go nowhere but to the endpoint given.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from mailboxes.errors import (
    AdminApprovalNeeded,
    AnswerLost,
    AppMisconfigured,
    ConsentNeeded,
    MailError,
    ProtocolFault,
    ServerUnavailable,
    Throttled,
)
from mailboxes.protocols.egress import Egress
from mailboxes.protocols.http import guard, mail_error
from mailboxes.protocols.replies import redact
from mailboxes.providers import Provider

DEFAULT_LIFE = timedelta(hours=1)  # where the answer names none (RFC 6749, 5.1: the server should)
LONGEST_LIFE = timedelta(days=365)
LONGEST_WAIT = timedelta(hours=1)  # no Retry-After keeps us away for longer

_CONSENT = {"invalid_grant", "interaction_required", "consent_required", "login_required", "account_selection_required"}
_APP = {"invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type", "invalid_request"}


@dataclass(frozen=True)
class Endpoint:
    """Whom we ask, and who we are there."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    auth_method: str
    provider: Provider
    egress: Egress


@dataclass(frozen=True)
class Answer:
    """A token endpoint's answer (RFC 6749, 5.1)."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    scopes: tuple[str, ...] | None  # None: not said, so as asked
    id_token: str = field(repr=False, default="")
    milliseconds: int = 0


def exchange_code(at: Endpoint, *, code: str, verifier: str, redirect_uri: str) -> Answer:
    """Trade a code (RFC 6749, 4.1.3; RFC 7636, 4.5). Raises MailError."""
    return _ask(
        at,
        lambda session: session.fetch_token(
            at.url, grant_type="authorization_code", code=code, code_verifier=verifier, redirect_uri=redirect_uri
        ),
        secrets=(code, verifier),
    )


def refresh(at: Endpoint, refresh_token: str) -> Answer:
    """RFC 6749, section 6. Raises MailError."""
    return _ask(
        at, lambda session: session.refresh_token(at.url, refresh_token=refresh_token), secrets=(refresh_token,)
    )


def client_credentials(at: Endpoint, scope: str) -> Answer:
    """RFC 6749, 4.4. Raises MailError."""
    return _ask(at, lambda session: session.fetch_token(at.url, grant_type="client_credentials", scope=scope))


def revoke(at: Endpoint, token: str, hint: str) -> bool:
    """True when the provider confirmed it (RFC 7009, 2.2)."""
    with _session(at) as session:
        try:
            answer = session.revoke_token(at.url, token=token, token_type_hint=hint)
        except requests.RequestException:
            return False
        return bool(answer.status_code == 200)


def _session(at: Endpoint) -> OAuth2Session:
    """Authlib's session behind our one door."""
    session: OAuth2Session = guard(
        OAuth2Session(
            at.client_id,
            at.client_secret,
            token_endpoint_auth_method=at.auth_method,
            revocation_endpoint_auth_method=at.auth_method,
        ),
        at.egress,
    )
    session.register_client_auth_method(("client_secret_basic", _basic))
    return session


def _basic(client: Any, method: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """Form-encoded before Basic (RFC 6749, 2.3.1), which Authlib leaves out: a secret with % or + would be refused."""
    pair = f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
    headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    return uri, headers, body


def _ask(at: Endpoint, request: Callable[[OAuth2Session], object], *, secrets: tuple[str, ...] = ()) -> Answer:
    seen: list[requests.Response] = []

    def remember(response: requests.Response) -> requests.Response:
        seen.append(response)
        return response

    began = time.monotonic()
    with _session(at) as session:
        session.register_compliance_hook("access_token_response", remember)
        session.register_compliance_hook("refresh_token_response", remember)
        try:
            request(session)
        except (OAuthError, ValueError, requests.HTTPError, KeyError, TypeError):
            pass  # judged below, from the answer itself
        except requests.RequestException as error:
            raise _from_transport(error) from None
    milliseconds = round((time.monotonic() - began) * 1000)
    if not seen:
        raise ProtocolFault("the request could not be made")
    response = seen[0]
    content = _json(response)
    if response.status_code == 200 and isinstance(content.get("access_token"), str) and content["access_token"]:
        return _answer(content, milliseconds)
    raise _refusal(at, response, content, (at.client_secret, *secrets))


def _from_transport(error: requests.RequestException) -> MailError:
    """A MailError below it comes from dialling: no request left. A redirect is an answer. All else may have left."""
    if isinstance(error.__cause__, MailError) or isinstance(error, requests.exceptions.TooManyRedirects):
        return mail_error(error)
    lost = mail_error(error)
    return AnswerLost(lost.detail, private=lost.private)


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _answer(content: Mapping[str, Any], milliseconds: int) -> Answer:
    refresh_token, scope, id_token = (content.get(name) for name in ("refresh_token", "scope", "id_token"))
    return Answer(
        access_token=content["access_token"],
        refresh_token=refresh_token if isinstance(refresh_token, str) else "",
        expires_at=datetime.now(UTC) + _life(content.get("expires_in")),
        scopes=tuple(scope.split()) if isinstance(scope, str) and scope.strip() else None,
        id_token=id_token if isinstance(id_token, str) else "",
        milliseconds=milliseconds,
    )


def _life(seconds: object) -> timedelta:
    try:
        return min(max(timedelta(seconds=int(str(seconds))), timedelta()), LONGEST_LIFE)
    except (ValueError, OverflowError):
        return DEFAULT_LIFE


def _refusal(
    at: Endpoint, response: requests.Response, content: Mapping[str, Any], secrets: tuple[str, ...]
) -> MailError:
    """State follows `error` and `suberror`; a provider's own number only refines the words."""
    status, wait = response.status_code, retry_after(response.headers.get("Retry-After"), now=datetime.now(UTC))
    error, suberror, description = (str(content.get(name) or "") for name in ("error", "suberror", "error_description"))
    said = f"{error}: {description}" if description else error
    for secret in filter(None, secrets):
        said = said.replace(secret, "[…]")
    detail = redact(said) or f"HTTP {status}"
    better = at.provider.reason_for(error, suberror, description)
    if status == 429 or error == "slow_down":
        return Throttled(detail, retry_after=wait)
    if status >= 500 or error in ("temporarily_unavailable", "server_error"):
        return ServerUnavailable(detail, retry_after=wait)
    if better == "admin_approval":
        return AdminApprovalNeeded(detail)
    if error in _CONSENT or suberror == "consent_required":
        return ConsentNeeded(detail)
    if error in _APP or status in (401, 403):
        return AppMisconfigured(detail, code=better or None)
    if 200 <= status < 300:
        return AnswerLost("the answer holds no access token", code="token_answer")
    if not error:
        return ProtocolFault(detail, code="token_answer")
    return ServerUnavailable(detail, retry_after=wait)


def retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for (RFC 9110, 10.2.3), an hour at most; None if there is none."""
    if not value:
        return None
    if value.strip().isdecimal():
        return min(timedelta(seconds=min(int(value), 10**6)), LONGEST_WAIT)
    try:
        return min(max(parsedate_to_datetime(value) - now, timedelta()), LONGEST_WAIT)
    except (TypeError, ValueError):  # TypeError: the date names no time zone
        return None
