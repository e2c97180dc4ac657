"""What the ledger's services leave behind beside the credits: words, names, locks."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credits_project.ids import new_id
from tests.factories import make_user, wallet_of
from wallets import services, statements
from wallets.models import CreditHold, CreditTransfer, CreditWallet
from wallets.services import opening

pytestmark = pytest.mark.django_db


def stored(transfer: CreditTransfer) -> tuple[Any, ...]:
    """What the database has of it, beside its rows."""
    row = CreditTransfer.objects.get(pk=transfer.pk)
    return row.key, row.description, row.actor_id, row.metadata, row.reverses_id


def recorded() -> list[tuple[int, str, str]]:
    """Who did what to which row, as staff see it."""
    entries = LogEntry.objects.order_by("pk")
    return [(e.user_id, e.object_id or "", e.change_message) for e in entries]


def test_a_transfer_keeps_its_words_facts_and_actor():
    rich, poor, staff = make_user("rich", balance="9"), make_user("poor"), make_user()

    told = services.transfer_credits(
        from_user_id=rich.pk,
        to_user_id=poor.pk,
        amount=Decimal("1.00"),
        description="for lunch",
        metadata={"table": 7},
        actor=staff,
        key="lunch",
    )
    silent = services.transfer_credits(
        from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("1.00")
    )

    assert stored(told) == ("lunch", "for lunch", staff.pk, {"table": 7}, None)
    assert re.fullmatch(r"transfer:[0-9a-f-]{36}", silent.key)
    assert stored(silent)[1:] == ("", None, {}, None)


def test_what_one_user_sends_another_bears_the_note_and_the_sender():
    rich, poor = make_user("rich", balance="9.00"), make_user("poor")

    sent = services.send_credits(
        sender=rich,
        to=poor.email.upper(),
        amount=Decimal("1.00"),
        note="thanks",
        idempotency_key="once",
    )
    bare = services.send_credits(sender=rich, to=poor.email, amount=Decimal("1.00"))

    assert stored(sent)[1:3] == ("thanks", rich.pk)
    assert stored(bare)[1:3] == ("", rich.pk)
    assert sent.key.startswith(f"transfers:{rich.pk}:")


def test_a_client_finds_what_its_key_booked_and_nobody_elses():
    rich, poor, other = make_user("rich", balance="9"), make_user("poor"), make_user()
    sent = services.send_credits(
        sender=rich, to=poor.email, amount=Decimal("1.00"), idempotency_key="once"
    )
    moved = services.transfer_for_client(
        actor=other,
        from_user_id=rich.pk,
        to_user_id=poor.pk,
        amount=Decimal("2.00"),
        idempotency_key="once",
    )

    def found(scope: Any, user: User, key: str = "once") -> Any:
        return services.find_for_client(
            scope=scope, user_id=user.pk, idempotency_key=key
        )

    assert found("transfers", rich) == sent
    assert [leg.amount for leg in found("transfers", rich).legs] == [-1, 1]
    assert found("rpc", other) == moved
    assert moved.key.startswith(f"rpc:{other.pk}:")
    assert found("rpc", rich) is None
    assert found("transfers", rich, "twice") is None


@pytest.mark.parametrize(
    ("kind", "family"), [("bonus", "promotions"), ("adjustment", "adjustments")]
)
def test_a_grant_keeps_its_reason_and_is_recorded(kind: str, family: str):
    user, staff = make_user(), make_user("staff")

    granted = services.grant_credits(
        user_id=user.pk,
        amount=Decimal("1.00"),
        reason="a gift",
        actor=staff,
        transaction_type=kind,
    )

    assert stored(granted)[1:3] == ("a gift", staff.pk)
    assert re.fullmatch(r"grant:[0-9a-f-]{36}", granted.key)
    assert {leg.transaction_type for leg in granted.legs} == {kind}
    giver = CreditWallet.objects.get(pk=granted.legs[1].wallet_id)
    assert (giver.code or "").partition(":")[0] == family
    assert recorded() == [(staff.pk, str(granted.pk), "grant: a gift")]


def test_a_reversal_keeps_its_reason_and_is_recorded_once():
    rich, poor, staff = make_user("rich", balance="9"), make_user("poor"), make_user()
    paid = services.transfer_credits(
        from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("1.00")
    )

    def reverse() -> CreditTransfer:
        return services.reverse_transfer(
            transfer_id=paid.pk, actor=staff, reason="by mistake"
        )

    undone = reverse()
    first = recorded()
    again = reverse()

    assert (undone.is_replay, again.is_replay) == (False, True)
    assert stored(undone) == (
        f"reversal:{paid.pk}",
        "by mistake",
        staff.pk,
        {},
        paid.pk,
    )
    assert recorded() == first == [(staff.pk, str(paid.pk), "reverse: by mistake")]


def test_freezing_keeps_the_reason_trimmed_and_unfreezing_takes_it_away():
    user, staff = make_user(), make_user("staff")
    wallet_id = wallet_of(user).pk

    services.freeze_wallet(wallet_id=wallet_id, actor=staff, reason=" suspicious ")
    frozen = wallet_of(user)
    services.freeze_wallet(wallet_id=wallet_id, actor=staff, reason="once more")
    unfrozen = services.unfreeze_wallet(
        wallet_id=wallet_id, actor=staff, reason="explained"
    )

    assert frozen.frozen_reason == "suspicious"
    assert frozen.frozen_at is not None
    assert (unfrozen.frozen_at, unfrozen.frozen_reason) == (None, "")
    assert [(who, row) for who, row, _ in recorded()] == [
        (staff.pk, str(wallet_id)),
        (staff.pk, str(wallet_id)),
    ]


def test_a_hold_keeps_its_reason_and_its_end():
    user, due = make_user(balance="9.00"), timezone.now() + timedelta(days=1)

    services.place_hold(
        wallet_id=wallet_of(user).pk,
        amount=Decimal("2.00"),
        key="h:1",
        reason="for a while",
        releases_at=due,
    )

    hold = CreditHold.objects.get(key="h:1")
    assert (hold.reason, hold.releases_at, hold.released_at) == (
        "for a while",
        due,
        None,
    )


def test_due_holds_are_released_the_longest_due_first_and_all_in_batches():
    user, now = make_user(balance="9.00"), timezone.now()
    for days in (1, 3, 2):
        services.place_hold(
            wallet_id=wallet_of(user).pk,
            amount=Decimal("1.00"),
            key=f"h:{days}",
            reason="a test",
            releases_at=now - timedelta(days=days),
        )

    with CaptureQueriesContext(connection) as queries:
        released = services.release_due_holds(now=now, batch=1)

    assert released == 3
    keys = {hold.pk.hex: hold.key for hold in CreditHold.objects.all()}
    releases = [
        {keys[pk] for pk in re.findall("[0-9a-f]{32}", query["sql"].replace("-", ""))}
        for query in queries
        if query["sql"].startswith('UPDATE "credit_holds"')
    ]
    assert [each for each in releases if each] == [{"h:3"}, {"h:2"}, {"h:1"}]


def test_users_without_a_wallet_are_counted_over_all_batches(
    monkeypatch: pytest.MonkeyPatch,
):
    services.open_missing_wallets()
    monkeypatch.setattr(opening, "_BATCH", 2)
    User.objects.bulk_create(User(username=f"bulk-{n}") for n in range(5))

    assert services.open_missing_wallets() == 5
    assert services.open_missing_wallets() == 0


def _freeze(user: User) -> Any:
    return services.freeze_wallet(
        wallet_id=wallet_of(user).pk, actor=None, reason="a test"
    )


def _unfreeze(user: User) -> Any:
    return services.unfreeze_wallet(
        wallet_id=wallet_of(user).pk, actor=None, reason="a test"
    )


def _hold(user: User) -> Any:
    return services.place_hold(
        wallet_id=wallet_of(user).pk, amount=Decimal(1), key="h:2", reason="a test"
    )


def _release(user: User) -> Any:
    return services.release_hold(key="h:1")


def _release_due(user: User) -> Any:
    return services.release_due_holds(now=timezone.now())


def _grant(user: User) -> Any:
    return services.grant_credits(user_id=user.pk, amount=Decimal(1), reason="a test")


@pytest.mark.parametrize(
    "work", [_freeze, _unfreeze, _hold, _release, _release_due, _grant]
)
def test_a_lock_on_a_wallet_lets_rows_be_inserted_that_point_at_it(
    work: Callable[[User], Any], monkeypatch: pytest.MonkeyPatch
):
    import psycopg

    user = make_user(balance="9.00")
    services.place_hold(
        wallet_id=wallet_of(user).pk,
        amount=Decimal(1),
        key="h:1",
        reason="a test",
        releases_at=timezone.now(),
    )
    seen: list[str] = []
    execute = psycopg.Cursor.execute

    def watched(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        seen.append(str(query))
        return execute(cursor, query, *args, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", watched)

    work(user)

    locks = [query for query in seen if re.search(r"FOR (NO KEY )?UPDATE", query)]
    assert locks
    assert all("FOR NO KEY UPDATE" in query for query in locks)


def as_they_lie(users: list[User]) -> list[uuid.UUID]:
    """The users' wallets in the order in which the table has their rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM credit_wallets WHERE user_id = ANY (%s) ORDER BY ctid",
            [[user.pk for user in users]],
        )
        return [wallet_id for (wallet_id,) in cursor.fetchall()]


