"""Whom a message still has to go to, and whom the server refused.

A server may accept some recipients and put others off (RFC 5321, 4.5.3.1.10). Those get the same bytes in a transaction
of their own; who was accepted is never named again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mailboxes.errors import MailError, Rejected
from mailboxes.models import OutboxMessage

State = OutboxMessage.State

_TOO_MANY = re.compile(r"\b4\.5\.3\b|too many recipients", re.I)


def envelope(outbox: OutboxMessage) -> list[str]:
    """Those of the next try: who is left of an earlier one, else every recipient once, in the order they were named."""
    if outbox.recipients_left:
        return list(outbox.recipients_left)
    named = [address for field in ("to", "cc", "bcc") for address in outbox.recipients.get(field, [])]
    return list({address.casefold(): address for address in named}.values())


def refusals(outbox: OutboxMessage, asked: Sequence[str], answers: Sequence[str]) -> list[dict[str, str]]:
    """What `refused_recipients` becomes by the server's answers to those that were asked for."""
    kept = [refusal for refusal in outbox.refused_recipients if refusal["address"] not in asked]
    return kept + [
        {"address": address, "reply": answer}
        for address, answer in zip(asked, answers, strict=True)
        if not answer.startswith("2")
    ]


def after_taking(outbox: OutboxMessage) -> dict[str, Any]:
    """The columns once the server has taken the message for those whom it accepted in this try."""
    if left := _put_off(outbox.refused_recipients):
        return {"state": State.DEFERRED, "reason": "recipients_later", "recipients_left": left, "dot_at": None}
    return {"state": State.SENT, "reason": "not_to_all" if outbox.refused_recipients else "", "recipients_left": []}


def too_many_at_once(outbox: OutboxMessage) -> bool:
    """The server only wants the others in another transaction, which may follow at once."""
    return any(_TOO_MANY.search(refusal["reply"]) for refusal in outbox.refused_recipients)


def after_refusal(outbox: OutboxMessage, error: MailError) -> dict[str, Any]:
    """The columns once a try failed because each of its recipients was refused; none for other faults."""
    answers = getattr(error, "answers", ())
    if not answers:
        return {}
    asked = envelope(outbox)
    refused = refusals(outbox, asked, answers)
    columns: dict[str, Any] = {"refused_recipients": refused}
    if outbox.recipients_left and not isinstance(error, Rejected):
        columns["recipients_left"] = [address for address in _put_off(refused) if address in asked]
    return columns


def given_up(outbox: OutboxMessage, reply: str) -> dict[str, Any]:
    """The columns of a message that others have got already, once nobody tries it again for those who are left.

    `reply` is recorded for who has no answer of his own.
    """
    answered = {refusal["address"] for refusal in outbox.refused_recipients}
    unanswered = [{"address": address, "reply": reply} for address in outbox.recipients_left if address not in answered]
    refused = [*outbox.refused_recipients, *unanswered]
    return {"state": State.SENT, "reason": "not_to_all", "recipients_left": [], "refused_recipients": refused}


def _put_off(refused: Sequence[dict[str, str]]) -> list[str]:
    return [refusal["address"] for refusal in refused if not refusal["reply"].startswith("5")]
