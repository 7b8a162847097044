"""Every state and every reason in words: what happened, who can fix it, the button. The one place for them."""

from __future__ import annotations

from typing import NamedTuple

from mailboxes.errors import Fixer
from theme.looks import Look

# A red pill always means: somebody here must act. Blue waits for a person elsewhere. Amber passes by itself.
MAILBOX: dict[str, Look] = {
    "active": Look("Active", "ok", "check", "Mail comes in and goes out."),
    "pending": Look("Waits for owner", "info", "hourglass", "The owner has not consented yet."),
    "awaiting_admin": Look(
        "Waits for approval", "info", "shield", "The provider's administrator must approve Mailhub."
    ),
    "delayed": Look("Delayed", "warn", "retry", "A passing fault. Mailhub tries again by itself."),
    "throttled": Look("Paused by provider", "warn", "pause", "The provider asked for a pause."),
    "reconnect": Look("Reconnect", "bad", "plug", "The owner must consent again."),
    "misconfigured": Look("Needs a setting", "bad", "wrench", "An administrator must change a setting."),
    "suspended": Look("Suspended", "off", "stop", "Stopped here."),
    "disconnected": Look("Disconnected", "off", "cross", "Permission given back; no token is kept."),
}
OUTBOX: dict[str, Look] = {
    "queued": Look("Queued", "info", "hourglass", "Waits for its turn."),
    "sending": Look("Sending", "info", "send", "A worker is talking to the mail server."),
    "sent": Look("Sent", "ok", "check", "The mail server accepted it."),
    "deferred": Look("Will be tried again", "warn", "retry", "The server asked to come back later."),
    "rejected": Look("Rejected", "bad", "cross", "The server refused it for good; its reply is kept."),
    "uncertain": Look(
        "Uncertain", "warn", "question", "The server may have it. Mailhub never sends it again by itself."
    ),
    "cancelled": Look("Cancelled", "off", "stop", "Stopped before it left."),
}
RUN: dict[str, Look] = {
    "queued": Look("Queued", "info", "hourglass", ""),
    "running": Look("Running", "info", "retry", ""),
    "done": Look("Done", "ok", "check", ""),
    "failed": Look("Failed", "bad", "cross", ""),
    "skipped": Look("Skipped", "off", "clock", ""),
}
OUTCOME: dict[str, Look] = {
    "ok": Look("Done", "ok", "check", ""),
    "refused": Look("Refused", "bad", "cross", ""),
    "failed": Look("Failed", "bad", "alert", ""),
    "waiting": Look("Waiting", "off", "clock", ""),
}
HEALTH: dict[str, Look] = {
    "ok": Look("Healthy", "ok", "check", ""),
    "expiring": Look("Secret ends soon", "warn", "clock", ""),
    "slow": Look("Behind", "warn", "clock", ""),
    "expired": Look("Secret expired", "bad", "alert", ""),
    "failed": Look("Failed", "bad", "alert", ""),
    "unchecked": Look("Not checked yet", "off", "clock", ""),
}


class Reason(NamedTuple):
    """`{provider}`, `{app}`, `{address}`, `{expected}` are filled in by `explain`. `fix` empty: nothing to press."""

    brief: str  # for a list row: one line
    text: str
    who: Fixer
    fix: str
    action: str = ""  # what the button does: reconnect, resume, provider_app, accept


WHO: dict[Fixer, str] = {
    "owner": "The owner of the mailbox can fix it",
    "admin": "An administrator here can fix it",
    "provider_admin": "An administrator at {provider} can fix it",
    "operator": "The operator of this Mailhub can fix it",
    "nobody": "Passes by itself",
}

