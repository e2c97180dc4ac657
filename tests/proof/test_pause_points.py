"""Every ordered pair of the ledger's operations, the first stopped at every point.

While the first stands still after its lock, after its write or before its commit, the
second runs on another connection, until it has ended or waits. Then the first goes on.
What came of both, and every wallet, row and hold, is what one of the two orders gives
when they run one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from django.db import IntegrityError, connections

from credits_project.exceptions import DomainError
from tests.factories import make_user, wallet_of
from tests.postgres import clone_database, drop_database
from tests.proof.pausing import DEADLINE, POINTS, Point, Worker, pausing
from wallets import proof, services
from wallets.models import CreditHold, CreditTransaction, CreditTransfer, CreditWallet
from wallets.services import Leg, Posting

_numbers = itertools.count(1)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Three people of this one run, with something to fight over.

    Alice has 10.00, of which 2.00 are held; Bob has 5.00, of which 4.00 came from her.
    """

    number: int
    alice: Any
    bob: Any
    carol: Any
    paid: CreditTransfer
    staff: Any
    # Later scenes are due earlier: a sweep finds the holds of its own scene alone.
    due: datetime

    def wallet(self, name: str) -> Any:
        return wallet_of(getattr(self, name)).pk

    def key(self, name: str) -> str:
        return f"scene:{self.number}:{name}"


def new_scene(staff: Any, *, is_frozen: bool) -> Scene:
    number = next(_numbers)
    alice, bob = make_user("alice", balance="14.00"), make_user("bob", balance="1.00")
    due = _LATEST - timedelta(hours=number)
    paid = services.transfer_credits(
        from_user_id=alice.pk, to_user_id=bob.pk, amount=Decimal("4.00")
    )
    services.place_hold(
        wallet_id=wallet_of(alice).pk,
        amount=Decimal("2.00"),
        key=f"scene:{number}:held",
        reason="a scene",
        releases_at=due,
    )
    scene = Scene(
        number=number,
        alice=alice,
        bob=bob,
        carol=make_user("carol"),
        paid=paid,
        staff=staff,
        due=due,
    )
    if is_frozen:
        services.freeze_wallet(
            wallet_id=scene.wallet("alice"), actor=staff, reason="a scene"
        )
    return scene


def transfer(payer: str, payee: str, amount: str) -> Callable[[Scene, str], Any]:
    """Each alone can be paid; two of them cannot."""

    def do(scene: Scene, turn: str) -> Any:
        return services.transfer_credits(
            from_user_id=getattr(scene, payer).pk,
            to_user_id=getattr(scene, payee).pk,
            amount=Decimal(amount),
            key=scene.key(turn),
        )

    return do


def with_one_key(scene: Scene, turn: str) -> Any:
    return transfer("alice", "bob", "5.00")(scene, "one key")


def post_many(scene: Scene, turn: str) -> Any:
    """Alice pays Bob, and Bob pays Carol more than he has without that."""

    def posting(payer: str, payee: str, amount: str) -> Posting:
        credits = Decimal(amount)
        return Posting(
            key=scene.key(f"{turn}:{payer}"),
            legs=(
                Leg(
                    wallet_id=scene.wallet(payee),
                    amount=credits,
                    transaction_type="transfer",
                ),
                Leg(
                    wallet_id=scene.wallet(payer),
                    amount=-credits,
                    transaction_type="transfer",
                ),
            ),
        )

    return services.post_many(
        [posting("alice", "bob", "4.00"), posting("bob", "carol", "8.00")]
    )


def place_hold(scene: Scene, turn: str) -> Any:
    return services.place_hold(
        wallet_id=scene.wallet("alice"),
        amount=Decimal("5.00"),
        key=scene.key(f"{turn}:hold"),
        reason="a scene",
    )


def release_hold(scene: Scene, turn: str) -> Any:
    return services.release_hold(key=scene.key("held"))


def release_due_holds(scene: Scene, turn: str) -> Any:
    return services.release_due_holds(now=scene.due)


def freeze(scene: Scene, turn: str) -> Any:
    return services.freeze_wallet(
        wallet_id=scene.wallet("alice"), actor=scene.staff, reason="a scene"
    )


def unfreeze(scene: Scene, turn: str) -> Any:
    return services.unfreeze_wallet(
        wallet_id=scene.wallet("alice"), actor=scene.staff, reason="a scene"
    )


def reverse(scene: Scene, turn: str) -> Any:
    return services.reverse_transfer(
        transfer_id=scene.paid.pk, actor=scene.staff, reason="a scene"
    )


def adjust(scene: Scene, turn: str) -> Any:
    return services.grant_credits(
        user_id=scene.alice.pk,
        amount=Decimal("-5.00"),
        reason="a scene",
        transaction_type="adjustment",
        key=scene.key(f"{turn}:adjust"),
    )


