"""Stops one thread at a point of its work until another has run as far as it can."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

import psycopg
import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections

Point = Literal["after the lock", "after the write", "before the commit"]
POINTS: Final[tuple[Point, ...]] = (
    "after the lock",
    "after the write",
    "before the commit",
)
DEADLINE: Final = 20.0

_LOCKS: Final = re.compile(r"FOR NO KEY UPDATE", re.I)
_WRITES: Final = re.compile(
    r"(UPDATE|INSERT INTO) \"?credit_(wallets|transactions|holds)", re.I
)


class Pause:
    """A point that one thread comes to once, and where it waits to be let on."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.reached = threading.Event()
        self._let_on = threading.Event()
        self._thread: threading.Thread | None = None

    def belongs_to_this_thread(self) -> None:
        """Stop the thread that calls this, and no other."""
        self._thread = threading.current_thread()

    def at(self, point: Point) -> None:
        """Wait here, where it is the point, the thread and the first time."""
        if (
            point == self.point
            and threading.current_thread() is self._thread
            and not self.reached.is_set()
        ):
            self.reached.set()
            assert self._let_on.wait(DEADLINE), "nobody let it on"

    def let_on(self) -> None:
        """Let the thread that waits go on."""
        self._let_on.set()


@contextmanager
def pausing(point: Point, *, with_locks: bool = True) -> Iterator[Pause]:
    """Let statements and commits pass by a pause; for a control, take locks out.

    The driver's own cursor is where statements of every kind pass, the hand-written
    ones and the ORM's; the commit is the connection's.
    """
    pause = Pause(point)
    wrapper: Any = type(connections[DEFAULT_DB_ALIAS])
    with pytest.MonkeyPatch.context() as patch:
        execute, commit = psycopg.Cursor.execute, wrapper.commit

        def passing(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
            text = query if isinstance(query, str) else ""
            locks = _LOCKS.search(text)
            if locks and not with_locks:
                query = text[: locks.start()]
            done = execute(cursor, query, *args, **options)
            if locks:
                pause.at("after the lock")
            elif _WRITES.search(text):
                pause.at("after the write")
            return done

        def committing(self: Any) -> None:
            pause.at("before the commit")
            commit(self)

        patch.setattr(psycopg.Cursor, "execute", passing)
        patch.setattr(wrapper, "commit", committing)
        yield pause


class Worker:
    """A thread with a connection of its own that does one thing."""

    def __init__(self, work: Callable[[], Any], *, pause: Pause | None = None) -> None:
        self._work = work
        self._pause = pause
        self.outcome: Any = None
        self.pid = 0
        self._connected = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            connection.ensure_connection()
            self.pid = connection.connection.info.backend_pid
            self._connected.set()
            if self._pause is not None:
                self._pause.belongs_to_this_thread()
            self.outcome = self._work()
        except Exception as error:
            self.outcome = error
        finally:
            connection.close()
            self._connected.set()
            self.ended.set()

    def ends_or_waits(self) -> str:
        """Return "ended", or "waited" once it waits for somebody else's lock."""
        assert self._connected.wait(DEADLINE), "no connection"
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            if self.ended.wait(0.002):
                return "ended"
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.pid]
                )
                if cursor.fetchone() == (True,):
                    return "waited"
        raise AssertionError("neither ended nor waits for a lock")

    def result(self) -> Any:
        """Return what came of it, once it has ended."""
        assert self.ended.wait(DEADLINE), "it hangs"
        self._thread.join(DEADLINE)
        return self.outcome
