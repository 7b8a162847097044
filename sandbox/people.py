"""Who has a mailbox here."""

from __future__ import annotations

PEOPLE = {
    "alice@sandbox.test": "Alice Archer",
    "bob@sandbox.test": "Bob Baker",
    "carol@sandbox.test": "Carol Clarke",
}