OPERATIONS: Final[dict[str, Callable[[Scene, str], Any]]] = {
    "transfer": transfer("alice", "bob", "5.00"),
    "transfer back": transfer("bob", "alice", "5.00"),
    "transfer with one key": with_one_key,
    "post many": post_many,
    "place a hold": place_hold,
    "release a hold": release_hold,
    "release due holds": release_due_holds,
    "freeze": freeze,
    "unfreeze": unfreeze,
    "reverse": reverse,
    "grant": adjust,
}


def told(outcome: Any) -> Any:
    """What came of an operation, without what differs from scene to scene."""
    if isinstance(outcome, DomainError):
        return type(outcome).__name__
    if isinstance(outcome, Exception):
        raise outcome
    if isinstance(outcome, CreditTransfer):
        return "again" if outcome.is_replay else "booked"
    if isinstance(outcome, list):
        return [told(each) for each in outcome]
    if isinstance(outcome, CreditWallet):
        return "frozen" if outcome.frozen_at else "not frozen"
    if isinstance(outcome, CreditHold):
        return "held"
    return outcome


def state(scene: Scene) -> Any:
    """Wallets, rows and holds of a scene, without what differs between scenes."""
    people = {scene.wallet(name): name for name in ("alice", "bob", "carol")}
    return (
        [
            (people[w.pk], w.balance, w.held, w.sequence, w.frozen_at is not None)
            for w in CreditWallet.objects.filter(pk__in=people).order_by("user")
        ],
        [
            (people[row.wallet_id], row.transaction_type, row.amount, row.balance_after)
            for row in CreditTransaction.objects.filter(wallet__in=people).order_by(
                "wallet__user", "sequence"
            )
        ],
        sorted(
            (
                hold.key.partition(":hold")[1] or "held",
                hold.amount,
                bool(hold.released_at),
            )
            for hold in CreditHold.objects.filter(wallet__in=people)
        ),
    )


def one_after_the_other(
    staff: Any, first: str, second: str, *, swapped: bool, is_frozen: bool
) -> Any:
    scene = new_scene(staff, is_frozen=is_frozen)
    outcomes = {}
    order = [("first", first), ("second", second)]
    for turn, name in reversed(order) if swapped else order:
        try:
            outcomes[turn] = told(OPERATIONS[name](scene, turn))
        except DomainError as refusal:
            outcomes[turn] = told(refusal)
    return outcomes["first"], outcomes["second"], state(scene)


def at_once(
    staff: Any, first: str, second: str, point: Point, *, is_frozen: bool
) -> tuple[Any, str]:
    scene = new_scene(staff, is_frozen=is_frozen)
    with pausing(point) as pause:
        one = Worker(lambda: OPERATIONS[first](scene, "first"), pause=pause)
        try:
            assert pause.reached.wait(DEADLINE), (
                f"{first} never came to {point}",
                one.outcome,
            )
            two = Worker(lambda: OPERATIONS[second](scene, "second"))
            how = two.ends_or_waits()
        finally:
            pause.let_on()
        outcomes = told(one.result()), told(two.result())
    return (*outcomes, state(scene)), how


@pytest.fixture(scope="module")
def staff(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """One of the staff, on a database that all pairs share: each has its own people."""
    settings = connections["default"].settings_dict
    template = settings["NAME"]
    with django_db_blocker.unblock():
        connections.close_all()
        settings["NAME"] = clone_database(template)
        try:
            yield make_user("staff")
            assert proof.breaks() == []
        finally:
            connections.close_all()
            name, settings["NAME"] = settings["NAME"], template
            drop_database(name)


@pytest.mark.parametrize("second", OPERATIONS)
@pytest.mark.parametrize("first", OPERATIONS)
def test_a_pair_at_every_pause_is_as_one_after_the_other(
    first: str, second: str, staff: Any
):
    # Only a frozen wallet can be unfrozen; everything else needs one that is not.
    is_frozen = first == "unfreeze"
    serial = [
        one_after_the_other(staff, first, second, swapped=swapped, is_frozen=is_frozen)
        for swapped in (False, True)
    ]

    for point in POINTS:
        result, how = at_once(staff, first, second, point, is_frozen=is_frozen)

        assert result in serial, point
        # Every operation on Alice's credits begins with the lock on her wallet.
        assert how == "waited", point


def test_without_locks_the_second_does_not_wait_and_the_first_is_refused(staff: Any):
    """The control: the pause is where it should be, and the race is real."""
    scene = new_scene(staff, is_frozen=False)

    with pausing("after the lock", with_locks=False) as pause:
        one = Worker(lambda: OPERATIONS["transfer"](scene, "first"), pause=pause)
        assert pause.reached.wait(DEADLINE)
        two = Worker(lambda: OPERATIONS["transfer"](scene, "second"))
        how = two.ends_or_waits()
        pause.let_on()

    assert (how, told(two.result())) == ("ended", "booked")
    assert isinstance(one.result(), IntegrityError)
