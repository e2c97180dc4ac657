"""Refunds: the price goes back, and with it the commission."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from courses.exceptions import NotRefundable
from courses.models import Enrollment, EnrollmentRefund
from courses.services.holding import hold_earnings, release_earnings
from credits_project import audit, idempotency
from credits_project.exceptions import InvalidInput, NotFound, PermissionDenied
from credits_project.money import CENT, ZERO, positive_amount
from wallets.exceptions import InsufficientCredits, WalletFrozen
from wallets.models import CreditTransfer, CreditWallet
from wallets.services import Leg, TransactionType, post, wallet_id_of
from wallets.system import family_codes, id_of_code, system_wallet_id

SCOPE: Final = "refund"
REFUND: Final = "courses.refund_enrollment"

_LONGEST_REASON: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payers:
    """What is taken from whom, in credits; `revenue` by wallet."""

    coach: Decimal
    revenue: dict[uuid.UUID, Decimal]
    shortfall: Decimal


@transaction.atomic
def refund_enrollment(
    *,
    enrollment_id: uuid.UUID,
    actor: Any,
    reason: str,
    amount: Decimal | None = None,
    shortfall_from_revenue: bool = False,
    idempotency_key: str | None = None,
    now: datetime | None = None,
) -> Enrollment:
    """Give the price back, whole or in part, to who paid it. Return the enrollment.

    That is the learner, or the sponsor where one paid. Coach and platform each give
    back their part. Learners do it within the refund window; staff
    (`courses.refund_enrollment`) at any time, with a reason, and not for themselves.
    What stays earned stays held until it matures. Refunding whole what has been
    refunded whole changes nothing and sets `is_replay`.

    Args:
        actor: who does it; None for the system itself, which may what staff may.
        amount: in credits; None gives back all that is left.
        shortfall_from_revenue: let the platform pay what the coach no longer has.
        idempotency_key: the client's; under it a refund happens once.

    Raises:
        NotFound: there is no such enrollment.
        NotRefundable: it was free, the window is closed, or less is left.
        InsufficientCredits: the coach no longer has it; tells what is available.
        WalletFrozen: the coach's wallet pays nothing.
        PermissionDenied: the actor is neither its learner nor such staff, or a learner
            wants what only staff may.
        InvalidInput: a bad amount, or staff give no reason.
        RequestInProgress, IdempotencyKeyReused: see `credits_project.idempotency`.
    """
    reason = _checked_reason(reason)
    amount = None if amount is None else positive_amount(amount)
    digest = _digest_of(enrollment_id, reason, amount, shortfall_from_revenue)
    if _is_repeated(actor, idempotency_key, digest):
        return _replay(Enrollment.objects.get(pk=enrollment_id))
    now = now or timezone.now()
    enrollment = _lock(enrollment_id)
    by_learner = actor is not None and actor.pk == enrollment.learner_id
    if not by_learner:
        _check_staff(actor, reason, enrollment)
    elif amount is not None or shortfall_from_revenue:
        raise PermissionDenied("Only staff refund a part, or out of the revenue.")
    if amount is None and enrollment.status == Enrollment.Status.REFUNDED:
        return _replay(enrollment)
    amount = _checked_amount(enrollment, amount, now=now if by_learner else None)
    refund = EnrollmentRefund(
        enrollment=enrollment,
        number=enrollment.refunds + 1,
        amount=amount,
        reason=reason,
        actor=actor,
        idempotency_key=None if actor is None else idempotency_key,
        idempotency_digest=digest,
        created_at=now,
    )
    with _discreet(by_learner):
        _give_back(enrollment, refund, shortfall_from_revenue=shortfall_from_revenue)
    _note(enrollment, refund, by_learner=by_learner)
    return enrollment


def find_refunded(*, actor: Any, idempotency_key: str) -> Enrollment | None:
    """Return the enrollment that was refunded under the actor's key, if one was."""
    refunds = EnrollmentRefund.objects.filter(actor=actor)
    refund = refunds.filter(idempotency_key=idempotency_key).first()
    return None if refund is None else refund.enrollment


def refund_parts(
    *, amount: Decimal, refunded: Decimal, price: Decimal, fee: Decimal
) -> tuple[Decimal, Decimal]:
    """Split a refund of `amount` into (platform's part, coach's part), in credits.

    `refunded` was given back before. However a price is given back, in one or in many
    refunds, the parts add up to the fee and the earnings to the cent: each is the
    difference of two splits of a running total, so that no rounding is carried on.
    """
    # Divided last: of a rate such as 1/6 the digits end somewhere, and what is half a
    # cent would be a little more or less.
    before, after = (
        (total * fee / price).quantize(CENT, rounding=ROUND_HALF_EVEN)
        for total in (refunded, refunded + amount)
    )
    return after - before, amount - (after - before)


