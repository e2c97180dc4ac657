"""The database's guards, attacked with plain SQL as a bug or a person would.

The tests run as the owner of the tables, whom grants do not stop.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from tests.factories import make_user, wallet_of
from wallets import guards, proof, services
from wallets.statements import constraint_of

# Most of what is tried here the app's role could not even begin.
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]


@pytest.fixture
def ledger() -> dict[str, Any]:
    """Two wallets with some history; their ids, and a transfer's."""
    rich, poor = make_user("rich", balance="10.00"), make_user("poor", balance="1.00")
    transfer = services.transfer_credits(
        from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("2.00")
    )
    services.place_hold(
        wallet_id=wallet_of(rich).pk, amount=Decimal("3.00"), key="h:1", reason="test"
    )
    return {
        "rich": wallet_of(rich).pk,
        "poor": wallet_of(poor).pk,
        "user": poor.pk,
        "transfer": transfer.pk,
    }


def attack(sql: str, facts: dict[str, Any]) -> str:
    """Run the SQL; return the name of the guard that refused it."""
    with connection.cursor() as cursor:
        # Foreign keys that are still to be checked would refuse a TRUNCATE first.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        _run(sql, facts)
    return constraint_of(refusal.value)


def _run(sql: str, facts: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, facts)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


_NEW_TRANSFER = """
WITH opened AS (
    INSERT INTO credit_transfers (id, key, description, metadata, created_at)
    VALUES ('00000000-0000-7000-8000-000000000001', 'forged', '', '{}', now())
)
"""
_ROWS = """
INSERT INTO credit_transactions
    (transfer_id, wallet_id, sequence, transaction_type,
     amount, balance_before, balance_after, created_at)
"""
_FORGED = "'00000000-0000-7000-8000-000000000001'::uuid"


@pytest.mark.parametrize(
    ("guard", "sql"),
    [
        ("ledger_append_only", "UPDATE credit_transfers SET description = 'x'"),
        ("ledger_append_only", "UPDATE credit_transactions SET amount = amount"),
        ("ledger_append_only", "DELETE FROM credit_transactions"),
        ("ledger_append_only", "DELETE FROM credit_transfers"),
        ("ledger_append_only", "TRUNCATE credit_transactions CASCADE"),
        ("ledger_append_only", "TRUNCATE credit_wallets CASCADE"),
        ("ledger_append_only", "TRUNCATE credit_holds"),
        ("ledger_append_only", "DELETE FROM credit_wallets"),
        ("ledger_append_only", "DELETE FROM credit_holds"),
        (
            "ledger_wallet_follows",
            "UPDATE credit_wallets SET balance = balance + 1 WHERE id = %(rich)s",
        ),
        (
            "ledger_wallet_follows",
            "UPDATE credit_wallets SET sequence = sequence + 1 WHERE id = %(rich)s",
        ),
        (
            "ledger_held_follows",
            "UPDATE credit_wallets SET held = 0 WHERE id = %(rich)s",
        ),
        (
            "wallets_creditwallet_held_within_balance",
            "UPDATE credit_wallets SET held = 'NaN' WHERE id = %(rich)s",
        ),
        (
            "ledger_wallet_identity",
            "UPDATE credit_wallets SET user_id = NULL, code = 'x' WHERE id = %(poor)s",
        ),
        (
            "ledger_new_wallet_empty",
            "INSERT INTO credit_wallets (id, code, balance, held, sequence,"
            " frozen_reason, created_at, updated_at)"
            " VALUES (gen_random_uuid(), 'issued:99', 5, 0, 0, '', now(), now())",
        ),
        (
            "ledger_transfer_balanced",
            "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
            " VALUES (gen_random_uuid(), 'empty', '', '{}', now())",
        ),
        (
            # One row that nobody pays for.
            "ledger_transfer_balanced",
            f"{_NEW_TRANSFER}, paid AS (UPDATE credit_wallets"
            " SET balance = balance + 5, sequence = sequence + 1"
            " WHERE id = %(poor)s RETURNING *)"
            f"{_ROWS} SELECT {_FORGED}, id, sequence, 'bonus', 5, balance - 5, balance,"
            " now() + interval '1 hour' FROM paid",
        ),
        (
            # Rows added to a transfer that is complete.
            "ledger_transfer_balanced",
            "WITH paid AS (UPDATE credit_wallets SET balance = balance - 1,"
            " sequence = sequence + 1 WHERE code IN ('opening', 'adjustments')"
            " RETURNING *)"
            f"{_ROWS} SELECT %(transfer)s, id, sequence, 'bonus', -1, balance + 1,"
            " balance, now() + interval '1 hour' FROM paid",
        ),
        (
            # Rows without their effect on the wallets.
            "ledger_wallet_follows",
            f"{_NEW_TRANSFER} {_ROWS} SELECT {_FORGED}, id, sequence + 1, 'bonus',"
            " CASE WHEN id = %(rich)s THEN -1 ELSE 1 END, balance,"
            " balance + CASE WHEN id = %(rich)s THEN -1 ELSE 1 END,"
            " now() + interval '1 hour' FROM credit_wallets"
            " WHERE id IN (%(rich)s, %(poor)s)",
        ),
        (
            # A number is left out.
            "ledger_chain",
            f"{_NEW_TRANSFER}, paid AS (UPDATE credit_wallets SET sequence = sequence"
            " + 2, balance = balance + CASE WHEN id = %(rich)s THEN -1 ELSE 1 END"
            " WHERE id IN (%(rich)s, %(poor)s) RETURNING *)"
            f"{_ROWS} SELECT {_FORGED}, id, sequence, 'bonus',"
            " CASE WHEN id = %(rich)s THEN -1 ELSE 1 END,"
            " balance - CASE WHEN id = %(rich)s THEN -1 ELSE 1 END, balance,"
            " now() + interval '1 hour' FROM paid",
        ),
        (
            "ledger_hold_once",
            "UPDATE credit_holds SET amount = 1 WHERE key = 'h:1'",
        ),
        (
            "wallets_creditwallet_held_within_balance",
            "INSERT INTO credit_holds (id, wallet_id, key, amount, reason, created_at)"
            " VALUES (gen_random_uuid(), %(rich)s, 'h:2', 5.01, 'x', now())",
        ),
    ],
)
def test_an_attack_is_refused_by_its_guard(
    guard: str, sql: str, ledger: dict[str, Any]
):
    assert attack(sql, ledger) == guard


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1e12"])
def test_no_amount_that_is_no_number_gets_into_a_wallet(
    amount: str, ledger: dict[str, Any]
):
    with pytest.raises(Exception, match=r"check constraint|overflow"):  # noqa: SIM117
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE credit_wallets SET balance = %s::numeric"
                " WHERE code = 'opening'",
                [amount],
            )


