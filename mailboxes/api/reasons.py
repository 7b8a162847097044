"""Why something is as it is: a code for programs, words for the people behind them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mailboxes import words
from mailboxes.api.schema import Answer


class ReasonAnswer(Answer):
    code: str = Field(description="Stays the same for ever; new ones may come.")
    text: str = Field(description="What happened, in a sentence or two.")
    who: Literal["owner", "admin", "provider_admin", "operator", "nobody"] = Field(
        description="Who can mend it: the mailbox's owner, an administrator here, one at the provider, the operator of "
        "this Mailhub, or nobody needs to, for it passes by itself."
    )
    fix: str = Field(description="What they do, in a few words; '' where there is nothing to do.")


def reason(code: str, **names: str) -> dict[str, Any] | None:
    """None where there is nothing to say. `names` are those of words.explain."""
    if not code:
        return None
    said = words.explain(code, **names)
    known = words.REASONS.get(code)
    return {"code": code, "text": said.text, "who": known.who if known else "operator", "fix": said.fix}
