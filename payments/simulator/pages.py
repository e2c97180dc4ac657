"""The pages for people: templates filled with escaped text."""

from __future__ import annotations

import html
import string
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from payments.simulator import panel
from payments.simulator.engine import Engine
from payments.simulator.faults import ENDPOINTS, GROUPS
from payments.simulator.store import Record
from payments.simulator.wire import Reply

_FOLDER = Path(__file__).parent / "pages"
_ROWS_MAX = 50

METHODS = ("mobile_money", "card", "bank")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


@cache
def _template(name: str) -> string.Template:
    return string.Template((_FOLDER / name).read_text(encoding="utf-8"))


def _fill(name: str, /, **values: Any) -> Markup:
    """Return a template with `values` in it, escaped unless they are Markup."""
    escaped = {
        key: value if isinstance(value, Markup) else html.escape(str(value))
        for key, value in values.items()
    }
    return Markup(_template(name).substitute(escaped))


def _page(title: str, body: Markup, *, status: int = 200, forms: str = "") -> Reply:
    """Return a page that runs no script and sends forms nowhere but here.

    `forms` are the further origins that a form may lead to: browsers apply the rule
    to the redirect that answers it, too.
    """
    policy = (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none';"
        f" frame-ancestors 'none'; form-action 'self' {forms}"
    )
    return Reply(
        status=status,
        body=_fill("base.html", title=title, body=body).encode(),
        content_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": policy.strip(),
            "Referrer-Policy": "same-origin",
            "X-Frame-Options": "DENY",
        },
    )


def stylesheet() -> Reply:
    """Return the style sheet of all pages."""
    body = (_FOLDER / "simulator.css").read_bytes()
    return Reply(body=body, content_type="text/css; charset=utf-8")


def money(amount: str | Decimal, currency: str) -> str:
    """Return a sum for people: `MWK 10,000`, `USD 12.50`."""
    exact = Decimal(amount)
    places = 0 if exact == exact.to_integral_value() else 2
    return f"{currency} {exact:,.{places}f}"


def checkout(
    payment: Record, *, form: dict[str, str], error: str = "", status: int = 200
) -> Reply:
    """Return the hosted page on which a payment is made, with what was entered."""
    chosen = form.get("method", METHODS[0])
    operator = form.get("operator", "airtel")
    checks = {
        f"is_{name}": Markup("checked" if chosen == name else "") for name in METHODS
    }
    notice = error or payment["last_failure"] or ""
    body = _fill(
        "checkout.html",
        checkout_id=payment["checkout_id"],
        sum=money(payment["amount"], payment["currency"]),
        title=payment["customization"]["title"] or "Payment",
        description=payment["customization"]["description"] or "",
        tx_ref=payment["tx_ref"],
        notice=_notice(notice, is_attempt=not error),
        phone=form.get("phone", "990000000"),
        card_number=form.get("card_number", "4242 4242 4242 4242"),
        is_airtel=Markup("checked" if operator != "tnm" else ""),
        is_tnm=Markup("checked" if operator == "tnm" else ""),
        **checks,
    )
    return _page("Checkout", body, status=status, forms=_origins(payment))


def _notice(text: str, *, is_attempt: bool) -> Markup:
    if not text:
        return Markup()
    heading = "The last attempt failed." if is_attempt else "Please check your entry."
    advice = "You can try again." if is_attempt else ""
    return _fill("notice.html", heading=heading, text=text, advice=advice)


