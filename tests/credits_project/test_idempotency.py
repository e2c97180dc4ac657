from __future__ import annotations

import uuid
from decimal import Decimal
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from credits_project import idempotency
from credits_project.exceptions import IdempotencyKeyReused, RequestInProgress
from payments.models import CreditPackage, CreditPurchase
from tests.credits_project.asking import RPC, invalid, problem, signed_in
from tests.factories import balance_of, make_staff, make_user
from wallets.models import CreditTransfer


def transfer(**changes):
    sender = make_user("sender", balance="10.00")
    receiver = make_user("receiver")
    body = {"from_user_id": sender.pk, "to_user_id": receiver.pk, "amount": "2.50"}
    return sender, {**body, **changes}


@pytest.mark.django_db
def test_a_repeat_answers_the_same_transfer_and_says_so():
    sender, body = transfer()
    client = signed_in(make_staff("finance"))

    answers = [
        client.post(RPC, body, format="json", headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert "Idempotent-Replayed" not in answers[0]
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert answers[0].json() == answers[1].json()
    assert str(balance_of(sender)) == "7.50"


@pytest.mark.django_db
def test_another_body_under_the_same_key_is_refused():
    sender, body = transfer()
    client = signed_in(make_staff("finance"))
    key = {"Idempotency-Key": "once"}
    client.post(RPC, body, format="json", headers=key)

    other = client.post(RPC, {**body, "amount": "2.51"}, format="json", headers=key)

    assert other.status_code == 422
    assert problem(other)["type"] == "/problems/idempotency-key-reused"
    assert str(balance_of(sender)) == "7.50"


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é", "a\x7f"])
def test_a_key_that_is_none_is_refused(key):
    sender, body = transfer()

    answer = signed_in(make_staff("finance")).post(
        RPC, body, format="json", headers={"Idempotency-Key": key}
    )

    detail = "An Idempotency-Key has 1 to 255 visible ASCII characters."
    assert answer.status_code == 400
    assert problem(answer) == invalid("Idempotency-Key", "invalid", detail, said=detail)
    assert str(balance_of(sender)) == "10.00"


@pytest.mark.django_db
def test_the_longest_key_is_taken():
    _, body = transfer()

    answer = signed_in(make_staff("finance")).post(
        RPC, body, format="json", headers={"Idempotency-Key": "!" * 254 + "~"}
    )

    assert answer.status_code == 201


@pytest.mark.django_db
def test_a_refused_request_leaves_nothing_under_its_key():
    sender, body = transfer(amount="10.01")
    client = signed_in(make_staff("finance"))
    key = {"Idempotency-Key": "once"}

    refused = client.post(RPC, body, format="json", headers=key)
    taken = client.post(RPC, {**body, "amount": "10.00"}, format="json", headers=key)

    assert (refused.status_code, taken.status_code) == (409, 201)
    assert "Idempotent-Replayed" not in taken
    assert str(balance_of(sender)) == "0.00"


@pytest.mark.django_db
def test_keys_are_each_user_s_own():
    sender, body = transfer()
    key = {"Idempotency-Key": "once"}

    for _ in range(2):
        answer = signed_in(make_staff("finance")).post(
            RPC, body, format="json", headers=key
        )
        assert answer.status_code == 201
        assert "Idempotent-Replayed" not in answer

    assert str(balance_of(sender)) == "5.00"
    assert CreditTransfer.objects.filter(transactions__wallet__user=sender).count() == 3


def test_a_digest_depends_on_what_is_asked_and_on_nothing_else():
    course = uuid.uuid4()

    first = idempotency.digest_of(course_id=course, price=Decimal("1.00"), note="é")
    second = idempotency.digest_of(note="é", price=Decimal("1.00"), course_id=course)
    third = idempotency.digest_of(note="é", price=Decimal("1.01"), course_id=course)

    assert first == second != third
    assert len(first) == 64


@pytest.mark.django_db
def test_an_earlier_row_is_found_among_the_user_s_own_and_is_a_replay():
    buyer = make_user("buyer")
    package = CreditPackage.objects.create(
        name="S", credits=Decimal(10), price=Decimal(100)
    )
    purchase = CreditPurchase.objects.create(
        user=buyer,
        package=package,
        credits=Decimal(10),
        price=Decimal(100),
        currency="MWK",
        mode="test",
        tx_ref="t-1",
        idempotency_key="k",
        idempotency_digest="d" * 64,
    )
    own = CreditPurchase.objects.filter(user=buyer)

    found = idempotency.earlier(own, key="k", digest="d" * 64)

    assert found == purchase
    assert idempotency.is_replay(found)
    assert not idempotency.is_replay(purchase)
    assert idempotency.earlier(own, key="other", digest="d" * 64) is None
    with pytest.raises(IdempotencyKeyReused):
        idempotency.earlier(own, key="k", digest="e" * 64)


def test_a_key_that_is_being_worked_with_is_refused_until_the_other_ends(committed):
    claimed, tried = Barrier(2, timeout=10), Barrier(2, timeout=10)

    def first() -> None:
        try:
            with transaction.atomic():
                idempotency.claim(user_id=1, scope="orders", key="k")
                claimed.wait()
                tried.wait()
        finally:
            connection.close()

    thread = Thread(target=first)
    thread.start()
    claimed.wait()
    try:
        with pytest.raises(RequestInProgress), transaction.atomic():
            idempotency.claim(user_id=1, scope="orders", key="k")
        with transaction.atomic():
            # Another user, another endpoint, another key: nobody is in the way.
            idempotency.claim(user_id=2, scope="orders", key="k")
            idempotency.claim(user_id=1, scope="returns", key="k")
            idempotency.claim(user_id=1, scope="orders", key="l")
    finally:
        tried.wait()
        thread.join()

    with transaction.atomic():
        idempotency.claim(user_id=1, scope="orders", key="k")
