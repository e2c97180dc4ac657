"""What is told of an error: to developers on the page, with DEBUG, and to admins."""

from __future__ import annotations

import re

from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter

from credits_project import logs

# With DEBUG Django shows every local variable, whatever is marked as sensitive.
_LONG_NUMBER = re.compile(r"\d{2,}(?=\d{3})")


class Reporter(ExceptionReporter):
    """Django's own, without secrets and with long numbers cut to their end."""

    def get_traceback_html(self) -> SafeString:
        """Return the page."""
        return _clean(super().get_traceback_html())

    def get_traceback_text(self) -> SafeString:
        """Return the report as text."""
        return _clean(super().get_traceback_text())


def _clean(report: str) -> SafeString:
    cleaned = _LONG_NUMBER.sub("…", logs.redact_text(report, logs.secrets()))
    return mark_safe(cleaned)  # noqa: S308 - nothing was added but an ellipsis
