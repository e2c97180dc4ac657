"""The ledger against a model of it in plain Python: random stories, no difference.

`MODEL_STEPS` says how many steps are taken, `MODEL_SEED` repeats a run. A story that
fails is made shorter and printed as the calls that lead to it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import hypothesis
import hypothesis.strategies as st
import pytest
from django.db import connection, transaction
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from credits_project.exceptions import DomainError
from tests.factories import make_user, wallet_of
from tests.proof.model import Legs, Model, Refused, Wallet
from wallets import proof, services
from wallets.models import CreditHold, CreditTransaction, CreditTransfer, CreditWallet
from wallets.services import Leg, Posting
from wallets.system import system_wallet_id

STEPS = int(os.environ.get("MODEL_STEPS", "400"))
STEPS_OF_A_STORY = 50
PEOPLE = ("alice", "bob", "carol", "dan")
# Two that may owe, and one of the system that may not.
SYSTEM = ("opening", "adjustments", "promotions")
WALLETS = (*PEOPLE, *SYSTEM)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

people = st.sampled_from(PEOPLE)
types = st.sampled_from(["transfer", "bonus", "course_payment", "adjustment"])
# Mostly like prices, so that balances run out; now and then as large as they come.
prices = st.integers(1, 5_000)
cents = st.one_of(prices, prices, prices, st.integers(1, 10**14 - 1))
keys = st.sampled_from([f"key:{number}" for number in range(40)])
times = st.integers(0, 20)


@st.composite
def transfers(draw: st.DrawFn) -> Legs:
    """Two to four legs of different wallets that add up to zero, all in one type."""
    kind = draw(types)
    payer = draw(st.sampled_from(WALLETS))
    others = [name for name in WALLETS if name != payer]
    payees = draw(
        st.lists(st.sampled_from(others), min_size=1, max_size=3, unique=True)
    )
    # Three of the largest are still an amount.
    largest = st.integers(1, (10**14 - 1) // 3)
    paid = [draw(st.one_of(prices, prices, prices, largest)) for _ in payees]
    legs = [(payer, -sum(paid), kind)]
    legs += [(name, amount, kind) for name, amount in zip(payees, paid, strict=True)]
    return tuple(draw(st.permutations(legs)))


def credits(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-2)


def _outcome(work: Callable[[], Any], kind: type[Exception]) -> tuple[Any, Any]:
    """Return what it returns, or the refusal."""
    try:
        return work(), None
    except kind as refusal:
        return None, refusal


class Ledger(RuleBasedStateMachine):
    """One story: steps taken by the ledger and by the model, compared at each."""

    booked = Bundle("booked")
    placed = Bundle("placed")
    steps: ClassVar[int] = 0
    stories: ClassVar[int] = 0

    # Set by the test, once for all stories: they share users and roll all else back.
    users: ClassVar[dict[str, Any]] = {}
    ids: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.story = transaction.atomic()
        self.story.__enter__()
        self.model = Model(
            wallets={name: Wallet(may_be_negative=name in SYSTEM) for name in WALLETS}
        )
        self.transfer_ids: dict[str, Any] = {}
        self.released_at = 0
        Ledger.stories += 1

    @initialize(amounts=st.lists(st.integers(0, 10_000), min_size=4, max_size=4))
    def begin(self, amounts: list[int]) -> None:
        """Everybody gets something to spend."""
        for name, amount in zip(PEOPLE, amounts, strict=True):
            if amount:
                legs = ((name, amount, "bonus"), ("opening", -amount, "bonus"))
                self._post_many([(f"start:{name}", legs)])

    # Transfers

    @rule(target=booked, key=keys, legs=transfers())
    def post(self, key: str, legs: Legs) -> Any:
        """One transfer, sometimes under a key that is taken."""
        return self._post_many([(key, legs)])

    @rule(
        target=booked,
        postings=st.lists(st.tuples(keys, transfers()), min_size=2, max_size=8),
    )
    def post_many(self, postings: list[tuple[str, Legs]]) -> Any:
        """Several, of which later ones may spend what earlier ones bring in."""
        return self._post_many(postings)

    @rule(key=booked, data=st.data())
    def repeat_the_same(self, key: str, data: st.DataObject) -> None:
        """The same key and legs, in whatever order."""
        legs = tuple(data.draw(st.permutations(self.model.transfers[key])))
        self._post_many([(key, legs)])

    @rule(key=booked, legs=transfers())
    def repeat_with_other_legs(self, key: str, legs: Legs) -> None:
        """A key that is taken, for something else."""
        self._post_many([(key, legs)])

    @rule(target=booked, payer=people, payee=people, amount=cents, key=keys)
    def transfer(self, payer: str, payee: str, amount: int, key: str) -> Any:
        """From one person to another."""
        if payer == payee:
            return multiple()
        legs = ((payer, -amount, "transfer"), (payee, amount, "transfer"))
        return self._both(
            lambda: self.model.post_many([(key, legs)]),
            lambda: services.transfer_credits(
                from_user_id=self.users[payer].pk,
                to_user_id=self.users[payee].pk,
                amount=credits(amount),
                key=key,
            ),
            lambda replays, transfer: self._compare([(key, legs)], replays, [transfer]),
        )

    @rule(
        target=booked,
        payer=people,
        payee=people,
        key=keys,
        off=st.integers(-1, 1),
        held_too=st.booleans(),
    )
    def pay_about_what_there_is(
        self, payer: str, payee: str, key: str, off: int, held_too: bool
    ) -> Any:
        """All that is available or in the wallet, or a cent less or more."""
        there = self.model.wallets[payer].balance
        amount = (there if held_too else self.model.available(payer)) + off
        if payer == payee or not 0 < amount < 10**14:
            return multiple()
        legs = ((payee, amount, "transfer"), (payer, -amount, "transfer"))
        return self._post_many([(key, legs)])

    @rule(target=booked, person=people, amount=cents, key=keys, up=st.booleans())
    def adjust(self, person: str, amount: int, key: str, up: bool) -> Any:
        """A correction, up or down."""
        amount = amount if up else -amount
        legs = ((person, amount, "adjustment"), ("adjustments", -amount, "adjustment"))
        return self._both(
            lambda: self.model.post_many([(key, legs)]),
            lambda: services.grant_credits(
                user_id=self.users[person].pk,
                amount=credits(amount),
                reason="a story",
                transaction_type="adjustment",
                key=key,
            ),
            lambda replays, transfer: self._compare([(key, legs)], replays, [transfer]),
        )

    @rule(target=booked, key=booked)
    def reverse(self, key: str) -> Any:
        """Undo a transfer, perhaps again, perhaps a reversal."""
        legs = tuple(
            (name, -amount, t) for name, amount, t in self.model.transfers[key]
        )

        def compare(was_before: bool, transfer: CreditTransfer) -> list[str]:
            assert transfer.reverses_id == self.transfer_ids[key]
            return self._compare([(f"reversal:{key}", legs)], [was_before], [transfer])

        return self._both(
            lambda: self.model.reverse(key),
            lambda: services.reverse_transfer(
                transfer_id=self.transfer_ids[key],
                actor=self.users["staff"],
                reason="a story",
            ),
            compare,
        )

    # Holds and freezing

    @rule(
        target=placed,
        number=st.integers(0, 15),
        person=people,
        amount=cents,
        due=st.none() | times,
    )
    def place_hold(self, number: int, person: str, amount: int, due: int | None) -> Any:
        """Hold credits back, sometimes under a key that is taken."""
        return self._place_hold(f"hold:{number}", person, amount, due)

    @rule(
        target=placed, number=st.integers(0, 15), person=people, off=st.integers(-1, 1)
    )
    def hold_about_what_there_is(self, number: int, person: str, off: int) -> Any:
        """All that is available, or a cent less or more."""
        amount = self.model.available(person) + off
        if not 0 < amount < 10**14:
            return multiple()
        return self._place_hold(f"hold:{number}", person, amount, None)

    @rule(key=placed)
    def release_hold(self, key: str) -> None:
        """Release a hold that may have been released before."""
        assert services.release_hold(key=key) == self.model.release(key)

    @rule(key=consumes(placed))
    def release_hold_twice(self, key: str) -> None:
        """Release a hold, and at once again."""
        assert services.release_hold(key=key) == self.model.release(key)
        assert services.release_hold(key=key) is False

    @rule(now=times, batch=st.integers(1, 5))
    def release_due_holds(self, now: int, batch: int) -> None:
        """Let holds come to their end."""
        released = services.release_due_holds(
            now=EPOCH + timedelta(days=now), batch=batch
        )
        assert released == self.model.release_due(now)

    @rule(name=st.sampled_from(PEOPLE), freeze=st.booleans())
    def freeze(self, name: str, freeze: bool) -> None:
        """Freeze or unfreeze, perhaps what is so already."""
        service = services.freeze_wallet if freeze else services.unfreeze_wallet
        wallet = service(
            wallet_id=self.ids[name], actor=self.users["staff"], reason="a story"
        )
        self.model.wallets[name].is_frozen = freeze
        assert (wallet.frozen_at is not None) == freeze

    # What is compared

    @invariant()
    def wallets_are_the_same(self) -> None:
        """After each step every wallet is as the model says."""
        Ledger.steps += 1
        rows = CreditWallet.objects.filter(pk__in=self.ids.values()).values_list(
            "pk", "balance", "held", "sequence", "frozen_at"
        )
        found = {pk: (b, h, n, frozen is not None) for pk, b, h, n, frozen in rows}
        assert found == {
            self.ids[name]: (
                credits(wallet.balance),
                credits(self.model.held(name)),
                len(wallet.rows),
                wallet.is_frozen,
            )
            for name, wallet in self.model.wallets.items()
        }

    def teardown(self) -> None:
        """At the end every row is as the model says, and the books are right."""
        try:
            self._compare_everything()
        finally:
            transaction.set_rollback(True)
            self.story.__exit__(None, None, None)

    def _compare_everything(self) -> None:
        names = {pk: name for name, pk in self.ids.items()}
        rows: dict[str, list[Any]] = {name: [] for name in WALLETS}
        for key, wallet, amount, kind, after in CreditTransaction.objects.order_by(
            "wallet", "sequence"
        ).values_list(
            "transfer__key", "wallet", "amount", "transaction_type", "balance_after"
        ):
            rows[names[wallet]].append((key, amount, kind, after))
        stored = {str(pk): key for key, pk in self.transfer_ids.items()}
        for name, modeled in self.model.wallets.items():
            assert [
                (self._story_key(key, stored), amount, kind, after)
                for key, amount, kind, after in rows[name]
            ] == [
                (key, credits(amount), kind, credits(after))
                for key, amount, kind, after in modeled.rows
            ]
        assert {
            (hold.key, names[hold.wallet_id], hold.amount, hold.released_at is None)
            for hold in CreditHold.objects.all()
        } == {
            (key, hold.wallet, credits(hold.cents), hold.is_open)
            for key, hold in self.model.holds.items()
        }
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        assert proof.breaks() == []

    def _story_key(self, key: str, stored: dict[str, str]) -> str:
        """Return the key with the story's name of the transfer that it undoes."""
        kind, _, undone = key.partition("reversal:")
        return f"reversal:{stored[undone]}" if not kind and undone else key

    def _place_hold(self, key: str, person: str, amount: int, due: int | None) -> Any:
        def compare(_: None, hold: CreditHold) -> Any:
            assert (hold.key, hold.amount) == (key, credits(amount))
            return key

        return self._both(
            lambda: self.model.place(key, person, amount, due),
            lambda: services.place_hold(
                wallet_id=self.ids[person],
                amount=credits(amount),
                key=key,
                reason="a story",
                releases_at=None if due is None else EPOCH + timedelta(days=due),
            ),
            compare,
        )

    def _post_many(self, postings: list[tuple[str, Legs]]) -> Any:
        return self._both(
            lambda: self.model.post_many(postings),
            lambda: services.post_many(
                [
                    Posting(
                        key=self._real_key(key),
                        legs=tuple(
                            Leg(
                                wallet_id=self.ids[name],
                                amount=credits(amount),
                                transaction_type=kind,
                            )
                            for name, amount, kind in legs
                        ),
                    )
                    for key, legs in postings
                ]
            ),
            lambda replays, found: self._compare(postings, replays, found),
        )

    def _real_key(self, key: str) -> str:
        undone = key.removeprefix("reversal:")
        return f"reversal:{self.transfer_ids[undone]}" if undone != key else key

    def _both(
        self,
        of_model: Callable[[], Any],
        of_ledger: Callable[[], Any],
        compare: Callable[[Any, Any], Any],
    ) -> Any:
        """Do it in both; both refuse for the same reason, or the results agree."""
        expected, refusal = _outcome(of_model, Refused)
        found, error = _outcome(of_ledger, DomainError)
        if refusal is not None:
            assert type(error).__name__ in refusal.names, (found, refusal)
            return multiple()
        assert error is None, error
        return compare(expected, found)

    def _compare(
        self,
        postings: list[tuple[str, Legs]],
        replays: list[bool],
        found: list[CreditTransfer],
    ) -> Any:
        assert [transfer.is_replay for transfer in found] == replays
        for (key, legs), transfer in zip(postings, found, strict=True):
            assert self.transfer_ids.setdefault(key, transfer.pk) == transfer.pk
            assert {
                (leg.wallet_id, leg.amount, leg.transaction_type)
                for leg in transfer.legs
            } == {
                (self.ids[name], credits(amount), kind) for name, amount, kind in legs
            }
        return multiple(*(key for key, _ in postings))


