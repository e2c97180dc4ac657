"""Many at once, in a database that commits; the judge is the simulator's own book."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from credits_project.exceptions import InvalidTransition
from tests.factories import balance_of, make_staff
from tests.withdrawals.people import (
    add_method,
    fresh,
    in_threads,
    make_approved,
    make_earning_coach,
    request,
)
from wallets.exceptions import InsufficientCredits
from wallets.services import grant_credits
from withdrawals import selectors, services
from withdrawals.exceptions import NotWithdrawable, WithdrawalLimit
from withdrawals.models import Payout, PayoutAttempt, WithdrawalRequest
from withdrawals.services import decisions, requests
from withdrawals.services import payouts as payouts_module

pytestmark = pytest.mark.usefixtures("committed")


def kinds(outcomes: list[Any]) -> dict[str, int]:
    names = [type(outcome).__name__ for outcome in outcomes]
    return {name: names.count(name) for name in names}


def test_parallel_requests_never_exceed_the_balance(gateway):
    coach = make_earning_coach("100.00")
    method = add_method(coach)

    outcomes = in_threads(lambda _: request(coach, "30.00", method), range(6))

    assert kinds(outcomes) == {"WithdrawalRequest": 3, "InsufficientCredits": 3}
    assert balance_of(coach) == Decimal("10.00")
    refusals = [one for one in outcomes if isinstance(one, InsufficientCredits)]
    assert {one.extra["available"] for one in refusals} == {"10.00"}


def test_parallel_requests_never_exceed_what_was_earned(gateway):
    coach = make_earning_coach("100.00")
    grant_credits(user_id=coach.pk, amount=Decimal(1000), reason="bonus")
    method = add_method(coach)

    outcomes = in_threads(lambda _: request(coach, "30.00", method), range(6))

    assert kinds(outcomes) == {"WithdrawalRequest": 3, "NotWithdrawable": 3}
    refusals = [one for one in outcomes if isinstance(one, NotWithdrawable)]
    assert {one.extra["withdrawable"] for one in refusals} == {"10.00"}


def test_parallel_requests_never_exceed_a_cap(gateway, settings):
    settings.WITHDRAWAL_DAILY_CAP = Decimal(60)
    coach = make_earning_coach("500.00")
    method = add_method(coach)

    outcomes = in_threads(lambda _: request(coach, "30.00", method), range(6))

    assert kinds(outcomes) == {"WithdrawalRequest": 2, "WithdrawalLimit": 4}
    assert any(isinstance(one, WithdrawalLimit) for one in outcomes)


def test_without_the_lock_more_than_was_earned_would_leave(gateway, monkeypatch):
    """Shows that the race above is real in this setup."""
    coach = make_earning_coach("50.00")
    grant_credits(user_id=coach.pk, amount=Decimal(1000), reason="bonus")
    method = add_method(coach)
    both_have_looked = threading.Barrier(2, timeout=10)

    def look_without_locking(user: Any, credits: Decimal, **_: Any) -> None:
        assert credits <= selectors.earned(user_id=user.pk)
        both_have_looked.wait()

    monkeypatch.setattr(requests, "_lock_and_check", look_without_locking)
    # The method's row would make them queue as well.
    monkeypatch.setattr(requests, "_usable_method", lambda *_, **__: method)

    outcomes = in_threads(lambda _: request(coach, "50.00", method), range(2))

    assert kinds(outcomes) == {"WithdrawalRequest": 2}


def test_the_same_key_at_once_takes_the_credits_once(gateway):
    coach = make_earning_coach("100.00")
    method = add_method(coach)

    outcomes = in_threads(
        lambda _: request(coach, "30.00", method, idempotency_key="once"), range(8)
    )

    assert set(kinds(outcomes)) <= {"WithdrawalRequest", "RequestInProgress"}
    assert WithdrawalRequest.objects.count() == 1
    assert balance_of(coach) == Decimal("70.00")
    assert request(coach, "30.00", method, idempotency_key="once").credits == 30


def test_parallel_approvals_make_one_payout(gateway):
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "50.00", add_method(coach))
    staff = [make_staff("finance") for _ in range(4)]

    outcomes = in_threads(
        lambda actor: services.approve_withdrawal(
            withdrawal_id=withdrawal.pk, actor=actor
        ),
        staff,
    )

    assert kinds(outcomes) == {"WithdrawalRequest": 1, "InvalidTransition": 3}
    assert Payout.objects.count() == 1


def test_without_the_lock_the_one_payout_per_withdrawal_still_holds(
    gateway, monkeypatch
):
    """Shows that parallel approvals meet, and what stops them without the lock."""
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "50.00", add_method(coach))
    both_have_read = threading.Barrier(2, timeout=10)

    def read_without_locking(withdrawal_id: Any) -> WithdrawalRequest:
        row = WithdrawalRequest.objects.get(pk=withdrawal_id)
        both_have_read.wait()
        return row

    monkeypatch.setattr(decisions, "locked", read_without_locking)
    staff = [make_staff("finance") for _ in range(2)]

    outcomes = in_threads(
        lambda actor: services.approve_withdrawal(
            withdrawal_id=withdrawal.pk, actor=actor
        ),
        staff,
    )

    assert sum(isinstance(one, WithdrawalRequest) for one in outcomes) == 1
    assert sum(isinstance(one, IntegrityError) for one in outcomes) == 1
    assert Payout.objects.count() == 1


@pytest.mark.parametrize("attempt", range(4))
def test_cancelling_and_approving_at_once_ends_in_one_of_the_two(gateway, attempt):
    coach = make_earning_coach("100.00")
    withdrawal = request(coach, "50.00", add_method(coach))
    finance = make_staff("finance")
    deeds: list[Callable[[], Any]] = [
        lambda: services.cancel_withdrawal(withdrawal_id=withdrawal.pk, actor=coach),
        lambda: services.approve_withdrawal(withdrawal_id=withdrawal.pk, actor=finance),
    ]

    outcomes = in_threads(lambda deed: deed(), deeds)

    assert kinds(outcomes) == {"WithdrawalRequest": 1, "InvalidTransition": 1}
    assert any(isinstance(one, InvalidTransition) for one in outcomes)
    ended = fresh(withdrawal).status
    assert ended in {"cancelled", "approved"}
    assert balance_of(coach) == Decimal(100 if ended == "cancelled" else 50)
    assert Payout.objects.count() == (ended == "approved")


def test_many_workers_send_a_payout_once(gateway):
    payout = make_approved("50.00")
    now = timezone.now()

    sent = in_threads(
        lambda _: services.send_payout(payout_id=payout.pk, now=now), range(6)
    )

    assert sent.count(True) == 1
    assert sent.count(False) == 5
    assert gateway.state()["counts"]["payout"] == 1


def test_many_look_ups_give_back_once(gateway):
    payout = make_approved("50.00")
    services.send_payout(payout_id=payout.pk, now=timezone.now())
    gateway.settle(payout.charge_id, "failed")

    in_threads(
        lambda _: services.look_up_payout(payout_id=payout.pk, now=timezone.now()),
        range(6),
    )
    services.sweep(now=timezone.now() + timedelta(minutes=2), everything=True)

    assert fresh(payout.withdrawal).status == "failed"
    assert balance_of(payout.withdrawal.user) == Decimal("100.00")


def test_payouts_sent_together_never_exceed_what_the_gateway_holds(gateway):
    coach = make_earning_coach("300.00")
    method = add_method(coach)
    finance = make_staff("finance")
    payouts = []
    for _ in range(4):
        withdrawal = request(coach, "50.00", method)
        services.approve_withdrawal(withdrawal_id=withdrawal.pk, actor=finance)
        payouts.append(Payout.objects.get(withdrawal=withdrawal))
    gateway.post("balance", main="1200")

    in_threads(
        lambda payout: services.send_payout(payout_id=payout.pk, now=timezone.now()),
        payouts,
    )
    services.sweep(now=timezone.now() + timedelta(minutes=2))

    statuses = [fresh(payout).status for payout in payouts]
    assert sorted(statuses) == ["ready", "ready", "sent", "sent"]
    assert not PayoutAttempt.objects.filter(outcome="rejected").exists()


def test_what_reaches_the_gateway_after_it_was_asked_is_not_in_its_balance(
    gateway, monkeypatch
):
    """One begins before the other asks for the balance, and is answered after it."""
    coach, finance = make_earning_coach("100.00"), make_staff("finance")
    method = add_method(coach)
    payouts = []
    for _ in range(2):
        withdrawal = request(coach, "50.00", method)
        services.approve_withdrawal(withdrawal_id=withdrawal.pk, actor=finance)
        payouts.append(Payout.objects.get(withdrawal=withdrawal))
    quick, slow = payouts
    # Enough for one of them.
    gateway.post("balance", main="600")
    begun, asked = threading.Event(), threading.Event()
    call, balance = payouts_module._call, payouts_module._balance

    def call_after_the_question(*arguments: Any) -> Any:
        begun.set()
        assert asked.wait(timeout=30)
        return call(*arguments)

    def send_quick() -> None:
        services.send_payout(payout_id=quick.pk, now=timezone.now())
        connection.close()

    thread = threading.Thread(target=send_quick)

    def ask_and_let_go(client: Any, claim: Any) -> Any:
        answer = balance(client, claim)
        if claim.payout_id == slow.pk:
            asked.set()
            thread.join(timeout=30)
        return answer

    monkeypatch.setattr(payouts_module, "_call", call_after_the_question)
    monkeypatch.setattr(payouts_module, "_balance", ask_and_let_go)

    thread.start()
    assert begun.wait(timeout=30)
    services.send_payout(payout_id=slow.pk, now=timezone.now())

    assert (fresh(quick).status, fresh(slow).status) == ("sent", "ready")
    assert gateway.state()["counts"]["payout"] == 1


@contextmanager
def gateway_that_asks(question: Callable[[], Any]):
    """A gateway that looks at something the moment it is called, and then is silent."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                seen.append(question())
            finally:
                connection.close()
            self.close_connection = True

        def do_GET(self) -> None:
            body = (
                b'{"status": "success", "data":'
                b' {"environment": "test", "currency": "MWK", "main_balance": "9999"}}'
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_intent_is_committed_and_nothing_is_open_when_the_gateway_is_called(
    gateway, settings
):
    payout = make_approved("50.00")

    def look() -> tuple[str, str, int]:
        # Another connection sees only what was committed.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND datname = current_database() AND xact_start IS NOT NULL"
            )
            (open_transactions,) = cursor.fetchone()
        row = Payout.objects.select_related("withdrawal").get(pk=payout.pk)
        return row.status, row.withdrawal.status, open_transactions

    with gateway_that_asks(look) as (base_url, seen):
        settings.PAYCHANGU_BASE_URL = base_url
        services.send_payout(payout_id=payout.pk, now=timezone.now())

    assert seen == [("sent", "sending", 0)]
    assert fresh(payout).status == "sent"
    assert fresh(payout).note == "It is not known whether it was sent."


def test_the_worker_is_woken_and_its_jobs_are_harmless_twice(gateway):
    from procrastinate.contrib.django.models import ProcrastinateJob

    from withdrawals import tasks

    payout = make_approved("50.00")
    job = ProcrastinateJob.objects.get(task_name="withdrawals.work_on_payout")
    assert job.args == {"payout_id": str(payout.pk)}

    tasks.work_on_payout(**job.args)
    assert fresh(payout).status == "sent"
    gateway.settle(payout.charge_id)
    tasks.work_on_payout(**job.args)
    tasks.work_on_payout(**job.args)

    assert fresh(payout).status == "paid"
    assert gateway.state()["counts"]["payout"] == 1


def test_with_the_queue_lost_the_sweep_finds_the_work(gateway):
    from withdrawals import tasks

    payout = make_approved("50.00")
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")

    tasks.sweep(timestamp=0)

    assert fresh(payout).status == "sent"
