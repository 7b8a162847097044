"""The tamper-evident chain of deeds. Knows nobody above it: a tenant is a UUID here, an actor three strings."""

from audit.actor import SYSTEM, Actor, NamedActor
from audit.chain_check import Result
from audit.record import record
from audit.verify import verify

__all__ = ["SYSTEM", "Actor", "NamedActor", "Result", "record", "verify"]