REASONS: dict[str, Reason] = {
    # Grants
    "consent_revoked": Reason(
        "Permission no longer accepted",
        "{provider} no longer accepts our permission for {address}. It was removed on the owner's account page, or the "
        "password changed.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "answer_lost": Reason(
        "A new permission was lost on the way",
        "{provider} renewed our permission for {address}, but its answer never arrived, and the old one no longer works.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "no_refresh_token": Reason(
        "Permission for an hour only",
        "{provider} gave access without the right to keep it. Nothing was stored.",
        "admin",
        "Open the provider app",
        "provider_app",
    ),
    "scope_missing": Reason(
        "Mail access was left unticked",
        "{provider} granted sign-in but not mail access: the box was left unticked. Nothing was stored.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "wrong_account": Reason(
        "Another account signed in",
        "Another account than {expected} signed in at {provider}, or it does not open this mailbox. Nothing was stored.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "new_account": Reason(
        "A different account with the same address",
        "{provider} reports another account behind {address} than the one pinned here. The address may have been given to "
        "another person. Nothing was changed.",
        "admin",
        "Accept the new account",
        "accept",
    ),
    "account_accepted": Reason(
        "Waits for the new account's consent",
        "The account that signs in at {provider} as {expected} now was accepted here. It still has to consent.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "admin_approval": Reason(
        "Waits for their administrator",
        "{provider} wants an administrator to approve Mailhub first.",
        "provider_admin",
        "",
        "",
    ),
    "token_busy": Reason(
        "Renewing the permission",
        "The permission is being renewed at this moment.",
        "nobody",
        "",
    ),
    "app_misconfigured": Reason(
        "The provider app is refused",
        "{provider} does not accept the provider app “{app}”: its client id or client secret is wrong or has ended.",
        "admin",
        "Open the provider app",
        "provider_app",
    ),
    "discovery_changed": Reason(
        "The provider's endpoints changed",
        "{provider} now announces other endpoints than those pinned in “{app}”. Nothing secret is sent there until "
        "somebody has looked at it and enters the client secret again.",
        "admin",
        "Open the provider app",
        "provider_app",
    ),
    "discovery_issuer": Reason(
        "The issuer does not fit",
        "The issuer in the provider's discovery is not the one given in “{app}”.",
        "admin",
        "Open the provider app",
        "provider_app",
    ),
    "discovery_incomplete": Reason(
        "The discovery is incomplete",
        "The provider's discovery lacks an endpoint, or names one without https.",
        "admin",
        "Open the provider app",
        "provider_app",
    ),
    "key_wrong": Reason(
        "A stored secret cannot be opened",
        "MAILHUB_ENCRYPTION_KEYS lacks the key that sealed the permission of {address}.",
        "operator",
        "",
    ),
    # The way through consent
    "denied": Reason(
        "Consent was declined",
        "{provider} reports that the question was answered with No. Nothing was stored.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "declined": Reason(
        "The owner does not know you",
        "The owner pressed “I don't know them” on the connect page. The link has ended.",
        "admin",
        "Talk to the owner, then send a new link",
        "reconnect",
    ),
    "link_sent": Reason(
        "Link made, not used yet",
        "A link for the owner was made; it has not been used yet.",
        "owner",
        "Make a new link",
        "reconnect",
    ),
    "state": Reason(
        "The way back did not fit",
        "This answer belongs to no sign-in that was started in this browser. Nothing was stored.",
        "owner",
        "Start again",
        "",
    ),
    "state_used": Reason(
        "Already used",
        "This answer was used before, or came after more than ten minutes. Nothing was stored.",
        "owner",
        "Start again",
        "",
    ),
    "other_user": Reason(
        "Another person is signed in here",
        "The sign-in was started by another person in this browser. Nothing was stored.",
        "owner",
        "Start again",
        "",
    ),
    "iss_missing": Reason(
        "The answer does not say who it is from",
        "{provider} announces that its answers name their issuer, but this one does not. Nothing was stored.",
        "admin",
        "",
        "",
    ),
    "iss_mismatch": Reason(
        "The answer is from another provider",
        "The answer names another issuer than {provider}. Nothing was stored.",
        "admin",
        "",
        "",
    ),
    "id_token": Reason(
        "The proof of identity is not valid",
        "{provider}'s proof of who signed in could not be verified. Nothing was stored.",
        "admin",
        "",
        "",
    ),
    "token_answer": Reason(
        "The answer could not be read",
        "{provider} answered something that is no token. Nothing was stored.",
        "nobody",
        "Start again",
        "",
    ),
    "provider_error": Reason(
        "The provider reported an error",
        "{provider} could not finish the sign-in. Nothing was stored.",
        "owner",
        "Start again",
        "",
    ),
    "internal": Reason(
        "A fault on our side",
        "Mailhub could not finish this. Nothing was stored. The log id below tells the operator more.",
        "operator",
        "Start again",
        "",
    ),
    "sync_internal": Reason(
        "A fault on our side",
        "Mailhub could not finish reading this mailbox. Nothing is lost: it tries again, and its log tells the operator "
        "what happened.",
        "operator",
        "",
    ),
    "storage_fault": Reason(
        "The storage cannot be read now",
        "The place where stored messages lie did not answer. Nothing is lost: Mailhub tries again.",
        "operator",
        "",
    ),
    # Servers
    "unreachable": Reason(
        "The server cannot be reached",
        "The server did not answer, or this installation may not reach it.",
        "nobody",
        "",
    ),
    "connection_lost": Reason(
        "The connection broke", "The connection to the mail server broke. Nothing is lost.", "nobody", ""
    ),
    "provider_down": Reason(
        "The server does not serve now",
        "{provider} answered that it cannot serve now. Nothing is lost.",
        "nobody",
        "",
    ),
    "throttled": Reason("Asked for a pause", "{provider} asked for a pause. Nothing is lost.", "nobody", ""),
    "too_many_connections": Reason(
        "Too many connections",
        "{provider} allows no more connections to this mailbox now. Nothing is lost.",
        "nobody",
        "",
    ),
    "tls_untrusted": Reason(
        "The server's certificate is not trusted",
        "The mail server's certificate or TLS version is not acceptable, so no token was sent.",
        "admin",
        "Open the provider app",
        "provider_app",
    ),
    "signin_refused": Reason(
        "The mail server refuses the sign-in",
        "The mail server refused a token that {provider} had just given. Often it accepts it again later.",
        "nobody",
        "",
    ),
    "mailbox_unusable": Reason(
        "The mailbox cannot be opened",
        "The sign-in worked, but the mailbox behind it cannot be opened: a missing licence, IMAP switched off, or another "
        "mailbox.",
        "provider_admin",
        "",
    ),
    "imap_off": Reason("IMAP is switched off", "IMAP is switched off for this mailbox.", "provider_admin", ""),
    "smtp_auth_off": Reason(
        "SMTP sign-in is switched off",
        "{provider} has SMTP sign-in switched off for this mailbox.",
        "provider_admin",
        "",
    ),
    "protocol_fault": Reason(
        "An answer we do not understand",
        "The mail server answered outside its protocol. Mailhub tries again.",
        "nobody",
        "",
    ),
    "uidvalidity_changed": Reason(
        "The folder was rebuilt",
        "The server renumbered a folder. Mailhub matches what it has and fetches the rest.",
        "nobody",
        "",
    ),
    "message_unreadable": Reason(
        "A message cannot be fetched",
        "The server lists a message but does not return it. It is asked for again.",
        "nobody",
        "",
    ),
    # Ours
    "suspended": Reason(
        "By an administrator here", "Suspended here; mail waits at the provider.", "admin", "Resume", "resume"
    ),
    "disconnected": Reason(
        "Token destroyed",
        "Disconnected: no token is kept. The stored mail stays.",
        "admin",
        "Send reconnect link",
        "reconnect",
    ),
    "not_connected": Reason(
        "Not connected yet", "The owner has not consented yet.", "owner", "Make a link", "reconnect"
    ),
    "receives_nothing": Reason("Set to send only", "This mailbox is set to send only.", "admin", ""),
    "sends_nothing": Reason(
        "Set to receive only", "This mailbox was set to receive only before the message went out.", "admin", ""
    ),
    "not_due": Reason("Already under way", "A sync of this mailbox is running.", "nobody", ""),
    "lease_lost": Reason("Taken over", "Another worker took over.", "nobody", ""),
    "stopped": Reason("Stopped", "The worker was asked to stop; the rest follows.", "nobody", ""),
    "body_unreadable": Reason(
        "The stored message is damaged",
        "The stored bytes of this message are not those that were received. The file may be missing or changed.",
        "operator",
        "",
    ),
    "pop3_unread": Reason(
        "POP3 is not read",
        "This mailbox is set to POP3; Mailhub reads mail by IMAP.",
        "admin",
        "",
    ),
    # Sending
    "expired": Reason("Given up", "The server asked to come back later for a whole day.", "admin", ""),
    "limit_stays": Reason(
        "Given up at the limit",
        "{provider} spoke of a limit on sending for three days and never took the message.",
        "admin",
        "",
    ),
    "recipients_refused": Reason("Recipients refused", "The server refused every recipient.", "admin", ""),
    "recipients_later": Reason(
        "Some recipients later",
        "The server took the message for the others and asked to come back later for some. They are tried again alone.",
        "nobody",
        "",
    ),
    "not_to_all": Reason(
        "Not to everybody",
        "The server took the message, but not for the recipients listed as refused.",
        "admin",
        "",
    ),
    "copy_of_others": Reason(
        "A copy in Sent proves nothing",
        "An earlier part of this message went to other recipients, and its copy in Sent looks the same.",
        "admin",
        "",
    ),
    "too_large": Reason("Too large", "The message is larger than the server takes.", "admin", ""),
    "daily_limit": Reason(
        "Daily limit reached", "{provider} takes no more messages from this mailbox today.", "nobody", ""
    ),
    "reply_lost": Reason(
        "No answer after the last byte",
        "The connection ended after the whole message had been handed over. The server may have taken it.",
        "admin",
        "",
    ),
    "worker_lost": Reason(
        "The worker ended at the last byte",
        "The worker ended when the whole message had been handed over. The server may have it.",
        "admin",
        "",
    ),
    "sent_folder_missing": Reason(
        "No Sent folder found",
        "This mailbox has no folder that the server or its name marks as Sent, so there is nowhere to look.",
        "admin",
        "",
    ),
    "no_sent_folder": Reason(
        "Cannot be looked up",
        "This mailbox is not read by IMAP, so Mailhub cannot look into its Sent folder.",
        "admin",
        "",
    ),
    # The grant, in more detail
    "client_secret_expired": Reason(
        "The client secret has ended",
        "The client secret of “{app}” has ended, so {provider} renews no permission.",
        "admin",
        "Enter the new secret",
        "provider_app",
    ),
    "redirect_as_spa": Reason(
        "Redirect URI registered as single-page application",
        "{provider} has the redirect URI of “{app}” registered for a single-page application, whose permissions end after "
        "a day. Register it as “Web”.",
        "admin",
        "Open the provider app",
        "provider_app",
    ),
    "host_changed": Reason(
        "The provider app was moved to other servers",
        "“{app}” was changed to another provider, client or server. A permission never follows: the old one was destroyed.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "taken_back": Reason(
        "The owner took the permission back",
        "The owner pressed “Take back permission” on the receipt. No token is kept; the stored mail stays.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "link_used": Reason(
        "The link was used before",
        "This link works once, and it was used. Nothing was stored now.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "link_ended": Reason(
        "The link has ended",
        "This link has ended. Nothing was stored.",
        "owner",
        "Send reconnect link",
        "reconnect",
    ),
    "rejected": Reason("The server refused the message", "The server refused the message for good.", "admin", ""),
    "deferred": Reason("The server asks to try later", "The server did not take the message now.", "nobody", ""),
}


class Words(NamedTuple):
    """A reason, filled in."""

    code: str
    brief: str
    text: str
    who: str
    fix: str
    action: str


def is_the_owners(code: str) -> bool:
    """Whether the owner of the mailbox can fix it."""
    return code in REASONS and REASONS[code].who == "owner"


def explain(
    code: str, *, provider: str = "The provider", app: str = "", address: str = "", expected: str = ""
) -> Words:
    """The words for a reason's code; an unknown code is said honestly, with the code for the operator."""
    reason = REASONS.get(code) or Reason(
        "Something new happened", f"An answer that Mailhub does not know yet ({code}). It tries again.", "operator", ""
    )
    names = {"provider": provider, "app": app, "address": address, "expected": expected or address}
    return Words(
        code,
        reason.brief.format_map(names),
        reason.text.format_map(names),
        WHO[reason.who].format_map(names),
        reason.fix.format_map(names),
        reason.action,
    )
