"""Money out: payouts that are accepted, settle later, and are told of."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from functools import partial
from typing import Any

from payments.simulator import webhooks, wire
from payments.simulator.checkout import FAILING_PHONES, OPERATORS
from payments.simulator.engine import Engine, new_reference
from payments.simulator.store import Record
from payments.simulator.wire import Refused

_PHONE = re.compile(r"[0-9]{9}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{5,20}", re.ASCII)
_AMOUNT = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)

_OTHER_BANKS = (
    "Standard Bank Malawi",
    "FDH Bank",
    "NBS Bank",
    "First Capital Bank",
    "Ecobank Malawi",
    "CDH Investment Bank",
)
# The first identifier is the one that the documentation shows; the others are made up.
BANKS = {
    "82310dd1-ec9b-4fe7-a32c-2f262ef08681": "National Bank of Malawi",
    **{str(uuid.uuid5(uuid.NAMESPACE_DNS, name)): name for name in _OTHER_BANKS},
}
_OPERATORS = {ref_id: (name, prefixes) for name, ref_id, prefixes in OPERATORS.values()}


def accept(
    engine: Engine, document: Any, *, kind: str, pays_again: bool = False
) -> Record:
    """Take a payout (`kind` is `mobile_money` or `bank`) and plan its result.

    With `pays_again` a charge_id that is known already does not stop it: the worst that
    a gateway without idempotency may do.

    Raises:
        Refused: with the messages by field, or that the balance is too low.
    """
    fields = document if isinstance(document, dict) else {}
    errors = _mobile_errors(fields) if kind == "mobile_money" else _bank_errors(fields)
    errors |= _common_errors(fields)
    if errors:
        raise Refused(errors)
    payout = _new(engine, fields, kind=kind)
    amount = Decimal(payout["amount"])
    with engine.store.lock:
        is_known = engine.store.get("payout", payout["charge_id"]) is not None
        if is_known and not pays_again:
            raise Refused({"charge_id": ["The charge id has already been taken."]})
        if Decimal(engine.balances()["main"]) < amount:
            raise Refused("Insufficient balance to process this payout.")
        if is_known:
            return _pay_again(engine, payout)
        engine.store.put("payout", payout["charge_id"], payout)
        engine.move("main", -amount)
    _plan(engine, payout)
    return payout


def _pay_again(engine: Engine, payout: Record) -> Record:
    """Book a second payout under one charge_id; look-ups go on to find the first."""
    again = {**payout, "status": "success", "results": [], "history": ["success"]}
    engine.store.put("payout", f"{payout['charge_id']}~{payout['ref_id']}", again)
    engine.move("main", -Decimal(payout["amount"]))
    return again


def _common_errors(fields: dict[str, Any]) -> dict[str, list[str]]:
    errors = {}
    if not _AMOUNT.fullmatch(str(fields.get("amount", ""))):
        errors["amount"] = ["The amount must be a whole number above 0."]
    if not _REFERENCE.fullmatch(str(fields.get("charge_id", ""))):
        errors["charge_id"] = ["The charge id format is invalid."]
    return errors


def _mobile_errors(fields: dict[str, Any]) -> dict[str, list[str]]:
    errors = {}
    if not _PHONE.fullmatch(str(fields.get("mobile", ""))):
        errors["mobile"] = ["The mobile must be 9 digits."]
    if str(fields.get("mobile_money_operator_ref_id")) not in _OPERATORS:
        name = "mobile_money_operator_ref_id"
        errors[name] = ["The selected mobile money operator is invalid."]
    return errors


def _bank_errors(fields: dict[str, Any]) -> dict[str, list[str]]:
    errors = {}
    if fields.get("payout_method") != "bank_transfer":
        errors["payout_method"] = ["The selected payout method is invalid."]
    if str(fields.get("bank_uuid")) not in BANKS:
        errors["bank_uuid"] = ["The selected bank is invalid."]
    if not fields.get("bank_account_name"):
        errors["bank_account_name"] = ["The bank account name field is required."]
    if not _ACCOUNT.fullmatch(str(fields.get("bank_account_number", ""))):
        errors["bank_account_number"] = ["The bank account number is invalid."]
    return errors


def _new(engine: Engine, fields: dict[str, Any], *, kind: str) -> Record:
    wanted = str(fields.get("transaction_status", ""))
    fails = str(fields.get("mobile", "")) in FAILING_PHONES
    # Only in test mode may the request say what becomes of it.
    if engine.options.mode == "test" and wanted:
        fails = wanted == "failed"
    operator = _OPERATORS.get(str(fields.get("mobile_money_operator_ref_id")))
    return {
        "charge_id": str(fields["charge_id"]),
        "kind": kind,
        "amount": str(fields["amount"]),
        "email": fields.get("email"),
        "first_name": fields.get("first_name"),
        "last_name": fields.get("last_name"),
        "mobile": fields.get("mobile"),
        "operator": operator[0] if operator else None,
        "operator_ref_id": fields.get("mobile_money_operator_ref_id"),
        "bank_uuid": fields.get("bank_uuid"),
        "bank_name": BANKS.get(str(fields.get("bank_uuid"))),
        "account_name": fields.get("bank_account_name"),
        "account_number": fields.get("bank_account_number"),
        "status": "pending",
        "results": ["failed" if fails else "success"],
        "history": [],
        "ref_id": new_reference(),
        "trans_id": f"TX{new_reference()}",
        "trace_id": str(uuid.uuid4()),
        "created_at": wire.now(),
        "completed_at": None,
    }


def _plan(engine: Engine, payout: Record) -> None:
    """Decide, with the armed faults, what becomes of the payout, and when."""
    for fault in engine.faults.take("payout-result"):
        if fault.name == "pending":
            payout["results"] = []
        elif fault.name == "failed":
            payout["results"] = ["failed"]
        elif fault.name == "failed-after-success":
            payout["results"] = ["success", "failed"]
        elif fault.name == "success-after-failed":
            payout["results"] = ["failed", "success"]
    engine.store.put("payout", payout["charge_id"], payout)
    _settle_later(engine, payout)


def _settle_later(engine: Engine, payout: Record) -> None:
    if payout["results"]:
        work = partial(settle_next, engine, payout["charge_id"])
        engine.scheduler.later(engine.options.settle_seconds, work)


def resume(engine: Engine) -> None:
    """Go on with the payouts that an earlier process left."""
    for payout in engine.store.all("payout"):
        _settle_later(engine, payout)


def settle_next(engine: Engine, charge_id: str) -> None:
    """Bring about the next planned result of a payout, and plan the one after it."""
    with engine.store.lock:
        payout = engine.store.get("payout", charge_id)
        if payout is None or not payout["results"]:
            return
        result = payout["results"].pop(0)
        engine.store.put("payout", charge_id, payout)
        settled = settle(engine, charge_id, result=result)
    _settle_later(engine, settled)


def settle(engine: Engine, charge_id: str, *, result: str) -> Record:
    """Give a payout the result `success` or `failed`, and tell the merchant.

    What failed comes back into the balance; what succeeds after all leaves it again.
    """
    with engine.store.lock:
        payout = engine.store.get("payout", charge_id)
        assert payout is not None, charge_id
        if payout["status"] == result:
            return payout
        amount = Decimal(payout["amount"])
        if result == "failed":
            engine.move("main", amount)
        elif payout["status"] == "failed":
            engine.move("main", -amount)
        payout["status"] = result
        payout["history"] = [*payout.get("history", []), result]
        payout["completed_at"] = wire.now()
        engine.store.put("payout", charge_id, payout)
        webhooks.send_event(engine, event(engine, payout), about=charge_id)
    return payout


def transaction(engine: Engine, payout: Record) -> Record:
    """Return a payout as look-ups, the list and the answer to sending it show it.

    PayChangu developer documentation, "Single payout details".
    """
    shown = {
        "charge_id": payout["charge_id"],
        "ref_id": payout["ref_id"],
        "trans_id": payout["trans_id"],
        "currency": "MWK",
        "amount": wire.number(payout["amount"]),
        "first_name": payout["first_name"],
        "last_name": payout["last_name"],
        "email": payout["email"],
        "type": "API Payout",
        "trace_id": payout["trace_id"],
        "status": payout["status"],
        "attempts": 1,
        "mode": engine.options.mode,
        "created_at": payout["created_at"],
        "completed_at": payout["completed_at"],
        "event_type": "api.payout",
        "transaction_charges": {"currency": "MWK", "amount": "0.00"},
    }
    if payout["kind"] == "bank":
        return {**shown, "recipient_account_details": _recipient(payout)}
    return {
        **shown,
        "mobile": f"+265{payout['mobile'][:2]}xxxx{payout['mobile'][-3:]}",
        "mobile_money": {
            "name": payout["operator"],
            "ref_id": payout["operator_ref_id"],
            "country": "Malawi",
        },
    }


def _recipient(payout: Record) -> Record:
    return {
        "bank_name": payout["bank_name"] or payout["operator"],
        "bank_uuid": payout["bank_uuid"] or payout["operator_ref_id"],
        "account_name": payout["account_name"],
        "account_number": payout["account_number"] or payout["mobile"],
    }


def event(engine: Engine, payout: Record) -> Record:
    """Return the `api.payout` body of PayChangu's documentation of webhooks."""
    return {
        "event_type": "api.payout",
        "charge_id": payout["charge_id"],
        "reference": payout["ref_id"],
        "first_name": payout["first_name"],
        "last_name": payout["last_name"],
        "email": payout["email"],
        "currency": "MWK",
        "amount": wire.number(payout["amount"]),
        "charge": "0",
        "mode": engine.options.mode,
        "type": "API Payout",
        "status": payout["status"],
        "recipient_account_details": _recipient(payout),
    }
