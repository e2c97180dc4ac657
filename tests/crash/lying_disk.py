"""A disk that reports as written what is not: the end of PostgreSQL's log is lost."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.crash.machine import Postgres


class LyingDisk:
    """Loses, at the crash, everything that was written since `begin`."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._segment = ""
        self._offset = 0
        self._size = 0

    def begin(self) -> None:
        """Keep nothing of what is written from now on."""
        with psycopg.connect(self._postgres.url, autocommit=True) as connection:
            # So that no new segment begins meanwhile.
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("CHECKPOINT")
            row: Any = connection.execute(
                "SELECT file_name, file_offset, setting::int FROM pg_settings,"
                " pg_walfile_name_offset(pg_current_wal_flush_lsn())"
                " WHERE name = 'wal_segment_size'"
            ).fetchone()
        self._segment, self._offset, self._size = row

    def crash(self) -> None:
        """Kill the server, and forget."""
        self._postgres.kill()
        with (self._postgres.data_dir / "pg_wal" / self._segment).open("r+b") as log:
            log.seek(self._offset)
            log.write(bytes(self._size - self._offset))
