"""What the database refuses, by the name of its rule."""

from __future__ import annotations

from typing import Any

from django.db import Error, connection, transaction


def refusal(sql: str, *parameters: Any) -> str:
    """The name of the rule that refuses a statement; empty where none does."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            # Nothing that is tried here is to stay.
            raise _Undo
    except _Undo:
        return ""
    except Error as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        return getattr(diagnosis, "constraint_name", None) or str(error)


class _Undo(Exception):
    pass
