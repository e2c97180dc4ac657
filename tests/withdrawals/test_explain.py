"""What a wallet's figures are made of: parts that add up, read at one moment."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from courses.services import enroll_with_credits, refund_enrollment
from tests.courses.offers import make_course, spend
from tests.factories import make_coach, make_staff, make_user, wallet_of
from tests.withdrawals import people
from wallets import services
from wallets.explain import Explanation, explain
from wallets.models import CreditWallet
from withdrawals import selectors

pytestmark = pytest.mark.django_db
FIGURES = ("balance", "held", "available", "withdrawable", "in_withdrawal")


def explained(user: Any) -> Explanation:
    return explain(wallet_id=wallet_of(user).pk, user_id=user.pk)


def parts(user: Any, figure: str) -> dict[str, str]:
    found = explained(user).figures[figure].parts
    return {part.kind: str(part.amount) for part in found}


def assert_adds_up(user: Any) -> None:
    """Compare with the figures that everything else goes by."""
    explanation, wallet = explained(user), wallet_of(user)
    expected = {
        "balance": wallet.balance,
        "held": wallet.held,
        "available": wallet.available,
        "withdrawable": selectors.withdrawable(user_id=user.pk),
        "in_withdrawal": selectors.in_withdrawal(user_id=user.pk),
    }
    assert {n: f.amount for n, f in explanation.figures.items()} == expected
    for figure in explanation.figures.values():
        assert sum((part.amount for part in figure.parts), Decimal(0)) == figure.amount
        assert "unexplained" not in [part.kind for part in figure.parts]


def enroll(coach: Any, price: str = "100.00", **options: Any) -> Any:
    return enroll_with_credits(
        learner=make_user(balance=price),
        course_id=make_course(coach, price=price, **options).pk,
    )


@pytest.fixture
def busy_coach(settings: Any, gateway: Any) -> Any:
    """A coach with earnings of every kind: matured, held, refunded, withdrawn."""
    coach = people.make_earning_coach("200.00")
    settings.REFUND_WINDOW_DAYS = 7
    enroll(coach, rate="0.1")
    half = enroll(coach)
    refund_enrollment(
        enrollment_id=half.pk, actor=None, reason="half", amount=Decimal("50.00")
    )
    people.request(coach, "30.00", people.add_method(coach))
    return coach


def test_every_figure_of_a_busy_wallet_adds_up_to_what_everything_goes_by(busy_coach):
    assert_adds_up(busy_coach)
    assert parts(busy_coach, "balance") == {
        "course_payment": "390.00",
        "course_refund": "-50.00",
        "withdrawal": "-30.00",
    }
    assert parts(busy_coach, "available") == {"balance": "310.00", "held": "-140.00"}
    assert parts(busy_coach, "withdrawable") == {
        "earnings": "390.00",
        "refunds": "-50.00",
        "withdrawn": "-30.00",
        "not_available": "-140.00",
    }
    assert parts(busy_coach, "in_withdrawal") == {"requested": "30.00"}


def test_an_empty_wallet_is_explained_by_nothing():
    user = make_user()

    assert_adds_up(user)
    assert [explained(user).figures[name].parts for name in ("balance", "held")] == [
        (),
        (),
    ]


def test_what_came_in_and_what_went_out_of_one_type_are_told_apart():
    user, other = make_user(balance="10.00"), make_user(balance="10.00")
    for source, target, amount in ((user, other, "3.00"), (other, user, "1.00")):
        services.transfer_credits(
            from_user_id=source.pk, to_user_id=target.pk, amount=Decimal(amount)
        )

    found = [
        (part.kind, str(part.amount), part.count)
        for part in explained(user).figures["balance"].parts
    ]

    assert found == [
        ("bonus", "10.00", 1),
        ("transfer", "1.00", 1),
        ("transfer", "-3.00", 1),
    ]


def test_holds_are_told_by_reason_and_the_day_on_which_they_end(settings):
    settings.REFUND_WINDOW_DAYS = 7
    coach = make_coach()
    for _ in range(3):
        place = enroll(coach, "10.00")
    (part,) = explained(coach).figures["held"].parts

    assert (part.kind, part.detail, part.count, part.amount) == (
        "hold",
        "Earnings within the refund window",
        3,
        Decimal("30.00"),
    )
    assert part.releases_on == place.matures_at.date()


def test_bought_credits_are_in_no_part_of_what_may_be_withdrawn():
    user = make_coach(balance="50.00")

    assert explained(user).figures["withdrawable"].parts == ()
    assert_adds_up(user)


def test_who_spent_earnings_is_told_that_they_are_not_available():
    coach = make_coach()
    enroll(coach)
    spend(coach, "70.00")

    assert_adds_up(coach)
    assert parts(coach, "withdrawable") == {
        "earnings": "100.00",
        "not_available": "-70.00",
    }


def test_a_frozen_wallet_says_so(busy_coach):
    services.freeze_wallet(
        wallet_id=wallet_of(busy_coach).pk, actor=make_staff("support"), reason="look"
    )

    assert_adds_up(busy_coach)
    assert explained(busy_coach).is_frozen
    assert parts(busy_coach, "withdrawable")["frozen"] == "-310.00"


def test_what_was_refunded_after_it_had_been_withdrawn_is_told(gateway):
    coach = people.make_earning_coach("0.00")
    services.grant_credits(
        user_id=coach.pk, amount=Decimal("100.00"), reason="for a test"
    )
    place = enroll(coach)
    people.request(coach, "100.00", people.add_method(coach))
    refund_enrollment(enrollment_id=place.pk, actor=None, reason="Late")

    assert_adds_up(coach)
    assert parts(coach, "withdrawable") == {
        "earnings": "100.00",
        "refunds": "-100.00",
        "withdrawn": "-100.00",
        "overdrawn": "100.00",
    }


def test_it_is_one_query_for_few_rows_and_for_many(
    busy_coach, django_assert_num_queries
):
    wallet = wallet_of(busy_coach)
    for _ in range(5):
        enroll(busy_coach, "10.00")

    with django_assert_num_queries(1):
        explain(wallet_id=wallet.pk, user_id=busy_coach.pk)


def test_a_system_wallet_is_explained_as_well(busy_coach):
    wallet = CreditWallet.objects.family("promotions").filter(sequence__gt=0).first()
    assert wallet is not None

    figures = explain(wallet_id=wallet.pk, user_id=None).figures

    assert figures["balance"].amount == wallet.balance
    assert [part.kind for part in figures["balance"].parts] == ["bonus"]


# Over HTTP.


def test_the_api_tells_the_caller_what_their_figures_are_made_of(busy_coach):
    client = APIClient()
    client.force_authenticate(busy_coach)
    before = timezone.now()

    answer = client.get("/api/v1/wallet/explain")
    wallet = client.get("/api/v1/wallet").json()

    assert answer.status_code == 200
    body = answer.json()
    assert {name: body[name]["amount"] for name in FIGURES} == {
        name: wallet[name] for name in FIGURES
    }
    assert body["frozen"] is False
    assert body["id"] == wallet["id"]
    assert body["at"] <= timezone.now().isoformat() or before
    assert body["balance"]["parts"][0] == {
        "kind": "course_payment",
        "amount": "390.00",
        "count": 3,
        "detail": "",
        "releases_on": None,
    }
    assert body["held"]["parts"][0]["releases_on"] is not None


def test_visitors_have_nothing_to_be_explained():
    assert APIClient().get("/api/v1/wallet/explain").status_code == 401


# At the console.


def test_the_wallets_page_shows_what_the_figures_are_made_of(busy_coach):
    client = Client()
    client.force_login(make_staff("auditors"))

    page = client.get(f"/admin/wallets/creditwallet/{wallet_of(busy_coach).pk}/change/")

    text = re.sub(r"<[^>]+>|\s+", " ", page.content.decode())
    assert re.search(r"course payment +3 +390.00", text)
    assert re.search(r"hold: Earnings within the refund window, until \d{4}", text)
    assert re.search(r"not available +-140.00 +withdrawable +170.00", text)
    assert re.search(r"requested +1 +30.00 +in withdrawal +30.00", text)


def test_the_page_of_a_system_wallet_adds_no_millions_of_rows_up():
    client = Client()
    client.force_login(make_staff("auditors"))
    wallet = CreditWallet.objects.family("promotions").first()
    assert wallet is not None

    page = client.get(f"/admin/wallets/creditwallet/{wallet.pk}/change/")

    assert "its transactions" in page.content.decode()
