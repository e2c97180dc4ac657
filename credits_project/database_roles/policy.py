"""Who may do what in PostgreSQL itself: three roles, and what each may touch.

The owner owns schema and tables and cannot log in: whoever migrates becomes it with SET
ROLE. The site and its workers log in as the app, which adds to the ledger and changes
nothing in it, whatever SQL somebody makes it run. Reports log in as readonly.

What a role may do is a table here; `statements` makes the SQL that brings a database to
it, `differences` finds where a database is not like it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.apps import apps

SCHEMA: Final = "public"
# In the order of their granting; MAINTAIN, of newer servers, is granted to nobody.
TABLE_PRIVILEGES: Final = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What the three roles are called, and which login may become the owner."""

    owner: str = "credits_owner"
    app: str = "credits_app"
    readonly: str = "credits_readonly"
    # An existing role that deploys; none where a superuser does.
    deployer: str | None = None


@dataclass(frozen=True, slots=True)
class Rights:
    """What the app may do with a table, and which columns alone it may update."""

    privileges: frozenset[str]
    update: frozenset[str] = frozenset()


_READ: Final = Rights(frozenset({"SELECT"}))
_APPEND: Final = Rights(frozenset({"SELECT", "INSERT"}))
# Rows with a state, whose steps the triggers watch. They never vanish.
_STATE: Final = Rights(frozenset({"SELECT", "INSERT", "UPDATE"}))
_ORDINARY: Final = Rights(frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}))


def _append_but(*columns: str) -> Rights:
    return Rights(_APPEND.privileges, frozenset(columns))


# SELECT … FOR UPDATE needs the right to update one column at least, so where rows are
# locked there is one.
MONEY: Final[Mapping[str, Rights]] = {
    "credit_wallets": _append_but(
        "balance", "held", "sequence", "updated_at", "frozen_at", "frozen_reason"
    ),
    "credit_transfers": _APPEND,
    "credit_transactions": _APPEND,
    "credit_holds": _append_but("releases_at", "released_at"),
    "credit_seals": _APPEND,
    "credit_adjustments": _STATE,
    "credit_packages": _STATE,
    "credit_purchases": _STATE,
    "credit_purchase_refunds": _append_but(
        "status", "returned_at", "returned_via", "returned_how"
    ),
    "gateway_events": _STATE,
    "gateway_differences": _STATE,
    "reconciliation_runs": _STATE,
    "refused_deliveries": _STATE,
    "review_cases": _STATE,
    "courses": _STATE,
    "commission_rates": _append_but("cancelled_at"),
    "enrollments": _STATE,
    "enrollment_refunds": _APPEND,
    "bulk_runs": _append_but("agreed_by_id", "finished_at"),
    "bulk_rows": _STATE,
    "payout_methods": _append_but("removed_at"),
    "payout_rates": _APPEND,
    "withdrawal_requests": _STATE,
    "payouts": _STATE,
    "payout_attempts": _APPEND,
    "payout_cases": _STATE,
    "payout_switch": _STATE,
}
# Of other apps' tables, those with which the app may do less than it likes.
_OTHERS: Final[Mapping[str, Rights]] = {
    # Users are deactivated, never removed.
    "auth_user": _STATE,
    # The record of what staff did.
    "django_admin_log": _APPEND,
    # Counts of calls, and Django's cache: see migration 0006 of credits_project.
    "call_limits": _ORDINARY,
    "shared_cache": _ORDINARY,
    # Written by migrations alone.
    "auth_permission": _READ,
    "django_content_type": _READ,
    "django_migrations": _READ,
}
# What reports see beside the tables of money, and what they do not see in any.
REPORTED: Final = frozenset(
    {"auth_user", "auth_group", "auth_user_groups", "django_admin_log"}
    | {"django_content_type", "django_migrations"}
)
HIDDEN: Final[Mapping[str, frozenset[str]]] = {
    "auth_user": frozenset({"password"}),
    "gateway_events": frozenset({"body", "headers"}),
    "payout_methods": frozenset({"account_number_encrypted", "fingerprint"}),
    "withdrawal_requests": frozenset({"account_number_encrypted"}),
}
# What psql and scripts run into as well; the site's own connections ask for theirs.
APP_SETTINGS: Final = {
    "lock_timeout": "3s",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
}


def rights_of_app() -> dict[str, Rights]:
    """Return what the app may do, by table; nothing where a table is not in it."""
    ordinary = {
        model._meta.db_table: _ORDINARY
        for model in apps.get_models(include_auto_created=True)
    }
    return {**ordinary, **_OTHERS, **MONEY}
