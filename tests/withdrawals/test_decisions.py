from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from credits_project.exceptions import (
    InvalidInput,
    InvalidTransition,
    PermissionDenied,
)
from payments.gateway import GatewayUnavailable
from tests.factories import balance_of, make_staff, make_user, wallet_of
from tests.withdrawals.people import (
    add_method,
    fresh,
    make_approved,
    make_earning_coach,
    request,
)
from wallets.services import freeze_wallet
from withdrawals import services
from withdrawals.exceptions import NotSettled
from withdrawals.models import Payout, WithdrawalRequest
from withdrawals.services import leases

pytestmark = pytest.mark.django_db


@pytest.fixture
def withdrawal(gateway) -> WithdrawalRequest:
    coach = make_earning_coach("100.00")
    return request(coach, "60.00", add_method(coach))


def log_of(row) -> list[str]:
    entries = LogEntry.objects.filter(object_id=str(row.pk)).order_by("pk")
    return [entry.change_message for entry in entries]


def test_an_approval_makes_one_payout_of_the_net(withdrawal):
    finance = make_staff("finance")

    approved = services.approve_withdrawal(
        withdrawal_id=withdrawal.pk, actor=finance, note="checked"
    )

    payout = Payout.objects.get(withdrawal=withdrawal)
    assert (approved.status, approved.decided_by) == ("approved", finance)
    assert approved.decided_at is not None
    assert (payout.status, payout.amount) == ("ready", Decimal("600.00"))
    assert payout.charge_id == f"withdrawal-{withdrawal.pk}"
    (entry,) = log_of(withdrawal)
    assert "approve" in entry
    assert "checked" in entry


def test_a_rejection_gives_the_credits_back_once_and_tells_why(withdrawal):
    finance = make_staff("finance")

    services.reject_withdrawal(
        withdrawal_id=withdrawal.pk, actor=finance, reason="wrong name"
    )
    with pytest.raises(InvalidTransition) as refusal:
        services.reject_withdrawal(
            withdrawal_id=withdrawal.pk, actor=finance, reason="again"
        )

    rejected = fresh(withdrawal)
    assert refusal.value.extra == {"current": "rejected", "wanted": "rejected"}
    assert (rejected.status, rejected.failure_reason) == ("rejected", "wrong name")
    assert rejected.closing_transfer.key == f"withdrawal:{withdrawal.pk}:reversal"
    assert rejected.closing_transfer.reverses == rejected.transfer
    assert balance_of(rejected.user) == Decimal("100.00")


def test_a_rejection_needs_a_reason(withdrawal):
    with pytest.raises(InvalidInput) as refusal:
        services.reject_withdrawal(
            withdrawal_id=withdrawal.pk, actor=make_staff("finance"), reason=" "
        )

    assert refusal.value.field == "reason"


def test_a_frozen_wallet_receives_what_comes_back(withdrawal):
    freeze_wallet(
        wallet_id=wallet_of(withdrawal.user).pk,
        actor=make_staff("support"),
        reason="odd",
    )

    services.reject_withdrawal(
        withdrawal_id=withdrawal.pk, actor=make_staff("finance"), reason="odd"
    )

    assert balance_of(withdrawal.user) == Decimal("100.00")


@pytest.mark.parametrize("group", ["support", "auditors"])
def test_only_finance_decides(withdrawal, group):
    staff = make_staff(group)

    with pytest.raises(PermissionDenied):
        services.approve_withdrawal(withdrawal_id=withdrawal.pk, actor=staff)
    with pytest.raises(PermissionDenied):
        services.reject_withdrawal(
            withdrawal_id=withdrawal.pk, actor=staff, reason="no"
        )
    with pytest.raises(PermissionDenied):
        services.cancel_withdrawal(withdrawal_id=withdrawal.pk, actor=staff)
    assert fresh(withdrawal).status == "requested"


def test_nobody_approves_their_own_not_even_a_superuser(withdrawal):
    coach = withdrawal.user
    coach.is_superuser = coach.is_staff = True
    coach.save(update_fields=["is_superuser", "is_staff"])

    with pytest.raises(PermissionDenied, match="own"):
        services.approve_withdrawal(withdrawal_id=withdrawal.pk, actor=coach)
    with pytest.raises(PermissionDenied, match="own"):
        services.reject_withdrawal(
            withdrawal_id=withdrawal.pk, actor=coach, reason="no"
        )


