"""One pass over the ledger sees that something is wrong, whatever it is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection

from tests.factories import make_user, wallet_of
from tests.wallets.test_proof import guards_off
from wallets import proof, screening, services

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]

_ROW = " WHERE wallet_id = %(rich)s AND sequence = %(row)s"


@pytest.fixture
def wallets() -> dict[str, object]:
    """Rich with six transactions, poor with five."""
    rich, poor = make_user("rich", balance="10.00"), make_user("poor")
    for _ in range(5):
        services.transfer_credits(
            from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("1.00")
        )
    return {"rich": wallet_of(rich).pk, "poor": wallet_of(poor).pk, "row": 3}


def test_what_was_posted_is_right(wallets):
    assert screening.is_right()


def test_an_empty_ledger_is_right():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM credit_transactions")
        assert cursor.fetchone() == (0,)

    assert screening.is_right()


@pytest.mark.parametrize(
    "sql",
    [
        # A step up and a step down, which cancel out unless each has a weight.
        "UPDATE credit_transactions SET balance_before = balance_before + 1,"
        " balance_after = balance_after + 1" + _ROW,
        # Two rows that change places.
        "UPDATE credit_transactions AS row SET balance_before = other.balance_before,"
        " balance_after = other.balance_after FROM credit_transactions AS other"
        " WHERE row.wallet_id = %(rich)s AND other.wallet_id = row.wallet_id"
        " AND row.sequence IN (3, 4) AND other.sequence = 7 - row.sequence",
        # What one transfer has too much, another has too little.
        "UPDATE credit_transactions SET amount = amount + CASE sequence"
        " WHEN 3 THEN 1 ELSE -1 END, balance_after = balance_after + CASE sequence"
        " WHEN 3 THEN 1 ELSE -1 END WHERE wallet_id = %(rich)s AND sequence IN (3, 4)",
        "UPDATE credit_transactions SET amount = 'NaN', balance_before = 'NaN',"
        " balance_after = 'NaN'" + _ROW,
        "UPDATE credit_transactions SET balance_after = balance_after + 1" + _ROW,
        "UPDATE credit_transactions SET sequence = 77" + _ROW,
        "UPDATE credit_transactions SET sequence = sequence + 1"
        " WHERE wallet_id = %(rich)s AND sequence >= 6",
        "UPDATE credit_transactions SET created_at = created_at - interval '1 day'"
        + _ROW,
        "DELETE FROM credit_transactions" + _ROW,
        "DELETE FROM credit_transactions WHERE wallet_id = %(poor)s",
        "DELETE FROM credit_transactions",
        "DELETE FROM credit_wallets WHERE id = %(poor)s",
        "DELETE FROM credit_transfers WHERE key = (SELECT max(key)"
        " FROM credit_transfers)",
        "UPDATE credit_wallets SET balance = balance + 1 WHERE id = %(poor)s",
        "UPDATE credit_wallets SET balance = 'NaN' WHERE id = %(poor)s",
        "UPDATE credit_wallets SET sequence = sequence - 1 WHERE id = %(poor)s",
        "INSERT INTO credit_transfers (id, key, description, metadata, created_at)"
        " VALUES (gen_random_uuid(), 'empty', '', '{}', now())",
        "UPDATE credit_transactions AS row SET transfer_id = other.transfer_id"
        " FROM credit_transactions AS other WHERE row.wallet_id = %(rich)s"
        " AND row.sequence = 3 AND other.wallet_id = %(poor)s AND other.sequence = 5",
    ],
)
def test_whatever_is_wrong_is_seen_and_then_named(wallets, sql: str):
    with guards_off():
        _forget_constraints()
        with connection.cursor() as cursor:
            cursor.execute(sql, wallets)
            assert cursor.rowcount
        seen = not screening.is_right()
        named = {b.invariant for b in proof.breaks()} & set(screening.INVARIANTS)

    assert seen
    assert named


def test_sums_without_weights_would_not_see_a_step_up_and_down(wallets, monkeypatch):
    """The control: with one weight for all places an error can be evened out."""
    monkeypatch.setattr(
        screening,
        "_SUMS",
        screening._SUMS.replace("hashint8extended(sequence, %(place)s)", "1")
        .replace("hashint8extended(sequence + 1, %(place)s)", "1")
        .replace("hashint8extended(wallet.sequence + 1, %(place)s)", "1"),
    )
    with guards_off():
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE credit_transactions SET balance_before = balance_before + 1,"
                " balance_after = balance_after + 1" + _ROW,
                wallets,
            )
        assert screening.is_right()


def test_sums_that_are_wrong_with_no_row_to_blame_are_a_break(wallets, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(screening, "_SUMS", "SELECT false")
        found = proof.breaks()

    assert found == [
        proof.Break(
            invariant="I01-I04",
            subject="ledger",
            detail="the sums of all rows are wrong, and no row is",
        )
    ]


def _forget_constraints() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass,"
            " conname) FROM pg_constraint WHERE conrelid IN"
            " ('credit_wallets'::regclass, 'credit_transactions'::regclass)"
            " AND (contype = 'c' OR contype = 'u' AND conname LIKE 'wallets_%')"
        )
        for (drop,) in cursor.fetchall():
            cursor.execute(drop)