@contextmanager
def _discreet(by_learner: bool) -> Iterator[None]:
    """Keep from learners what the coach has: it is none of their business."""
    try:
        yield
    except (InsufficientCredits, WalletFrozen) as error:
        if by_learner:
            raise NotRefundable("It has to be looked into: contact support.") from error
        raise


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > _LONGEST_REASON:
        raise InvalidInput(
            "reason", f"No more than {_LONGEST_REASON} characters.", reason="max_length"
        )
    return reason


def _digest_of(
    enrollment_id: uuid.UUID,
    reason: str,
    amount: Decimal | None,
    shortfall_from_revenue: bool,
) -> str:
    return idempotency.digest_of(
        enrollment=enrollment_id,
        reason=reason,
        amount=amount,
        shortfall_from_revenue=shortfall_from_revenue,
    )


def _is_repeated(actor: Any, key: str | None, digest: str) -> bool:
    if key is None or actor is None:
        return False
    idempotency.claim(user_id=actor.pk, scope=SCOPE, key=key)
    rows = EnrollmentRefund.objects.filter(actor=actor)
    return idempotency.earlier(rows, key=key, digest=digest) is not None


def _replay(enrollment: Enrollment) -> Enrollment:
    enrollment.is_replay = True
    return enrollment


def _lock(enrollment_id: uuid.UUID) -> Enrollment:
    enrollments = Enrollment.objects.select_for_update(of=("self",), no_key=True)
    found = enrollments.select_related("course").filter(pk=enrollment_id).first()
    if found is None:
        raise NotFound("There is no such enrollment.")
    return found


def _check_staff(actor: Any, reason: str, enrollment: Enrollment) -> None:
    if actor is not None and actor.pk == enrollment.payer_id:
        raise PermissionDenied("Nobody refunds to themselves what they sponsored.")
    if actor is not None and not actor.has_perm(REFUND):
        raise PermissionDenied("Only the learner and staff may refund an enrollment.")
    if not reason:
        raise InvalidInput("reason", "Say why it is refunded.", reason="required")


def _checked_amount(
    enrollment: Enrollment, amount: Decimal | None, *, now: datetime | None
) -> Decimal:
    """Return how much goes back; `now` is given where the window counts."""
    left = enrollment.refundable_amount
    if not enrollment.price:
        raise NotRefundable("The course was free.")
    if enrollment.status == Enrollment.Status.REFUNDED:
        raise NotRefundable("All of it has been given back.", refundable=str(left))
    if now is not None:
        until = enrollment.refundable_until
        if until is None:
            raise NotRefundable("This course has no refund window.")
        if now >= until:
            raise NotRefundable(
                f"The refund window closed at {until:%Y-%m-%d %H:%M} UTC."
            )
    if amount is not None and amount > left:
        raise NotRefundable(
            f"No more than {left} credits are left to give back.", refundable=str(left)
        )
    return left if amount is None else amount


def _give_back(
    enrollment: Enrollment, refund: EnrollmentRefund, *, shortfall_from_revenue: bool
) -> None:
    """Move the credits and fill in the refund's parts and transfer."""
    refund.fee, refund.earnings = refund_parts(
        amount=refund.amount,
        refunded=enrollment.refunded_amount,
        price=enrollment.price,
        fee=enrollment.fee,
    )
    payer_wallet_id = wallet_id_of(user_id=enrollment.paid_by_id)
    coach_wallet_id = wallet_id_of(user_id=enrollment.course.coach_id)
    revenue_ids = _revenue_wallets(
        enrollment, needed=refund.fee, wide=shortfall_from_revenue
    )
    wallets = _lock_wallets([payer_wallet_id, coach_wallet_id, *revenue_ids])
    was_held = release_earnings(enrollment)
    coach = CreditWallet.objects.get(pk=coach_wallet_id)
    payers = _payers(
        refund,
        coach_has=coach.available,
        revenue_has={pk: wallets[pk] for pk in revenue_ids},
        shortfall_from_revenue=shortfall_from_revenue,
    )
    refund.shortfall = payers.shortfall
    refund.transfer = _book(
        enrollment,
        refund,
        amounts={
            payer_wallet_id: refund.amount,
            coach_wallet_id: -payers.coach,
            **{pk: -taken for pk, taken in payers.revenue.items()},
        },
    )
    if was_held:
        _hold_rest(enrollment, refund, wallet_id=coach_wallet_id)


