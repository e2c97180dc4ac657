from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from credits_project.exceptions import InvalidInput, NotFound
from payments.gateway import Destination, DestinationKind, GatewayUnavailable
from tests.factories import make_coach
from tests.withdrawals.people import AIRTEL, NATIONAL_BANK, TNM, add_method
from withdrawals import destinations, encryption, numbers, services
from withdrawals.models import PayoutMethod

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "written", ["0991234567", "991234567", "265991234567", "+265991234567"]
)
def test_a_phone_number_is_kept_as_nine_digits_however_it_is_written(gateway, written):
    method = add_method(make_coach(), written)

    number = encryption.unseal(
        method.account_number_encrypted, context=method.number_context
    )
    assert number == "991234567"
    assert method.masked_number == "••••567"


@pytest.mark.parametrize(
    ("written", "operator"),
    [
        ("99123456", AIRTEL),
        ("09912345678", AIRTEL),
        ("+260991234567", AIRTEL),
        ("099 123 4567", AIRTEL),
        ("٠٩٩١٢٣٤٥٦٧", AIRTEL),
        ("", AIRTEL),
        ("0881234567", AIRTEL),
        ("0991234567", TNM),
    ],
)
def test_a_number_that_the_operator_cannot_have_is_refused(gateway, written, operator):
    with pytest.raises(InvalidInput) as refusal:
        add_method(make_coach(), written, destination=operator)

    assert refusal.value.field == "account_number"
    assert not PayoutMethod.objects.exists()


@pytest.mark.parametrize("written", ["0881234567", "0891234567"])
def test_numbers_of_the_other_operator_go_to_it(gateway, written):
    method = add_method(make_coach(), written, destination=TNM)

    assert method.destination_name == "TNM Mpamba"


@pytest.mark.parametrize("number", ["1234", "1" * 21, "12a45678", "-1007534422"])
def test_a_bank_account_number_is_five_to_twenty_digits(gateway, number):
    with pytest.raises(InvalidInput, match="5 to 20 digits"):
        add_method(make_coach(), number, kind="bank", destination=NATIONAL_BANK)


def test_a_destination_without_withdrawals_is_neither_offered_nor_accepted(gateway):
    gateway.fault("operators", "no-withdrawals", ref_id=AIRTEL)

    offered = [found.id for found in destinations.all_destinations()]
    assert TNM in offered
    assert AIRTEL not in offered
    with pytest.raises(InvalidInput, match="cannot be sent to this operator"):
        add_method(make_coach())


def test_a_bank_is_no_operator(gateway):
    with pytest.raises(InvalidInput, match="cannot be sent to this operator"):
        add_method(make_coach(), destination=NATIONAL_BANK)


def test_the_gateway_is_asked_once_for_its_destinations(gateway):
    destinations.all_destinations()
    destinations.all_destinations()

    assert gateway.state()["counts"] == {"operators": 1, "banks": 1}


def test_without_the_gateway_and_without_a_kept_list_nothing_is_guessed(gateway):
    gateway.fault("operators", "500-before")

    with pytest.raises(GatewayUnavailable):
        add_method(make_coach())


def test_a_method_is_usable_after_the_cooling_off(gateway, settings):
    settings.PAYOUT_COOLING_OFF_HOURS = 72
    before = timezone.now()

    method = add_method(make_coach())

    assert method.usable_from >= before + timedelta(hours=72)


def test_the_same_account_is_added_once(gateway):
    coach = make_coach()
    add_method(coach, "0991234567")

    with pytest.raises(InvalidInput, match="already"):
        add_method(coach, "+265991234567")

    assert coach.payout_methods.count() == 1


def test_a_removed_method_can_be_added_again_and_cools_off_again(gateway, settings):
    coach = make_coach()
    first = add_method(coach)
    services.remove_payout_method(user=coach, payout_method_id=first.pk)
    settings.PAYOUT_COOLING_OFF_HOURS = 72

    second = add_method(coach)

    assert second.usable_from > first.usable_from + timedelta(hours=71)


