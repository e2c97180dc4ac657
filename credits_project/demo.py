"""A small marketplace to look around in: people, packages, courses, some history.

Everything is made by the services, as in the real thing, and only where it is missing:
loading it again changes nothing. Passwords are made up for each data folder and kept
beside its data, readable by its owner only.
"""

from __future__ import annotations

import json
import os
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Q

from courses.models import Course
from courses.services import (
    create_course,
    enroll_with_credits,
    refund_enrollment,
    set_commission_rate,
    update_course,
)
from credits_project import roles
from payments.models import CreditPackage
from wallets.services import grant_credits
from withdrawals.models import PayoutRate
from withdrawals.services import add_payout_rate


class ForeignUsers(Exception):
    """The database has users, and none of them is the demo's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person of the demo, named by what they are."""

    role: str
    name: tuple[str, str]
    group: str | None = None
    is_staff: bool = False
    is_superuser: bool = False

    @property
    def username(self) -> str:
        """The login name, which is also the first half of the address."""
        return self.role.replace(" ", "-")

    @property
    def email(self) -> str:
        """The address; `example.com` never receives mail (RFC 2606)."""
        return f"{self.username}@example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One course of the demo; the slug is how it is found again."""

    coach: str
    slug: str
    title: str
    price: str
    summary: str
    description: str
    status: str = Course.Status.PUBLISHED
    commission_rate: str | None = None


ACCOUNTS: Final = (
    Account(role="learner", name=("Demo", "Learner")),
    Account(role="coach", name=("Demo", "Coach"), group=roles.COACHES),
    Account(role="second coach", name=("Second", "Coach"), group=roles.COACHES),
    Account(
        role="support", name=("Demo", "Support"), group=roles.SUPPORT, is_staff=True
    ),
    Account(
        role="finance", name=("Demo", "Finance"), group=roles.FINANCE, is_staff=True
    ),
    Account(
        role="auditor", name=("Demo", "Auditor"), group=roles.AUDITORS, is_staff=True
    ),
    Account(role="admin", name=("Demo", "Admin"), is_staff=True, is_superuser=True),
)

# (name, credits, bonus, price, currency)
PACKAGES: Final = (
    ("Starter", "50.00", "0.00", "5000.00", "MWK"),
    ("Regular", "200.00", "10.00", "20000.00", "MWK"),
    ("Large", "1000.00", "100.00", "95000.00", "MWK"),
    ("Starter (USD)", "50.00", "0.00", "3.00", "USD"),
)

# Kwacha for one credit; it is sold for 100.
PAYOUT_RATE: Final = Decimal("90")

OFFERS: Final = (
    Offer(
        coach="coach",
        slug="bookkeeping-for-small-shops",
        title="Bookkeeping for small shops",
        price="40.00",
        summary="Know every evening what the day has earned.",
        description=(
            "Cash book, stock, credit given to customers, and what to set aside for"
            " tax. Six lessons with exercises on paper; no computer needed."
        ),
    ),
    Offer(
        coach="coach",
        slug="mobile-money-safely",
        title="Mobile money, safely",
        price="0.00",
        summary="How the usual tricks work, and how not to fall for them.",
        description="Wrong transfers, false agents, PIN hygiene. One hour, free.",
    ),
    Offer(
        coach="coach",
        slug="solar-installation-from-roof-to-meter",
        title="Solar installation, from roof to meter",
        price="450.00",
        summary="Plan, mount and connect a system for a house or a small clinic.",
        description=(
            "Load calculation, panels, batteries, inverters, earthing, and the papers"
            " that the utility asks for. Twelve weeks with a practical examination."
        ),
        commission_rate="0.1500",
    ),
    Offer(
        coach="coach",
        slug="business-plans-that-banks-read",
        title="Business plans that banks read",
        price="60.00",
        summary="Ten pages that answer what the loan officer asks.",
        description="Still being written.",
        status=Course.Status.DRAFT,
    ),
    Offer(
        coach="second coach",
        slug="english-for-job-interviews",
        title="English for job interviews",
        price="25.00",
        summary="Say what you can do, and ask good questions.",
        description="Eight recorded talks, each with a task to record yourself.",
        commission_rate="0.1000",
    ),
    Offer(
        coach="second coach",
        slug="growing-vegetables-for-the-market",
        title="Growing vegetables for the market",
        price="75.50",
        summary="Tomato, onion and leaf crops through the whole year.",
        description=(
            "Seed beds, watering in the dry season, pests without guesswork, and when"
            " to bring what to market."
        ),
    ),
    Offer(
        coach="second coach",
        slug="spreadsheets-the-old-way",
        title="Spreadsheets, the old way",
        price="30.00",
        summary="Replaced by a newer course.",
        description="Kept for those who bought it.",
        status=Course.Status.ARCHIVED,
    ),
)


def load(*, force: bool = False) -> dict[str, int]:
    """Make what is missing of the demo. Return how many of each kind were made.

    Raises:
        ForeignUsers: the database is somebody's own; not with `force`.
    """
    if not force and _is_somebodys_own():
        raise ForeignUsers
    people, new_people = _load_accounts()
    return {
        "accounts": new_people,
        "packages": _load_packages(),
        "payout rates": _load_payout_rate(people["finance"]),
        "courses": sum([_load_offer(offer, people[offer.coach]) for offer in OFFERS]),
        "movements": _load_history(people),
    }