def _revenue_wallets(
    enrollment: Enrollment, *, needed: Decimal, wide: bool
) -> list[uuid.UUID]:
    """Return the parts of `revenue` to take from, the enrollment's own first.

    All of them where one may not do: the fee went to that part, but the platform may
    have paid another refund out of it since.
    """
    own = system_wallet_id("revenue", cause=enrollment.pk)
    if not wide:
        if not needed:
            return []
        balances = CreditWallet.objects.values_list("balance", flat=True)
        if balances.get(pk=own) >= needed:
            return [own]
    parts = [id_of_code(code) for code in family_codes("revenue")]
    return sorted(parts, key=lambda pk: (pk != own, pk))


def _lock_wallets(wallet_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Decimal]:
    """Lock the wallets of the transfer. Return their balances."""
    # All at once and by primary key, as `post` does: releasing the hold locks the
    # coach's wallet, and `post` would then wait for others in a second, unseen order.
    wallets = CreditWallet.objects.select_for_update(of=("self",), no_key=True)
    rows = wallets.filter(pk__in=list(wallet_ids)).order_by("pk")
    return dict(rows.values_list("pk", "balance"))


def _payers(
    refund: EnrollmentRefund,
    *,
    coach_has: Decimal,
    revenue_has: dict[uuid.UUID, Decimal],
    shortfall_from_revenue: bool,
) -> _Payers:
    coach = min(refund.earnings, max(coach_has, ZERO))
    shortfall = refund.earnings - coach
    if shortfall and not shortfall_from_revenue:
        raise InsufficientCredits(available=coach_has, required=refund.earnings)
    wanted = left = refund.fee + shortfall
    revenue: dict[uuid.UUID, Decimal] = {}
    for pk, balance in revenue_has.items():
        revenue[pk] = min(left, max(balance, ZERO))
        left -= revenue[pk]
    if left:
        raise InsufficientCredits(available=wanted - left, required=wanted)
    return _Payers(coach=coach, revenue=revenue, shortfall=shortfall)


def _book(
    enrollment: Enrollment,
    refund: EnrollmentRefund,
    *,
    amounts: dict[uuid.UUID, Decimal],
) -> CreditTransfer:
    return post(
        *(
            Leg(
                wallet_id=wallet_id,
                amount=amount,
                transaction_type=TransactionType.COURSE_REFUND,
            )
            for wallet_id, amount in amounts.items()
            # A leg of zero does not exist.
            if amount
        ),
        key=f"enrollment:{enrollment.pk}:refund:{refund.number}",
        description=f"Refund: {enrollment.course.title}",
        actor=refund.actor,
        metadata={
            "enrollment": str(enrollment.pk),
            "course": str(enrollment.course_id),
            "title": enrollment.course.title,
        },
    )


def _hold_rest(
    enrollment: Enrollment, refund: EnrollmentRefund, *, wallet_id: uuid.UUID
) -> None:
    """Hold what the coach still earns once the refund is made."""
    _, returned = refund_parts(
        amount=enrollment.refunded_amount + refund.amount,
        refunded=ZERO,
        price=enrollment.price,
        fee=enrollment.fee,
    )
    hold_earnings(
        enrollment,
        enrollment.earnings - returned,
        wallet_id=wallet_id,
        refunds=refund.number,
        now=refund.created_at,
    )


def _note(
    enrollment: Enrollment, refund: EnrollmentRefund, *, by_learner: bool
) -> None:
    """Write the refund down, what it makes of the enrollment, and what staff did."""
    refund.save(force_insert=True)
    enrollment.refunded_amount += refund.amount
    enrollment.refunds = refund.number
    changed = ["refunded_amount", "refunds"]
    if not enrollment.refundable_amount:
        enrollment.move_to(Enrollment.Status.REFUNDED)
        enrollment.refunded_at = refund.created_at
        changed += ["status", "refunded_at"]
    enrollment.save(update_fields=changed)
    if not by_learner:
        audit.record(
            actor=refund.actor,
            row=enrollment,
            action="refund",
            reason=refund.reason,
            amount=str(refund.amount),
            shortfall=str(refund.shortfall),
        )
