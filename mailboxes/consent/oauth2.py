"""allauth's OpenID Connect adapter, made strict: our discovery, our exchange, our judgement, and no login at the end."""

from __future__ import annotations

from typing import Any, NoReturn
from urllib.parse import urlencode

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from mailboxes.consent import answers
from mailboxes.consent.issuer import require_issuer
from mailboxes.errors import ConsentNeeded
from mailboxes.models import ConsentAttempt
from mailboxes.services import connect, discovery, id_token, provider_apps, tokens, trip
from mailboxes.services.refused import Refused
from mailboxes.services.token_endpoint import Answer


def social_app(attempt: ConsentAttempt) -> SocialApp:
    """Unsaved, and without the client secret: services/tokens.py alone speaks with the token endpoint."""
    app = attempt.provider_app
    return SocialApp(
        provider="mailbox",
        provider_id=f"mailbox-{app.pk}",  # the state in the session is bound to it
        name=discovery.facts(app).name,
        client_id=app.client_id,
        settings={
            "server_url": app.issuer,
            "oauth_pkce_enabled": True,
            "scope": attempt.scopes,
            "auth_params": {
                **discovery.facts(app).authorize_extra,
                "nonce": attempt.nonce,
                "login_hint": attempt.sign_in_as or attempt.mailbox.address,
            },
        },
    )


class MailboxOAuth2Client(OAuth2Client):
    """Builds the authorization request; the code is traded by services/tokens.py, so no secret comes here."""

    def get_redirect_url(self, authorization_url: str, scope: list[str], extra_params: dict[str, str]) -> str:
        """Scopes in a fixed order (allauth sends a set's), and a query that the endpoint already has is kept."""
        params = {
            "client_id": self.consumer_key,
            "redirect_uri": self.callback_url,
            "scope": " ".join(dict.fromkeys(scope)),
            "response_type": "code",
            "state": self.state,
            **extra_params,
        }
        return f"{authorization_url}{'&' if '?' in authorization_url else '?'}{urlencode(params)}"


class MailboxOAuth2Adapter(OpenIDConnectOAuth2Adapter):
    client_class = MailboxOAuth2Client

    def __init__(self, request: HttpRequest, attempt: ConsentAttempt) -> None:
        super().__init__(request, f"mailbox-{attempt.provider_app_id}")
        self.attempt = attempt

    @property
    def openid_config(self) -> dict[str, Any]:
        """What was discovered and pinned before the trip began: nothing is fetched on the way."""
        return self.attempt.provider_app.discovery or {}

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return provider_apps.redirect_uri(self.attempt.provider_app)

    @sensitive_variables()
    def get_access_token_data(
        self, request: HttpRequest, app: SocialApp, client: OAuth2Client, pkce_code_verifier: str | None = None
    ) -> Answer:
        """The last stop before the code leaves: allauth has matched the session's state by now. Raises Refused, MailError."""
        attempt = self.attempt
        if attempt.started_by_id is not None and request.user.pk != attempt.started_by_id:
            raise Refused("other_user")
        require_issuer(request, attempt)
        if not trip.consume(attempt):
            raise Refused("state_used")
        try:
            return tokens.exchange_code(
                attempt.provider_app,
                code=request.GET["code"],
                verifier=pkce_code_verifier or "",
                redirect_uri=client.callback_url,
            )
        except ConsentNeeded as error:  # here invalid_grant speaks of the code, not of a permission
            raise Refused("provider_error", error.detail) from None

    def parse_token(self, data: Answer) -> None:
        """No SocialToken at all: tokens are ours alone."""

    @sensitive_variables()
    def complete_login(self, request: HttpRequest, app: SocialApp, token: None, **kwargs: Any) -> NoReturn:
        """Instead of a SocialLogin: the answer goes to our service, then we leave allauth."""
        attempt, answer = self.attempt, kwargs["response"]
        actor = answers.actor_of(request, attempt)
        try:
            claims = id_token.verify(answer.id_token, attempt.provider_app, nonce=attempt.nonce)
        except BaseException:
            connect.give_back_unknown(attempt, answer)
            raise
        raise ImmediateHttpResponse(answers.arrived(request, connect.complete(attempt, answer, claims, actor=actor)))
