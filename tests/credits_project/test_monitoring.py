from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from tests.credits_project.asking import problem
from tests.factories import make_user

pytestmark = pytest.mark.django_db

PROBES = ["/healthz", "/readyz", "/metrics"]


def test_a_process_that_lives_says_so_without_the_database(settings):
    answer = Client().get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_process_is_ready_with_a_database_that_has_all_migrations():
    answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_process_whose_migrations_are_missing_is_not_ready():
    MigrationRecorder.Migration.objects.filter(app="wallets").delete()

    answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "migrations missing"}


def test_a_process_without_its_database_is_not_ready_but_lives(monkeypatch):
    with connections["default"].execute_wrapper(_gone):
        ready, alive = Client().get("/readyz"), Client().get("/healthz")

    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json() == {"status": "database unreachable"}


def _gone(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    from django.db import OperationalError

    raise OperationalError("the server has gone")


@pytest.mark.parametrize("path", PROBES)
def test_monitoring_may_ask_a_machine_by_its_own_address(path, settings):
    settings.ALLOWED_HOSTS = ["credits.example.com"]
    settings.SECURE_SSL_REDIRECT = True

    answer = Client().get(path, headers={"Host": "10.0.0.7:8000"})

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("path", PROBES)
def test_monitoring_only_reads(path):
    assert Client().post(path).status_code == 405


def test_metrics_are_prometheus_s_text_with_the_ledger_s_totals():
    make_user(balance="25.00")

    answer = Client().get("/metrics")

    lines = answer.content.decode().splitlines()
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'credits_open_work{table="credit_purchases",state="open"} 0' in lines
    assert 'credits_system_balance{family="adjustments"} -25.00' in lines or (
        'credits_system_balance{family="promotions"} -25.00' in lines
    )
    assert "credits_payouts_frozen 0" in lines
    named = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"REMOTE_ADDR": "192.0.2.1"},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Forwarded": "for=127.0.0.1"}},
        {"REMOTE_ADDR": "192.0.2.1", "headers": {"Authorization": "Bearer "}},
        {"REMOTE_ADDR": "192.0.2.1", "headers": {"Authorization": "Bearer wrong"}},
        {"REMOTE_ADDR": "192.0.2.1", "headers": {"Authorization": "Bearer é"}},
    ],
)
@pytest.mark.parametrize("token", ["", "secret-token"])
def test_metrics_are_for_this_machine_or_the_token(elsewhere, token, settings):
    settings.METRICS_TOKEN = token

    answer = Client().get("/metrics", **elsewhere)

    assert answer.status_code == 404
    assert problem(answer)["type"] == "/problems/not-found"


def test_metrics_are_read_from_elsewhere_with_the_token(settings):
    settings.METRICS_TOKEN = "secret-token"

    answer = Client().get(
        "/metrics",
        REMOTE_ADDR="192.0.2.1",
        headers={"Authorization": "Bearer secret-token", "X-Forwarded-For": "1.1.1.1"},
    )

    assert answer.status_code == 200
