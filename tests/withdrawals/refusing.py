"""What the database refuses, by the name of its rule."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, connection, transaction


def refused_by(statement: str, *parameters: Any) -> str:
    """The name of the constraint that refuses the statement; blank if none does."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # TRUNCATE is refused for another reason while foreign keys are unchecked.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(statement, parameters)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except DatabaseError as error:
        return error.__cause__.diag.constraint_name  # type: ignore[union-attr]
    return ""
