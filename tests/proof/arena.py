"""Books with a story, sealed, and as many copies of them as attacks spoil."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql

from tests import app_role
from tests.factories import make_user, wallet_of
from tests.postgres import clone_database, database_url, drop_database
from tests.proof.attacks import DENIED, HARMLESS, LAWFUL, LOUD, SEALS, filled, found
from wallets import proof, seals, services
from wallets.system import system_wallet_id

SEAL_KEY: Final = "a key for tests only, a key for tests only"

# Every guard as it was made, but for ENABLE ALWAYS where it stands.
_GUARDS_BACK: Final = """
DO $$DECLARE guard record; BEGIN
    FOR guard IN SELECT relname, tgname, tgname IN ('ledger_append_only',
            'ledger_no_truncate', 'ledger_no_delete', 'ledger_check_seal') AS always
        FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE relname LIKE 'credit\\_%' AND tgname LIKE 'ledger%'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE %s TRIGGER %I', guard.relname,
            CASE WHEN guard.always THEN 'ALWAYS' ELSE '' END, guard.tgname);
    END LOOP;
END$$
"""

_BOOKS: Final = """
SELECT jsonb_agg(to_jsonb(rows) ORDER BY to_jsonb(rows)::text) FROM {} AS rows
"""
_TABLES: Final = (
    "credit_wallets",
    "credit_transfers",
    "credit_transactions",
    "credit_holds",
    "credit_seals",
)


class Arena:
    """A database with the books; each attack that is accepted gets a fresh copy."""

    def __init__(self, seal_file: Path) -> None:
        self.settings = connections["default"].settings_dict
        self.seal_file = seal_file
        self.empty = str(self.settings["NAME"])
        connections.close_all()
        self.template = clone_database(self.empty)
        self.copy = ""
        with self.connected_to(self.template):
            self.names = _tell_story()
            seals.seal_ledger()
            app_role.set_up_roles()
        with psycopg.connect(database_url(self.template)) as connection:
            self.books = _books(connection)

    def close(self) -> None:
        """Drop the databases."""
        for name in (self.copy, self.template):
            if name:
                drop_database(name)

    def outcome(self, statement: str, *, role: str) -> str:
        """Run the SQL as the role, commit it where it is accepted; say what came."""
        if not self.copy:
            self.copy = self._copied()
        names = {**self.names, "database": f'"{self.copy}"'}
        try:
            with self._log_in(role) as connection:
                # Sent as it is, several statements at once, in one transaction.
                connection.execute(filled(statement, names).encode())
                connection.commit()
        except psycopg.Error as error:
            assert self._unchanged(), "refused, and yet the books have changed"
            return _named(error)
        spoiled, self.copy = self.copy, ""
        try:
            return self._damage(spoiled)
        finally:
            drop_database(spoiled)

    @contextmanager
    def connected_to(self, name: str) -> Iterator[None]:
        """Let the product's own connection be to this database."""
        connections.close_all()
        self.settings["NAME"] = name
        before = (settings.LEDGER_SEAL_KEY, settings.LEDGER_SEAL_FILE)
        settings.LEDGER_SEAL_KEY = SEAL_KEY
        settings.LEDGER_SEAL_FILE = str(self.seal_file)
        try:
            yield
        finally:
            settings.LEDGER_SEAL_KEY, settings.LEDGER_SEAL_FILE = before
            connections.close_all()
            self.settings["NAME"] = self.empty

    def _copied(self) -> str:
        copy = clone_database(self.template)
        # A copy has no rights of its original that are the database's own.
        with psycopg.connect(database_url(copy)) as connection:
            for statement in (
                "REVOKE ALL ON DATABASE {} FROM PUBLIC",
                "GRANT CONNECT ON DATABASE {} TO {}",
                "GRANT ALL ON DATABASE {} TO {}",
            ):
                role = "owner" if "GRANT ALL" in statement else "app"
                connection.execute(
                    sql.SQL(statement).format(
                        sql.Identifier(copy),
                        sql.Identifier(getattr(app_role.ROLES, role)),
                    )
                )
        return copy

    def _log_in(self, role: str) -> psycopg.Connection:
        url = database_url(self.copy)
        if role == "admin":
            return psycopg.connect(url)
        if role == "owner":
            # It cannot log in: whoever migrates becomes it.
            return psycopg.connect(url, options=f"-c role={app_role.ROLES.owner}")
        with self.connected_to(self.copy):
            return app_role.log_in(app_role.ROLES.app)

    def _unchanged(self) -> bool:
        with psycopg.connect(database_url(self.copy)) as connection:
            return _books(connection) == self.books

    def _damage(self, name: str) -> str:
        """Say what the proof or the seals find, or what else became of the books."""
        with self.connected_to(name):
            try:
                breaks = proof.breaks()
            except Exception:
                return LOUD
            if breaks:
                return found(*{each.invariant for each in breaks})
            if seals.verify_seals().breaks:
                return SEALS
        with psycopg.connect(database_url(name)) as connection:
            books = _books(connection)
        if books == self.books:
            return HARMLESS
        missing = [
            table
            for table in ("credit_transfers", "credit_transactions", "credit_seals")
            for row in self.books[table]
            if row not in books[table]
        ]
        assert not missing, f"nothing has noticed the change of {missing}"
        return LAWFUL


