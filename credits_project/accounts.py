"""What allauth does differently here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What mails call the site."""

    name: str
    domain: str


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Mails that name the site as it is, whatever host the client asked for."""

    def send_mail(
        self, template_prefix: str, email: str, context: dict[str, Any]
    ) -> None:
        """Send a mail about an account."""
        domain = urlsplit(settings.SITE_URL).netloc
        site = Site(name="Course Credits", domain=domain)
        super().send_mail(template_prefix, email, {**context, "current_site": site})
