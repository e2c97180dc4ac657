"""The five processes from end to end, over HTTP, with nothing pretended.

Web server, worker and the gateway's simulator run as processes of their own; people use
the API, the gateway's page and the console.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests

from payments.models import CreditPurchase
from tests.factories import balance_of, wallet_of
from tests.journeys import people
from tests.simulator_process import until
from tests.system import Client, System
from withdrawals.models import WithdrawalRequest

# One system serves all of them, so that they stay in one test process.
pytestmark = pytest.mark.xdist_group("journeys")

WITHDRAWALS = "withdrawals/withdrawalrequest/"


def status_of(client: Client, withdrawal: dict[str, Any]) -> str:
    return str(client.get(f"/withdrawals/{withdrawal['id']}")["status"])


def rows_of(client: Client) -> list[tuple[str, str, str, str]]:
    return [
        (
            row["transaction_type"],
            row["amount"],
            row["balance_before"],
            row["balance_after"],
        )
        for row in client.get("/wallet/transactions")["results"]
    ]


def test_from_sign_up_to_the_coachs_payout(system: System):
    people.payout_rate()
    learner, _ = people.new_person(system, "learner")
    wallet = learner.get("/wallet")
    assert (wallet["balance"], wallet["available"]) == ("0.00", "0.00")

    # The learner buys credits; the webhook alone brings them, nobody asks.
    package = people.new_package(credits="100.00", bonus="5.00")
    purchase = people.buy(learner, package)
    paid = people.pay_on_page(purchase["checkout_url"])
    assert paid.headers["Location"].startswith(f"{system.site}/payments/return?")
    until(lambda: learner.balance() == "105.00", seconds=30)
    assert learner.get(f"/purchases/{purchase['id']}")["status"] == "paid"

    # A coach publishes a course, and the learner enrolls.
    coach, _ = people.new_coach(system)
    course = coach.post(
        "/courses",
        {"title": "Keeping books", "price": "60.00", "status": "published"},
    )
    quote = learner.get(f"/courses/{course['id']}/quote")
    assert (quote["price"], quote["enough"]) == ("60.00", True)
    enrollment = learner.post(
        f"/courses/{course['id']}/enroll", {"price": quote["price"]}, key="enroll-once"
    )
    assert enrollment["balance_after"] == "45.00"
    assert rows_of(learner) == [
        ("course_payment", "-60.00", "105.00", "45.00"),
        ("purchase", "105.00", "0.00", "105.00"),
    ]
    assert rows_of(coach) == [("course_payment", "60.00", "0.00", "60.00")]

    # The coach withdraws, finance approves at the console, the gateway pays.
    method = people.add_number(coach)
    terms = coach.get("/withdrawals/quote?credits=50.00")
    assert (terms["gross"], terms["fee"], terms["net"]) == ("450.00", "0.00", "450.00")
    withdrawal = coach.post(
        "/withdrawals", {"credits": "50.00", "payout_method": method}, key="w-1"
    )
    assert (withdrawal["status"], withdrawal["balance_after"]) == ("requested", "10.00")
    console = people.new_console(system, "finance")
    console.act(WITHDRAWALS, "approve", withdrawal["id"])
    until(lambda: status_of(coach, withdrawal) == "paid", seconds=45)

    assert rows_of(coach)[0] == ("withdrawal", "-50.00", "60.00", "10.00")
    charge_id = WithdrawalRequest.objects.get(pk=withdrawal["id"]).payout.charge_id
    payout = system.simulator.control.payout(charge_id)
    assert (payout["status"], Decimal(payout["amount"])) == ("success", 450)
    assert "The books are right." in system.manage("verify_ledger")


def test_the_payers_return_brings_the_credits_where_the_webhook_is_lost(system: System):
    learner, _ = people.new_person(system, "learner")
    system.simulator.control.fault("webhook", "lost", times=1)
    purchase = people.buy(learner, people.new_package())

    answer = people.pay_on_page(purchase["checkout_url"])
    page = requests.get(answer.headers["Location"], timeout=30)

    assert page.ok
    assert learner.balance() == "100.00"


def test_the_poller_brings_the_credits_where_the_webhook_is_lost(system: System):
    learner, user = people.new_person(system, "learner")
    system.simulator.control.fault("webhook", "lost", times=1)
    purchase = people.buy(learner, people.new_package())
    people.pay_on_page(purchase["checkout_url"])

    # The wallet is looked at and not the purchase, which would ask the gateway.
    until(lambda: balance_of(user) == 100, seconds=75)

    assert CreditPurchase.objects.get(pk=purchase["id"]).status == "paid"


def two_attempts(system: System, tx_ref: str) -> list[int]:
    """Return what the site answered, once the event was delivered twice."""
    attempts = [
        attempt["status"]
        for delivery in system.simulator.control.deliveries(tx_ref)
        for attempt in delivery["attempts"]
    ]
    return attempts if len(attempts) >= 2 else []


def test_a_webhook_that_comes_twice_at_once_credits_once(system: System):
    learner, user = people.new_person(system, "learner")
    system.simulator.control.fault("webhook", "copies", times=1)
    purchase = people.buy(learner, people.new_package())

    people.pay_on_page(purchase["checkout_url"])
    attempts = until(lambda: two_attempts(system, purchase["tx_ref"]), seconds=20)
    until(lambda: balance_of(user) == 100, seconds=30)

    assert attempts == [200, 200]
    assert wallet_of(user).sequence == 1


def test_a_payment_that_fails_first_and_then_succeeds_is_credited(system: System):
    learner, user = people.new_person(system, "learner")
    purchase = people.buy(learner, people.new_package())

    first = people.pay_on_page(purchase["checkout_url"], phone=people.BAD_NUMBER)
    assert first.status_code == 200
    assert learner.get(f"/purchases/{purchase['id']}")["status"] == "pending"
    second = people.pay_on_page(
        purchase["checkout_url"], method="card", card_number="4242424242424242"
    )
    assert second.status_code == 302

    until(lambda: balance_of(user) == 100, seconds=30)


def test_a_payment_that_is_cancelled_credits_nothing(system: System):
    learner, user = people.new_person(system, "learner")
    purchase = people.buy(learner, people.new_package())

    answer = people.pay_on_page(purchase["checkout_url"], action="cancel")
    page = requests.get(answer.headers["Location"], timeout=30)

    assert page.ok
    assert balance_of(user) == 0


def test_a_rejected_withdrawal_gives_the_credits_back(system: System):
    people.payout_rate()
    coach, _ = people.earn(system, "60.00")
    withdrawal = coach.post(
        "/withdrawals", {"credits": "60.00", "payout_method": people.add_number(coach)}
    )
    console = people.new_console(system, "finance")

    page = console.act(WITHDRAWALS, "reject", withdrawal["id"])
    assert 'name="reason"' in page
    console.act(
        WITHDRAWALS,
        "reject",
        withdrawal["id"],
        confirmed="yes",
        reason="the name does not fit the number",
    )

    answer = coach.get(f"/withdrawals/{withdrawal['id']}")
    assert answer["status"] == "rejected"
    assert answer["failure_reason"] == "the name does not fit the number"
    assert rows_of(coach)[:2] == [
        ("withdrawal_reversal", "60.00", "0.00", "60.00"),
        ("withdrawal", "-60.00", "60.00", "0.00"),
    ]


def test_a_payout_that_fails_gives_the_credits_back(system: System):
    people.payout_rate()
    coach, _ = people.earn(system, "60.00")
    method = people.add_number(coach, people.BAD_NUMBER)
    withdrawal = coach.post(
        "/withdrawals", {"credits": "60.00", "payout_method": method}
    )
    console = people.new_console(system, "finance")

    console.act(WITHDRAWALS, "approve", withdrawal["id"])
    until(lambda: status_of(coach, withdrawal) == "failed", seconds=45)

    assert rows_of(coach)[0] == ("withdrawal_reversal", "60.00", "0.00", "60.00")
    charge_id = WithdrawalRequest.objects.get(pk=withdrawal["id"]).payout.charge_id
    assert system.simulator.control.payout(charge_id)["status"] == "failed"