def test_a_released_hold_cannot_be_released_or_opened_again(ledger: dict[str, Any]):
    services.release_hold(key="h:1")

    for value in ("now()", "NULL"):
        sql = f"UPDATE credit_holds SET released_at = {value} WHERE key = 'h:1'"
        assert attack(sql, ledger) == "ledger_hold_once"


def test_a_frozen_wallet_pays_nothing_in_sql_either(
    ledger: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    staff, receiver = make_user("staff"), make_user("receiver")
    services.freeze_wallet(wallet_id=ledger["poor"], actor=staff, reason="test")
    lock = services.posting._lock

    def lock_and_look_away(wallet_ids: Any) -> Any:
        return [(*row[:4], None, *row[5:]) for row in lock(wallet_ids)]

    monkeypatch.setattr("wallets.services.posting._lock", lock_and_look_away)

    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        services.transfer_credits(
            from_user_id=ledger["user"],
            to_user_id=receiver.pk,
            amount=Decimal("1.00"),
        )

    assert constraint_of(refusal.value) == "ledger_frozen_pays_nothing"


def test_replica_mode_does_not_switch_the_append_only_guards_off(
    ledger: dict[str, Any],
):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")

        for sql in (
            "UPDATE credit_transactions SET amount = amount",
            "DELETE FROM credit_transfers",
            "TRUNCATE credit_transactions CASCADE",
            "DELETE FROM credit_wallets",
        ):
            assert attack(sql, ledger) == "ledger_append_only"

        cursor.execute("SET LOCAL session_replication_role = origin")


def test_an_app_that_registers_has_its_tables_looked_at_once(
    monkeypatch: pytest.MonkeyPatch,
):
    payments = apps.get_app_config("payments")
    monkeypatch.setattr(guards, "_registered", [guards.LEDGER])

    guards.register(payments)
    guards.register(payments)

    assert guards.all_guarded() == [
        guards.LEDGER,
        guards.Guarded(
            tables=tuple(model._meta.db_table for model in payments.get_models()),
            prefix="payments_",
            expected=Path(payments.path, "sql", "guards.json"),
        ),
    ]


def test_the_guards_are_as_they_were_made():
    assert list(guards.differences()) == []


@pytest.mark.parametrize(
    ("sql", "wrong"),
    [
        (
            "ALTER TABLE credit_transactions DISABLE TRIGGER ledger_append_only",
            (
                "trigger credit_transactions.ledger_append_only",
                "is disabled or changed",
            ),
        ),
        (
            "DROP TRIGGER ledger_check_wallets ON credit_wallets",
            ("trigger credit_wallets.ledger_check_wallets", "is missing"),
        ),
        (
            "CREATE OR REPLACE FUNCTION ledger_check_hold() RETURNS trigger"
            " LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp"
            " AS 'BEGIN RETURN NEW; END'",
            ("trigger credit_holds.ledger_check_hold", "is disabled or changed"),
        ),
        (
            "ALTER TABLE credit_wallets"
            " DROP CONSTRAINT wallets_creditwallet_balance_not_negative",
            (
                "constraint credit_wallets.wallets_creditwallet_balance_not_negative",
                "is missing",
            ),
        ),
    ],
)
def test_a_guard_that_the_owner_takes_away_is_found_missing(
    sql: str, wrong: tuple[str, str]
):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql)

        found = [(b.subject, b.detail) for b in proof.breaks()]

        transaction.set_rollback(True)
    assert found == [wrong]
