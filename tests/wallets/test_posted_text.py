"""What is posted is stored as it was given, whatever is in it; and how it is sent."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from tests.factories import make_user, wallet_of
from wallets import services
from wallets.models import CreditTransfer
from wallets.services import Leg, Posting

pytestmark = pytest.mark.django_db

TEXTS = [
    "",
    "NULL",
    "null",
    "plain",
    'a "quoted" word',
    "back\\slash",
    "\\",
    '\\"',
    "{braces, and commas}",
    "two\nlines\tand a tab",
    "MK 5 → ¤ 💳",
    "it's '; DROP TABLE credit_wallets; --",
    "%s %(name)s $1",
]


@pytest.fixture
def legs() -> tuple[Leg, Leg]:
    """One credit from rich to poor."""
    rich, poor = make_user("rich", balance="50.00"), make_user("poor")
    return (
        Leg(
            wallet_id=wallet_of(rich).pk,
            amount=Decimal("-1.00"),
            transaction_type="transfer",
        ),
        Leg(
            wallet_id=wallet_of(poor).pk,
            amount=Decimal("1.00"),
            transaction_type="transfer",
        ),
    )


def test_any_text_comes_back_as_it_was_posted(legs: tuple[Leg, Leg]):
    posted = services.post_many(
        [
            Posting(
                legs=legs,
                key=f"{number}:{text}",
                description=text,
                metadata={"text": text, text: number},
            )
            for number, text in enumerate(TEXTS)
        ]
    )

    for number, (text, transfer) in enumerate(zip(TEXTS, posted, strict=True)):
        row = CreditTransfer.objects.get(pk=transfer.pk)
        facts = {"text": text, text: number}
        for one in (row, transfer):
            assert (one.key, one.description, one.metadata) == (
                f"{number}:{text}",
                text,
                facts,
            )


def test_a_key_is_known_again_whatever_is_in_it(legs: tuple[Leg, Leg]):
    postings = [Posting(legs=legs, key=text) for text in TEXTS if text]
    first = services.post_many(postings)

    again = services.post_many(postings)

    assert [transfer.pk for transfer in again] == [transfer.pk for transfer in first]
    assert all(transfer.is_replay for transfer in again)


def test_a_transfer_without_words_and_facts_has_none(legs: tuple[Leg, Leg]):
    transfer = services.post(*legs, key="bare")

    row = CreditTransfer.objects.get(pk=transfer.pk)
    for one in (row, transfer):
        assert (one.description, one.metadata, one.actor_id) == ("", {}, None)


def test_facts_may_be_amounts_ids_and_times(legs: tuple[Leg, Leg]):
    facts: dict[str, Any] = {
        "amount": Decimal("1.50"),
        "id": uuid.UUID(int=7),
        "at": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
    }

    transfer = services.post(*legs, key="facts", metadata=facts)

    assert CreditTransfer.objects.get(pk=transfer.pk).metadata == {
        "amount": "1.50",
        "id": "00000000-0000-0000-0000-000000000007",
        "at": "2026-01-02T03:04:00Z",
    }


def test_what_is_posted_is_known_to_be_in_the_database(legs: tuple[Leg, Leg]):
    transfer = services.post(*legs, key="known")

    for row in (transfer, *transfer.legs):
        assert (row._state.adding, row._state.db) == (False, "default")


@pytest.mark.parametrize(
    ("amounts", "key", "said"),
    [
        (["1.00"], "k", "a transfer has two or more legs"),
        (["1.00", "0.00", "-1.00"], "k", "a leg of zero does not exist"),
        (["1.00", "-2.00"], "k", "the legs add up to zero"),
        (["1.00", "-1.00"], "", "a transfer has a key"),
        (["1.00", "-1.00"], "k" * 256, "a transfer has a key"),
    ],
)
def test_a_caller_is_told_what_is_wrong_with_a_posting(
    amounts: list[str], key: str, said: str
):
    legs = [
        Leg(
            wallet_id=uuid.uuid4(),
            amount=Decimal(amount),
            transaction_type="transfer",
        )
        for amount in amounts
    ]

    with pytest.raises(AssertionError, match=f"^{said}"):
        services.post(*legs, key=key)


def test_a_caller_is_told_of_a_wallet_that_appears_twice(legs: tuple[Leg, Leg]):
    back = Leg(
        wallet_id=legs[0].wallet_id,
        amount=Decimal("1.00"),
        transaction_type="transfer",
    )

    with pytest.raises(AssertionError, match=r"^a wallet appears once"):
        services.post(legs[0], back, key="twice")


@pytest.mark.parametrize("length", [1, 255])
def test_a_posting_has_a_key_of_one_to_255_characters(
    length: int, legs: tuple[Leg, Leg]
):
    assert services.post(*legs, key="k" * length).key == "k" * length


def test_the_statements_of_a_posting_are_prepared_the_first_time(
    legs: tuple[Leg, Leg],
):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        (before,) = cursor.fetchone()
        # Those of the fixture are still there: what runs again is not prepared again.
        services.post(*legs, key="prepared")
        services.post(*legs, key="prepared once more")
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        (after,) = cursor.fetchone()

    assert 0 < before == after
