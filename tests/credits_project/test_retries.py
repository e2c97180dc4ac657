"""Calls that are run again, and calls whose outcome is looked up. Real connections."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, OperationalError, connection, transaction
from rest_framework.test import APIClient

from credits_project import retries
from credits_project.retries import NotDone, OutcomeUnknown
from tests.concurrency.threads import in_threads, kinds
from tests.credits_project.cutting_proxy import CuttingProxy, Fate
from tests.factories import balance_of, make_user, wallet_of
from tests.postgres import database_url
from wallets import services
from wallets.models import CreditTransfer, CreditWallet


def other_connection(**options: Any) -> psycopg.Connection:
    return psycopg.connect(database_url(connection.settings_dict["NAME"]), **options)


def raise_state(state: str) -> None:
    """Have the server raise an error with the SQLSTATE, in a statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DO $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{state}'; END $$"
        )


def failing(errors: list[str], done: Callable[[], Any]) -> Callable[[], Any]:
    """Return a call that fails with each SQLSTATE in turn, and then does something."""

    def call() -> Any:
        with transaction.atomic():
            if errors:
                raise_state(errors.pop(0))
            return done()

    return call


def transfer(payer: User, payee: User, key: str) -> CreditTransfer:
    return services.transfer_credits(
        from_user_id=payer.pk, to_user_id=payee.pk, amount=Decimal("4.00"), key=key
    )


def find(key: str) -> CreditTransfer | None:
    return CreditTransfer.objects.filter(key=key).first()


# What is run again


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
def test_what_passes_by_itself_is_run_again_whole(state: str):
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    errors = [state] * 4

    booked = retries.run(failing(errors, lambda: transfer(payer, payee, "k")))

    assert errors == []
    assert booked.key == "k"
    assert balance_of(payee) == 4


@pytest.mark.usefixtures("committed")
def test_after_five_attempts_the_error_comes_out():
    errors = ["40001"] * 9

    with pytest.raises(OperationalError, match="injected"):
        retries.run(failing(errors, lambda: "never"))

    assert len(errors) == 4


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("state", ["57014", "53100", "42501", "25006", "P0001"])
def test_other_errors_are_not_run_again(state: str):
    errors = [state] * 2

    with pytest.raises(Exception, match="injected"):
        retries.run(failing(errors, lambda: "never"))

    assert errors == [state]


@pytest.mark.django_db
def test_inside_an_open_transaction_it_is_run_once():
    errors = ["40001"] * 2

    with pytest.raises(OperationalError):
        retries.run(failing(errors, lambda: "never"))

    assert errors == ["40001"]


@pytest.mark.usefixtures("committed")
def test_both_sides_of_a_deadlock_get_through():
    one, two = (wallet_of(make_user(name)).pk for name in ("one", "two"))
    both_have_one = threading.Barrier(2, timeout=10)
    attempts: list[Any] = []

    def lock_disorderly(pair: tuple[Any, Any]) -> str:
        is_first_attempt = pair not in attempts
        attempts.append(pair)
        with transaction.atomic():
            locked = CreditWallet.objects.select_for_update(no_key=True)
            locked.get(pk=pair[0])
            if is_first_attempt:
                both_have_one.wait()
            locked.get(pk=pair[1])
        return "done"

    outcomes = in_threads(
        lambda pair: retries.run(lambda: lock_disorderly(pair)),
        [(one, two), (two, one)],
    )

    assert kinds(outcomes) == {"str": 2}
    assert len(attempts) == 3


@pytest.mark.usefixtures("committed")
def test_a_lock_that_did_not_come_in_time_is_asked_for_again():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    blocker = other_connection()
    blocker.execute(
        "SELECT FROM credit_wallets WHERE user_id = %s FOR UPDATE", [payer.pk]
    )
    attempts = []

    def call() -> CreditTransfer:
        attempts.append(1)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
            if len(attempts) == 2:
                blocker.rollback()
            return transfer(payer, payee, "k")

    with blocker:
        retries.run(call)

    assert len(attempts) == 2
    assert balance_of(payee) == 4


@pytest.mark.usefixtures("committed")
def test_a_real_serialization_failure_is_run_again_on_what_is_there_now():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    attempts = []

    def call() -> CreditTransfer:
        attempts.append(1)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # The snapshot is taken here, and old when somebody else has paid.
            CreditWallet.objects.count()
            if len(attempts) == 1:
                in_threads(lambda key: transfer(payer, payee, key), ["other"])
            return transfer(payer, payee, "k")

    retries.run(call)

    assert len(attempts) == 2
    assert balance_of(payee) == 8


# What is looked up


def cut_off(payer: User, payee: User) -> CreditTransfer:
    """Book a transfer in a transaction whose session somebody ends."""
    with transaction.atomic():
        booked = transfer(payer, payee, "k")
        with other_connection(autocommit=True) as killer:
            number = connection.connection.info.backend_pid
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", [number])
        transfer(payee, payer, "unreached")
    return booked


@pytest.mark.usefixtures("committed")
def test_a_session_that_was_ended_is_not_run_again_and_was_not_booked():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    attempts = []

    def call() -> CreditTransfer:
        attempts.append(1)
        return cut_off(payer, payee)

    with pytest.raises(NotDone) as refusal:
        retries.run(call, find=lambda: find("k"))

    assert len(attempts) == 1
    assert refusal.value.extra["outcome"] == "not-done"
    assert balance_of(payer) == 10