@pytest.fixture
def cast(committed: str) -> None:
    """The people of all stories, with empty wallets, on a database of their own."""
    Ledger.users = {name: make_user(name) for name in (*PEOPLE, "staff")}
    Ledger.ids = {
        **{name: wallet_of(Ledger.users[name]).pk for name in PEOPLE},
        "opening": system_wallet_id("opening"),
        "adjustments": system_wallet_id("adjustments"),
        "promotions": CreditWallet.objects.get(code="promotions:0").pk,
    }
    Ledger.steps = Ledger.stories = 0


def _settings(steps: int) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=-(-steps // STEPS_OF_A_STORY),
        stateful_step_count=STEPS_OF_A_STORY,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def test_the_ledger_does_what_a_plain_model_of_it_does(
    cast: None, record_testsuite_property: Any, capsys: pytest.CaptureFixture[str]
):
    seed = os.environ.get("MODEL_SEED")
    began = time.monotonic()

    # In rounds, as a story may end before its last step.
    while (left := STEPS - Ledger.steps) > 0:
        machine: Any = type("Ledger", (Ledger,), {})
        if seed is not None:
            machine = hypothesis.seed(int(seed) + Ledger.stories)(machine)
        run_state_machine_as_test(machine, settings=_settings(left))

    seconds = time.monotonic() - began
    told = f"{Ledger.steps} steps in {Ledger.stories} stories, {seconds:.0f} s"
    record_testsuite_property("model", told)
    if STEPS > 10_000:
        with capsys.disabled():
            sys.stdout.write(f"\nmodel: {told}, no difference\n")
