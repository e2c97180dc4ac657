"""Whether the product's rows say what the model does."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from courses.models import Enrollment
from payments.models import CreditPurchase
from tests.marketplace.books import SYSTEM, ZERO
from tests.marketplace.model import PEOPLE
from tests.marketplace.payouts import Withdrawal
from tests.marketplace.purchases import Purchase
from tests.marketplace.sales import Place
from tests.marketplace.story import Story
from wallets import proof
from wallets.adjustments import CreditAdjustment
from wallets.explain import explain
from withdrawals.models import WithdrawalRequest

_WALLETS = """
SELECT coalesce(user_id::text, split_part(code, ':', 1)), sum(balance), sum(held),
    sum(sequence), bool_or(frozen_at IS NOT NULL)
FROM credit_wallets GROUP BY 1
"""
_FLOWS = """
SELECT coalesce(wallet.user_id::text, split_part(wallet.code, ':', 1)),
    leg.transaction_type, sum(leg.amount)
FROM credit_transactions AS leg JOIN credit_wallets AS wallet
    ON wallet.id = leg.wallet_id
GROUP BY 1, 2
"""


def wallets(story: Story) -> None:
    """Every wallet: balance, held, rows, frozen; system wallets by their families."""
    books = story.model.books
    found = {row[0]: row[1:] for row in _rows(_WALLETS)}
    for name in PEOPLE:
        wallet = books.wallets[name]
        expected = (wallet.balance, books.held(name), wallet.rows, wallet.is_frozen)
        seen = found[str(story.house.users[name].pk)]
        assert seen == expected, f"{name}: {seen}, not {expected}"
    for name in SYSTEM:
        balance = found[name][0]
        expected_balance = books.wallets[name].balance
        assert balance == expected_balance, f"{name}: {balance}, not {expected_balance}"


def place(story: Story, expected: Place, found: Enrollment) -> None:
    """A place in a course: its terms, what was refunded, and by whom."""
    ids = {name: user.pk for name, user in story.house.users.items()}
    assert (found.price, found.fee, found.earnings, found.commission_rate) == (
        expected.price,
        expected.fee,
        expected.earnings,
        expected.rate,
    )
    assert (found.learner_id, found.paid_by_id, found.course_id) == (
        ids[expected.learner],
        ids[expected.payer],
        story.house.courses[expected.course.name],
    )
    assert (found.enrolled_at, found.matures_at) == (
        story.at(expected.begins),
        story.at(expected.matures),
    )
    assert (found.status, found.refunded_amount) == (expected.status, expected.refunded)
    refunds = found.refund_rows.order_by("number")
    assert expected.refunds == list(
        refunds.values_list("amount", "fee", "earnings", "shortfall")
    )


def purchase(story: Story, expected: Purchase) -> None:
    """A purchase: what was given and taken back, its refunds and its cases."""
    pk, _ = story.house.purchases[expected.name]
    found = CreditPurchase.objects.get(pk=pk)
    assert (found.status, found.transfer_id is not None) == (
        expected.status,
        expected.is_credited,
    )
    assert expected.given == (
        found.credited_credits,
        found.credited_bonus_credits,
        found.credited_money,
    )
    assert expected.taken == (
        found.refunded_credits,
        found.refunded_bonus_credits,
        found.refunded_money,
    )
    cases = found.cases.values_list("kind", "status", "amount", "currency")
    assert Counter(cases) == Counter(
        (case.kind, case.status, case.amount, case.currency) for case in expected.cases
    )
    refunds = found.refunds.order_by("number").values_list(
        "credits", "bonus_credits", "money", "currency", "status"
    )
    assert list(refunds) == [
        (one.credits, one.bonus, one.money, one.currency, one.status)
        for one in expected.refunds
    ]


def withdrawal(story: Story, expected: Withdrawal) -> None:
    """A withdrawal: its terms, its payout, and late truths about it."""
    pk = story.house.withdrawals[expected.name]
    found = WithdrawalRequest.objects.select_related("payout").get(pk=pk)
    payout = getattr(found, "payout", None)
    seen = (found.credits, found.gross, found.fee, found.net, found.approvals_required)
    assert seen == (
        expected.credits,
        expected.gross,
        expected.fee,
        expected.net,
        expected.approvals,
    )
    assert (found.status, "" if payout is None else payout.status) == (
        expected.status,
        expected.payout,
    )
    assert payout is None or payout.leased_until is None
    cases = found.cases.values_list("kind", "resolution")
    assert Counter(cases) == Counter(
        (case.kind, case.resolution) for case in expected.cases
    )


def everything(story: Story) -> None:
    """All that there is, and that the books prove right by themselves."""
    model, house = story.model, story.house
    with connection.cursor() as cursor:
        # What is checked at the end of a transaction, as the story may have none.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    wallets(story)
    _flows(story)
    _explanations(story)
    places = Enrollment.objects.in_bulk()
    assert len(places) == len(model.sales.places)
    for one in model.sales.places:
        place(story, one, places[house.places[one.name]])
    assert CreditPurchase.objects.count() == len(model.purchases.orders)
    for order in model.purchases.orders:
        purchase(story, order)
    assert WithdrawalRequest.objects.count() == len(model.payouts.requests)
    for request in model.payouts.requests:
        withdrawal(story, request)
    adjustments = CreditAdjustment.objects.values_list("pk", "status")
    assert dict(adjustments) == {
        house.adjustments[one.name]: one.status for one in model.books.adjustments
    }
    assert proof.breaks() == []


def _flows(story: Story) -> None:
    ids = {name: str(user.pk) for name, user in story.house.users.items()}
    assert {row[:2]: row[2] for row in _rows(_FLOWS)} == {
        (ids.get(name, name), kind): amount
        for (name, kind), amount in story.model.books.flows.items()
    }


def _explanations(story: Story) -> None:
    """What the API explains of each wallet, by figure."""
    books, payouts = story.model.books, story.model.payouts
    for name in PEOPLE:
        figures = explain(
            wallet_id=story.house.wallets[name], user_id=story.house.users[name].pk
        ).figures
        waiting = (
            one.credits
            for one in payouts.requests
            if one.coach == name and one.status in {"requested", "approved", "sending"}
        )
        assert {key: figure.amount for key, figure in figures.items()} == {
            "balance": books.wallets[name].balance,
            "held": books.held(name),
            "available": books.available(name),
            "withdrawable": books.withdrawable(name),
            "in_withdrawal": sum(waiting, ZERO),
        }


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()
