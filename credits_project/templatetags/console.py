"""What the templates of the staff console ask for."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings

from credits_project import overview

register = template.Library()


@register.inclusion_tag("admin/overview.html", takes_context=True)
def console_overview(context: template.Context) -> dict[str, Any]:
    """Show what waits for staff, and the books, as far as the user may see them."""
    user = context["request"].user
    return {
        "tiles": overview.tiles(user),
        "frozen": overview.payouts_are_frozen(user),
        "books": overview.books(user),
    }


@register.simple_tag
def gateway_mode() -> str:
    """Return whether the money is real: `live`, or `test`."""
    return str(settings.PAYCHANGU_MODE)
