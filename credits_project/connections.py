"""What every connection to PostgreSQL begins with, and how long it is kept."""

from __future__ import annotations

from typing import Any, Final

# Said when a session begins, which wins over what a role, a database or the server's
# own file says. `transaction_timeout` is the role's: older servers do not know it.
_SESSION: Final = (
    # Clear errors beat waiting for ever; the web server's own limit is longer.
    "-c lock_timeout=3s -c statement_timeout=10s"
    " -c idle_in_transaction_session_timeout=15s"
    # Whoever was killed does not keep its locks while its statement goes on.
    " -c client_connection_check_interval=2s"
    # What is acknowledged is on disk, and a lock that was waited for shows what is
    # there by then.
    " -c synchronous_commit=on -c default_transaction_isolation=read\\ committed"
    # The ledger's statements and guards take arrays and few rows: a plan made once
    # serves all, and making one costs as much as running it.
    " -c plan_cache_mode=force_generic_plan"
)
_OPTIONS: Final = {
    "connect_timeout": 10,
    # A network that is gone is noticed, in milliseconds and seconds.
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Lets the ledger prepare its statements. Behind PgBouncer it needs 1.21 or newer
    # with `max_prepared_statements`.
    "prepare_threshold": 5,
}


def connected(database: dict[str, Any]) -> dict[str, Any]:
    """Return Django's description of a database, completed by how it is connected to.

    What its address itself asks for wins.
    """
    given = database.get("OPTIONS", {})
    # Of two that say the same, PostgreSQL takes the later one.
    session = f"{_SESSION} {given.get('options', '')}".strip()
    return {
        **database,
        # Persistent connections: opening one costs more than most requests.
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**_OPTIONS, **given, "options": session},
    }
