"""The marketplace that the browser's tests look at, made before a browser is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.totp.internal.auth import yield_hotp_counters_from_time as counters

from tests.factories import PASSWORD, make_staff, make_user
from tests.journeys import people
from tests.simulator_process import until
from tests.system import Client, System

# Texts that would run, or break out of where they stand, if a page forgot to escape.
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    '"><svg onload=alert(3)>',
    "' autofocus onfocus='alert(4)",
    "</textarea></title><script>alert(5)</script>",
    "javascript:alert(6)",
    "{{ 7*7 }}{% debug %}",
)


@dataclass(kw_only=True)
class Marketplace:
    """Who and what there is, by what the tests need of it."""

    system: System
    site: str
    # E-mail addresses by group; the superuser's under `superuser`.
    staff: dict[str, str] = field(default_factory=dict)
    coach: Client
    method: str
    learner: Client
    learner_email: str
    package: Any
    approve: dict[str, Any]
    reject: dict[str, Any]
    # A withdrawal that stays as it is.
    untouched: dict[str, Any]

    def status_of(self, withdrawal: dict[str, Any]) -> str:
        """Return what the coach is told of a withdrawal."""
        return str(self.coach.get(f"/withdrawals/{withdrawal['id']}")["status"])


def set_up(system: System) -> Marketplace:
    """Make the people and let them buy, enroll and withdraw, through the API."""
    people.payout_rate()
    package = people.new_package(credits="100.00", bonus="5.00")
    learner, buyer = people.new_person(system, "learner")
    buyer.first_name = HOSTILE[0]
    buyer.last_name = HOSTILE[3]
    buyer.save(update_fields=["first_name", "last_name"])
    people.buy_and_pay(learner, package)
    people.buy(learner, package)
    coach, _ = people.earn(system, "60.00")
    for text in HOSTILE:
        course = coach.post(
            "/courses",
            {
                "title": text,
                "summary": text,
                "description": f"{text}\nand a second line",
                "price": "1.00",
                "status": "published",
            },
        )
        learner.post(f"/courses/{course['id']}/enroll", {"price": "1.00"})
    method = coach.post(
        "/payout-methods",
        {
            "kind": "mobile_money",
            "destination": people.AIRTEL,
            "account_name": HOSTILE[1],
            "account_number": people.GOOD_NUMBER,
        },
    )["id"]
    withdrawals = [
        coach.post("/withdrawals", {"credits": credits, "payout_method": method})
        for credits in ("10.00", "11.00", "12.00")
    ]
    staff = {
        group: make_staff(group, password=PASSWORD).email
        for group in ("support", "finance", "auditors")
    }
    # Somebody new, who has yet to set up a second factor.
    staff["new"] = make_staff("support", password=PASSWORD).email
    admin = make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True)
    until(lambda: learner.get("/purchases")["results"][-1]["status"] == "paid")
    return Marketplace(
        system=system,
        site=system.site,
        staff={**staff, "superuser": admin.email},
        coach=coach,
        method=method,
        learner=learner,
        learner_email=buyer.email,
        package=package,
        approve=withdrawals[0],
        reject=withdrawals[1],
        untouched=withdrawals[2],
    )


def sign_in(page: Any, email: str, path: str = "/admin/") -> None:
    """Sign in by the form, as a person does, and arrive at `path`."""
    page.goto(f"/accounts/login/?next={path}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign In").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)


def code_of(secret: str) -> str:
    """The code that an authenticator app would show now."""
    return str(format_hotp_value(hotp_value(secret, next(iter(counters())))))
