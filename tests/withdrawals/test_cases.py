"""Late truths: a case for staff, and what settling it books."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from credits_project.exceptions import InvalidInput, InvalidTransition, PermissionDenied
from tests.factories import balance_of, make_staff
from tests.withdrawals.people import add_method, fresh, make_approved, request
from tests.withdrawals.refusing import refused_by
from tests.withdrawals.test_console import act, console
from wallets.exceptions import InsufficientCredits
from wallets.models import CreditWallet
from wallets.services import grant_credits
from wallets.system import family_codes
from withdrawals import selectors, services
from withdrawals.exceptions import CaseOpen
from withdrawals.models import Payout, PayoutCase

pytestmark = pytest.mark.django_db


def sent(**method: Any) -> Payout:
    payout = make_approved("50.00", **method)
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    return payout


def ended(gateway: Any, outcome: str) -> Payout:
    payout = sent()
    gateway.settle(payout.charge_id, outcome)
    hear(payout)
    assert fresh(payout).ended_at is not None
    return payout


def hear(payout: Payout) -> None:
    """What a webhook of the gateway makes us do."""
    services.handle_payout_event(payout.charge_id)


def case_of(payout: Payout) -> PayoutCase:
    return PayoutCase.objects.open().get(withdrawal_id=payout.withdrawal_id)


def settle(case: PayoutCase, resolution: str, **changes: Any) -> PayoutCase:
    values = {
        "case_id": case.pk,
        "actor": make_staff("finance"),
        "resolution": resolution,
        "reason": "The bank's statement says so.",
        **changes,
    }
    return services.settle_case(**values)


def paid_out() -> Decimal:
    codes = family_codes("paid_out")
    return sum(
        CreditWallet.objects.filter(code__in=codes).values_list("balance", flat=True),
        Decimal(0),
    )


def test_success_after_the_credits_were_given_back_opens_one_case(gateway):
    """P16: nothing is booked; staff see it once, however often it is told."""
    payout = ended(gateway, "failed")

    gateway.settle(payout.charge_id, "success")
    hear(payout)
    hear(payout)

    case = case_of(payout)
    assert case.kind == "paid_after_return"
    assert case.detail == "The credits were given back, and the gateway says success."
    assert fresh(payout.withdrawal).flag == case.detail
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


def test_the_credits_of_a_late_success_are_taken_again(gateway):
    payout = ended(gateway, "failed")
    gateway.settle(payout.charge_id, "success")
    hear(payout)

    case = settle(case_of(payout), "paid")

    coach = payout.withdrawal.user
    assert balance_of(coach) == Decimal("50.00")
    assert selectors.withdrawable(user_id=coach.pk) == Decimal("50.00")
    assert paid_out() == Decimal("50.00")
    assert case.transfer is not None
    assert fresh(payout.withdrawal).flag == ""
    # The gateway says the same ever after, which is no news.
    hear(payout)
    assert not PayoutCase.objects.open().exists()


def test_credits_that_are_gone_are_written_off_instead(gateway):
    payout = ended(gateway, "failed")
    coach = payout.withdrawal.user
    grant_credits(
        user_id=coach.pk,
        amount=Decimal(-80),
        reason="spent",
        transaction_type="adjustment",
    )
    gateway.settle(payout.charge_id, "success")
    hear(payout)
    case = case_of(payout)

    with pytest.raises(InsufficientCredits):
        settle(case, "paid")
    settle(case, "written_off")

    assert balance_of(coach) == Decimal("20.00")
    assert paid_out() == Decimal("50.00")


def test_the_credits_of_a_late_failure_are_given_back_by_staff(gateway):
    """F34: success and then failed."""
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    assert balance_of(payout.withdrawal.user) == Decimal("50.00")

    settle(case_of(payout), "given_back")

    coach = payout.withdrawal.user
    assert balance_of(coach) == Decimal("100.00")
    assert selectors.withdrawable(user_id=coach.pk) == Decimal("100.00")
    assert paid_out() == Decimal("0.00")
    assert fresh(payout.withdrawal).status == "paid"


def test_a_gateway_that_turns_round_again_opens_another_case(gateway):
    """F36, to its bitter end."""
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    settle(case_of(payout), "given_back")

    gateway.settle(payout.charge_id, "success")
    hear(payout)
    assert case_of(payout).kind == "paid_after_return"
    settle(case_of(payout), "paid")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)

    assert case_of(payout).kind == "failed_after_paid"
    assert balance_of(payout.withdrawal.user) == Decimal("50.00")


def test_a_case_that_the_gateway_takes_back_is_settled_by_it(gateway):
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)

    gateway.settle(payout.charge_id, "success")
    hear(payout)

    case = PayoutCase.objects.get(withdrawal=payout.withdrawal)
    assert (case.resolution, case.settled_by) == ("noted", None)
    assert fresh(payout.withdrawal).flag == ""


@pytest.mark.parametrize(
    ("resolution", "status", "balance"),
    [("paid", "paid", "50.00"), ("given_back", "failed", "100.00")],
)
def test_another_amount_is_settled_by_staff(gateway, resolution, status, balance):
    """F44: the order, the webhook and the look-up differ."""
    payout = sent()
    gateway.settle(payout.charge_id)
    gateway.fault("lookup", "wrong-amount")
    hear(payout)
    assert case_of(payout).detail == "The gateway paid 1, not 500.00."
    assert fresh(payout).status == "sent"

    case = settle(case_of(payout), resolution)

    assert fresh(payout).status == status
    assert fresh(payout.withdrawal).status == status
    assert fresh(payout.withdrawal).flag == ""
    assert balance_of(payout.withdrawal.user) == Decimal(balance)
    assert case.reason == "The bank's statement says so."
    # Neither the poller nor an event opens it again.
    hear(payout)
    assert not PayoutCase.objects.open().exists()


def test_a_right_amount_that_comes_later_is_booked_and_ends_the_case(gateway):
    payout = sent()
    gateway.settle(payout.charge_id)
    gateway.fault("lookup", "wrong-amount", times=1)
    hear(payout)
    assert case_of(payout)

    hear(payout)

    assert fresh(payout.withdrawal).status == "paid"
    assert not PayoutCase.objects.open().exists()


def test_another_amount_is_asked_about_again_soon_and_then_ever_more_rarely(gateway):
    payout = sent()
    gateway.settle(payout.charge_id)
    gateway.fault("lookup", "wrong-amount")
    now = timezone.now()
    pauses = []
    for _ in range(7):
        services.look_up_payout(payout_id=payout.pk, now=now)
        pause = fresh(payout).next_check_at - now
        pauses.append(round(pause.total_seconds()))
        now += pause

    assert pauses == [5, 10, 20, 60, 300, 900, 900]
    assert case_of(payout).detail == "The gateway paid 1, not 500.00."


def test_another_amount_after_it_was_paid_is_only_noted(gateway):
    payout = ended(gateway, "success")
    gateway.fault("lookup", "wrong-amount")
    hear(payout)

    with pytest.raises(InvalidTransition):
        settle(case_of(payout), "paid")
    settle(case_of(payout), "noted")

    assert balance_of(payout.withdrawal.user) == Decimal("50.00")
    hear(payout)
    assert not PayoutCase.objects.open().exists()


def test_two_cases_of_a_withdrawal_do_not_give_its_credits_back_twice(gateway):
    payout = ended(gateway, "success")
    gateway.fault("lookup", "wrong-amount", times=1)
    hear(payout)
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    other_amount, failed = PayoutCase.objects.open().order_by("opened_at")
    settle(other_amount, "given_back")

    with pytest.raises(InvalidTransition):
        settle(failed, "given_back")
    settle(failed, "noted")

    assert balance_of(payout.withdrawal.user) == Decimal("100.00")
    assert paid_out() == Decimal("0.00")


def test_no_sql_gives_credits_back_a_second_time(gateway):
    payout = ended(gateway, "success")
    gateway.fault("lookup", "wrong-amount", times=1)
    hear(payout)
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    other_amount, failed = PayoutCase.objects.open().order_by("opened_at")
    settle(other_amount, "given_back")
    update = (
        "UPDATE payout_cases SET settled_at = now(), settled_by_id = %s, reason = 'x',"
        " resolution = %s, transfer_id = %s WHERE id = %s"
    )
    finance, transfer = make_staff("finance"), payout.withdrawal.transfer_id

    again = (finance.pk, "given_back", transfer, failed.pk)
    assert refused_by(update, *again) == "withdrawals_case_returned_once"
    settle(failed, "noted")


def test_a_case_is_settled_once_by_who_may_with_a_reason(gateway):
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    case = case_of(payout)

    with pytest.raises(InvalidInput):
        settle(case, "given_back", reason=" ")
    with pytest.raises(PermissionDenied):
        settle(case, "given_back", actor=make_staff("support"))
    with pytest.raises(PermissionDenied):
        settle(case, "given_back", actor=payout.withdrawal.user)
    with pytest.raises(InvalidTransition):
        settle(case, "paid")
    with pytest.raises(CaseOpen):
        services.clear_flag(
            withdrawal_id=payout.withdrawal_id,
            actor=make_staff("finance"),
            reason="away with it",
        )
    settle(case, "given_back")
    with pytest.raises(InvalidTransition):
        settle(case, "given_back")

    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


def test_nobody_settles_a_case_of_their_own_not_even_by_sql(gateway):
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    case = case_of(payout)
    update = (
        "UPDATE payout_cases SET settled_at = now(), settled_by_id = %s,"
        " resolution = 'noted', reason = %s WHERE id = %s"
    )

    assert (
        refused_by(update, payout.withdrawal.user_id, "mine", case.pk)
        == "withdrawals_case_four_eyes"
    )
    assert (
        refused_by(update, make_staff("finance").pk, "", case.pk)
        == "withdrawals_payoutcase_settled_with_reason"
    )
    settle(case, "noted")
    assert (
        refused_by("UPDATE payout_cases SET reason = 'x' WHERE id = %s", case.pk)
        == "withdrawals_case_once"
    )
    assert refused_by("DELETE FROM payout_cases") == "withdrawals_append_only"


def test_what_has_ended_is_asked_about_again_for_a_week(gateway):
    """Late truths are found without a webhook as well."""
    payout = ended(gateway, "success")
    now = timezone.now()
    gateway.settle(payout.charge_id, "failed")

    assert services.sweep(now=now)["payouts_looked_up"] == 0
    services.sweep(now=now + timedelta(hours=2))

    assert case_of(payout).kind == "failed_after_paid"
    pauses = []
    while (due := fresh(payout).next_check_at) is not None:
        pauses.append(round((due - now) / timedelta(hours=1)))
        services.sweep(now=due)
    assert pauses == [6, 24, 72, 168]


def test_a_silent_gateway_does_not_end_the_asking(gateway):
    payout = ended(gateway, "success")
    gateway.fault("lookup", "500-before", times=2)

    services.sweep(now=timezone.now() + timedelta(hours=2))

    assert fresh(payout).status == "paid"
    assert fresh(payout).next_check_at is not None


def test_what_was_given_back_by_a_case_can_be_withdrawn_again(gateway):
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    settle(case_of(payout), "given_back")
    coach = payout.withdrawal.user

    again = request(coach, "100.00", add_method(coach, "0981234567"))

    assert again.credits == Decimal("100.00")


def test_staff_settle_a_case_on_its_page(gateway):
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)
    case = case_of(payout)
    client = console(make_staff("finance"))

    page = act(client, "settle", case).content.decode()
    assert "give the credits back" in page
    assert "the credits are gone" not in page
    assert case_of(payout) == case

    answer = act(
        client,
        "settle",
        case,
        confirmed="yes",
        reason="Seen at the bank.",
        resolution="given_back",
    )

    assert "give the credits back." in answer.content.decode()
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")
    assert "Choose open cases" in act(client, "settle", case).content.decode()


def test_a_refusal_to_settle_is_told(gateway):
    payout = ended(gateway, "success")
    gateway.settle(payout.charge_id, "failed")
    hear(payout)

    answer = act(
        console(make_staff("finance")),
        "settle",
        case_of(payout),
        confirmed="yes",
        reason="Seen.",
        resolution="paid",
    )

    assert "does not exist" in answer.content.decode()
    assert case_of(payout)
