"""Steps with money that comes in: orders, payments, refunds, cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from payments import services
from payments.models import CreditPackage, CreditPurchase, PurchaseRefund, ReviewCase
from tests.marketplace import comparing
from tests.marketplace.model import MEMBERS
from tests.marketplace.purchases import Case, Purchase, Word
from tests.marketplace.story import Skipped, Story, rule


@rule(weight=7)
def start_purchase(story: Story) -> None:
    """Order a package; the gateway may give no page, and know of it all the same."""
    purchases, house = story.model.purchases, story.house
    buyer, package = story.pick(MEMBERS), story.pick(purchases.packages)
    key = f"key {story.cents(1, 15)}" if story.chance(25) else ""
    fault = story.pick(["down", "refuse", "lost"]) if story.chance(6) else ""
    name = story.name("purchase")
    story.gateway.fault = fault

    def compare(expected: tuple[Purchase, bool], found: Any) -> None:
        purchase, is_replay = expected
        assert getattr(found, "is_replay", False) == is_replay
        known = house.purchases.setdefault(purchase.name, (found.pk, found.tx_ref))
        assert known[0] == found.pk

    story.both(
        f"{package.name} for {buyer} {key} {fault}",
        lambda: purchases.start(name, buyer, package, key, fault),
        lambda: services.start_purchase(
            user=house.users[buyer],
            package_id=house.packages[package.name],
            idempotency_key=key or None,
        ),
        compare,
    )
    newest = purchases.orders[-1] if purchases.orders else None
    if newest is not None and newest.name == name and name not in house.purchases:
        # The order stays, though there is no page to pay it on.
        rows = CreditPurchase.objects.filter(user=house.users[buyer])
        row = rows.order_by("-created_at", "-pk")[0]
        house.purchases[name] = (row.pk, row.tx_ref)


@rule(weight=1, is_refusable=False)
def change_packages(story: Story) -> None:
    """Staff take a package off the sale, or put it on again."""
    package = story.pick(story.model.purchases.packages)
    on_sale = story.chance(80)

    def of_model() -> None:
        package.on_sale = on_sale

    def of_product() -> None:
        row = CreditPackage.objects.get(pk=story.house.packages[package.name])
        row.active = on_sale
        row.save(update_fields=["active"])

    story.both(f"{package.name}, on sale: {on_sale}", of_model, of_product)


@rule(weight=9)
def pay_and_settle(story: Story) -> None:
    """The payer pays, or tries to, and the gateway is asked."""
    payable = [
        one
        for one in story.model.purchases.orders
        if one.word is not None and one.word.status != "success"
    ]
    purchase = story.pick(payable)
    assert purchase.word is not None
    _say(story, purchase, _payment_of(story, purchase))
    _settle(story, purchase)


@rule(weight=3)
def ask_again(story: Story) -> None:
    """The gateway is asked about an order, perhaps a week later, perhaps in vain."""
    _settle(story, story.pick(story.model.purchases.orders))


@rule(weight=1)
def change_its_mind(story: Story) -> None:
    """The gateway says something else of a payment than before, and is asked."""
    known = [one for one in story.model.purchases.orders if one.word is not None]
    purchase = story.pick(known)
    assert purchase.word is not None
    word = _payment_of(story, purchase)
    if story.chance(40):
        word = replace(word, status=story.pick(["failed", "pending"]))
    _say(story, purchase, word)
    _settle(story, purchase)


@rule(weight=1, is_refusable=False)
def poll(story: Story) -> None:
    """The gateway is asked about all that is open."""
    purchases = story.model.purchases
    is_over = story.chance(30)
    now = timezone.now() + timedelta(days=8 if is_over else 0)

    def compare(expected: int, found: int) -> None:
        assert found == expected

    story.both(
        f"all that is open, is over: {is_over}",
        lambda: purchases.poll(is_over=is_over),
        lambda: services.check_due_purchases(now=now, everything=True),
        compare,
    )


def _payment_of(story: Story, purchase: Purchase) -> Word:
    """Return what is paid: mostly what was ordered."""
    price = purchase.price
    how = story.draw.randrange(100)
    if how < 70:
        return Word("success", price, purchase.currency)
    if how < 77:
        return Word("success", price + story.draw.randint(1, 900), purchase.currency)
    if how < 86:
        less = story.draw.randint(1, int(price * 100) - 1)
        short = Decimal(less).scaleb(-2)
        whole = max(Decimal(1), short.quantize(Decimal(1)) - 1)
        return Word(
            "success", whole if purchase.currency == "MWK" else short, purchase.currency
        )
    if how < 91:
        other = "USD" if purchase.currency == "MWK" else "MWK"
        return Word("success", price, other)
    return Word("failed", price, purchase.currency)


def _say(story: Story, purchase: Purchase, word: Word) -> None:
    purchase.word = word
    if purchase.name not in story.house.purchases:
        raise Skipped
    _, tx_ref = story.house.purchases[purchase.name]
    story.gateway.payments[tx_ref] = {
        "status": word.status,
        "amount": str(word.amount),
        "currency": word.currency,
    }


def _settle(story: Story, purchase: Purchase) -> None:
    purchases = story.model.purchases
    is_down, is_over = story.chance(4), story.chance(8)
    story.gateway.fault = "down" if is_down else ""
    now = timezone.now() + timedelta(days=8 if is_over else 0)
    _, tx_ref = story.house.purchases[purchase.name]
    story.both(
        f"{purchase.name}: {purchase.word}, down: {is_down}, over: {is_over}",
        lambda: purchases.settle(purchase, is_over=is_over, is_down=is_down),
        lambda: services.settle_purchase(tx_ref=tx_ref, now=now),
    )
    comparing.purchase(story, purchase)


@rule(weight=4)
def refund_purchase(story: Story) -> None:
    """Staff take credits of a purchase back."""
    purchases, house = story.model.purchases, story.house
    paid = [one for one in purchases.orders if one.is_credited]
    purchase = story.pick(paid if paid and story.chance(85) else purchases.orders)
    left = purchase.given[0] - purchase.taken[0]
    credits = None if story.chance(35) else story.about(max(left, Decimal("0.02")))
    number = None
    if story.chance(30):
        number = len(purchase.refunds) + story.draw.choice([0, 1, 1, 1])
    reason = story.reason()
    story.both(
        f"{credits} of {purchase.name}, number {number}",
        lambda: purchases.refund(
            purchase, reason=reason, credits=credits, number=number
        ),
        lambda: services.refund_purchase(
            purchase_id=house.purchases[purchase.name][0],
            actor=house.users["support"],
            reason=reason,
            credits=credits,
            number=number,
        ),
    )
    comparing.purchase(story, purchase)


@rule(weight=2)
def return_money(story: Story) -> None:
    """Note that the money of a refund went back, perhaps again."""
    purchases, house = story.model.purchases, story.house
    purchase = story.pick([one for one in purchases.orders if one.refunds])
    index = story.draw.randrange(len(purchase.refunds))
    refund = purchase.refunds[index]
    how = story.reason()
    row = PurchaseRefund.objects.get(
        purchase=house.purchases[purchase.name][0], number=index + 1
    )
    story.both(
        f"refund {index + 1} of {purchase.name}",
        lambda: purchases.note_returned(refund, how),
        lambda: services.note_money_returned(
            refund_id=row.pk, actor=house.users["finance"], how=how
        ),
    )
    comparing.purchase(story, purchase)


@rule(weight=2)
def credit_case(story: Story) -> None:
    """Staff credit what was paid."""
    purchase, case = _case(story)
    _decide(story, purchase, case, "credit_case")


@rule(weight=2)
def refund_case(story: Story) -> None:
    """Staff give money back that does not fit."""
    purchase, case = _case(story)
    _decide(story, purchase, case, "refund_case")


@rule(weight=1)
def dismiss_case(story: Story) -> None:
    """Staff leave it be."""
    purchase, case = _case(story)
    _decide(story, purchase, case, "dismiss_case")


def _case(story: Story) -> tuple[Purchase, Case]:
    orders = story.model.purchases.orders
    cases = [(one, case) for one in orders for case in one.cases]
    waiting = [pair for pair in cases if pair[1].status == "open"]
    return story.pick(waiting if waiting and story.chance(80) else cases)


def _decide(story: Story, purchase: Purchase, case: Case, verb: str) -> None:
    house, reason = story.house, story.reason()
    row = _row_of(story, purchase, case)
    of_model = getattr(story.model.purchases, verb)
    of_product = getattr(services, verb)
    story.both(
        f"{case.kind} of {purchase.name}",
        lambda: of_model(purchase, case, reason),
        lambda: of_product(case_id=row.pk, actor=house.users["support"], reason=reason),
    )
    comparing.purchase(story, purchase)


def _row_of(story: Story, purchase: Purchase, case: Case) -> ReviewCase:
    """Return the row of a case: of its kind, the one of the same place in the line."""
    pk, _ = story.house.purchases[purchase.name]
    rows = ReviewCase.objects.filter(purchase=pk, kind=case.kind).order_by("pk")
    same = [other for other in purchase.cases if other.kind == case.kind]
    place = next(index for index, other in enumerate(same) if other is case)
    return list(rows)[place]
