"""Who did it, as the chain keeps it: what the audit asks of a person, an API key or the program itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Actor(Protocol):
    """Anything that can answer for a deed."""

    @property
    def actor_kind(self) -> str:
        """person, owner (of a mailbox, without an account), key (API) or system."""

    @property
    def actor_id(self) -> str:
        """A UUID as text; empty for the system."""

    @property
    def actor_label(self) -> str:
        """What people read: an e-mail address, a key's name, Mailhub."""


@dataclass(frozen=True)
class NamedActor:
    """An actor without a row of its own."""

    actor_kind: str
    actor_id: str
    actor_label: str


SYSTEM = NamedActor("system", "", "Mailhub")
