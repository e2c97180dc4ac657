"""Running a service again where that is safe, and finding out where it is not known.

A statement that lost a deadlock or waited too long for a lock has changed nothing: the
whole call is run again, reading everything anew. When the connection is cut, or the
COMMIT itself fails, nobody can say from here whether it was booked. Running the call
again blindly could book it twice, so the database is asked, on another connection.

Used at the edges (views, tasks), around one service call that opens one transaction.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, TypeVar

from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from credits_project.exceptions import DomainError

logger = logging.getLogger(__name__)

ATTEMPTS: Final = 5
# No attempt starts later than this after the first one: somebody is waiting.
PATIENCE_SECONDS: Final = 8.0
_PAUSE_SECONDS: Final = 0.02
_PAUSE_MAX_SECONDS: Final = 0.5
# How long a lost transaction is waited for to come to its end.
SETTLING_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05

# Serialization failure, deadlock, lock not available: the server has undone everything.
_PASSING: Final = frozenset({"40001", "40P01", "55P03"})
# Ended by the server, for an administrator, a crash, or a time-out.
_ENDED: Final = frozenset({"57P01", "57P02", "57P04", "57P05", "25P03", "25P04"})
_CONNECTION_CLASS: Final = "08"
_INTEGRITY_CLASS: Final = "23"

_Result = TypeVar("_Result")


class Verdict(Enum):
    """What an error of the database says about the call that it ended."""

    # Nothing was changed, and the same call may well succeed now.
    PASSING = auto()
    # Nothing was changed, and the same call would end the same way.
    REFUSED = auto()
    # It was booked, or it was not.
    UNKNOWN = auto()


class NotDone(DomainError):
    """The connection was lost, and the database says that nothing was booked."""

    code = "unavailable"
    title = "The service is not available now."
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The database was lost on the way. Nothing was booked: repeat the request.",
            outcome="not-done",
            retry_after=1,
        )


class OutcomeUnknown(DomainError):
    """The connection was lost, and nobody can say yet whether it was booked."""

    code = "unavailable"
    title = "The service is not available now."
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The database was lost on the way, and whether it was booked is not known"
            " yet. Repeat the request with the same Idempotency-Key; without one, look"
            " at your transactions first.",
            outcome="unknown",
            retry_after=1,
        )


def run(
    call: Callable[[], _Result], *, find: Callable[[], _Result | None] | None = None
) -> _Result:
    """Return what the service call returns, running it up to five times.

    Inside an open transaction it is run once: that whole transaction would have to be
    run again, which is for whoever opened it to do.

    Args:
        call: one service call, in one transaction of its own, that can be repeated
            after a rollback.
        find: looks for what the call makes, by its key, and returns it or None. Asked
            after the connection was lost, on a new one.

    Raises:
        NotDone: the connection was lost, and nothing was booked.
        OutcomeUnknown: the connection was lost, and what was done cannot be found out.
        Otherwise as the call.
    """
    if connection.in_atomic_block:
        return call()
    started_at = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        connection.ensure_connection()
        session = _session_of(connection)
        try:
            return call()
        except (DatabaseError, InterfaceError) as error:
            verdict = verdict_on(error)
            if verdict is Verdict.UNKNOWN:
                return _find_out(error, session=session, find=find)
            waited = time.monotonic() - started_at
            is_last = attempt == ATTEMPTS or waited > PATIENCE_SECONDS
            if verdict is Verdict.REFUSED or is_last:
                raise
            logger.warning("attempt %d failed, trying again: %s", attempt, error)
        time.sleep(_pause(attempt))
    raise AssertionError("the last attempt returns or raises")


def verdict_on(error: Exception) -> Verdict:
    """Return what an error of the database says about the call that it ended."""
    state = sqlstate_of(error)
    if _raised_in(error, "run_and_clear_commit_hooks"):
        # By then it was committed: what comes after the commit failed.
        return Verdict.UNKNOWN
    if _raised_in(error, "connect"):
        # Nothing had been sent yet.
        return Verdict.REFUSED
    if state is None:
        is_lost = isinstance(error, OperationalError | InterfaceError | InternalError)
        return Verdict.UNKNOWN if is_lost else Verdict.REFUSED
    if state in _ENDED or state.startswith(_CONNECTION_CLASS):
        return Verdict.UNKNOWN
    if _raised_in(error, "_commit"):
        # A deferred constraint's refusal is the server's own word that the transaction
        # is undone. Of anything else that happens there, it is better to ask.
        refused = state.startswith(_INTEGRITY_CLASS)
        return Verdict.REFUSED if refused else Verdict.UNKNOWN
    return Verdict.PASSING if state in _PASSING else Verdict.REFUSED


def sqlstate_of(error: BaseException) -> str | None:
    """Return the server's code of the error; none where it did not come from there."""
    # Django's errors have the driver's as their cause.
    for candidate in (error, error.__cause__):
        state = getattr(candidate, "sqlstate", None)
        if state is not None:
            return str(state)
    return None


def _raised_in(error: BaseException, method: str) -> bool:
    """Return whether the error came out of a method of Django's connection.

    Nothing else tells an error of the COMMIT from one of a statement, and both come
    out of the same `with transaction.atomic()`.
    """
    code = getattr(BaseDatabaseWrapper, method)
    code = getattr(code, "__wrapped__", code).__code__
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code is code:
            return True
        traceback = traceback.tb_next
    return False


def _pause(attempt: int) -> float:
    # At random, so that two that met once do not meet again.
    longest = min(_PAUSE_MAX_SECONDS, _PAUSE_SECONDS * 2**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - guards nothing


# Finding out


def _session_of(database: Any) -> int:
    """Return the server's number of the session; costs no round trip."""
    return int(database.connection.info.backend_pid)


def _find_out(
    error: Exception, *, session: int, find: Callable[[], _Result | None] | None
) -> _Result:
    logger.warning("the outcome is unknown, asking the database: %s", error)
    # Never the old connection, whatever state it seems to be in.
    connection.close()
    if find is None:
        raise OutcomeUnknown from error
    try:
        # A COMMIT that was sent may still be on its way. What is not found before the
        # session has ended could be booked right after.
        if not _await_end(session):
            raise OutcomeUnknown from error
        found = find()
    except (DatabaseError, InterfaceError) as second:
        connection.close()
        raise OutcomeUnknown from second
    if found is None:
        raise NotDone from error
    return found


def _await_end(session: int) -> bool:
    """Wait for the session to end its transaction; return whether it has."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                # Idle is what a session is between transactions. Of one that a role
                # may not look at the state is unknown, which is not idle.
                "SELECT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE pid = %s AND state IS DISTINCT FROM 'idle')",
                [session],
            )
            (is_open,) = cursor.fetchone() or (True,)
        if not is_open:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
