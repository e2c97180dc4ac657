"""Steps on the ledger itself: transfers, bonuses, adjustments, holds, freezing."""

from __future__ import annotations

from typing import Any

from tests.marketplace.model import FINANCE, MEMBERS, PEOPLE, SUPPORT
from tests.marketplace.story import Story, rule
from wallets import services


@rule(weight=5)
def transfer(story: Story) -> None:
    """From one person to another, sometimes under a key that is taken."""
    books, house = story.model.books, story.house
    payer, payee = story.pick(MEMBERS), story.pick(PEOPLE)
    amount = story.about(books.available(payer))
    key = story.name("transfer") if story.chance(70) else f"key {story.cents(1, 9)}"

    def compare(is_replay: bool, found: Any) -> None:
        assert found.is_replay == is_replay
        house.transfers[key] = found.pk

    story.both(
        f"{amount} from {payer} to {payee} as {key}",
        lambda: books.transfer(key, payer, payee, amount),
        lambda: services.transfer_credits(
            from_user_id=house.users[payer].pk,
            to_user_id=house.users[payee].pk,
            amount=amount,
            key=key,
        ),
        compare,
    )


@rule(weight=5)
def bonus(story: Story) -> None:
    """Credits out of the promotions, sometimes under a key that is taken."""
    books, house = story.model.books, story.house
    person = story.pick(MEMBERS)
    amount = story.cents(-5_00, 150_00)
    key = story.name("bonus") if story.chance(80) else f"key {story.cents(1, 9)}"

    def compare(is_replay: bool, found: Any) -> None:
        assert found.is_replay == is_replay
        house.transfers[key] = found.pk

    story.both(
        f"{amount} for {person} as {key}",
        lambda: books.grant(key, person, amount, "bonus"),
        lambda: services.grant_credits(
            user_id=house.users[person].pk, amount=amount, reason="a bonus", key=key
        ),
        compare,
    )


@rule(weight=2)
def reverse(story: Story) -> None:
    """Undo a transfer, perhaps again, perhaps a reversal."""
    books, house = story.model.books, story.house
    key = story.pick(house.transfers)

    def compare(is_replay: bool, found: Any) -> None:
        assert found.is_replay == is_replay
        house.transfers[f"reversal:{key}"] = found.pk

    story.both(
        key,
        lambda: books.reverse(key),
        lambda: services.reverse_transfer(
            transfer_id=house.transfers[key],
            actor=house.users["finance"],
            reason="a mistake",
        ),
        compare,
    )


@rule(weight=3)
def adjust(story: Story) -> None:
    """Give or take by hand; a large one waits for a second person."""
    books, house = story.model.books, story.house
    actor, person = story.pick((*FINANCE, *FINANCE, *SUPPORT)), story.pick(PEOPLE)
    amount = story.cents(-25_00, 30_00)
    if story.chance(30):
        amount = story.cents(90_00, 1100_00)
    kind = "bonus" if story.chance(25) else "adjustment"
    name = story.name("adjustment")

    def compare(expected: Any, found: Any) -> None:
        assert (found.status, found.needs_second) == (
            expected.status,
            expected.needs_second,
        )
        house.adjustments[name] = found.pk

    story.both(
        f"{kind} of {amount} for {person} by {actor}",
        lambda: books.request_adjustment(name, person, amount, kind, actor),
        lambda: services.request_adjustment(
            user_id=house.users[person].pk,
            amount=amount,
            reason="by hand",
            actor=house.users[actor],
            transaction_type=kind,
        ),
        compare,
    )


@rule(weight=2)
def agree_to_adjustment(story: Story) -> None:
    """A second person agrees, or somebody who may not."""
    books, house = story.model.books, story.house
    waiting = [one for one in books.adjustments if one.status == "requested"]
    adjustment = story.pick(waiting or books.adjustments)
    actor = story.pick((*FINANCE, *SUPPORT))
    story.both(
        f"{adjustment.name} by {actor}",
        lambda: books.approve_adjustment(adjustment, actor),
        lambda: services.approve_adjustment(
            adjustment_id=house.adjustments[adjustment.name], actor=house.users[actor]
        ),
    )


@rule(weight=2)
def turn_down_adjustment(story: Story) -> None:
    """Somebody turns it down, perhaps who asked for it."""
    books, house = story.model.books, story.house
    waiting = [one for one in books.adjustments if one.status == "requested"]
    adjustment = story.pick(waiting or books.adjustments)
    actor, reason = story.pick((*FINANCE, *SUPPORT)), story.reason()
    story.both(
        f"{adjustment.name} by {actor}",
        lambda: books.reject_adjustment(adjustment, actor, reason),
        lambda: services.reject_adjustment(
            adjustment_id=house.adjustments[adjustment.name],
            actor=house.users[actor],
            reason=reason,
        ),
    )


@rule(weight=2)
def place_hold(story: Story) -> None:
    """Hold credits back, sometimes under a key that is taken."""
    books, house = story.model.books, story.house
    owner = story.pick(MEMBERS)
    amount = story.about(books.available(owner))
    key = story.name("hold") if story.chance(80) else f"hold key {story.cents(1, 5)}"
    due = None if story.chance(40) else books.clock.hours + story.draw.randint(0, 200)
    story.both(
        f"{amount} of {owner} until {due}",
        lambda: books.place_hold(key, owner, amount, due),
        lambda: services.place_hold(
            wallet_id=house.wallets[owner],
            amount=amount,
            key=key,
            reason="a story",
            releases_at=None if due is None else story.at(due),
        ),
    )


@rule(weight=2, is_refusable=False)
def release_hold(story: Story) -> None:
    """Release a hold that was placed by hand, perhaps again."""
    books = story.model.books
    by_hand = [key for key in books.holds if key.startswith("hold ")]
    key = story.pick(by_hand)

    def compare(was_open: bool, found: bool) -> None:
        assert found == was_open

    story.both(
        key,
        lambda: books.release_hold(key),
        lambda: services.release_hold(key=key),
        compare,
    )


@rule(weight=5, is_refusable=False)
def pass_time(story: Story) -> None:
    """Hours or days go by, and what is due by then matures."""
    books = story.model.books
    books.clock.hours += story.draw.choice([1, 5, 12, 24, 24, 71, 72])

    def compare(expected: int, found: int) -> None:
        assert found == expected

    story.both(
        f"it is {story.now:%Y-%m-%d %H:%M}",
        books.release_due,
        lambda: services.release_due_holds(now=story.now, batch=7),
        compare,
    )


@rule(weight=1)
def freeze(story: Story) -> None:
    """Freeze a wallet; not for long, as it stops much else."""
    _turn(story, story.pick(MEMBERS), freeze=True)


@rule(weight=3)
def unfreeze(story: Story) -> None:
    """Unfreeze one, perhaps one that is not frozen."""
    wallets = story.model.books.wallets
    frozen = [name for name in MEMBERS if wallets[name].is_frozen]
    _turn(story, story.pick(frozen or MEMBERS), freeze=False)


def _turn(story: Story, name: str, *, freeze: bool) -> None:
    books, house = story.model.books, story.house
    service = services.freeze_wallet if freeze else services.unfreeze_wallet
    reason = story.reason()
    story.both(
        name,
        lambda: books.freeze(name, freeze=freeze, reason=reason),
        lambda: service(
            wallet_id=house.wallets[name],
            actor=house.users["support"],
            reason=reason,
        ),
    )
