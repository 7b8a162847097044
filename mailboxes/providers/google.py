"""Google: Gmail and Workspace (developers.google.com/identity/protocols/oauth2/web-server, support.google.com/mail)."""

from __future__ import annotations

from mailboxes.providers.base import Provider, Server

_MAIL = ("https://mail.google.com/",)  # the one scope that IMAP, POP and SMTP take

GOOGLE = Provider(
    preset="google",
    name="Google",
    issuer="https://accounts.google.com",
    servers={
        "imap": Server("imap.gmail.com", 993),
        "pop3": Server("pop.gmail.com", 995),
        "smtp": Server("smtp.gmail.com", 465),
    },
    scopes={"imap": _MAIL, "pop3": _MAIL, "smtp": _MAIL},
    sign_in_scopes=("openid", "email", "profile"),
    # Without prompt=consent only the very first consent yields a refresh token; select_account lets people switch.
    authorize_extra={"access_type": "offline", "prompt": "consent select_account", "include_granted_scopes": "false"},
    auth_method="client_secret_post",
    rotation="reusable",
    revocation="project",  # "revoking ends what the user granted to the project", other clients included
    locked_hosts=frozenset({"oauth2.googleapis.com:443", "accounts.google.com:443", "www.googleapis.com:443"}),
    endpoints={
        "issuer": "https://accounts.google.com",
        "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
        "token_endpoint": "https://oauth2.googleapis.com/token",
        "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
        "jwks_uri": "https://www.googleapis.com/oauth2/v3/certs",
    },
    refusals={
        "admin_policy_enforced": "admin_approval",
        "org_internal": "admin_approval",
        "deleted_client": "app_misconfigured",
        "disabled_client": "app_misconfigured",
    },
    console="https://console.cloud.google.com/auth/clients",
    register_steps=(
        "Open Google Cloud → Google Auth Platform → Clients, in the project of your organisation.",
        "Create client → Web application.",
        "Under “Authorised redirect URIs” add {redirect_uri}",
        "Under Audience choose “Internal” if all mailboxes are in your Workspace: a client in testing loses its "
        "permissions after 7 days.",
        "Under Data access add the scope https://mail.google.com/, under Library switch on the Gmail API.",
        "Copy client id and client secret to this form.",
    ),
    take_back="https://myaccount.google.com/connections",
    take_back_steps="choose the app, then “Delete all connections”",
    permission_note="Google offers no narrower permission for mail programs: its own page will also speak of deleting. "
    "Mailhub does not delete, and every use is logged.",
)
