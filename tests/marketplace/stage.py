"""Where stories are told: to their end, or to the step that shows a difference."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

from django.db import connections, transaction
from django.test import override_settings

from payments.models import CreditPackage
from tests.factories import make_coach, make_staff, make_user, wallet_of
from tests.marketplace import comparing
from tests.marketplace.gateway import AIRTEL, NATIONAL_BANK, StoryGateway
from tests.marketplace.model import COACHES, LEARNERS, PACKAGES
from tests.marketplace.story import House, Story, terms_of
from tests.postgres import clone_database, drop_database
from withdrawals.services import add_payout_method

SHRINKING_SECONDS: Final = 90.0


class Difference(AssertionError):
    """The product and the model part ways at a step."""


class Stage:
    """A gateway, and a database with people in it on which stories happen."""

    def __init__(self, database: str, house: House, gateway: StoryGateway) -> None:
        self.database = database
        self.house = house
        self.gateway = gateway
        # Whether the steps of a story commit, which costs more and changes nothing.
        self.commits = False

    @contextmanager
    def story(self, seed: str) -> Iterator[Story]:
        """A story at its beginning."""
        self.gateway.reset()
        world = self._committed if self.commits else self._rolled_back
        with override_settings(**terms_of(seed).settings()), world():
            house = House(**_copies_of(self.house))
            yield Story(seed, house=house, gateway=self.gateway)

    @contextmanager
    def _rolled_back(self) -> Iterator[None]:
        """A transaction that the services take for that of a test, and not for ours."""
        story: Any = transaction.atomic()
        # As Django's own tests have it: services that insist on no open transaction
        # run within it.
        story._from_testcase = True
        with story:
            try:
                yield
            finally:
                transaction.set_rollback(True)

    @contextmanager
    def _committed(self) -> Iterator[None]:
        """A database of the story's own, in which all commits."""
        settings = connections["default"].settings_dict
        connections.close_all()
        settings["NAME"] = clone_database(self.database)
        try:
            yield
        finally:
            connections.close_all()
            name, settings["NAME"] = settings["NAME"], self.database
            drop_database(name)

    def tell(self, seed: str, numbers: Sequence[int]) -> Story:
        """Tell a story, of which these steps are taken.

        Raises:
            Difference: naming the number of the step; the story tells how it came.
        """
        with self.story(seed) as story:
            for number in numbers:
                try:
                    story.step(number)
                    comparing.wallets(story)
                except Exception as error:
                    raise Difference(story, number) from error
            try:
                comparing.everything(story)
            except Exception as error:
                raise Difference(story, None) from error
        return story


def _copies_of(house: House) -> dict[str, Any]:
    """Return the fields of a house, each a dictionary of its own."""
    return {field.name: dict(getattr(house, field.name)) for field in fields(House)}


def make_house() -> House:
    """People, packages and payout methods."""
    users = {name: make_user(name) for name in LEARNERS}
    users |= {name: make_coach(name) for name in COACHES}
    users |= {name: make_staff("finance") for name in ("finance", "cashier")}
    users["support"] = make_staff("support")
    users["coach-in-finance"].groups.add(*users["finance"].groups.all())
    packages = {}
    for name, credits, bonus, price, currency in PACKAGES:
        row = CreditPackage.objects.create(
            name=name,
            credits=Decimal(credits),
            bonus_credits=Decimal(bonus),
            price=Decimal(price),
            currency=currency,
        )
        packages[name] = row.pk
    methods = {}
    for coach in COACHES:
        for kind, destination, number in (
            ("mobile_money", AIRTEL, "0991234567"),
            ("bank", NATIONAL_BANK, "1007534422"),
        ):
            method = add_payout_method(
                user=users[coach],
                kind=kind,
                destination=destination,
                account_name="Account of a coach",
                account_number=number,
            )
            methods[f"{coach}:{kind}"] = method.pk
    return House(
        users=users,
        wallets={name: wallet_of(user).pk for name, user in users.items()},
        packages=packages,
        methods=methods,
    )


def shorter(
    stage: Stage, seed: str, numbers: list[int], story: Story
) -> tuple[list[int], Story]:
    """Leave steps out for as long as it still fails; return what is left, and how."""
    ends_at = time.monotonic() + SHRINKING_SECONDS
    failed = _failure(stage, seed, numbers)
    if failed is None:
        # Ids are not drawn from the seed, and decide which part of a system wallet is
        # used: so it was once.
        return numbers, story
    numbers, story = failed
    size = len(numbers) // 2
    while size and time.monotonic() < ends_at:
        first = 0
        while first < len(numbers) and time.monotonic() < ends_at:
            attempt = numbers[:first] + numbers[first + size :]
            failed = _failure(stage, seed, attempt)
            if failed is None:
                first += size
            else:
                numbers, story = failed
        size //= 2
    return numbers, story


def _failure(
    stage: Stage, seed: str, numbers: list[int]
) -> tuple[list[int], Story] | None:
    try:
        stage.tell(seed, numbers)
    except Difference as difference:
        story, last = difference.args
        kept = numbers if last is None else numbers[: numbers.index(last) + 1]
        return kept, story
    return None


def tell_all(stage: Stage, seeds: Iterable[str], *, length: int) -> Counter[Any]:
    """Tell stories; return how often each rule was accepted and refused."""
    counts: Counter[Any] = Counter()
    for seed in seeds:
        try:
            counts += stage.tell(seed, range(length)).counts
        except Difference as difference:
            numbers, story = shorter(
                stage, seed, list(range(length)), difference.args[0]
            )
            steps = "\n".join(story.told)
            raise AssertionError(
                f"story {seed}: {difference.__cause__}\n"
                f"The shortest that was found, steps {numbers}:\n{steps}"
            ) from difference
    return counts