def test_a_large_one_needs_two_different_people(gateway, settings):
    settings.WITHDRAWAL_TWO_APPROVERS_ABOVE = Decimal(50)
    coach = make_earning_coach("100.00")
    large = request(coach, "50.01", add_method(coach))
    one, two = make_staff("finance"), make_staff("finance")

    first = services.approve_withdrawal(withdrawal_id=large.pk, actor=one)
    assert first.status == "requested"
    assert not Payout.objects.exists()
    with pytest.raises(PermissionDenied, match="second person"):
        services.approve_withdrawal(withdrawal_id=large.pk, actor=one)

    second = services.approve_withdrawal(withdrawal_id=large.pk, actor=two)

    assert second.status == "approved"
    assert (second.decided_by, second.second_decided_by) == (one, two)
    assert Payout.objects.count() == 1


def test_after_the_first_approval_another_person_can_still_reject(gateway, settings):
    settings.WITHDRAWAL_TWO_APPROVERS_ABOVE = Decimal(50)
    coach = make_earning_coach("100.00")
    large = request(coach, "60.00", add_method(coach))
    one, two = make_staff("finance"), make_staff("finance")
    services.approve_withdrawal(withdrawal_id=large.pk, actor=one)

    services.reject_withdrawal(withdrawal_id=large.pk, actor=two, reason="no")

    assert fresh(large).second_decided_by == two
    assert balance_of(coach) == Decimal("100.00")


def test_who_asked_cancels_while_it_is_requested(withdrawal):
    coach = withdrawal.user

    cancelled = services.cancel_withdrawal(withdrawal_id=withdrawal.pk, actor=coach)

    assert cancelled.status == "cancelled"
    assert balance_of(coach) == Decimal("100.00")


def test_who_asked_cannot_cancel_once_it_is_approved(withdrawal):
    services.approve_withdrawal(
        withdrawal_id=withdrawal.pk, actor=make_staff("finance")
    )

    with pytest.raises(InvalidTransition) as refusal:
        services.cancel_withdrawal(withdrawal_id=withdrawal.pk, actor=withdrawal.user)

    assert refusal.value.extra == {"current": "approved", "wanted": "cancelled"}


def test_staff_cancel_what_is_approved_and_not_sent(gateway):
    payout = make_approved("50.00")

    services.cancel_withdrawal(
        withdrawal_id=payout.withdrawal_id, actor=make_staff("finance")
    )

    assert (fresh(payout).status, fresh(payout.withdrawal).status) == (
        "dropped",
        "cancelled",
    )
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


def test_nobody_cancels_what_was_sent(gateway):
    from django.utils import timezone

    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())

    with pytest.raises(InvalidTransition) as refusal:
        services.cancel_withdrawal(
            withdrawal_id=payout.withdrawal_id, actor=make_staff("finance")
        )

    assert refusal.value.extra == {"current": "sending", "wanted": "cancelled"}


def test_strangers_cancel_nothing(withdrawal):
    with pytest.raises(PermissionDenied):
        services.cancel_withdrawal(
            withdrawal_id=withdrawal.pk, actor=make_user("charlie")
        )


def send_into_nowhere(gateway) -> Payout:
    from django.utils import timezone

    payout = make_approved("50.00")
    gateway.fault("payout", "500-before", times=1)
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    return payout


def test_staff_confirm_that_it_was_not_sent_after_the_settling_time(gateway, settings):
    payout = send_into_nowhere(gateway)
    finance = make_staff("finance")
    with pytest.raises(NotSettled, match="may still come to know"):
        services.confirm_not_sent(withdrawal_id=payout.withdrawal_id, actor=finance)

    settings.PAYOUT_SETTLING_MINUTES = 0
    services.confirm_not_sent(withdrawal_id=payout.withdrawal_id, actor=finance)

    assert fresh(payout).status == "failed"
    assert fresh(payout.withdrawal).failure_reason == "The payout could not be sent."
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")
    assert "confirm not sent" in log_of(payout.withdrawal)[-1]


def test_staff_cannot_confirm_what_the_gateway_knows(gateway, settings):
    from django.utils import timezone

    settings.PAYOUT_SETTLING_MINUTES = 0
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())

    with pytest.raises(NotSettled, match="knows"):
        services.confirm_not_sent(
            withdrawal_id=payout.withdrawal_id, actor=make_staff("finance")
        )
    gateway.fault("lookup", "not-found")
    with pytest.raises(NotSettled, match="may still"):
        services.confirm_not_sent(
            withdrawal_id=payout.withdrawal_id, actor=make_staff("finance")
        )

    assert fresh(payout).status == "sent"