def _tell_story() -> dict[str, str]:
    """Fill the books; return what the names in the statements stand for."""
    staff = make_user("staff")
    rich, poor = make_user("rich", balance="20.00"), make_user("poor", balance="10.00")
    frozen, bare = make_user("frozen", balance="5.00"), make_user("bare")
    homeless = make_user("homeless")
    ids = {"rich_user": rich.pk, "poor_user": poor.pk}
    wallets = {
        "rich": wallet_of(rich).pk,
        "poor": wallet_of(poor).pk,
        "frozen": wallet_of(frozen).pk,
        "bare": wallet_of(bare).pk,
        "opening": system_wallet_id("opening"),
        "issued": system_wallet_id("issued", cause=uuid.UUID(int=0)),
        "revenue": system_wallet_id("revenue", cause=uuid.UUID(int=0)),
    }
    paid, reversed_, last = (
        services.transfer_credits(
            from_user_id=rich.pk, to_user_id=poor.pk, amount=Decimal("2.00"), key=key
        )
        for key in ("paid", "reversed", "last")
    )
    services.reverse_transfer(transfer_id=reversed_.pk, actor=staff, reason="a test")
    last = services.transfer_credits(
        from_user_id=poor.pk, to_user_id=rich.pk, amount=Decimal("1.00"), key="latest"
    )
    for key in ("h:open", "h:released"):
        services.place_hold(
            wallet_id=wallets["rich"], amount=Decimal("3.00"), key=key, reason="a test"
        )
    services.release_hold(key="h:released")
    services.freeze_wallet(wallet_id=wallets["frozen"], actor=staff, reason="a test")
    forged = "00000000-0000-7000-8000-00000000000{}"
    uuids = {
        **wallets,
        "paid": paid.pk,
        "reversed": reversed_.pk,
        "last": last.pk,
        "forged": forged.format(1),
        "forged2": forged.format(2),
    }
    return {
        **{name: f"'{value}'::uuid" for name, value in uuids.items()},
        **{name: str(value) for name, value in ids.items()},
        "homeless_user": str(_without_wallet(homeless)),
        "forged_id": str(uuids["forged"]),
        "bare_id": str(uuids["bare"]),
        "owner": app_role.ROLES.owner,
        "app": app_role.ROLES.app,
        "guards_back": _GUARDS_BACK,
    }


def _without_wallet(user: Any) -> int:
    """Return the id of a user whose wallet is another's: it has none."""
    from django.contrib.auth.models import User

    # Bulk creation sends no signal, so no wallet is opened.
    [made] = User.objects.bulk_create([User(username=f"{user.username}-homeless")])
    return int(made.pk)


def _books(connection: psycopg.Connection) -> dict[str, list[Any]]:
    books = {}
    for table in _TABLES:
        row = connection.execute(
            sql.SQL(_BOOKS).format(sql.Identifier("public", table))
        ).fetchone()
        books[table] = (row[0] if row else None) or []
    return books


def _named(error: psycopg.Error) -> str:
    if error.diag.constraint_name and not isinstance(
        error, psycopg.errors.NotNullViolation
    ):
        return error.diag.constraint_name
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return DENIED
    return type(error).__name__
