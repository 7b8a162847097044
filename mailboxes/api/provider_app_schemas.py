"""What a provider app looks like on its way in and out."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from mailboxes.api.cursors import Next
from mailboxes.api.reasons import ReasonAnswer
from mailboxes.api.schema import Answer, Request, Text, example

Preset = Literal["google", "microsoft", "oidc", "sandbox"]
Flow = Literal["authorization_code", "client_credentials", "service_account"]
AuthMethod = Literal["client_secret_basic", "client_secret_post"]
Security = Literal["tls", "starttls"]
Scope = Text


class Server(Request):
    """A mail server. Tokens never go over an open line."""

    host: Text = Field(max_length=253)
    port: int = Field(ge=1, le=65535, strict=True)
    security: Security = "tls"


class Scopes(Request):
    """The mail scopes of each protocol; openid, email, profile and offline_access are added where they are known."""

    imap: list[Scope] | None = Field(None, max_length=50)
    pop3: list[Scope] | None = Field(None, max_length=50)
    smtp: list[Scope] | None = Field(None, max_length=50)


class _Settings(Request):
    flow: Flow | None = Field(None, description="`service_account` is not supported yet.")
    issuer: Text | None = Field(None, max_length=300, description="As the provider writes it: https://…")
    imap: Server | None = None
    pop3: Server | None = None
    smtp: Server | None = None
    scopes: Scopes | None = None
    auth_method: AuthMethod | None = Field(None, description="How the client proves itself at the token endpoint.")
    exclusive: bool = Field(False, description="No other product uses this client: permissions may be revoked there.")
    secret_expires_at: date | None = Field(None, description="When the client secret ends; people are reminded.")

    def given(self) -> dict[str, Any]:
        """For the service: what the body names, and nothing else."""
        found = self.model_dump(exclude_unset=True)
        if isinstance(found.get("scopes"), dict):
            found["scopes"] = {name: scopes for name, scopes in found["scopes"].items() if scopes is not None}
        for name in ("imap", "pop3", "smtp"):
            server = getattr(self, name)
            if server is not None:
                found[name] = server.model_dump()
        return found


class NewApp(_Settings):
    model_config = example(
        name="Contoso Mail",
        preset="oidc",
        issuer="https://login.example.org",
        client_id="mailhub",
        client_secret="what the provider gave",  # noqa: S106 - an example
        imap={"host": "imap.example.org", "port": 993, "security": "tls"},
        smtp={"host": "smtp.example.org", "port": 587, "security": "starttls"},
        scopes={"imap": ["mail.imap"], "smtp": ["mail.smtp"]},
    )

    name: Text = Field(min_length=1, max_length=80)
    preset: Preset
    client_id: Text = Field(min_length=1, max_length=300)
    client_secret: Text = Field(min_length=1, max_length=4000, json_schema_extra={"format": "password"})


class ChangedApp(_Settings):
    model_config = example(client_secret="the new one", secret_expires_at="2027-11-21")  # noqa: S106 - an example

    name: Text | None = Field(None, min_length=1, max_length=80)
    preset: Preset | None = Field(None, description="Stays what it is.")
    client_id: Text | None = Field(None, min_length=1, max_length=300)
    client_secret: Text | None = Field(
        None, min_length=1, max_length=4000, description="Left out: stays.", json_schema_extra={"format": "password"}
    )

    @model_validator(mode="after")
    def _something(self) -> ChangedApp:
        if not self.model_fields_set:
            raise ValueError("The body names nothing to change.")
        return self

    def given(self) -> dict[str, Any]:
        required = ("name", "preset", "client_id", "client_secret")  # null: stays; elsewhere null: as the preset has it
        return {name: value for name, value in super().given().items() if value is not None or name not in required}


class ServerAnswer(Answer):
    host: str
    port: int
    security: Security


class ScopesAnswer(Answer):
    imap: list[str] = []
    pop3: list[str] = []
    smtp: list[str] = []


class AppAnswer(Answer):
    """A provider app, without its secret."""

    id: UUID
    name: str
    preset: Preset
    flow: Flow
    issuer: str
    client_id: str
    imap: ServerAnswer | None
    pop3: ServerAnswer | None
    smtp: ServerAnswer | None
    scopes: ScopesAnswer
    auth_method: AuthMethod
    exclusive: bool
    secret_expires_at: date | None
    redirect_uri: str = Field(description="To be registered at the provider, exactly so.")
    reason: ReasonAnswer | None = Field(description="What is wrong with it now; null: nothing.")


class AppPage(Answer):
    items: list[AppAnswer]
    next: Next
