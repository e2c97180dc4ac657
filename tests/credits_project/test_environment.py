from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD = {
    "SECRET_KEY": "only for this test, " * 4,
    "FIELD_ENCRYPTION_KEY": "only for this test, " * 4,
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
}
LOAD = "import credits_project.settings as s; print(s.SITE_URL)"


def load(**changes: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process of their own, as a server does."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", LOAD],
        env={**environment, **GOOD, **changes},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_settings_load_with_what_has_no_default():
    result = load()

    assert result.returncode == 0, result.stderr
    assert result.stdout == "http://127.0.0.1:8000\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("FIELD_ENCRYPTION_KEY", ""),
        ("DEBUG", "maybe"),
        ("SITE_URL", "http://credits.example.com"),
        ("SITE_URL", "credits.example.com"),
        ("SITE_URL", "ftp://127.0.0.1"),
        ("TRUSTED_PROXY_COUNT", "-1"),
        ("TRUSTED_PROXY_COUNT", "one"),
        ("DATABASE_URL", "sqlite:///x"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_REPLICA_URL", "mysql://x@y/z"),
        ("PORT", "0"),
        ("PORT", "http"),
        ("PAYCHANGU_MODE", "prod"),
        ("PAYCHANGU_BASE_URL", "http://api.paychangu.com"),
        ("PAYCHANGU_TIMEOUT_SECONDS", "0"),
        ("COMMISSION_RATE", "10"),
        ("COMMISSION_RATE", "NaN"),
        ("COMMISSION_RATE", "ten"),
        ("REFUND_WINDOW_DAYS", "1.5"),
        ("USER_TRANSFERS_ENABLED", "2"),
        ("WITHDRAWAL_MINIMUM", "-1"),
        ("WITHDRAWAL_MAXIMUM", "1.005"),
        ("WITHDRAWAL_DAILY_CAP", "Infinity"),
        ("WITHDRAWAL_FEE_RATE", "1.01"),
        ("WITHDRAWAL_FEE_FLAT", "free"),
        ("PAYOUT_COOLING_OFF_HOURS", "long"),
        ("THROTTLE_MONEY", "often"),
        ("THROTTLE_ANON", "0/min"),
        ("AUTH_RATE_LIMITS", "some"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_line_that_names_it(name, value):
    result = load(**{name: value})

    last = result.stderr.strip().splitlines()[-1]
    assert result.returncode != 0
    assert re.match(rf"\S*ImproperlyConfigured: {name} must ", last), last


def test_witnesses_settle_nothing_before_a_call_can_have_been_made():
    at_once = {"PAYOUT_SETTLING_MINUTES": "0"}

    assert load(**at_once).returncode == 0
    assert "PAYOUT_SETTLING_MINUTES must be" in (
        load(**at_once, PAYOUT_AUTO_RESOLVE="on").stderr
    )


def test_a_gateway_on_plain_http_is_for_tests_only():
    simulator = {"PAYCHANGU_BASE_URL": "http://127.0.0.1:9000"}

    assert load(**simulator, PAYCHANGU_MODE="test").returncode == 0
    assert "PAYCHANGU_BASE_URL must be https" in (
        load(**simulator, PAYCHANGU_MODE="live").stderr
    )


def names_of_the_settings() -> set[str]:
    source = (ROOT / "credits_project" / "settings.py").read_text()
    return set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))


def test_the_example_has_every_setting_and_no_other():
    example = (ROOT / ".env.example").read_text()

    assert set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) == (
        names_of_the_settings()
    )


def test_the_example_s_values_are_the_defaults(tmp_path):
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if re.match(r"[A-Z_]+=", line)
    )

    result = load(**{**example, **GOOD})

    assert result.returncode == 0, result.stderr


SAFE = {
    "SITE_URL": "https://credits.example.com",
    "ALLOWED_HOSTS": ["credits.example.com"],
    "PAYCHANGU_MODE": "live",
    "STAFF_MFA_REQUIRED": True,
    "ACCOUNT_RATE_LIMITS": {},
    "LEDGER_SEAL_KEY": "a key",
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
}


def found(settings: Any, **changes: Any) -> set[str]:
    for name, value in {**SAFE, **changes}.items():
        setattr(settings, name, value)
    return {
        message.id
        for message in run_checks(include_deployment_checks=True)
        if message.id and message.id.startswith("credits.")
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"PAYCHANGU_WEBHOOK_SECRET": ""}, {"credits.E001"}),
        ({"PAYCHANGU_SECRET_KEY": ""}, {"credits.E002"}),
        ({"SITE_URL": "http://credits.example.com"}, {"credits.E003"}),
        ({"ALLOWED_HOSTS": ["*"]}, {"credits.E004"}),
        ({"ALLOWED_HOSTS": ["other.example.com"]}, {"credits.E005"}),
        ({"PAYCHANGU_MODE": "test"}, {"credits.W001"}),
        ({"STAFF_MFA_REQUIRED": False}, {"credits.W002"}),
        ({"ACCOUNT_RATE_LIMITS": False}, {"credits.W003"}),
        ({"LEDGER_SEAL_KEY": ""}, {"credits.W004"}),
        (
            {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"},
            {"credits.W005"},
        ),
    ],
)
def test_what_must_not_go_live_is_found_before(change, expected, settings):
    assert found(settings, **change) == expected
