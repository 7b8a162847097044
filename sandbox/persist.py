"""What survives a restart: state.sqlite3. Tokens at once, mail every few seconds; every write is one transaction.

SQLite rolls back a transaction that a kill -9 cut, so a snapshot is there whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from sandbox.folders import FolderState
from sandbox.post_office import PostOffice
from sandbox.store import Token

FORGET_AFTER = 30 * 86400  # seconds since a token ended
TABLES = """
CREATE TABLE IF NOT EXISTS tokens (access_token TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (person TEXT, name TEXT, record TEXT NOT NULL, PRIMARY KEY (person, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bodies (digest TEXT PRIMARY KEY, raw BLOB NOT NULL) WITHOUT ROWID;
"""


class Snapshot:
    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.Lock()  # tokens come from web threads, mail from the event loop's
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + TABLES)
        self._saved: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._bodies: set[str] = set()

    # Tokens ----------------------------------------------------------------------------------------------------------

    def keep_tokens(self, tokens: Iterable[Token]) -> None:
        rows = [(token.access_token, json.dumps(asdict(token))) for token in tokens]
        with self._lock, self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO tokens VALUES (?, ?)", rows)

    def tokens(self) -> list[Token]:
        """All that may still matter; what ended long ago is forgotten."""
        found = [Token(**json.loads(record)) for (record,) in self._db.execute("SELECT record FROM tokens")]
        oldest = time.time() - FORGET_AFTER
        dead = [t for t in found if t.expires_at < oldest and (t.refresh_used or not t.refresh_token)]
        with self._lock, self._transaction():
            self._db.executemany("DELETE FROM tokens WHERE access_token = ?", [(t.access_token,) for t in dead])
        return [token for token in found if token not in dead]

    # Mail ------------------------------------------------------------------------------------------------------------

    def folders(self) -> dict[tuple[str, str], FolderState]:
        raws = dict(self._db.execute("SELECT digest, raw FROM bodies"))
        states = {}
        for person, name, record in self._db.execute("SELECT person, name, record FROM folders"):
            kept = json.loads(record)
            rows = [(uid, date, flags, digest, raws[digest]) for uid, date, flags, digest in kept["messages"]]
            states[person, name] = FolderState(kept["mailbox_id"], kept["uid_validity"], kept["max_uid"], rows)
        self._bodies = {row[3] for state in states.values() for row in state.messages}
        with self._lock, self._transaction():
            gone = [(digest,) for digest in raws.keys() - self._bodies]
            self._db.executemany("DELETE FROM bodies WHERE digest = ?", gone)
        return states

    def save(self, office: PostOffice) -> bool:
        """Keep the folders that changed since the last call; False if none did."""
        folders = office.folders()
        marks = {key: folder.mark() for key, folder in folders.items()}
        changed = [key for key in folders if self._saved.get(key) != marks[key]]
        gone = self._saved.keys() - folders.keys()
        if not changed and not gone:
            return False
        stored: set[str] = set()
        with self._lock, self._transaction():
            self._db.executemany("DELETE FROM folders WHERE person = ? AND name = ?", gone)
            for key in changed:
                stored |= self._save_folder(key, folders[key].state())
        self._saved = marks
        self._bodies |= stored
        return True

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _save_folder(self, key: tuple[str, str], state: FolderState) -> set[str]:
        new = {digest: raw for *_, digest, raw in state.messages if digest not in self._bodies}
        self._db.executemany("INSERT OR IGNORE INTO bodies VALUES (?, ?)", new.items())
        record = {
            "mailbox_id": state.mailbox_id,
            "uid_validity": state.uid_validity,
            "max_uid": state.max_uid,
            "messages": [row[:4] for row in state.messages],
        }
        self._db.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", (*key, json.dumps(record)))
        return set(new)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
