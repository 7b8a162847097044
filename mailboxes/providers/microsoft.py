"""Microsoft 365 and outlook.com (learn.microsoft.com: "Authenticate an IMAP, POP or SMTP connection using OAuth")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailboxes.providers.base import Provider, Server

_HOST = "https://login.microsoftonline.com"
_TEMPLATE = _HOST + "/{tenantid}/v2.0"
_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_REAL = re.compile(re.escape(_HOST) + "/" + _GUID + r"/v2\.0")


@dataclass(frozen=True)
class Microsoft(Provider):
    """Its issuers name a directory: by GUID in tokens, by domain or group (`organizations`) in the address one types."""

    def issuer_fits(self, configured: str, announced: str) -> bool:
        """For common and organizations a template is announced, for a domain its GUID; a GUID announces itself."""
        if _REAL.fullmatch(configured):
            return announced == configured
        return announced == _TEMPLATE or bool(_REAL.fullmatch(announced))

    def issuer_is(self, announced: str, claims: Mapping[str, Any]) -> bool:
        directory = claims.get("tid")
        if not isinstance(directory, str) or not re.fullmatch(_GUID, directory):
            return False
        return claims.get("iss") == announced.replace("{tenantid}", directory)

    def answer_is_from(self, announced: str, issuer: str) -> bool:
        """The directory is not known yet: the template fits any; the id_token's `tid` decides afterwards."""
        return issuer == announced or (announced == _TEMPLATE and bool(_REAL.fullmatch(issuer)))


_OFFICE = "https://outlook.office.com/"

MICROSOFT = Microsoft(
    preset="microsoft",
    name="Microsoft",
    issuer=f"{_HOST}/organizations/v2.0",
    issuer_help="For one organisation: https://login.microsoftonline.com/<directory id>/v2.0; for outlook.com: …/consumers/v2.0",
    servers={
        "imap": Server("outlook.office365.com", 993),
        "pop3": Server("outlook.office365.com", 995),
        "smtp": Server("smtp.office365.com", 587, "starttls"),
    },
    other_servers=("smtp-mail.outlook.com", "outlook.office.com"),  # outlook.com; an older name
    scopes={
        "imap": (_OFFICE + "IMAP.AccessAsUser.All",),
        "pop3": (_OFFICE + "POP.AccessAsUser.All",),
        "smtp": (_OFFICE + "SMTP.Send",),
    },
    sign_in_scopes=("openid", "email", "profile", "offline_access"),  # oid comes only with profile
    app_scopes=("https://outlook.office365.com/.default",),
    # Never prompt=consent: it shows non-administrators AADSTS90094 even after the administrator has approved.
    authorize_extra={"prompt": "select_account"},
    auth_method="client_secret_post",
    rotation="reusable",  # a new one comes each time, the old stays valid
    revocation="none",
    subject_claims=("tid", "oid"),
    # Unverified, both: they may refuse a person, the mailbox's own sign-in decides.
    account_claims=("email", "preferred_username"),
    locked_hosts=frozenset({"login.microsoftonline.com:443"}),
    endpoints={
        "issuer": _TEMPLATE,
        "authorization_endpoint": f"{_HOST}/organizations/oauth2/v2.0/authorize",
        "token_endpoint": f"{_HOST}/organizations/oauth2/v2.0/token",
        "jwks_uri": f"{_HOST}/organizations/discovery/v2.0/keys",
    },
    # learn.microsoft.com/entra/identity-platform/reference-error-codes
    refusals={
        "90094": "admin_approval",
        "90093": "admin_approval",
        "70043": "admin_approval",  # sign-in frequency, conditional access: consenting again only loops
        "53003": "admin_approval",
        "530003": "admin_approval",
        "50057": "admin_approval",  # the account is disabled, not assigned, or unknown
        "50105": "admin_approval",
        "50034": "admin_approval",
        "65004": "denied",
        "7000215": "app_misconfigured",
        "7000222": "client_secret_expired",
        "700027": "app_misconfigured",
        "700016": "app_misconfigured",
        "70001": "app_misconfigured",
        "50194": "app_misconfigured",
        "700084": "redirect_as_spa",
    },
    console="https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade",
    register_steps=(
        "Open the Entra admin centre → App registrations → New registration.",
        "Redirect URI: platform “Web” (not “Single-page application”), address {redirect_uri}",
        "Certificates & secrets → New client secret; copy its value and its end date to this form.",
        "API permissions → Office 365 Exchange Online or Microsoft Graph → Delegated: IMAP.AccessAsUser.All, "
        "POP.AccessAsUser.All, SMTP.Send, offline_access; then “Grant admin consent”.",
        "Copy “Application (client) ID” to this form.",
    ),
    take_back="https://myapps.microsoft.com/",
    take_back_steps="choose the app → Manage your application → Revoke permissions",
    permission_note="Microsoft offers no narrower permission for mail: its own page will also speak of writing and "
    "deleting. Mailhub does neither, and every use is logged.",
)
