"""Cases about payments that do not fit, and what staff decide about them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from payments import services
from payments.models import ReviewCase
from tests.factories import make_user
from tests.payments.buying import start


def case_of(simulator: Any, buyer: User | None = None, **said: Any) -> ReviewCase:
    """The case about a payment of which the gateway says what is given, for ever."""
    purchase = start(buyer or make_user("buyer"))
    simulator.control.complete(purchase.tx_ref)
    simulator.control.fault("verify", "alter", set=said)
    services.settle_purchase(tx_ref=purchase.tx_ref)
    return purchase.cases.get()


def credit(case: ReviewCase, actor: User) -> ReviewCase:
    return services.credit_case(case_id=case.pk, actor=actor, reason="the payer asked")


def refund(case: ReviewCase, actor: User) -> ReviewCase:
    return services.refund_case(case_id=case.pk, actor=actor, reason="the payer asked")


def dismiss(case: ReviewCase, actor: User) -> ReviewCase:
    return services.dismiss_case(case_id=case.pk, actor=actor, reason="nothing to do")
