"""What `manage.py check --deploy` says of settings that a live site must not have.

Values that are never right stop the start instead (see `environment`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.http.request import validate_host


@register(Tags.security, deploy=True)
def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Return what is unsafe about the settings of a live site."""
    return [*_errors(), *_warnings()]


def _errors() -> Iterator[CheckMessage]:
    if not settings.PAYCHANGU_WEBHOOK_SECRET:
        yield Error(
            "PAYCHANGU_WEBHOOK_SECRET is not set: the webhook answers 503.",
            hint="Take it from the gateway's dashboard.",
            id="credits.E001",
        )
    if not settings.PAYCHANGU_SECRET_KEY:
        yield Error(
            "PAYCHANGU_SECRET_KEY is not set: nothing can be bought or paid out.",
            id="credits.E002",
        )
    if not settings.SITE_URL.startswith("https://"):
        yield Error(
            "SITE_URL is plain http: passwords and tokens would travel in the open.",
            id="credits.E003",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS allows every host.",
            hint="Name the hosts that the site is reached by.",
            id="credits.E004",
        )
    host = urlsplit(settings.SITE_URL).hostname or ""
    if not validate_host(host, settings.ALLOWED_HOSTS):
        yield Error(
            "ALLOWED_HOSTS lacks the host of SITE_URL: links in mails lead nowhere.",
            id="credits.E005",
        )


def _warnings() -> Iterator[CheckMessage]:
    if settings.PAYCHANGU_MODE != "live":
        yield Warning(
            "PAYCHANGU_MODE is test: payments that are credited are not real money.",
            id="credits.W001",
        )
    if not settings.STAFF_MFA_REQUIRED:
        yield Warning(
            "STAFF_MFA_REQUIRED is off: a phished password opens the console.",
            id="credits.W002",
        )
    if settings.ACCOUNT_RATE_LIMITS is False:
        yield Warning(
            "AUTH_RATE_LIMITS is off: passwords can be guessed without end.",
            id="credits.W003",
        )
    if not settings.LEDGER_SEAL_KEY:
        yield Warning(
            "LEDGER_SEAL_KEY is not set: the ledger cannot be sealed.",
            id="credits.W004",
        )
    if settings.EMAIL_BACKEND.endswith("console.EmailBackend"):
        yield Warning(
            "EMAIL_URL is not set: mails are written to the log.", id="credits.W005"
        )
