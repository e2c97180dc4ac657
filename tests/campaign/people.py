"""Coaches who withdraw through the API, and the staff who decide, all at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Self

import requests
from django.contrib.auth.models import User
from django.db import connection

from credits_project.exceptions import InvalidTransition
from tests.factories import PASSWORD, make_coach, make_staff
from tests.simulator_process import until
from tests.system import Client
from tests.withdrawals.people import AIRTEL, NATIONAL_BANK, TNM, earn, set_rate
from withdrawals import services
from withdrawals.models import WithdrawalRequest

# Credits, and more than the dearest withdrawal costs.
_DEAREST = 12
# Below it withdrawals approve themselves, above the other they need two people.
AUTO_APPROVE_BELOW, TWO_APPROVERS_ABOVE = 3, 9
_DESTINATIONS = [
    ("mobile_money", AIRTEL, "099"),
    ("mobile_money", TNM, "088"),
    ("bank", NATIONAL_BANK, "100"),
]
# What the gateway pays out to in vain, in test mode.
_FAILING = ("mobile_money", AIRTEL, "0990000001")


@dataclass(frozen=True)
class Order:
    """A withdrawal that a coach is going to ask for."""

    key: str
    coach: int
    credits: Decimal
    method: str


class Coach:
    """A coach with an app, which signs in again when its token has run out."""

    def __init__(self, site: str, user: User) -> None:
        self.user = user
        self._client = Client(site)
        self._client.sign_in(user.email, PASSWORD)
        self.methods: list[str] = []

    def add_method(self, kind: str, destination: str, number: str) -> None:
        """Add an account to be paid on."""
        body = {
            "kind": kind,
            "destination": destination,
            "account_name": "A Coach",
            "account_number": number,
        }
        self.methods.append(str(self._client.post("/payout-methods", body)["id"]))

    def withdraw(self, order: Order) -> bool:
        """Ask for a withdrawal; return whether there was an answer. May be repeated."""
        body = {"credits": str(order.credits), "payout_method": order.method}
        try:
            answer = self._client.ask(
                "POST", "/withdrawals", body, {"Idempotency-Key": order.key}
            )
            if answer.status_code == 401:
                self._client.sign_in(self.user.email, PASSWORD)
        except requests.RequestException:
            return False
        assert answer.status_code in {201, 401, 409, 502, 503}, answer.text
        if answer.status_code == 409:
            # The one before it was cut off and has not ended yet.
            assert answer.json()["type"] == "/problems/request-in-progress", answer.text
        return answer.status_code == 201


class Marketplace:
    """Coaches with earnings, and what each is going to withdraw."""

    def __init__(self, site: str, *, withdrawals: int, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - repeatable
        set_rate("10")
        count = max(2, min(20, withdrawals // 25))
        earnings = str(_DEAREST * -(-withdrawals // count))
        self.coaches = [self._make_coach(site, earnings) for _ in range(count)]
        self.orders = [self._order(number) for number in range(withdrawals)]

    def _make_coach(self, site: str, earnings: str) -> Coach:
        user = make_coach(password=PASSWORD)
        earn(user, earnings)
        coach = Coach(site, user)
        kind, destination, prefix = self._chance.choice(_DESTINATIONS)
        number = f"{prefix}{self._chance.randrange(10**6, 10**7)}"
        coach.add_method(kind, destination, number)
        coach.add_method(*_FAILING)
        return coach

    def _order(self, number: int) -> Order:
        coach = number % len(self.coaches)
        good, failing = self.coaches[coach].methods
        return Order(
            key=f"campaign-{number}",
            coach=coach,
            credits=Decimal(self._chance.randrange(100, _DEAREST * 100)) / 100,
            method=failing if self._chance.random() < 0.05 else good,
        )


class Crowd:
    """Coaches asking and staff deciding, each in a thread, until all is decided."""

    def __init__(self, marketplace: Marketplace, *, seed: int) -> None:
        self._marketplace = marketplace
        self._staff = [make_staff("finance") for _ in range(2)]
        self._errors: list[Exception] = []
        self._all_asked = threading.Event()
        self._threads = [
            self._thread(self._ask_for_all),
            self._thread(lambda: self._decide_on_all(random.Random(seed))),  # noqa: S311
        ]

    def is_at_work(self) -> bool:
        """Return whether somebody still asks or decides."""
        if self._errors:
            raise self._errors[0]
        return any(thread.is_alive() for thread in self._threads)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(timeout=60)

    def _thread(self, work: Callable[[], Any]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except Exception as error:
                self._errors.append(error)
            finally:
                connection.close()

        return threading.Thread(target=run, daemon=True)

    def _ask_for_all(self) -> None:
        try:
            for order in self._marketplace.orders:
                coach = self._marketplace.coaches[order.coach]
                until(partial(coach.withdraw, order), seconds=90)
        finally:
            self._all_asked.set()

    def _decide_on_all(self, chance: random.Random) -> None:
        is_last = False
        while not is_last:
            is_last = self._all_asked.wait(0.05)
            waiting = WithdrawalRequest.objects.filter(status="requested")
            for withdrawal in waiting.order_by("pk"):
                self._decide(withdrawal, chance)

    def _decide(self, withdrawal: WithdrawalRequest, chance: random.Random) -> None:
        first, second = self._staff
        pk, deed = withdrawal.pk, chance.random()
        if deed < 0.03:
            services.reject_withdrawal(withdrawal_id=pk, actor=first, reason="odd")
        elif deed < 0.06:
            services.cancel_withdrawal(withdrawal_id=pk, actor=withdrawal.user)
        else:
            services.approve_withdrawal(withdrawal_id=pk, actor=first)
            if withdrawal.approvals_required > 1:
                services.approve_withdrawal(withdrawal_id=pk, actor=second)
            if deed > 0.95:
                self._cancel(pk)

    def _cancel(self, pk: Any) -> None:
        """Cancel what may be on its way already."""
        try:
            services.cancel_withdrawal(withdrawal_id=pk, actor=self._staff[0])
        except InvalidTransition:
            return  # It is.


def freeze_for_a_moment() -> None:
    """Stop all payouts, and let them go on."""
    actor = make_staff("finance")
    try:
        services.freeze_payouts(actor=actor, reason="to see it")
        services.unfreeze_payouts(actor=actor, reason="it was seen")
    finally:
        connection.close()