def test_wallets_are_locked_in_the_order_of_their_keys_wherever_their_rows_lie():
    """Else two postings that find them in different orders would deadlock."""
    users = [make_user("user") for _ in range(5)]
    while (wallet_ids := as_they_lie(users)) == sorted(wallet_ids):
        # What is changed lies elsewhere, and in the end behind the others.
        services.grant_credits(
            user_id=users[0].pk, amount=Decimal("1.00"), reason="a test"
        )
    with connection.cursor() as cursor:
        # An index would have them in order by itself.
        cursor.execute("SET LOCAL enable_indexscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")

    locked = [row[0] for row in statements.lock_wallets(wallet_ids)]

    assert locked == sorted(wallet_ids)


def test_a_posting_is_logged_by_its_key_and_many_by_the_first_and_the_last(
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
):
    rich, poor = make_user("rich", balance="9.00"), make_user("poor")
    legs = tuple(
        services.Leg(
            wallet_id=wallet_of(user).pk,
            amount=Decimal(amount),
            transaction_type="transfer",
        )
        for user, amount in ((rich, "-1.00"), (poor, "1.00"))
    )
    first, *others = (f"log:{new_id()}" for _ in range(4))
    caplog.set_level(logging.INFO, logger="wallets")

    with django_capture_on_commit_callbacks(execute=True):
        services.post(*legs, key=first)
        services.post_many([services.Posting(legs=legs, key=key) for key in others])

    assert [r.getMessage() for r in caplog.records if r.name.startswith("wallets")] == [
        f"posted {first}",
        f"posted 3 transfers, from {others[0]} to {others[2]}",
    ]
