"""Who may do what in PostgreSQL itself: the roles of the database, and their rights."""

from __future__ import annotations

from credits_project.database_roles.differences import differences
from credits_project.database_roles.policy import MONEY, Names, rights_of_app
from credits_project.database_roles.statements import statements

__all__ = ["MONEY", "Names", "differences", "rights_of_app", "statements"]
