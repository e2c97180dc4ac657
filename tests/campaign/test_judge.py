"""The judge of the campaign finds each kind of mistake, and none where all is well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.campaign.judge import Payout, Withdrawal, judge, still_open

PAID = Withdrawal(charge_id="w-1", status="paid", flag="", net=50, number="991234567")
FAILED = replace(PAID, status="failed")
SENDING = replace(PAID, status="sending")
SUCCESS = Payout(
    charge_id="w-1",
    status="success",
    history=("success",),
    amount=50,
    number="991234567",
)
FAILURE = replace(SUCCESS, status="failed", history=("failed",))
TAKEN_BACK = replace(SUCCESS, status="failed", history=("success", "failed"))
TOLD_LATE = replace(SUCCESS, history=("failed", "success"))
FLAG = "Look-up: not known to the gateway; the list does not have it."


def kinds(*arguments, **options) -> list[str]:
    return [mistake.kind for mistake in judge(*arguments, **options)]


@pytest.mark.parametrize(
    ("withdrawal", "book"),
    [
        (PAID, [SUCCESS]),
        (FAILED, [FAILURE]),
        (FAILED, []),
        (replace(PAID, status="rejected"), []),
        (replace(PAID, status="cancelled"), []),
        (PAID, [TOLD_LATE]),
        (FAILED, [TAKEN_BACK]),
        (replace(PAID, flag="It was paid, and now it failed."), [TAKEN_BACK]),
        (replace(FAILED, flag="Given back, and now it is paid."), [TOLD_LATE]),
    ],
)
def test_what_agrees_with_the_book_or_is_before_staff_is_no_mistake(withdrawal, book):
    assert kinds([withdrawal], book) == []


@pytest.mark.parametrize(
    ("withdrawal", "book", "kind"),
    [
        (PAID, [], "not paid"),
        (PAID, [FAILURE], "not paid"),
        (FAILED, [SUCCESS], "given back"),
        (replace(PAID, status="cancelled"), [SUCCESS], "given back"),
        (SENDING, [SUCCESS], "not told"),
        (PAID, [replace(SUCCESS, amount=51)], "redirected"),
        (PAID, [replace(SUCCESS, number="991234568")], "redirected"),
        (PAID, [TAKEN_BACK], "unseen"),
        (FAILED, [TOLD_LATE], "unseen"),
    ],
)
def test_each_kind_of_mistake_is_found(withdrawal, book, kind):
    assert kinds([withdrawal], book) == [kind]


def test_two_successes_are_found_whatever_we_say():
    for withdrawal in (PAID, FAILED, SENDING):
        assert "paid twice" in kinds([withdrawal], [SUCCESS, SUCCESS])


def test_a_payout_of_nobodys_withdrawal_is_found():
    assert kinds([], [SUCCESS]) == ["stranger"]


def test_what_was_taken_back_unseen_is_no_mistake_where_reconciling_finds_it():
    found = "payout w-1: paid, and the gateway says failed"

    assert kinds([PAID], [TAKEN_BACK], reported=found) == []


@pytest.mark.parametrize(
    ("withdrawal", "found"),
    [
        (PAID, []),
        (FAILED, []),
        (replace(SENDING, flag=FLAG), []),
        (replace(SENDING, flag="The gateway paid 1, not 50.", has_case=True), []),
        (SENDING, ["stuck"]),
        (replace(PAID, status="requested"), ["stuck"]),
        (replace(SENDING, flag="The look-up knows nothing."), ["one witness"]),
        (replace(SENDING, flag="The gateway paid 1, not 50."), ["one witness"]),
    ],
)
def test_what_nobody_will_come_back_to_is_stuck(withdrawal, found):
    assert [mistake.kind for mistake in still_open([withdrawal])] == found
