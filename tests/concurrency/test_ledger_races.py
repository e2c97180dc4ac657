"""Races on the ledger, with real connections; the books are proven after each.

Each kind has a control: the lock is taken away from the test, and something other than
the lock (a constraint, a deadlock) shows that the race was real.
"""

from __future__ import annotations

import threading
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from tests.concurrency.threads import in_threads, kinds
from tests.factories import balance_of, make_user, wallet_of
from tests.proof.pausing import Worker
from wallets import services
from wallets.exceptions import TransferKeyReused
from wallets.models import CreditHold, CreditWallet
from wallets.services import Leg
from wallets.services import posting as posting_module

pytestmark = pytest.mark.usefixtures("committed")


def send(payer: uuid.UUID, payee: uuid.UUID, amount: str, key: str) -> Any:
    return services.post(
        Leg(wallet_id=payer, amount=-Decimal(amount), transaction_type="transfer"),
        Leg(wallet_id=payee, amount=Decimal(amount), transaction_type="transfer"),
        key=key,
    )


def lock_nothing(
    monkeypatch: pytest.MonkeyPatch, *, readers: int, ordered: bool = True
) -> None:
    """Replace the lock by a read after which all wait until all have read."""
    all_have_read = threading.Barrier(readers, timeout=10)

    def read(wallet_ids: Any) -> Any:
        rows = list(
            CreditWallet.objects.filter(pk__in=wallet_ids).values_list(
                "pk",
                "balance",
                "held",
                "sequence",
                "frozen_at",
                "code",
                Cast("updated_at", TextField()),
            )
        )
        all_have_read.wait()
        return rows

    monkeypatch.setattr(posting_module, "_lock", read)


def test_many_takers_of_one_wallet_never_overdraw_it():
    rich = wallet_of(make_user("rich", balance="10.00")).pk
    takers = [wallet_of(make_user("taker")).pk for _ in range(20)]

    outcomes = in_threads(lambda taker: send(rich, taker, "1.00", f"{taker}"), takers)

    assert kinds(outcomes) == {"CreditTransfer": 10, "InsufficientCredits": 10}
    assert CreditWallet.objects.get(pk=rich).balance == 0


def test_without_the_lock_the_unique_sequence_stops_the_lost_update(monkeypatch):
    """The control: two takers who both read before either writes."""
    rich = wallet_of(make_user("rich", balance="10.00")).pk
    takers = [wallet_of(make_user("taker")).pk for _ in range(2)]
    lock_nothing(monkeypatch, readers=2)

    outcomes = in_threads(lambda taker: send(rich, taker, "4.00", f"{taker}"), takers)

    assert kinds(outcomes) == {"CreditTransfer": 1, "IntegrityError": 1}
    assert CreditWallet.objects.get(pk=rich).balance == 6


def test_transfers_in_opposite_directions_do_not_deadlock():
    one = wallet_of(make_user("one", balance="100.00")).pk
    two = wallet_of(make_user("two", balance="100.00")).pk

    def back_and_forth(number: int) -> list[Any]:
        pair = (one, two) if number % 2 else (two, one)
        return [send(*pair, "1.00", f"{number}:{turn}") for turn in range(20)]

    outcomes = in_threads(back_and_forth, range(8))

    assert kinds(outcomes) == {"list": 8}


def test_without_the_order_opposite_directions_deadlock(monkeypatch):
    """The control: wallets locked one by one, in the order of the legs."""
    one = wallet_of(make_user("one", balance="100.00")).pk
    two = wallet_of(make_user("two", balance="100.00")).pk
    both_have_one = threading.Barrier(2, timeout=10)
    lock = posting_module._lock

    def send_disorderly(pair: tuple[uuid.UUID, uuid.UUID]) -> Any:
        with transaction.atomic():
            lock({pair[0]})
            both_have_one.wait()
            lock({pair[1]})
        return "done"

    outcomes = in_threads(send_disorderly, [(one, two), (two, one)])

    failed = [outcome for outcome in outcomes if outcome != "done"]
    assert len(failed) == 1
    assert isinstance(failed[0], OperationalError)
    assert "deadlock detected" in str(failed[0])


def test_one_key_fifty_times_at_once_is_one_transfer():
    payer = wallet_of(make_user("payer", balance="10.00")).pk
    payee = wallet_of(make_user("payee")).pk

    outcomes = in_threads(lambda _: send(payer, payee, "3.00", "once"), range(50))

    assert kinds(outcomes) == {"CreditTransfer": 50}
    assert len({transfer.pk for transfer in outcomes}) == 1
    assert [transfer.is_replay for transfer in outcomes].count(False) == 1
    assert CreditWallet.objects.get(pk=payee).balance == 3


