"""The judge of payouts: the gateway's own book, and not our tables."""

from __future__ import annotations

from typing import Any

from withdrawals.models import Payout, WithdrawalRequest


def judge(gateway: Any) -> None:
    """Compare every withdrawal with what the gateway did, whatever we believe.

    Paid is what it has as a success, once; nothing is given back that it has paid,
    unless it changed its mind, which is a case then.
    """
    state = gateway.state()
    names = [payout["charge_id"] for payout in state["payouts"]]
    assert len(names) == len(set(names)), "the gateway has a payout twice"
    successes = {p["charge_id"] for p in state["payouts"] if p["status"] == "success"}
    for withdrawal in WithdrawalRequest.objects.all():
        payout = Payout.objects.filter(withdrawal=withdrawal).first()
        is_paid_there = payout is not None and payout.charge_id in successes
        has_case = withdrawal.cases.exists()
        if withdrawal.status == "paid":
            assert is_paid_there or has_case, "booked as paid, and it was not"
        elif withdrawal.status in WithdrawalRequest.GIVEN_BACK:
            assert not is_paid_there or has_case, "given back, and it was paid"


def posts(gateway: Any) -> int:
    """How often the gateway was told to pay out, whatever came of it."""
    return int(gateway.state()["counts"].get("payout", 0))
