"""Mails to the owner: what somebody who took over the account cannot do unseen.

Sent after the commit. A mail server that is down must not look like a refusal.
"""

from __future__ import annotations

import logging
import smtplib
import uuid
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.template.loader import render_to_string

from withdrawals.models import PayoutMethod, WithdrawalRequest

logger = logging.getLogger(__name__)


def tell_of_method(method_id: uuid.UUID) -> None:
    """Tell the owner that a payout method was added."""
    method = PayoutMethod.objects.select_related("user").get(pk=method_id)
    _tell(
        method.user,
        subject="A payout method was added",
        template="withdrawals/method_added.txt",
        about=f"payout method {method_id}",
        method=method,
    )


def tell_of_use(withdrawal_id: uuid.UUID) -> None:
    """Tell the owner that a withdrawal to a payout method was requested."""
    withdrawal = WithdrawalRequest.objects.select_related("user").get(pk=withdrawal_id)
    _tell(
        withdrawal.user,
        subject="A withdrawal was requested",
        template="withdrawals/method_used.txt",
        about=f"withdrawal {withdrawal_id}",
        withdrawal=withdrawal,
    )


def _tell(
    user: Any, *, subject: str, template: str, about: str, **context: Any
) -> None:
    # Not only to the present one, which may be the thief's by now.
    verified = EmailAddress.objects.filter(user=user, verified=True)
    known = {
        address.lower(): address for address in verified.values_list("email", flat=True)
    }
    if user.email:
        known[user.email.lower()] = user.email
    if not known:
        return
    text = render_to_string(template, {**context, "site_url": settings.SITE_URL})
    # One mail each: none shows the other addresses.
    mails = [EmailMessage(subject, text, None, [known[key]]) for key in sorted(known)]
    try:
        get_connection().send_messages(mails)
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("the owner was not told of %s: %s", about, type(error).__name__)
