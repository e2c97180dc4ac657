"""Steps with money that goes out: withdrawals, payouts, late truths."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils import timezone

from tests.marketplace import comparing
from tests.marketplace.books import CENT
from tests.marketplace.model import COACHES, FINANCE, MEMBERS
from tests.marketplace.payouts import LateTruth, Withdrawal
from tests.marketplace.story import Skipped, Story, rule
from withdrawals import services
from withdrawals.models import Payout, PayoutCase

DECIDERS = (*FINANCE, *FINANCE, "support")


@rule(weight=2)
def set_payout_rate(story: Story) -> None:
    """What a credit pays out from now on."""
    payouts, house = story.model.payouts, story.house
    rate = Decimal(story.draw.choice(["10", "12.5", "9.9999", "25", "5", "33.3333"]))
    actor = story.pick((*FINANCE, "support"))
    story.both(
        f"{rate} by {actor}",
        lambda: payouts.set_rate(rate, actor),
        lambda: services.add_payout_rate(rate=rate, actor=house.users[actor]),
    )


@rule(weight=10)
def request_withdrawal(story: Story) -> None:
    """A coach asks to be paid, or somebody who may not."""
    payouts, books, house = story.model.payouts, story.model.books, story.house
    if payouts.rate is None and story.chance(80):
        raise Skipped
    earners = [name for name in COACHES if books.withdrawable(name) > 5]
    coach = story.pick(earners or COACHES)
    if story.chance(10):
        coach = story.pick((*COACHES, "learner"))
    there = books.withdrawable(coach)
    if story.chance(10):
        there = books.available(coach)
    credits = story.about(there)
    if story.chance(75):
        credits = max(min(there, story.cents(5_00, 60_00)), CENT)
    methods = [name for name in house.methods if name.startswith(f"{coach}:")]
    method = story.pick(methods if methods and story.chance(96) else house.methods)
    key = f"key {story.cents(1, 15)}" if story.chance(15) else ""
    name = story.name("withdrawal")

    def compare(expected: tuple[Withdrawal, bool], found: Any) -> None:
        withdrawal, is_replay = expected
        assert found.is_replay == is_replay
        house.withdrawals.setdefault(withdrawal.name, found.pk)
        comparing.withdrawal(story, withdrawal)

    story.both(
        f"{credits} of {coach} to {method} {key}",
        lambda: payouts.request(name, coach, credits, method, key),
        lambda: services.request_withdrawal(
            user=house.users[coach],
            credits=credits,
            payout_method_id=house.methods[method],
            idempotency_key=key or None,
        ),
        compare,
    )


@rule(weight=10)
def approve(story: Story) -> None:
    """One of the approvals it needs, perhaps by one who may not."""
    payouts, house = story.model.payouts, story.house
    withdrawal, actor = _pick(story, "requested"), story.pick(DECIDERS)
    story.both(
        f"{withdrawal.name} by {actor}",
        lambda: payouts.approve(withdrawal, actor),
        lambda: services.approve_withdrawal(
            withdrawal_id=house.withdrawals[withdrawal.name], actor=house.users[actor]
        ),
    )
    comparing.withdrawal(story, withdrawal)


@rule(weight=2)
def reject(story: Story) -> None:
    """Turned down; the credits go back."""
    payouts, house = story.model.payouts, story.house
    withdrawal, actor = _pick(story, "requested"), story.pick(DECIDERS)
    reason = story.reason()
    story.both(
        f"{withdrawal.name} by {actor}",
        lambda: payouts.reject(withdrawal, actor, reason),
        lambda: services.reject_withdrawal(
            withdrawal_id=house.withdrawals[withdrawal.name],
            actor=house.users[actor],
            reason=reason,
        ),
    )
    comparing.withdrawal(story, withdrawal)


@rule(weight=2)
def cancel(story: Story) -> None:
    """By its coach, by staff, or by somebody else."""
    payouts, house = story.model.payouts, story.house
    withdrawal = _pick(story, story.pick(["requested", "approved"]))
    actor = withdrawal.coach if story.chance(50) else story.pick((*DECIDERS, *MEMBERS))
    story.both(
        f"{withdrawal.name} by {actor}",
        lambda: payouts.cancel(withdrawal, actor),
        lambda: services.cancel_withdrawal(
            withdrawal_id=house.withdrawals[withdrawal.name], actor=house.users[actor]
        ),
    )
    comparing.withdrawal(story, withdrawal)


@rule(weight=1, is_refusable=False)
def approve_batch(story: Story) -> None:
    """Several at once, each by itself."""
    payouts, house = story.model.payouts, story.house
    if not payouts.requests:
        raise Skipped
    newest = payouts.requests[-10:]
    chosen = story.draw.sample(newest, story.draw.randint(1, min(5, len(newest))))
    actor = story.pick(FINANCE)
    names = {house.withdrawals[one.name]: one.name for one in chosen}

    def compare(expected: dict[str, str], found: Any) -> None:
        assert {names[one.withdrawal_id]: one.status for one in found} == expected
        assert all(bool(one.error) != bool(one.status) for one in found)

    story.both(
        f"{', '.join(names.values())} by {actor}",
        lambda: payouts.batch(chosen, actor),
        lambda: services.approve_batch(withdrawal_ids=names, actor=house.users[actor]),
        compare,
    )
    for withdrawal in chosen:
        comparing.withdrawal(story, withdrawal)


@rule(weight=1)
def freeze_payouts(story: Story) -> None:
    """The one switch is turned off."""
    _turn(story, freeze=True)


@rule(weight=3)
def unfreeze_payouts(story: Story) -> None:
    """And on again."""
    _turn(story, freeze=False)


def _turn(story: Story, *, freeze: bool) -> None:
    payouts, house = story.model.payouts, story.house
    actor, reason = story.pick((*FINANCE, "support")), story.reason()
    service = services.freeze_payouts if freeze else services.unfreeze_payouts
    story.both(
        f"by {actor}",
        lambda: payouts.freeze(actor, reason, freeze=freeze),
        lambda: service(actor=house.users[actor], reason=reason),
    )


@rule(weight=8, is_refusable=False)
def send(story: Story) -> None:
    """Send a payout that is ready, or one that is not; the gateway may fail."""
    payouts, house = story.model.payouts, story.house
    withdrawal = _pick_payout(story, "ready")
    faults = ["down", "poor", "refuse", "busy", "lost", "void", "void"]
    fault = story.draw.choice(faults) if story.chance(35) else ""
    story.gateway.fault = fault

    def compare(expected: bool, found: bool) -> None:
        assert found == expected

    story.both(
        f"{withdrawal.name} {fault}",
        lambda: payouts.send(withdrawal, fault),
        lambda: services.send_payout(
            payout_id=house.payouts[withdrawal.name], now=timezone.now()
        ),
        compare,
    )
    comparing.withdrawal(story, withdrawal)


@rule(weight=8, is_refusable=False)
def look_up(story: Story) -> None:
    """The gateway gives a payout its end, perhaps, and is asked."""
    withdrawal = _pick_payout(story, "sent")
    how = story.draw.randrange(100)
    if withdrawal.word and how < 75:
        net = withdrawal.net
        paid = net + story.draw.choice([-1, 1]) if story.chance(8) else net
        _say(story, withdrawal, "failed" if how < 20 else "success", paid)
    _look_up(story, withdrawal, any_state=story.chance(20))


@rule(weight=4, is_refusable=False)
def late_truth(story: Story) -> None:
    """The gateway says something else of a payout than before, and is asked."""
    requests = story.model.payouts.requests
    ended = [one for one in requests if one.payout in {"paid", "failed"} and one.word]
    withdrawal = story.pick(ended)
    word = story.draw.choice(["success", "success", "failed", "failed", "pending"])
    paid = withdrawal.net - 1 if story.chance(15) else withdrawal.net
    _say(story, withdrawal, word, paid)
    _look_up(story, withdrawal, any_state=True)


def _say(story: Story, withdrawal: Withdrawal, word: str, paid: Decimal) -> None:
    withdrawal.word, withdrawal.paid = word, paid
    charge_id = f"withdrawal-{story.house.withdrawals[withdrawal.name]}"
    facts = {"status": word, "amount": f"{paid:.0f}", "currency": "MWK"}
    story.gateway.payouts[charge_id] = facts


def _look_up(story: Story, withdrawal: Withdrawal, *, any_state: bool) -> None:
    payouts, house = story.model.payouts, story.house
    is_down = story.chance(5)
    story.gateway.fault = "down" if is_down else ""

    def compare(expected: str | None, found: Any) -> None:
        assert (None if found is None else found.status) == expected

    story.both(
        f"{withdrawal.name}: {withdrawal.word} {withdrawal.paid}, down: {is_down}",
        lambda: payouts.look_up(withdrawal, any_state=any_state, is_down=is_down),
        lambda: services.look_up_payout(
            payout_id=house.payouts[withdrawal.name],
            now=timezone.now(),
            any_state=any_state,
        ),
        compare,
    )
    comparing.withdrawal(story, withdrawal)


@rule(weight=3)
def confirm_not_sent(story: Story) -> None:
    """Staff say that it was not sent; the gateway is asked once more."""
    payouts, house = story.model.payouts, story.house
    lost = [one for one in payouts.requests if one.payout == "sent" and not one.word]
    is_lost = bool(lost) and story.chance(90)
    withdrawal = story.pick(lost) if is_lost else _pick(story, "sending")
    actor = story.pick(DECIDERS)
    is_down = story.chance(5)
    story.gateway.fault = "down" if is_down else ""
    story.both(
        f"{withdrawal.name} by {actor}, down: {is_down}",
        lambda: payouts.confirm_not_sent(withdrawal, actor, is_down=is_down),
        lambda: services.confirm_not_sent(
            withdrawal_id=house.withdrawals[withdrawal.name],
            actor=house.users[actor],
            reason="for the story",
        ),
    )
    comparing.withdrawal(story, withdrawal)


@rule(weight=4)
def settle_late_truth(story: Story) -> None:
    """Staff settle what the gateway said too late."""
    payouts, house = story.model.payouts, story.house
    cases = [(one, case) for one in payouts.requests for case in one.cases]
    waiting = [pair for pair in cases if not pair[1].resolution]
    withdrawal, case = story.pick(waiting if waiting and story.chance(85) else cases)
    actor, reason = story.pick(DECIDERS), story.reason()
    resolution = story.draw.choice(["paid", "given_back", "written_off", "noted"])
    row = _row_of(story, withdrawal, case)
    story.both(
        f"{case.kind} of {withdrawal.name} as {resolution} by {actor}",
        lambda: payouts.settle_case(withdrawal, case, actor, resolution, reason),
        lambda: services.settle_case(
            case_id=row.pk,
            actor=house.users[actor],
            resolution=resolution,
            reason=reason,
        ),
    )
    comparing.withdrawal(story, withdrawal)


def _row_of(story: Story, withdrawal: Withdrawal, case: LateTruth) -> PayoutCase:
    pk = story.house.withdrawals[withdrawal.name]
    rows = PayoutCase.objects.filter(withdrawal=pk).order_by("opened_at", "pk")
    place = next(i for i, other in enumerate(withdrawal.cases) if other is case)
    return list(rows)[place]


def _pick(story: Story, status: str) -> Withdrawal:
    """Return a withdrawal, mostly one in the state."""
    requests = story.model.payouts.requests
    such = [one for one in requests if one.status == status]
    return story.pick(such if such and story.chance(85) else requests)


def _pick_payout(story: Story, status: str) -> Withdrawal:
    """Return a withdrawal that has a payout, mostly one in the state."""
    requests = [one for one in story.model.payouts.requests if one.payout]
    such = [one for one in requests if one.payout == status]
    withdrawal = story.pick(such if such and story.chance(85) else requests)
    if withdrawal.name not in story.house.payouts:
        payout = Payout.objects.get(withdrawal=story.house.withdrawals[withdrawal.name])
        story.house.payouts[withdrawal.name] = payout.pk
    return withdrawal