def test_anothers_method_cannot_be_removed(gateway):
    method = add_method(make_coach("alice"))

    with pytest.raises(NotFound):
        services.remove_payout_method(
            user=make_coach("charlie"), payout_method_id=method.pk
        )

    assert PayoutMethod.objects.current().filter(pk=method.pk).exists()


def test_the_owner_is_told_by_mail_without_the_number(
    gateway, django_capture_on_commit_callbacks: Any
):
    coach = make_coach()

    with django_capture_on_commit_callbacks(execute=True):
        add_method(coach)

    (message,) = mail.outbox
    assert message.to == [coach.email]
    assert "Airtel Money ••••567" in message.body
    assert "991234567" not in message.body


def test_a_mail_that_fails_is_no_error(
    gateway, settings, caplog, django_capture_on_commit_callbacks: Any
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9

    with django_capture_on_commit_callbacks(execute=True):
        method = add_method(make_coach())

    assert PayoutMethod.objects.filter(pk=method.pk).exists()
    assert f"the owner was not told of payout method {method.pk}" in caplog.text


def test_a_sealed_number_does_not_open_for_another_row(gateway):
    one, other = add_method(make_coach("one")), add_method(make_coach("other"))

    with pytest.raises(encryption.UnreadableNumber):
        encryption.unseal(one.account_number_encrypted, context=other.number_context)


def test_a_sealed_number_differs_each_time_and_its_fingerprint_does_not():
    sealed = {encryption.seal("991234567", context="row") for _ in range(5)}
    prints = {encryption.fingerprint("bank", "991234567") for _ in range(5)}

    assert len(sealed) == 5
    assert not any(b"991234567" in one for one in sealed)
    assert len(prints) == 1


def test_an_altered_or_foreign_value_is_unreadable(settings):
    sealed = bytearray(encryption.seal("991234567", context="row"))
    sealed[-1] ^= 1
    with pytest.raises(encryption.UnreadableNumber):
        encryption.unseal(bytes(sealed), context="row")
    with pytest.raises(encryption.UnreadableNumber):
        encryption.unseal(b"plain", context="row")
    good = encryption.seal("991234567", context="row")
    settings.FIELD_ENCRYPTION_KEY = "another key, another key, another key"
    with pytest.raises(encryption.UnreadableNumber):
        encryption.unseal(good, context="row")


@pytest.mark.parametrize("name", ["", " ", "x", "a\nb\x07c", "y" * 201])
def test_a_holder_without_a_proper_name_is_refused(gateway, name):
    with pytest.raises(InvalidInput) as refusal:
        add_method(make_coach(), account_name=name)

    assert refusal.value.field == "account_name"


def test_while_the_gateway_is_silent_an_older_list_serves(gateway, monkeypatch):
    known = destinations.all_destinations()
    gateway.fault("operators", "500-before")
    monkeypatch.setattr(destinations, "_FRESH_SECONDS", -1)

    assert destinations.all_destinations() == known


def test_an_operator_that_is_new_takes_any_mobile_number():
    new = Destination(
        id="new",
        name="New Money",
        kind=DestinationKind.MOBILE_MONEY,
        supports_withdrawals=True,
    )

    assert numbers.normalized("0881234567", destination=new) == "881234567"
    with pytest.raises(InvalidInput, match="099 or 098 or 088 or 089"):
        numbers.normalized("0771234567", destination=new)


def test_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(InvalidInput) as refusal:
        add_method(make_coach(), kind="cash")

    assert refusal.value.field == "kind"


def test_who_has_no_mail_address_is_told_nothing(
    gateway, django_capture_on_commit_callbacks: Any
):
    coach = make_coach()
    coach.email = ""
    coach.save(update_fields=["email"])

    with django_capture_on_commit_callbacks(execute=True):
        add_method(coach)

    assert mail.outbox == []