def test_confirming_is_for_finance_and_not_for_ones_own(gateway, settings):
    settings.PAYOUT_SETTLING_MINUTES = 0
    payout = send_into_nowhere(gateway)
    coach = payout.withdrawal.user
    coach.user_permissions.add(Permission.objects.get(codename="decide_withdrawal"))

    for actor in (make_staff("support"), coach):
        with pytest.raises(PermissionDenied):
            services.confirm_not_sent(withdrawal_id=payout.withdrawal_id, actor=actor)


def test_nothing_is_confirmed_that_is_not_on_its_way(gateway):
    payout = make_approved("50.00")

    with pytest.raises(NotSettled, match="not on its way"):
        services.confirm_not_sent(
            withdrawal_id=payout.withdrawal_id, actor=make_staff("finance")
        )


def test_freezing_needs_a_reason_and_the_permission():
    with pytest.raises(InvalidInput):
        services.freeze_payouts(actor=make_staff("finance"), reason="")
    with pytest.raises(PermissionDenied):
        services.freeze_payouts(actor=make_staff("support"), reason="a leak")


def test_freezing_is_noted():
    switch = services.freeze_payouts(actor=make_staff("finance"), reason="a leak")

    assert str(switch) == "payouts are frozen"
    assert "a leak" in log_of(switch)[0]


def test_seeing_a_full_number_is_noted_and_for_finance_only(withdrawal):
    finance = make_staff("finance")

    number = services.see_account_number(row=withdrawal, actor=finance)

    assert number == "991234567"
    assert "see account number" in log_of(withdrawal)[0]
    with pytest.raises(PermissionDenied):
        services.see_account_number(row=withdrawal, actor=make_staff("auditors"))


def test_a_flag_is_cleared_by_finance_with_a_reason(gateway, settings):
    from datetime import timedelta

    from django.utils import timezone

    payout = send_into_nowhere(gateway)
    services.look_up_payout(
        payout_id=payout.pk, now=timezone.now() + timedelta(hours=2)
    )
    assert fresh(payout.withdrawal).flag

    services.clear_flag(
        withdrawal_id=payout.withdrawal_id,
        actor=make_staff("finance"),
        reason="asked the gateway",
    )

    assert fresh(payout.withdrawal).flag == ""


def test_a_note_that_is_too_long_or_cannot_be_stored_is_refused(withdrawal):
    for note in ("x" * 501, "a\x00b"):
        with pytest.raises(InvalidInput) as refusal:
            services.approve_withdrawal(
                withdrawal_id=withdrawal.pk, actor=make_staff("finance"), note=note
            )
        assert refusal.value.field == "note"


def test_rates_are_added_by_finance_only():
    with pytest.raises(PermissionDenied):
        services.add_payout_rate(rate=Decimal(1), actor=make_staff("support"))


def test_what_is_frozen_twice_is_frozen_once():
    finance = make_staff("finance")

    first = services.freeze_payouts(actor=finance, reason="a leak")
    second = services.freeze_payouts(actor=finance, reason="again")

    assert second.reason == first.reason == "a leak"
    services.unfreeze_payouts(actor=finance, reason="closed")
    services.unfreeze_payouts(actor=finance, reason="closed")
    assert len(log_of(first)) == 2


def test_while_the_gateway_is_silent_nothing_is_confirmed(gateway, settings):
    settings.PAYOUT_SETTLING_MINUTES = 0
    payout = send_into_nowhere(gateway)
    gateway.fault("lookup", "500-before")

    with pytest.raises(GatewayUnavailable):
        services.confirm_not_sent(
            withdrawal_id=payout.withdrawal_id, actor=make_staff("finance")
        )

    assert fresh(payout).status == "sent"


def test_what_a_worker_asks_about_right_now_is_not_confirmed(gateway, settings):
    from django.utils import timezone

    settings.PAYOUT_SETTLING_MINUTES = 0
    payout = send_into_nowhere(gateway)
    leases.claim(payout.pk, now=timezone.now(), statuses=["sent"])

    with pytest.raises(NotSettled, match="at this moment"):
        services.confirm_not_sent(
            withdrawal_id=payout.withdrawal_id, actor=make_staff("finance")
        )
