from __future__ import annotations

import threading
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import call_command
from django.db import connection

from tests.factories import make_user, wallet_of
from wallets import services
from wallets.models import CreditWallet


@pytest.mark.django_db
def test_a_new_user_has_a_wallet_with_nothing_in_it():
    user = User.objects.create_user("new")

    wallet = wallet_of(user)

    assert (wallet.balance, wallet.held, wallet.sequence) == (0, 0, 0)


@pytest.mark.django_db
def test_saving_a_user_again_opens_no_second_wallet():
    user = make_user("user")

    user.first_name = "Other"
    user.save(update_fields=["first_name"])

    assert CreditWallet.objects.filter(user=user).count() == 1


@pytest.mark.django_db
def test_opening_a_wallet_that_exists_returns_it():
    user = make_user("user")

    assert services.open_wallet(user_id=user.pk) == wallet_of(user).pk


@pytest.mark.django_db
def test_a_fixture_brings_its_own_wallets():
    user = User(pk=987654, username="from a fixture", password="!")
    text = serializers.serialize("json", [user])

    for loaded in serializers.deserialize("json", text):
        loaded.save()

    assert not CreditWallet.objects.filter(user_id=987654).exists()


@pytest.mark.django_db
def test_users_that_no_signal_saw_get_their_wallet_on_first_use():
    (user,) = User.objects.bulk_create([User(username="bulk")])

    wallet_id = services.wallet_id_of(user_id=user.pk)

    assert wallet_of(user).pk == wallet_id


@pytest.mark.django_db
def test_open_missing_wallets_opens_one_for_each_user_that_no_signal_saw():
    User.objects.bulk_create([User(username=f"bulk-{n}") for n in range(3)])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auth_user (username, password, is_superuser, is_staff,"
            " is_active, first_name, last_name, email, date_joined)"
            " VALUES ('raw', '!', false, false, true, '', '', '', now())"
        )
    out = StringIO()

    call_command("open_missing_wallets", "--dry-run", stdout=out)
    call_command("open_missing_wallets", stdout=out)
    call_command("open_missing_wallets", stdout=out)

    assert out.getvalue().splitlines() == [
        "4 wallet(s) would be opened.",
        "4 wallet(s) opened.",
        "0 wallet(s) opened.",
    ]
    assert not User.objects.filter(wallet__isnull=True).exists()


def test_first_uses_at_once_open_one_wallet(committed: str):
    (user,) = User.objects.bulk_create([User(username="bulk")])
    together, opened = threading.Barrier(8, timeout=10), []

    def use() -> None:
        together.wait()
        opened.append(services.wallet_id_of(user_id=user.pk))
        connection.close()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert opened == [wallet_of(user).pk] * 8