def accounts() -> Iterator[tuple[Account, str]]:
    """Yield each account of the demo that exists, with its password.

    The password is empty where somebody has changed it since.
    """
    passwords = _read_passwords()
    users = {user.email: user for user in User.objects.filter(_is_ours())}
    for account in ACCOUNTS:
        if user := users.get(account.email):
            password = passwords.get(account.email, "")
            yield account, password if user.check_password(password) else ""


def file() -> Path:
    """Return where the passwords are kept."""
    return Path(settings.BASE_DIR) / ".data" / "demo-accounts.json"


def _is_ours() -> Q:
    return Q(email__in=[account.email for account in ACCOUNTS])


def _is_somebodys_own() -> bool:
    # People who signed up in a demo do not make it somebody's own.
    return User.objects.exists() and not User.objects.filter(_is_ours()).exists()


def _load_accounts() -> tuple[dict[str, User], int]:
    passwords = _read_passwords()
    missing = {account.email for account in ACCOUNTS} - passwords.keys()
    if missing:
        passwords |= {email: secrets.token_urlsafe(12) for email in sorted(missing)}
        # Kept before they are used: nobody knows a password that was only set.
        _write_passwords(passwords)
    people, new = {}, 0
    for account in ACCOUNTS:
        user = User.objects.filter(email=account.email).first()
        if user is None:
            user = _create(account, passwords[account.email])
            new += 1
        elif account.email in missing:
            user.set_password(passwords[account.email])
            user.save(update_fields=["password"])
        people[account.role] = user
    return people, new


@transaction.atomic
def _create(account: Account, password: str) -> User:
    first_name, last_name = account.name
    user = User.objects.create_user(
        username=account.username,
        email=account.email,
        password=password,
        first_name=first_name,
        last_name=last_name,
        is_staff=account.is_staff,
        is_superuser=account.is_superuser,
    )
    EmailAddress.objects.create(
        user=user, email=user.email, verified=True, primary=True
    )
    if account.group:
        user.groups.add(Group.objects.get(name=account.group))
    return user


def _load_packages() -> int:
    made = 0
    for position, (name, credits, bonus, price, currency) in enumerate(PACKAGES):
        _, is_new = CreditPackage.objects.get_or_create(
            # Found again by an id of their own, whatever staff have renamed them to.
            pk=uuid.uuid5(uuid.NAMESPACE_URL, f"demo/packages/{name}"),
            defaults={
                "name": name,
                "credits": Decimal(credits),
                "bonus_credits": Decimal(bonus),
                "price": Decimal(price),
                "currency": currency,
                "position": position,
            },
        )
        made += is_new
    return made


def _load_payout_rate(finance: User) -> int:
    if PayoutRate.objects.exists():
        return 0
    add_payout_rate(rate=PAYOUT_RATE, actor=finance)
    return 1


def _load_offer(offer: Offer, coach: User) -> int:
    if Course.objects.filter(slug=offer.slug).exists():
        return 0
    is_archived = offer.status == Course.Status.ARCHIVED
    course = create_course(
        coach=coach,
        title=offer.title,
        summary=offer.summary,
        description=offer.description,
        price=Decimal(offer.price),
        status=Course.Status.PUBLISHED if is_archived else offer.status,
    )
    assert course.slug == offer.slug, "the slug follows from the title"
    if offer.commission_rate is not None:
        rate = Decimal(offer.commission_rate)
        set_commission_rate(course_id=course.pk, rate=rate, actor=None)
    if is_archived:
        update_course(coach=coach, course_id=course.pk, status=offer.status)
    return 1


def _load_history(people: dict[str, User]) -> int:
    """Let the learner have been here before. Return how many movements are new."""
    learner = people["learner"]
    welcome = grant_credits(
        user_id=learner.pk,
        amount=Decimal("300.00"),
        reason="Welcome credits",
        actor=people["finance"],
        key="demo:welcome",
    )
    made = 0 if welcome.is_replay else 1
    enrollments = {}
    for slug in (
        "bookkeeping-for-small-shops",
        "english-for-job-interviews",
        "growing-vegetables-for-the-market",
    ):
        enrollments[slug] = enroll_with_credits(
            learner=learner,
            course_id=Course.objects.values_list("pk", flat=True).get(slug=slug),
            idempotency_key=f"demo-{slug}",
        )
        made += not enrollments[slug].is_replay
    refunded = refund_enrollment(
        enrollment_id=enrollments["growing-vegetables-for-the-market"].pk,
        actor=people["support"],
        reason="Bought by mistake",
        idempotency_key="demo-refund",
    )
    return made + (not refunded.is_replay)


def _read_passwords() -> dict[str, str]:
    try:
        passwords: dict[str, str] = json.loads(file().read_text())
    except FileNotFoundError:
        return {}
    return passwords


def _write_passwords(passwords: dict[str, str]) -> None:
    kept = file()
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Beside its place first: a reader finds the old file or the new one, never half.
    unfinished = kept.with_name(f"{kept.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(passwords, indent=2) + "\n")
    unfinished.replace(kept)
