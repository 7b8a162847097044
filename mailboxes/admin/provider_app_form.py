"""The form of a provider app: what its preset leaves open, the rest behind "More"."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from accounts.models import Tenant
from mailboxes.models import ProviderApp
from mailboxes.providers import Provider

PROTOCOLS = ("imap", "pop3", "smtp")
SECURITY = [("tls", "TLS"), ("starttls", "STARTTLS")]
_SALT = "mailboxes.new-provider-app"


class ProviderAppForm(forms.Form):
    tenant = forms.ModelChoiceField(Tenant.objects.none(), label="Organisation", empty_label=None)
    name = forms.CharField(max_length=80, help_text="What people here call it, such as “Contoso Mail”.")
    issuer = forms.CharField(max_length=300, widget=forms.URLInput)
    client_id = forms.CharField(
        label="Client id", max_length=300, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    client_secret = forms.CharField(
        label="Client secret",
        required=False,
        strip=True,
        max_length=4000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    secret_expires_at = forms.DateField(
        label="The client secret ends on",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Mailhub reminds you before that day.",
    )
    exclusive = forms.BooleanField(
        label="Used by Mailhub alone",
        required=False,
        help_text="No other product uses this client or its project. Permissions may then be revoked at the provider.",
    )
    made = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(
        self,
        data: Any,
        *,
        app: ProviderApp,
        provider: Provider,
        tenants: QuerySet[Tenant],
        chosen: Tenant | None,
        may_change: bool = True,
    ) -> None:
        self.app, self.provider, self.is_new = app, provider, app.tenant_id is None
        if self.is_new and data is not None:
            self.app.pk = self.app.id = made_id(data.get("made", ""), app.pk)
        super().__init__(data, initial=self.stored() | {"tenant": chosen})
        for protocol in PROTOCOLS:
            self.add_server(protocol)
        choice: Any = self.fields["tenant"]
        choice.queryset = tenants
        if not self.is_new:
            del self.fields["tenant"]
            secret = self.fields["client_secret"]
            secret.help_text = "Kept encrypted and never shown. Leave empty to keep the present one."
        else:
            self.fields["client_secret"].required = True
        self.fields["issuer"].help_text = provider.issuer_help or (
            "" if provider.issuer else "As the provider writes it."
        )
        if not may_change:
            del self.fields["client_secret"]
            for field in self.fields.values():
                field.disabled = True

    def add_server(self, protocol: str) -> None:
        self.fields[f"{protocol}_host"] = forms.CharField(
            label=f"{protocol.upper()} host", required=False, max_length=253
        )
        self.fields[f"{protocol}_port"] = forms.IntegerField(label="Port", required=False, min_value=1, max_value=65535)
        self.fields[f"{protocol}_security"] = forms.ChoiceField(label="Security", choices=SECURITY, required=False)
        self.fields[f"{protocol}_scopes"] = forms.CharField(label="Scopes", required=False, max_length=1000)

    def stored(self) -> dict[str, Any]:
        """What the form shows at first: the row, or for a new one its preset."""
        app, provider = self.app, self.provider
        found = {name: getattr(app, name) for name in ("name", "client_id", "secret_expires_at", "exclusive")}
        found["issuer"] = app.issuer or provider.issuer
        found["made"] = signing.dumps(str(app.pk), salt=_SALT)
        if self.is_new:
            found["name"] = provider.name
        for protocol in PROTOCOLS:
            known = provider.servers.get(protocol) if self.is_new else None
            server = (known.as_json() if known else None) if self.is_new else app.server(protocol)
            scopes = provider.scopes.get(protocol, ()) if self.is_new else app.scopes.get(protocol, ())
            found |= {f"{protocol}_{key}": value for key, value in (server or {}).items()}
            found[f"{protocol}_scopes"] = " ".join(scopes)
        return found

    def servers(self) -> list[tuple[str, list[Any]]]:
        """For the template: protocol and its four fields."""
        names = ("host", "port", "security", "scopes")
        return [(protocol.upper(), [self[f"{protocol}_{name}"] for name in names]) for protocol in PROTOCOLS]

    def server_errors(self) -> bool:
        return any(name.startswith(PROTOCOLS) for name in self.errors)

    def main(self) -> list[Any]:
        names = ("tenant", "name", "issuer", "client_id", "client_secret", "secret_expires_at", "exclusive")
        return [self[name] for name in names if name in self.fields]

    def data_for_service(self) -> dict[str, Any]:
        """As the API's POST /provider-apps takes it."""
        given = self.cleaned_data
        names = ("name", "issuer", "client_id", "client_secret", "secret_expires_at", "exclusive")
        data: dict[str, Any] = {name: given[name] for name in names}
        data["preset"] = self.app.preset
        data["scopes"] = {protocol: given[f"{protocol}_scopes"].split() for protocol in PROTOCOLS}
        for protocol in PROTOCOLS:
            host = given[f"{protocol}_host"].strip()
            data[protocol] = (
                {"host": host, "port": given[f"{protocol}_port"], "security": given[f"{protocol}_security"] or "tls"}
                if host
                else None
            )
        return data

    def add_refusal(self, refusal: ValidationError) -> None:
        """The service's sentences beside their fields."""
        for name, sentences in refusal.message_dict.items():
            field = name if name in self.fields else f"{name}_host" if f"{name}_host" in self.fields else None
            for sentence in sentences:
                self.add_error(field, f"Scopes: {sentence}" if name == "scopes" else sentence)


def made_id(signed: str, otherwise: Any) -> Any:
    """The id that this form's first showing made; a changed one is not believed."""
    try:
        return signing.loads(signed, salt=_SALT, max_age=86400)
    except signing.BadSignature:
        return otherwise
