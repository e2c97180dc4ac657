"""Taking the gateway's events in: one statement each, and now and then a wake-up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    connections,
)
from django.utils import timezone

from credits_project.ids import new_id
from payments.gateway import without_numbers
from payments.models import GatewayEvent
from payments.services.waking import wake_after_commit

PROCESS_TASK: Final = "payments.process_events"
_Status = GatewayEvent.Status

# One statement is its own transaction. Of those who deliver the same at once, one
# inserts and the others count, whoever comes first.
_KEEP: Final = """
INSERT INTO gateway_events AS kept
    (id, digest, body, headers, signed_by, deliveries, status, event_type, reference,
     outcome, attempts, next_attempt_at, received_at, last_delivery_at)
VALUES ($1::uuid, $2::text, $3::bytea, $4::jsonb, $5::text, 1, 'received', '', '',
    '', 0, $6::timestamptz, $6::timestamptz, $6::timestamptz)
ON CONFLICT (digest) DO UPDATE
SET deliveries = kept.deliveries + 1,
    last_delivery_at = greatest(kept.last_delivery_at, excluded.last_delivery_at)
RETURNING id, deliveries, status, received_at
"""
# One cursor for each of the driver's connections: making one costs as much as its use.
_cursors: WeakKeyDictionary[Any, psycopg.RawCursor[Any]] = WeakKeyDictionary()


def receive_event(
    *, body: bytes, headers: Mapping[str, str], signed_by: str
) -> GatewayEvent:
    """Keep an event as it came, once, however often it is delivered. Return it.

    The gateway waits for this, so it is one statement that goes to the driver directly;
    the row is the work to do, and a job only wakes a worker.

    Args:
        body: the raw bytes, whose signature has been checked; the digest is theirs.
            Account numbers in them are not kept.
        headers: those worth keeping; the signature is not.
        signed_by: which key signed it: "webhook", "previous" or "api".
    """
    now = timezone.now()
    digest = hashlib.sha256(body).hexdigest()
    body = without_numbers(body)
    pk, deliveries, status, received_at = _keep(
        [new_id(), digest, body, json.dumps(dict(headers)), signed_by, now]
    )
    event = GatewayEvent(
        id=pk,
        digest=digest,
        body=body,
        headers=dict(headers),
        signed_by=signed_by,
        deliveries=deliveries,
        status=status,
        received_at=received_at,
        last_delivery_at=now,
    )
    event._state.adding = False
    event._state.db = DEFAULT_DB_ALIAS
    if status == _Status.RECEIVED:
        wake_after_commit(PROCESS_TASK)
    return event


def _keep(parameters: list[Any]) -> Any:
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    database.validate_no_broken_transaction()
    driver: Any = database.connection
    try:
        return _execute(database, driver, parameters)
    except (OperationalError, InterfaceError):
        # A connection that was lost while it lay idle is found by its use, which is
        # cheaper than asking each time whether it lives. Should the first statement
        # have reached the table all the same, a delivery too many is counted.
        if not driver.closed or database.in_atomic_block:
            raise
        database.close()
        database.ensure_connection()
        return _execute(database, database.connection, parameters)


def _execute(database: Any, driver: Any, parameters: list[Any]) -> Any:
    with database.wrap_database_errors:
        cursor = _cursors.get(driver)
        if cursor is None:
            cursor = _cursors[driver] = psycopg.RawCursor(driver)
        return cursor.execute(_KEEP, parameters, prepare=True).fetchone()
