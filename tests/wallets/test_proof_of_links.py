"""The proof finds rows that point at nothing, and reversals that are none."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from tests.factories import make_user, wallet_of
from wallets import proof, screening, services
from wallets.proof import Since

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("as_owner")]

_ROW = (
    "INSERT INTO credit_transactions (transfer_id, wallet_id, sequence,"
    " transaction_type, amount, balance_before, balance_after, created_at) "
)
_PAIR = (
    "WITH moved AS (UPDATE credit_wallets SET sequence = sequence + 1, balance ="
    " balance + CASE WHEN code IS NULL THEN {amount} ELSE -{amount} END"
    " WHERE id = %(poor)s OR code = 'opening' RETURNING *) " + _ROW + "SELECT {to}, id,"
    " sequence, 'bonus', CASE WHEN code IS NULL THEN {amount} ELSE -{amount} END,"
    " balance - CASE WHEN code IS NULL THEN {amount} ELSE -{amount} END, balance,"
    " now() FROM moved"
)


@pytest.fixture
def books() -> Iterator[dict[str, Any]]:
    """A transfer with its reversal; without guards, and undone in the end."""
    rich, poor = make_user("rich", balance="9.00"), make_user("poor", balance="1.00")
    paid = services.transfer_credits(
        from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("2.00")
    )
    undone = services.reverse_transfer(transfer_id=paid.pk, actor=rich, reason="a test")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            for table in ("credit_wallets", "credit_transfers", "credit_transactions"):
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            cursor.execute("DROP INDEX wallets_credittransfer_reversed_once")
        yield {
            "poor": wallet_of(poor).pk,
            "paid": paid.pk,
            "undone": undone.pk,
            "nothing": "00000000-0000-7000-8000-000000000001",
        }
        transaction.set_rollback(True)


@pytest.mark.parametrize("since", [False, True])
@pytest.mark.parametrize(
    ("found", "sql"),
    [
        (
            {"I02 transfer {nothing}: 2 rows that add up to 0.00, and no transfer"},
            _PAIR.format(to="%(nothing)s", amount=3),
        ),
        (
            {"I15 transfer {undone}: is not the opposite of what it reverses"},
            _PAIR.format(to="%(undone)s", amount=3).replace("%(poor)s", "%(new)s"),
        ),
        (
            {"I15 transfer {paid}: reversed 2 times"},
            "INSERT INTO credit_transfers (id, key, description, reverses_id, metadata,"
            " created_at) VALUES (%(nothing)s, 'x', '', %(paid)s, '{}', now()); "
            + _ROW
            + "SELECT %(nothing)s, wallet_id, sequence + 1, transaction_type, amount,"
            " balance_before, balance_after, now() FROM credit_transactions"
            " WHERE transfer_id = %(undone)s",
        ),
    ],
)
def test_links_that_are_wrong_are_found(
    found: set[str], sql: str, since: bool, books: dict[str, Any]
):
    books["new"] = wallet_of(make_user("new")).pk
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id), now() FROM credit_transactions")
        last_id, moment = cursor.fetchone()
        cursor.execute(sql, books)

    breaks = proof.breaks(
        since=Since(last_id=last_id, moment=moment.isoformat()) if since else None
    )

    lines = {f"{b.invariant} {b.subject}: {b.detail}" for b in breaks}
    assert {line.format(**books) for line in found} <= lines


def test_rows_of_a_wallet_that_is_not_there_are_found(books: dict[str, Any]):
    with connection.cursor() as cursor:
        cursor.execute(
            _ROW + "VALUES (%(paid)s, %(nothing)s, 1, 'bonus', 5, 0, 5, now())", books
        )

    subjects = {b.subject for b in proof.breaks() if b.invariant == "I03"}

    assert subjects == {f"wallet {books['nothing']}"}


def test_a_check_of_another_app_is_made_once_however_often_it_is_added():
    check = proof.Check(
        invariant="X01", title="all is well", sql="SELECT 'a test', 'is not'"
    )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "_registered", list(proof._registered))
        proof.register(check)
        proof.register(check)
        count = proof.all_checks().count(check)
        found = [b for b in proof.breaks() if b.invariant == "X01"]

    assert count == 1
    assert [(b.subject, b.detail) for b in found] == [("a test", "is not")]


def test_a_proof_since_a_moment_takes_what_came_before_as_right(books: dict[str, Any]):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_transactions SET created_at = created_at + interval '1 day'"
            " WHERE transfer_id = %(paid)s",
            books,
        )
        cursor.execute("SELECT max(id), now() FROM credit_transactions")
        last_id, moment = cursor.fetchone()
    since = Since(last_id=last_id, moment=moment.isoformat())

    assert "I04" in {b.invariant for b in proof.breaks()}
    assert "I04" not in {b.invariant for b in proof.breaks(since=since)}


def test_the_proof_tells_what_it_looks_at():
    told: list[str] = []

    proof.breaks(progress=told.append)

    others = [
        f"{check.invariant} {check.title}"
        for check in proof.all_checks()
        if check.invariant not in screening.INVARIANTS
    ]
    assert told == [
        "I01-I04 transfers, sums and chains, in one pass",
        *others,
        "guards are there, enabled and unchanged",
    ]


def test_what_was_put_beside_the_guards_is_named():
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TRIGGER mine BEFORE UPDATE ON credit_wallets FOR EACH ROW"
                " EXECUTE FUNCTION suppress_redundant_updates_trigger();"
                " CREATE RULE quiet AS ON DELETE TO credit_holds DO INSTEAD NOTHING"
            )

        found = [(b.subject, b.detail) for b in proof.breaks()]

        transaction.set_rollback(True)
    assert found == [
        ("trigger credit_wallets.mine", "is not one of the guards"),
        ("rule credit_holds.quiet", "changes what statements do"),
    ]
