"""Money out, and credits by hand, as staff see and click them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.browser import stage
from tests.browser.test_console import WITHDRAWALS
from tests.simulator_process import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

CASES = "/admin/withdrawals/payoutcase/"
ADJUSTMENTS = "/admin/wallets/creditadjustment/"


def tick(page: Any, text: str) -> None:
    page.locator("#result_list tr", has_text=text).get_by_role("checkbox").check()


def run(page: Any, action: str) -> None:
    page.get_by_label("Action:").select_option(action)
    page.locator("button[name=index]").click()


def is_paid(marketplace: stage.Marketplace, withdrawal: dict[str, Any]) -> bool:
    return marketplace.status_of(withdrawal) == "paid"


def test_finance_approves_many_after_seeing_what_it_takes_and_settles_a_late_truth(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    asked = [
        marketplace.coach.post(
            "/withdrawals", {"credits": credits, "payout_method": marketplace.method}
        )
        for credits in ("7.25", "8.75")
    ]
    simulator = marketplace.system.simulator.control
    page = open_page(marketplace.staff["finance"])
    page.goto(WITHDRAWALS)
    tick(page, "7.25")
    tick(page, "8.75")
    run(page, "approve_batch")

    totals = page.locator("#totals").inner_text()
    assert "2 of 2" in totals
    assert "16.00" in totals
    assert "Left after it" in totals
    assert "is paid out" in page.locator("#rows").inner_text()
    page.get_by_label("Note:").fill("the weekly batch")
    page.get_by_role("button", name="Approve and pay out 2").click()
    assert "2 withdrawal(s) approved" in page.locator(".messagelist").inner_text()
    for one in asked:
        until(partial(is_paid, marketplace, one), seconds=60)

    simulator.settle(f"withdrawal-{asked[0]['id']}", "failed")

    def case_is_there() -> bool:
        page.goto(CASES)
        return bool(page.locator("#result_list").count())

    until(case_is_there, seconds=60)
    tick(page, "now the gateway says failed")
    run(page, "settle")
    page.get_by_label("The coach has no money").check()
    page.get_by_label("Reason:").fill("the operator confirms it")
    page.get_by_role("button", name="Settle cases").click()

    assert "give the credits back" in page.locator(".messagelist").inner_text()
    wallet = marketplace.coach.get("/wallet/transactions")["results"][0]
    assert (wallet["transaction_type"], wallet["amount"]) == (
        "withdrawal_reversal",
        "7.25",
    )


def test_large_credits_by_hand_take_two_people(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    asker = open_page(marketplace.staff["finance"])
    asker.goto(ADJUSTMENTS)
    asker.get_by_role("link", name="Add adjustment").first.click()
    asker.get_by_label("User:").fill(marketplace.learner_email)
    asker.get_by_label("Kind:").select_option("adjustment")
    asker.get_by_label("Amount:").fill("1500.00")
    asker.get_by_label("Reason:").fill("moved over from the old system")
    asker.get_by_role("button", name="Give or take credits").click()
    assert "a second person has to agree" in asker.locator(".messagelist").inner_text()
    tick(asker, "1500.00")
    run(asker, "approve")
    assert "A second person" in asker.locator(".messagelist .error").inner_text()

    other = open_page(marketplace.staff["superuser"])
    other.goto(ADJUSTMENTS)
    tick(other, "1500.00")
    run(other, "approve")

    assert "booked" in other.locator(".messagelist").inner_text()
    row = marketplace.learner.get("/wallet/transactions")["results"][0]
    assert (row["transaction_type"], row["amount"]) == ("adjustment", "1500.00")