def test_without_the_lock_the_unique_key_books_it_once(monkeypatch):
    """The control: both write before either has committed."""
    payer = wallet_of(make_user("payer", balance="10.00")).pk
    payee = wallet_of(make_user("payee")).pk
    lock_nothing(monkeypatch, readers=2)

    outcomes = in_threads(lambda _: send(payer, payee, "3.00", "once"), range(2))

    refused = [o for o in outcomes if isinstance(o, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], IntegrityError | TransferKeyReused)
    assert CreditWallet.objects.get(pk=payee).balance == 3


def test_one_key_for_two_causes_at_once_names_one_of_them():
    first, second = make_user("first", balance="5.00"), make_user("second", balance="5")
    payee, other = make_user("payee"), make_user("other")
    pairs = [(first, payee), (second, other)]

    outcomes = in_threads(
        lambda pair: send(wallet_of(pair[0]).pk, wallet_of(pair[1]).pk, "5.00", "one"),
        pairs,
    )

    assert kinds(outcomes) == {"CreditTransfer": 1, "TransferKeyReused": 1}
    assert balance_of(payee) + balance_of(other) == 5


def test_a_key_that_another_cause_is_just_booking_is_refused_by_its_name():
    first, second = make_user("first", balance="5.00"), make_user("second", balance="5")
    payee, other = wallet_of(make_user("payee")).pk, wallet_of(make_user("other")).pk

    with transaction.atomic():
        send(wallet_of(first).pk, payee, "5.00", "one")
        late = Worker(lambda: send(wallet_of(second).pk, other, "5.00", "one"))
        assert late.ends_or_waits() == "waited"

    refusal = late.result()
    assert isinstance(refusal, TransferKeyReused)
    assert refusal.key == "one"
    assert balance_of(second) == 5


def test_holds_and_debits_at_once_never_take_more_than_is_available():
    rich = wallet_of(make_user("rich", balance="10.00")).pk
    payee = wallet_of(make_user("payee")).pk

    def take(number: int) -> Any:
        if number % 2:
            return send(rich, payee, "1.00", f"t:{number}")
        return services.place_hold(
            wallet_id=rich, amount=Decimal("1.00"), key=f"h:{number}", reason="race"
        )

    outcomes = in_threads(take, range(30))

    assert kinds(outcomes)["InsufficientCredits"] == 20
    wallet = CreditWallet.objects.get(pk=rich)
    assert wallet.balance == wallet.held
    assert wallet.available == 0


def test_a_hold_that_is_released_by_many_at_once_is_released_once():
    rich = wallet_of(make_user("rich", balance="10.00")).pk
    services.place_hold(
        wallet_id=rich, amount=Decimal("4.00"), key="h:1", reason="race"
    )

    outcomes = in_threads(lambda _: services.release_hold(key="h:1"), range(10))

    assert sorted(outcomes) == [False] * 9 + [True]
    assert CreditWallet.objects.get(pk=rich).held == 0


def test_without_the_lock_the_guard_lets_a_hold_be_released_once():
    """The control: both found it open before either released it."""
    rich = wallet_of(make_user("rich", balance="10.00")).pk
    services.place_hold(
        wallet_id=rich, amount=Decimal("4.00"), key="h:1", reason="race"
    )
    both_found_it = threading.Barrier(2, timeout=10)

    def release_carelessly(_: int) -> Any:
        from django.utils import timezone

        hold = CreditHold.objects.open().get(key="h:1")
        both_found_it.wait()
        hold.released_at = timezone.now()
        hold.save(update_fields=["released_at"])
        return "released"

    outcomes = in_threads(release_carelessly, range(2))

    assert kinds(outcomes) == {"str": 1, "IntegrityError": 1}
    assert CreditWallet.objects.get(pk=rich).held == 0


def test_sweeps_of_due_holds_at_once_release_each_once():
    from django.utils import timezone

    now = timezone.now()
    rich = wallet_of(make_user("rich", balance="30.00")).pk
    for number in range(30):
        services.place_hold(
            wallet_id=rich,
            amount=Decimal("1.00"),
            key=f"h:{number}",
            reason="race",
            releases_at=now,
        )

    outcomes = in_threads(
        lambda _: services.release_due_holds(now=now, batch=7), range(4)
    )

    assert sum(outcomes) == 30
    assert CreditWallet.objects.get(pk=rich).held == 0
