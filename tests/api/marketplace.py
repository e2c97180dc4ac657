"""The people whose tools call the API, each with something of their own."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.models import Group, User

from tests.journeys import people
from tests.system import Client, System
from wallets import services


@dataclass(frozen=True, kw_only=True)
class Person:
    """An account, and the app that its owner uses."""

    user: User
    client: Client


def set_up(system: System) -> dict[str, Person]:
    """Let people sign up, buy, teach, enroll and withdraw; return them by their part.

    Each has credits enough for whatever a tool may think of.
    """
    people.payout_rate()
    package = people.new_package(credits="100.00", bonus="5.00")
    people.new_package(credits="10.00")
    persons = {name: _person(system, name) for name in ("learner", "coach", "finance")}
    for person in persons.values():
        services.grant_credits(
            user_id=person.user.pk, amount=Decimal("100000.00"), reason="for a test"
        )
    learner, coach = persons["learner"], persons["coach"]
    coach.user.groups.add(Group.objects.get(name="coaches"))
    finance = persons["finance"].user
    finance.is_staff = True
    finance.save(update_fields=["is_staff"])
    finance.groups.add(Group.objects.get(name="finance"))
    people.buy(learner.client, package)
    for number in range(3):
        course = coach.client.post(
            "/courses",
            {"title": f"Course {number}", "price": "900.00", "status": "published"},
        )
        learner.client.post(f"/courses/{course['id']}/enroll")
    method = people.add_number(coach.client)
    coach.client.post("/withdrawals", {"credits": "5.00", "payout_method": method})
    return persons


def _person(system: System, name: str) -> Person:
    client, user = people.new_person(system, name)
    return Person(user=user, client=client)
