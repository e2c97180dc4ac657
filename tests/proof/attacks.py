"""How the hostile statements are written down, and what they are written with.

Names with a colon, as in psql, stand for rows of the books that `arena` fills.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# What may come of an attack, beside the name of the guard or constraint that refuses it
# and the name of PostgreSQL's error where no constraint is named:
DENIED: Final = "denied"  # the role has no right to
HARMLESS: Final = "harmless"  # accepted, and the books are as they were
LAWFUL: Final = "lawful"  # accepted: another state of the books that is right
SEALS: Final = "seals"  # accepted, books and guards look right: the seals find it
LOUD: Final = "loud"  # accepted, and the proof itself cannot run any more


def found(*invariants: str) -> str:
    """Accepted, and the proof names these; "guard" is a guard that is not as made."""
    return f"found {' '.join(sorted(invariants))}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attack:
    """SQL that should do no harm, and what comes of it for each role.

    `owner` owns the tables; `app` has the rights of the site; `admin` is a superuser
    and fares as the owner does unless it says otherwise.
    """

    group: str
    tries: str
    sql: str
    owner: str
    app: str
    admin: str

    def outcome(self, role: str) -> str:
        """Return what comes of it when `role` does it."""
        outcomes = {"owner": self.owner, "app": self.app, "admin": self.admin}
        return outcomes[role]


@dataclass(frozen=True, slots=True)
class Group:
    """Attacks of one kind, in the order in which they are written."""

    name: str
    attacks: list[Attack]

    def __call__(
        self, tries: str, sql: str, owner: str, app: str = DENIED, admin: str = ""
    ) -> None:
        """Add an attack."""
        self.attacks.append(
            Attack(
                group=self.name,
                tries=tries,
                sql=sql,
                owner=owner,
                app=app,
                admin=admin or owner,
            )
        )


def movement(*legs: tuple[str, str], **twists: str) -> str:
    """Return the SQL of a transfer as the site writes one, with the given twists.

    A leg is a wallet and an amount. The rows come out of wallets that were moved in the
    same statement, so that whatever is not twisted is right.
    """
    parts = {
        "transfer": ":forged",
        "key": "'forged'",
        "reverses": "NULL",
        "balance": "wallet.balance + leg.amount",
        "step": "1",
        "sequence": "moved.sequence",
        "before": "moved.balance - moved.amount",
        "after": "moved.balance",
        "amount": "moved.amount",
        "type": "'transfer'",
        "at": "moved.updated_at",
        "set": "",
        **twists,
    }
    values = ", ".join(f"({wallet}, {amount}::numeric)" for wallet, amount in legs)
    return """
WITH leg (wallet_id, amount) AS (VALUES {values}),
moved AS (
    UPDATE credit_wallets AS wallet
    SET balance = {balance}, sequence = wallet.sequence + {step},
        updated_at = greatest(clock_timestamp(), wallet.updated_at){set}
    FROM leg WHERE wallet.id = leg.wallet_id
    RETURNING wallet.*, leg.amount
), opened AS (
    INSERT INTO credit_transfers
        (id, key, description, reverses_id, metadata, created_at)
    VALUES ({transfer}, {key}, '', {reverses}, '{{}}', clock_timestamp())
)
INSERT INTO credit_transactions (transfer_id, wallet_id, sequence, transaction_type,
    amount, balance_before, balance_after, created_at)
SELECT {transfer}, moved.id, {sequence}, {type}, {amount}, {before}, {after}, {at}
FROM moved
""".format(values=values, **parts)


def filled(sql: str, names: Mapping[str, str]) -> str:
    """Return the SQL with what its names with a colon stand for."""
    pattern = rf"(?<!:):({'|'.join(names)})\b"
    return re.sub(pattern, lambda match: names[match[1]], sql)