def _origins(payment: Record) -> str:
    origins = set()
    for name in ("callback_url", "return_url"):
        parts = urlsplit(payment[name])
        origins.add(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    # Anything else than the characters of an origin could add rules of its own.
    return " ".join(sorted(one for one in origins if not set(one) & set(";, '\"")))


def closed(payment: Record, *, link: str) -> Reply:
    """Return what the page shows when there is nothing to pay any more."""
    is_paid = payment["status"] == "success"
    body = _fill(
        "closed.html",
        kind="done" if is_paid else "expired",
        mark="✓" if is_paid else "!",
        heading="This payment is complete" if is_paid else "This page has expired",
        text=(
            "Thank you. You can close this page."
            if is_paid
            else "No money was taken. Go back and start the payment again."
        ),
        sum=money(payment["amount"], payment["currency"]),
        tx_ref=payment["tx_ref"],
        link=link,
    )
    return _page("Checkout", body, status=200 if is_paid else 410)


def missing() -> Reply:
    """Return the page for an address that does not exist."""
    return _page("Not found", _fill("missing.html"), status=404)


def dashboard(engine: Engine, *, error: str | Mapping[str, list[str]] = "") -> Reply:
    """Return the list of everything that happened, with buttons.

    `error` is why what was asked for could not be done.
    """
    store = engine.store
    balances = engine.balances()
    options = engine.options
    body = _fill(
        "dashboard.html",
        address=engine.public_url,
        webhook_url=options.webhook_url or "none: events go nowhere",
        main=money(balances["main"], "MWK"),
        collection=money(balances["collection"], "MWK"),
        notice=_refusal(error),
        faults=_faults(engine),
        presets=_presets(),
        endpoints=_options((*ENDPOINTS, *GROUPS)),
        names=Markup("".join(_names(*kind) for kind in panel.kinds())),
        payments=_rows(store.all("payment"), _payment_row, columns=6),
        payouts=_rows(store.all("payout"), _payout_row, columns=6),
        deliveries=_rows(store.all("delivery"), _delivery_row, columns=5),
    )
    return _page("PayChangu simulator", body, status=422 if error else 200)


def _refusal(error: str | Mapping[str, list[str]]) -> Markup:
    if not error:
        return Markup()
    fields = {"": [error]} if isinstance(error, str) else error
    text = "; ".join(f"{name} {', '.join(why)}".strip() for name, why in fields.items())
    return _fill("notice.html", heading="Nothing was done.", text=text, advice="")


def _presets() -> Markup:
    rows = []
    for group in panel.groups():
        buttons = Markup(
            "".join(
                _fill("preset.html", value=f"{endpoint}:{fault}", label=label)
                for of, label, endpoint, fault in panel.PRESETS
                if of == group
            )
        )
        rows.append(_fill("preset_row.html", group=group, buttons=buttons))
    return Markup("".join(rows))


def _names(label: str, names: list[str]) -> Markup:
    return _fill("names.html", label=label, options=_options(names))


def _options(values: Iterable[str]) -> Markup:
    return Markup("".join(_fill("option.html", value=value) for value in values))


def _faults(engine: Engine) -> Markup:
    armed = engine.faults.armed()
    if not armed:
        return Markup('<p class="quiet">No fault is armed.</p>')
    lines = [
        _fill(
            "fault.html",
            name=fault["name"],
            endpoint=fault["endpoint"],
            times="until cleared" if fault["times"] is None else f"× {fault['times']}",
            options="".join(
                f", {key} {fault['options'][key]}" for key in fault["options"]
            ),
            button=_button("disarm", f"{fault['endpoint']}:{fault['name']}", "Disarm"),
        )
        for fault in armed
    ]
    return Markup(f'<ul class="faults">{"".join(lines)}</ul>')


def _rows(records: list[Record], row: Any, *, columns: int) -> Markup:
    if not records:
        return _fill("empty_row.html", columns=columns)
    newest = reversed(records[-_ROWS_MAX:])
    return Markup("".join(row(record) for record in newest))


def _button(action: str, key: str, label: str, *, outcome: str = "") -> Markup:
    return _fill("button.html", action=action, key=key, label=label, outcome=outcome)


def _payment_row(payment: Record) -> Markup:
    key = payment["tx_ref"]
    buttons = Markup()
    if payment["status"] == "pending":
        buttons = Markup(
            _button("complete", key, "Pay", outcome="success")
            + _button("complete", key, "Fail", outcome="failed")
        )
    return _fill(
        "payment_row.html",
        tx_ref=key,
        checkout_id=payment["checkout_id"],
        title=payment["customization"]["title"] or "",
        sum=money(payment["amount"], payment["currency"]),
        status=payment["status"],
        attempts=payment["attempts"],
        created_at=payment["created_at"][:19].replace("T", " "),
        buttons=buttons,
    )


def _payout_row(payout: Record) -> Markup:
    key = payout["charge_id"]
    number = payout["account_number"] or payout["mobile"]
    buttons = Markup()
    if payout["status"] == "pending":
        buttons = Markup(
            _button("settle", key, "Pay out", outcome="success")
            + _button("settle", key, "Fail", outcome="failed")
        )
    return _fill(
        "payout_row.html",
        charge_id=key,
        target=f"{payout['bank_name'] or payout['operator']} …{number[-3:]}",
        sum=money(payout["amount"], "MWK"),
        status=payout["status"],
        created_at=payout["created_at"][:19].replace("T", " "),
        buttons=buttons,
    )


def _delivery_row(delivery: Record) -> Markup:
    answers = [
        str(attempt["status"] or attempt["error"].partition(":")[0])
        for attempt in delivery["attempts"]
    ]
    return _fill(
        "delivery_row.html",
        about=delivery["about"],
        state=delivery["state"],
        answers=", ".join(answers) or "–",
        created_at=delivery["created_at"][:19].replace("T", " "),
        buttons=_button("resend", delivery["id"], "Send again"),
    )
