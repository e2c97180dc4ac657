"""The ways in which a client can have a transfer made."""

from __future__ import annotations

import time
from typing import Any, Protocol

import psycopg
import requests

from tests.bank.record import TIMED_OUT, Answer, Order

# Far more than anything takes that still lives. A request given up after that may yet
# be served, so a refusal that follows it is none to rely on.
TIMEOUT_SECONDS = 30


class Door(Protocol):
    """Asks once for a transfer and tells what came of it."""

    def transfer(self, order: Order) -> Answer:
        """Return the answer. That there was none is an answer as well: `unknown`."""
        ...


class ApiDoor:
    """The API of a running site, with the order's name as the Idempotency-Key."""

    def __init__(self, site: str, *, email: str, password: str) -> None:
        self._site = site
        self._credentials = {"email": email, "password": password}
        self._session = requests.Session()

    def transfer(self, order: Order) -> Answer:
        """Ask once; sign in first where that is needed."""
        try:
            if "Authorization" not in self._session.headers:
                status = self._sign_in()
                if status != 200:
                    return Answer(outcome="unknown", status=f"{status} at sign-in")
            return self._answer_of(self._ask(order))
        except requests.Timeout:
            return Answer(outcome="unknown", status=TIMED_OUT)
        except requests.RequestException as error:
            return Answer(outcome="unknown", status=type(error).__name__)

    def _ask(self, order: Order) -> requests.Response:
        return self._session.post(
            f"{self._site}/api/v1/rpc/transfer_credits",
            json={
                "from_user_id": int(order.payer),
                "to_user_id": int(order.payee),
                "amount": str(order.amount),
                "description": order.name,
            },
            headers={"Idempotency-Key": order.name},
            timeout=TIMEOUT_SECONDS,
        )

    def _sign_in(self) -> int:
        answer = self._session.post(
            f"{self._site}/_allauth/app/v1/auth/login",
            json=self._credentials,
            timeout=TIMEOUT_SECONDS,
        )
        if answer.ok:
            token = answer.json()["meta"]["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
        return answer.status_code

    def _answer_of(self, response: requests.Response) -> Answer:
        status = str(response.status_code)
        if response.status_code == 401:
            # The token has run out. Nothing was looked at.
            del self._session.headers["Authorization"]
            return Answer(outcome="unknown", status=status)
        if response.status_code == 201:
            body = response.json()
            return Answer(
                outcome="done",
                status=status,
                transfer=body["id"],
                sequences=tuple(leg["sequence"] for leg in body["transactions"]),
            )
        if response.status_code in (408, 429) or response.status_code >= 500:
            return Answer(outcome="unknown", status=status)
        slug = response.json()["type"].rpartition("/")[2]
        still_running = slug == "request-in-progress"
        return Answer(outcome="unknown" if still_running else "refused", status=slug)


class ServicesDoor:
    """The product's own service, on a Django connection of this process."""

    def transfer(self, order: Order) -> Answer:
        """Ask once, with the order's name as the key."""
        from django.db import InterfaceError, OperationalError, connection

        from credits_project.exceptions import DomainError
        from wallets import services

        try:
            transfer = services.transfer_credits(
                from_user_id=int(order.payer),
                to_user_id=int(order.payee),
                amount=order.amount,
                description=order.name,
                key=f"bank:{order.name}",
            )
        except DomainError as refusal:
            return Answer(outcome="refused", status=refusal.code)
        except (OperationalError, InterfaceError) as error:
            connection.close()
            return Answer(outcome="unknown", status=type(error.__cause__).__name__)
        return Answer(
            outcome="done",
            status="done",
            transfer=str(transfer.pk),
            sequences=tuple(leg.sequence for leg in transfer.legs),
        )


class CarelessDoor:
    """What the product must never do: look, think, and write what was thought.

    For a bare copy of the tables, without constraints and guards. The control of the
    bank test: it shows that clients and judge would see an update lost.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)

    def transfer(self, order: Order) -> Answer:
        """Move the credits without a lock."""
        try:
            with self._connection.transaction():
                return self._move(order)
        except psycopg.errors.DeadlockDetected as error:
            return Answer(outcome="unknown", status=type(error).__name__)

    def _move(self, order: Order) -> Answer:
        payer = self._look(order.payer)
        payee = self._look(order.payee)
        if payer["balance"] < order.amount:
            return Answer(outcome="refused", status="insufficient-credits")
        # Thinking takes a moment, in which others look at the same balances.
        time.sleep(0.002)
        transfer = self._connection.execute(
            "INSERT INTO credit_transfers (id, description)"
            " VALUES (gen_random_uuid(), %s) RETURNING id::text",
            [order.name],
        ).fetchone()
        assert transfer is not None
        first = self._write(transfer[0], payer, -order.amount)
        second = self._write(transfer[0], payee, order.amount)
        return Answer(
            outcome="done",
            status="done",
            transfer=transfer[0],
            sequences=(first, second),
        )

    def _look(self, user: str) -> dict[str, Any]:
        row = self._connection.execute(
            "SELECT id, balance, sequence FROM credit_wallets WHERE user_id = %s::int",
            [user],
        ).fetchone()
        assert row is not None
        return dict(zip(("id", "balance", "sequence"), row, strict=True))

    def _write(self, transfer: str, wallet: dict[str, Any], amount: Any) -> int:
        balance, sequence = wallet["balance"] + amount, wallet["sequence"] + 1
        self._connection.execute(
            "UPDATE credit_wallets SET balance = %s, sequence = %s WHERE id = %s",
            [balance, sequence, wallet["id"]],
        )
        self._connection.execute(
            "INSERT INTO credit_transactions"
            " (transfer_id, wallet_id, sequence, amount, balance_after)"
            " VALUES (%s, %s, %s, %s, %s)",
            [transfer, wallet["id"], sequence, amount, balance],
        )
        return int(sequence)