@pytest.mark.usefixtures("committed")
def test_without_a_way_to_look_it_up_the_outcome_is_said_to_be_unknown():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    with pytest.raises(OutcomeUnknown) as refusal:
        retries.run(lambda: cut_off(payer, payee))

    assert refusal.value.extra["outcome"] == "unknown"


@contextlib.contextmanager
def connected_through(fate: Fate) -> Iterator[None]:
    """Connect by a proxy that loses the first COMMIT in the way that `fate` says."""
    connection.ensure_connection()
    info = connection.connection.info
    host, port = info.host, info.port
    server = str(Path(host) / f".s.PGSQL.{port}") if host[0] == "/" else (host, port)
    settings = connection.settings_dict
    direct = {**settings, "OPTIONS": {**settings["OPTIONS"]}}
    connection.close()
    with CuttingProxy(server, fate=fate).running() as proxy:
        settings["OPTIONS"].pop("requirepeer", None)
        settings["OPTIONS"].update(host="127.0.0.1", port=proxy.port, sslmode="disable")
        settings["HOST"] = settings["PORT"] = ""
        try:
            yield
        finally:
            connection.close()
            settings.update(direct)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("fate", ["answer lost", "late"])
def test_a_commit_that_reached_the_server_is_found_booked(fate: Fate):
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    attempts = []

    def call() -> CreditTransfer:
        attempts.append(1)
        return transfer(payer, payee, "k")

    with connected_through(fate):
        booked = retries.run(call, find=lambda: find("k"))

    assert booked.key == "k"
    assert len(attempts) == 1
    assert balance_of(payee) == 4


@pytest.mark.usefixtures("committed")
def test_a_commit_that_never_reached_the_server_is_found_not_booked():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    with connected_through("lost"), pytest.raises(NotDone):
        retries.run(lambda: transfer(payer, payee, "k"), find=lambda: find("k"))

    assert balance_of(payer) == 10


@pytest.mark.usefixtures("committed")
def test_what_fails_after_the_commit_is_not_run_again():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")

    def call() -> CreditTransfer:
        with transaction.atomic():
            transaction.on_commit(lambda: raise_state("40001"))
            return transfer(payer, payee, "k")

    booked = retries.run(call, find=lambda: find("k"))

    assert booked.key == "k"
    assert balance_of(payee) == 4


@pytest.mark.usefixtures("committed")
def test_a_server_that_cannot_be_reached_is_no_question_of_the_outcome():
    connection.close()
    settings = connection.settings_dict
    options = settings["OPTIONS"]
    settings["OPTIONS"] = {**options, "host": "/nonexistent"}
    try:
        with pytest.raises(OperationalError):
            retries.run(lambda: CreditWallet.objects.count())
    finally:
        settings["OPTIONS"] = options


@pytest.mark.usefixtures("committed")
def test_a_deferred_constraint_that_refuses_the_commit_is_named():
    def call() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            # The foreign key is looked at when the transaction commits.
            cursor.execute(
                "INSERT INTO auth_user_groups (user_id, group_id) VALUES (-1, -1)"
            )

    with pytest.raises(IntegrityError, match="auth_user_groups_") as refusal:
        retries.run(call)

    assert retries.sqlstate_of(refusal.value) == "23503"


# At the edge


def asked_for_a_transfer(payer: User, payee: User, **headers: str) -> Any:
    clerk = make_user("clerk")
    clerk.user_permissions.add(Permission.objects.get(codename="transfer_credits"))
    client = APIClient()
    client.force_authenticate(clerk)
    body = {"from_user_id": payer.pk, "to_user_id": payee.pk, "amount": "4.00"}
    return lambda: client.post(
        "/api/v1/rpc/transfer_credits", body, format="json", headers=headers
    )


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["", "key"])
def test_the_api_answers_what_was_booked_although_the_answer_was_lost(
    headers: dict[str, str],
):
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    ask = asked_for_a_transfer(payer, payee, **headers)

    with connected_through("answer lost"):
        answer = ask()

    assert answer.status_code == 201
    assert [leg["balance_after"] for leg in answer.json()["transactions"]] == [
        "6.00",
        "4.00",
    ]
    assert "Idempotent-Replayed" not in answer.headers
    assert balance_of(payee) == 4


@pytest.mark.usefixtures("committed")
def test_the_api_says_that_nothing_was_booked_and_takes_the_repeat():
    payer, payee = make_user("payer", balance="10.00"), make_user("payee")
    ask = asked_for_a_transfer(payer, payee, **{"Idempotency-Key": "k"})

    with connected_through("lost"):
        answer = ask()

    body = answer.json()
    body.pop("request_id", None)
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Retry-After"] == "1"
    assert body == {
        "type": "/problems/unavailable",
        "title": "The service is not available now.",
        "status": 503,
        "detail": "The database was lost on the way. Nothing was booked: repeat the"
        " request.",
        "outcome": "not-done",
        "retry_after": 1,
    }
    assert ask().status_code == 201
    assert balance_of(payee) == 4
