"""Finding the people whom staff named."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.db.models.functions import Lower

_LARGEST_ID = 2**31


def named(names: Iterable[str]) -> dict[str, list[int]]:
    """Return the ids of the users whom each name means, by the name in lower case.

    A name is an e-mail address, a username, or an id. In a fixed number of queries.
    """
    wanted = {name.lower() for name in names}
    numbers = [int(name) for name in wanted if name.isascii() and name.isdigit()]
    users = (
        get_user_model()
        ._default_manager.annotate(
            email_folded=Lower("email"), username_folded=Lower("username")
        )
        .filter(
            Q(email_folded__in=wanted)
            | Q(username_folded__in=wanted)
            | Q(pk__in=[number for number in numbers if number < _LARGEST_ID])
        )
    )
    found: dict[str, list[int]] = {name: [] for name in wanted}
    rows = users.values_list("pk", "email_folded", "username_folded").order_by("pk")
    for pk, email, username in rows:
        for name in {email, username, str(pk)} & wanted:
            found[name].append(pk)
    return found
