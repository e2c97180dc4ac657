"""The people of the journeys, and the marketplace that they meet in."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import requests
from django.contrib.auth.models import Group, User
from django.utils import timezone

from payments.models import CreditPackage
from tests.factories import PASSWORD, make_staff
from tests.simulator_process import until
from tests.system import Client, Console, System
from withdrawals.models import PayoutRate

AIRTEL = "20be6c20-adeb-4b5b-a7ba-0769820df4fb"
# The gateway's test numbers: the first succeeds, the second fails.
GOOD_NUMBER, BAD_NUMBER = "0990000000", "0990000001"
_numbers = itertools.count(1)


def new_person(system: System, name: str) -> tuple[Client, User]:
    """Sign up through the API; return the app and the account."""
    email = f"{name}-{next(_numbers)}@example.com"
    client = Client(system.site)
    client.sign_up(email, PASSWORD)
    return client, User.objects.get(email=email)


def new_coach(system: System, name: str = "coach") -> tuple[Client, User]:
    """Sign up, and be made a coach by the platform."""
    client, user = new_person(system, name)
    user.groups.add(Group.objects.get(name="coaches"))
    return client, user


def new_console(system: System, group: str) -> Console:
    """A member of staff, signed in to the console."""
    staff = make_staff(group, password=PASSWORD)
    return Console(system.site, staff.email, PASSWORD)


def new_package(*, credits: str = "100.00", bonus: str = "0.00") -> CreditPackage:
    """A package at ten kwacha for a credit."""
    return CreditPackage.objects.create(
        name=f"{credits} credits",
        credits=Decimal(credits),
        bonus_credits=Decimal(bonus),
        price=Decimal(credits) * 10,
    )


def payout_rate() -> None:
    """See that one credit pays out nine kwacha."""
    PayoutRate.objects.get_or_create(
        currency="MWK",
        rate=Decimal("9"),
        defaults={"effective_from": timezone.now()},
    )


def pay_on_page(checkout_url: str, **choices: str) -> requests.Response:
    """Fill in the gateway's page as a payer does; return where the browser is sent."""
    form = {
        "method": "mobile_money",
        "operator": "airtel",
        "phone": GOOD_NUMBER,
        "action": "pay",
        **choices,
    }
    assert requests.get(checkout_url, timeout=20).ok
    return requests.post(checkout_url, data=form, allow_redirects=False, timeout=20)


def buy(client: Client, package: CreditPackage) -> dict[str, Any]:
    """Order a package; return the purchase."""
    purchase: dict[str, Any] = client.post("/purchases", {"package": str(package.pk)})
    assert purchase["status"] == "pending"
    return purchase


def buy_and_pay(client: Client, package: CreditPackage) -> dict[str, Any]:
    """Order a package, pay on the gateway's page, and wait for the credits."""
    before = Decimal(client.balance())
    purchase = buy(client, package)
    assert pay_on_page(purchase["checkout_url"]).status_code == 302
    until(lambda: Decimal(client.balance()) > before, seconds=30)
    return purchase


def earn(system: System, price: str = "60.00") -> tuple[Client, User]:
    """A coach who has earned `price` credits from a course."""
    learner, _ = new_person(system, "learner")
    buy_and_pay(learner, new_package())
    coach, user = new_coach(system)
    course = coach.post(
        "/courses", {"title": "Bookkeeping", "price": price, "status": "published"}
    )
    learner.post(f"/courses/{course['id']}/enroll", {"price": price})
    return coach, user


def add_number(coach: Client, number: str = GOOD_NUMBER) -> str:
    """Add a mobile-money number to be paid on; return the method's id."""
    method = coach.post(
        "/payout-methods",
        {
            "kind": "mobile_money",
            "destination": AIRTEL,
            "account_name": "A Coach",
            "account_number": number,
        },
    )
    return str(method["id"])
