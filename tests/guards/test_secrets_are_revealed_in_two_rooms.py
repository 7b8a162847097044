"""Clear secrets are opened where DESIGN says, and nowhere else: a grep, so that a shortcut is seen at once."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("mailhub", "mailboxes", "accounts", "audit", "theme")
ROOMS = {"mailboxes/services/tokens.py", "mailboxes/services/bodies.py", "mailboxes/models/secret_field.py"}
SEALS = {"mailboxes/services/tokens.py", "mailboxes/models/secret_field.py"}


def files_that_say(text: str) -> set[str]:
    found = (path for folder in OURS for path in (ROOT / folder).rglob("*.py"))
    return {str(path.relative_to(ROOT)) for path in found if text in path.read_text()}


def test_only_the_rooms_reveal() -> None:
    assert files_that_say(".reveal(") == ROOMS


def test_only_tokens_seals_for_a_conditional_update() -> None:
    assert files_that_say(".seal(") == SEALS
