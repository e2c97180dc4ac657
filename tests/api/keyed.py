"""Every request that takes an `Idempotency-Key`, ready to be sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from courses import services as courses
from courses.models import Enrollment
from payments.models import CreditPurchase
from tests.factories import make_coach, make_staff, make_user, wallet_of
from tests.journeys import people
from tests.withdrawals.people import add_method, earn, request, set_rate
from withdrawals.models import WithdrawalRequest


@dataclass(frozen=True, kw_only=True)
class Keyed:
    """A request of somebody's, another one to mix it up with, and what it does."""

    user: Any
    # Who may send such a request as well, and means something else by the key.
    other_user: Any
    path: str
    body: dict[str, Any]
    other_body: dict[str, Any]
    status: int
    # How often it has been carried out.
    effects: Callable[[], int]


def purchase() -> Keyed:
    user = make_user("buyer")
    package, other = people.new_package(), people.new_package(credits="10.00")
    orders = CreditPurchase.objects.filter(user=user)

    def effects() -> int:
        # Half an order, which the gateway has not taken yet, is none. One look, as the
        # order may be made between two.
        statuses = list(orders.values_list("status", flat=True))
        return 0 if "created" in statuses else len(statuses)

    return Keyed(
        user=user,
        other_user=make_user("other"),
        path="/api/v1/purchases",
        body={"package": str(package.pk)},
        other_body={"package": str(other.pk)},
        status=201,
        effects=effects,
    )


def enroll() -> Keyed:
    user = make_user("learner", balance="100.00")
    course = _course()
    return Keyed(
        user=user,
        other_user=make_user("other", balance="100.00"),
        path=f"/api/v1/courses/{course.pk}/enroll",
        body={"price": "40.00"},
        other_body={},
        status=201,
        effects=Enrollment.objects.filter(learner=user).count,
    )


def refund() -> Keyed:
    user = make_user("learner", balance="100.00")
    enrollment = courses.enroll_with_credits(learner=user, course_id=_course().pk)
    refunded = Enrollment.objects.filter(pk=enrollment.pk, status="refunded")
    return Keyed(
        user=user,
        other_user=None,
        path=f"/api/v1/enrollments/{enrollment.pk}/refund",
        body={"reason": "not for me"},
        other_body={"reason": "too long"},
        status=200,
        # What came, went and came back.
        effects=lambda: wallet_of(user).sequence - 2 if refunded.exists() else 0,
    )


def withdraw() -> Keyed:
    set_rate("10")
    user, other = make_coach("coach"), make_coach("other")
    earn(user, "100.00")
    method = add_method(user)
    return Keyed(
        user=user,
        other_user=other,
        path="/api/v1/withdrawals",
        body={"credits": "10.00", "payout_method": str(method.pk)},
        other_body={"credits": "11.00", "payout_method": str(method.pk)},
        status=201,
        effects=WithdrawalRequest.objects.filter(user=user).count,
    )


def cancel() -> Keyed:
    set_rate("10")
    user = make_coach("coach")
    earn(user, "100.00")
    withdrawal = request(user, "10.00", add_method(user))
    cancelled = WithdrawalRequest.objects.filter(pk=withdrawal.pk, status="cancelled")
    return Keyed(
        user=user,
        other_user=None,
        path=f"/api/v1/withdrawals/{withdrawal.pk}/cancel",
        body={},
        other_body={},
        status=200,
        effects=lambda: wallet_of(user).sequence - 2 if cancelled.exists() else 0,
    )


def transfer() -> Keyed:
    user, receiver = make_user("sender", balance="100.00"), make_user("receiver")
    return Keyed(
        user=user,
        other_user=make_user("other", balance="100.00"),
        path="/api/v1/transfers",
        body={"to": receiver.email, "amount": "1.00"},
        other_body={"to": receiver.email, "amount": "2.00"},
        status=201,
        effects=lambda: wallet_of(user).sequence - 1,
    )


def rpc() -> Keyed:
    sender, receiver = make_user("sender", balance="100.00"), make_user("receiver")
    body = {"from_user_id": sender.pk, "to_user_id": receiver.pk, "amount": "1.00"}
    return Keyed(
        user=make_staff("finance"),
        other_user=make_staff("finance"),
        path="/api/v1/rpc/transfer_credits",
        body=body,
        other_body={**body, "amount": "2.00"},
        status=201,
        effects=lambda: wallet_of(sender).sequence - 1,
    )


def _course() -> Any:
    return courses.create_course(
        coach=make_coach(), title="A course", price=Decimal(40), status="published"
    )


KEYED: dict[str, Callable[[], Keyed]] = {
    "POST /api/v1/purchases": purchase,
    "POST /api/v1/courses/{course_id}/enroll": enroll,
    "POST /api/v1/enrollments/{enrollment_id}/refund": refund,
    "POST /api/v1/withdrawals": withdraw,
    "POST /api/v1/withdrawals/{withdrawal_id}/cancel": cancel,
    "POST /api/v1/transfers": transfer,
    "POST /api/v1/rpc/transfer_credits": rpc,
}
