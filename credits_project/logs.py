"""Log lines as JSON, one event a line, with nothing in them that must stay secret."""

from __future__ import annotations

import re
from typing import Any

import structlog
from django.conf import settings

# A name that contains one of these holds something that must not be read in a log.
_SECRET_NAMES = re.compile(
    r"secret|password|passwd|token|authorization|cookie|signature|api_?key|credential"
    r"|idempotency_key|session",
    re.IGNORECASE,
)
_SECRET_SETTINGS = (
    "SECRET_KEY",
    "FIELD_ENCRYPTION_KEY",
    "LEDGER_SEAL_KEY",
    "METRICS_TOKEN",
    "PAYCHANGU_SECRET_KEY",
    "PAYCHANGU_WEBHOOK_SECRET",
    "PAYCHANGU_WEBHOOK_SECRET_PREVIOUS",
    "EMAIL_HOST_PASSWORD",
)
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\b[0-9a-f]{32}\b"
_CREDENTIALS = re.compile(
    # The value of an Authorization header, a token of ours, a password in a URL.
    r"(?P<scheme>\b(?:Bearer|Basic)\s+)[^\s\"',]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|(?P<url>://[^\s/:@]*:)[^\s/@]+(?=@)"
)
# Account and phone numbers; the alternative before it lets ids through whole.
_NUMBERS = re.compile(rf"{_UUID}|\d{{6,}}(?P<last>\d{{3}})")

REDACTED = "[redacted]"


class JsonFormatter(structlog.stdlib.ProcessorFormatter):
    """Formats every record of the standard library's logging as one line of JSON."""

    def __init__(self) -> None:
        super().__init__(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _drop_objects,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(default=str),
            ],
        )


def redact(_logger: Any, _method: str, event: Any) -> Any:
    """Return the event without secrets, and with long numbers cut to their end."""
    return _clean(event, secrets())


def secrets() -> list[str]:
    """Return the settings that nobody is to read anywhere."""
    values = (getattr(settings, name, "") for name in _SECRET_SETTINGS)
    return [value for value in values if value]


def redact_text(text: str, secrets: list[str]) -> str:
    """Return `text` without `secrets`, credentials, and numbers of 9 or more digits."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    text = _CREDENTIALS.sub(_hide_credential, text)
    return _NUMBERS.sub(_hide_number, text)


def _drop_objects(_logger: Any, _method: str, event: Any) -> Any:
    # Django attaches the request to what it logs, mostly after every middleware has
    # ended. Its address stands in the message; only its name is still wanted.
    request = event.pop("request", None)
    if request_id := getattr(request, "request_id", None):
        event.setdefault("request_id", request_id)
    return event


def _clean(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: REDACTED
            if _SECRET_NAMES.search(str(name))
            else _clean(member, secrets)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(member, secrets) for member in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 10**8:
        return value
    return redact_text(str(value), secrets)


def _hide_credential(match: re.Match[str]) -> str:
    return f"{match['scheme'] or match['url'] or ''}{REDACTED}"


def _hide_number(match: re.Match[str]) -> str:
    return f"…{match['last']}" if match["last"] else match[0]
