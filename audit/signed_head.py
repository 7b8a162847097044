"""A chain's head, signed: what it looked like at a moment, said by a key that the database does not hold."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature

from audit.canonical import NotCanonicalError, canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_CONTEXT = b"mailhub audit head 1\n"  # signatures of this key mean nothing in any other place
_FORKED = ""  # no event has this hash
_HASH = re.compile(r"[0-9a-f]{64}")


class UnreadableHeadError(ValueError):
    """A line that is no signed head."""


@dataclass(frozen=True)
class SignedHead:
    chain: str
    seq: int
    hash: str
    at: str  # RFC 3339, when it was signed
    key_id: str
    signature: str  # base64

    def to_line(self) -> bytes:
        return canonical(asdict(self)) + b"\n"


def sign(chain: str, seq: int, digest: str, *, at: str, key: Ed25519PrivateKey, key_id: str) -> SignedHead:
    """The head of `chain`, signed at `at`."""
    signature = key.sign(_signed_bytes(chain, seq, digest, at, key_id))
    return SignedHead(chain, seq, digest, at, key_id, base64.b64encode(signature).decode())


def is_genuine(head: SignedHead, keys: Mapping[str, Ed25519PublicKey]) -> bool:
    """Signed by one of `keys`, and not changed since."""
    key = keys.get(head.key_id)
    if key is None:
        return False
    try:
        signature = base64.b64decode(head.signature, validate=True)
        key.verify(signature, _signed_bytes(head.chain, head.seq, head.hash, head.at, head.key_id))
    except (InvalidSignature, binascii.Error):
        return False
    return True


def from_line(line: bytes) -> SignedHead:
    """Read one line of a head log; raises UnreadableHeadError."""
    try:
        found = json.loads(line)
        head = SignedHead(**found)
        canonical(found)
    except (NotCanonicalError, ValueError, TypeError, RecursionError):
        raise UnreadableHeadError("no signed head") from None
    texts = (head.chain, head.hash, head.at, head.key_id, head.signature)
    if type(head.seq) is not int or head.seq < 1 or not all(isinstance(text, str) for text in texts):
        raise UnreadableHeadError("no signed head")
    if not _HASH.fullmatch(head.hash):
        raise UnreadableHeadError("its hash is not 64 hexadecimal digits")
    return head


@dataclass
class ChainHeads:
    """What the signed heads say about one chain."""

    hashes: dict[int, str] = field(default_factory=dict)  # event number → hash, from genuine heads
    refused: int = 0  # heads whose signature is not valid

    @property
    def prove_something(self) -> bool:
        return bool(self.hashes) and not self.refused

    def add(self, head: SignedHead) -> None:
        """Two genuine heads that disagree mean that the chain was written anew: then no hash is right there."""
        if self.hashes.setdefault(head.seq, head.hash) != head.hash:
            self.hashes[head.seq] = _FORKED

    def verdict(self, count: int) -> str:
        """In words, for a chain of `count` events that agrees with all genuine heads."""
        if self.refused:
            return "tail not proven: the signature of a head is not valid, or not of a key that is trusted here"
        if not self.hashes:
            return "tail not proven: there is no signed head of this chain"
        newest = max(self.hashes)
        return "proven by signed heads" if newest == count else f"proven by signed heads up to event {newest}"


def read_heads(lines: Iterable[bytes], keys: Mapping[str, Ed25519PublicKey]) -> dict[str, ChainHeads]:
    """All that a head log says, by chain. Raises UnreadableHeadError naming the line."""
    found: dict[str, ChainHeads] = {}
    for number, line in enumerate(lines, 1):
        try:
            head = from_line(line)
        except UnreadableHeadError as error:
            raise UnreadableHeadError(f"line {number}: {error}") from None
        of_chain = found.setdefault(head.chain, ChainHeads())
        if is_genuine(head, keys):
            of_chain.add(head)
        else:
            of_chain.refused += 1
    return found


def _signed_bytes(chain: str, seq: int, digest: str, at: str, key_id: str) -> bytes:
    return _CONTEXT + canonical({"chain": chain, "seq": seq, "hash": digest, "at": at, "key_id": key_id})
