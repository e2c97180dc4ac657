"""Gives the database its roles, or says where it differs from what they should be."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction

from credits_project.database_roles import Names, differences, statements


class Command(BaseCommand):
    """Prints, applies or checks the roles of the database."""

    help = (
        "Sets up the roles of the database: an owner that cannot log in, the app's that"
        " adds to the ledger and cannot change it, and one that reads. Without an"
        " option it changes nothing and exits 1 where a right differs. To be run as a"
        " superuser, or as the database's owner with CREATEROLE; again after each"
        " migration, and at any time."
    )
    # The server may be unsafe or the tables missing; that is for others to say.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        deed = parser.add_mutually_exclusive_group()
        deed.add_argument("--print", action="store_true", help="print the SQL, only")
        deed.add_argument("--apply", action="store_true", help="run the SQL")
        defaults = Names()
        for name in ("owner", "app", "readonly"):
            parser.add_argument(
                f"--{name}",
                default=getattr(defaults, name),
                metavar="ROLE",
                help=f"what the role is called; {getattr(defaults, name)} by default",
            )
        parser.add_argument(
            "--deployer",
            metavar="ROLE",
            help="an existing role that may become the owner, to migrate",
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, **options: Any) -> None:
        """Print, apply or check."""
        names = Names(
            **{name: options[name] for name in ("owner", "app", "readonly", "deployer")}
        )
        if len({names.owner, names.app, names.readonly}) < 3:
            raise CommandError("The three roles need three names.")
        database = connections[options["database"]]
        try:
            if options["print"]:
                self._print(database, names)
            elif options["apply"]:
                self._apply(database, names, verbosity=options["verbosity"])
            else:
                self._check(database, names)
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(
                f"{reason}. Nothing was changed. It takes a superuser, or a role with"
                " CREATEROLE that owns the database and its tables."
            ) from error

    def _print(self, database: Any, names: Names) -> None:
        database.ensure_connection()
        self.stdout.write("BEGIN;")
        for title, part in statements(database, names):
            self.stdout.write(f"\n-- {title}.")
            for statement in part:
                self.stdout.write(f"{statement.as_string(database.connection)};")
        self.stdout.write("\nCOMMIT;")

    def _apply(self, database: Any, names: Names, *, verbosity: int) -> None:
        with transaction.atomic(using=database.alias), database.cursor() as cursor:
            for title, part in statements(database, names):
                if verbosity:
                    self.stdout.write(f"{title}: {len(part)} statements.")
                for statement in part:
                    cursor.execute(statement)
        if left := differences(database, names):
            raise CommandError("\n".join(["It is applied, but:", *left]))
        if verbosity:
            self.stdout.write(
                f"Done. {names.app} can log in once it has a password: \\password"
                f" {names.app} in psql gives it one."
            )

    def _check(self, database: Any, names: Names) -> None:
        found = differences(database, names)
        if found:
            raise CommandError("\n".join(found))
        self.stdout.write("The roles have the rights they should have.")
