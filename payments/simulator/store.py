"""What the simulator remembers: JSON documents in SQLite, on disk or in memory."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Store:
    """Documents by kind and key, in the order in which they were first put.

    One connection, one lock: the lock is public because a look and the write that
    follows from it belong together.
    """

    def __init__(self, path: Path | None) -> None:
        self.lock = threading.RLock()
        self._database = sqlite3.connect(
            ":memory:" if path is None else str(path),
            check_same_thread=False,
            isolation_level=None,
        )
        # Survives the end of the process at any moment, if not that of the machine.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS records ("
            " id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,"
            " document TEXT NOT NULL, UNIQUE (kind, key))"
        )

    def get(self, kind: str, key: str) -> Record | None:
        """Return a copy of the document, or None."""
        with self.lock:
            row = self._database.execute(
                "SELECT document FROM records WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, key: str, record: Record) -> None:
        """Write the document, replacing the one there was."""
        with self.lock:
            self._database.execute(
                "INSERT INTO records (kind, key, document) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET document = excluded.document",
                (kind, key, json.dumps(record)),
            )

    def add(self, kind: str, key: str, record: Record) -> bool:
        """Write a new document; return False, changing nothing, if the key is taken."""
        with self.lock:
            cursor = self._database.execute(
                "INSERT OR IGNORE INTO records (kind, key, document) VALUES (?, ?, ?)",
                (kind, key, json.dumps(record)),
            )
        return cursor.rowcount == 1

    def all(self, kind: str) -> list[Record]:
        """Return copies of all documents of a kind, oldest first."""
        with self.lock:
            rows = self._database.execute(
                "SELECT document FROM records WHERE kind = ? ORDER BY id", (kind,)
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def page(self, kind: str, *, number: int, length: int) -> tuple[list[Record], int]:
        """Return page `number` (from 1), newest first, and the count of all."""
        with self.lock:
            (count,) = self._database.execute(
                "SELECT count(*) FROM records WHERE kind = ?", (kind,)
            ).fetchone()
            rows = self._database.execute(
                "SELECT document FROM records WHERE kind = ?"
                " ORDER BY id DESC LIMIT ? OFFSET ?",
                (kind, length, (number - 1) * length),
            ).fetchall()
        return [json.loads(row[0]) for row in rows], int(count)

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._database.execute("DELETE FROM records")

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._database.close()
