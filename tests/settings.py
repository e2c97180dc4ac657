"""The settings under which the tests run, here and in the processes they start.

pytest loads them before any conftest, so the environment is made here. It names every
setting that a developer's `.env` could change.
"""

from __future__ import annotations

import os

from tests.postgres import provide_database_url

os.environ.update(
    {
        "SECRET_KEY": "for tests only, for tests only, for tests only, for tests only",
        "FIELD_ENCRYPTION_KEY": "for tests only, for tests only, for tests only",
        "ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
        "PAYCHANGU_SECRET_KEY": "sec-test-for-tests-only",
        "PAYCHANGU_WEBHOOK_SECRET": "webhook-secret-for-tests-only",
        "PAYCHANGU_BASE_URL": "http://127.0.0.1:9",
        "STAFF_MFA_REQUIRED": "false",
        "THROTTLE_ANON": "",
        "THROTTLE_USER": "",
        "THROTTLE_MONEY": "",
        "AUTH_RATE_LIMITS": "false",
        "LOG_LEVEL": "WARNING",
    }
)
# Set to nothing rather than removed: a developer's `.env` must not reach the tests.
for _name in (
    "DEBUG", "SITE_URL", "TRUSTED_PROXY_COUNT", "COMMISSION_RATE", "REFUND_WINDOW_DAYS",
    "USER_TRANSFERS_ENABLED", "METRICS_TOKEN", "LEDGER_SEAL_KEY", "LEDGER_SEAL_FILE",
    "EMAIL_URL", "CORS_ALLOWED_ORIGINS",
    "PAYCHANGU_WEBHOOK_SECRET_PREVIOUS", "DATABASE_REPLICA_URL",
):  # fmt: skip
    os.environ[_name] = ""
provide_database_url()

from credits_project.settings import *  # noqa: E402, F403 - reads the environment

# Nothing is collected for tests; files are served out of the packages.
STATIC_ROOT = None  # type: ignore[assignment]
