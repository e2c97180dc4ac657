"""The judge finds each kind of mistake: histories and books that were doctored.

Alice has ten credits and Bob five. Alice pays Bob two, then Bob pays her one; a third
transfer is refused. Each test spoils one thing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.bank.books import Books, Row
from tests.bank.judge import Mistake, judge
from tests.bank.record import TIMED_OUT, Answer, History, Order, Read

ALICE, BOB = "1", "2"
Figures = dict[str, tuple[Decimal, int]]


def figures(alice: str, bob: str, *, numbers: tuple[int, int]) -> Figures:
    """Both wallets and the one outside that gave them what they have."""
    return {
        ALICE: (Decimal(alice), numbers[0]),
        BOB: (Decimal(bob), numbers[1]),
        "promotions": (Decimal("-15.00"), 2),
    }


def row(name: str, wallet: str, number: int, amount: str, after: str) -> Row:
    return Row(f"t-{name}", name, wallet, number, Decimal(amount), Decimal(after))


def done(name: str, *, at: int, sequences: tuple[int, int] = (2, 2)) -> Answer:
    return Answer(
        outcome="done", status="201", transfer=f"t-{name}", sequences=sequences, at=at
    )


def order(
    name: str, payer: str, payee: str, amount: str, asked_at: int, *answers: Answer
) -> Order:
    return Order(
        name=name,
        payer=payer,
        payee=payee,
        amount=Decimal(amount),
        asked_at=asked_at,
        answers=list(answers),
    )


REFUSED = Answer(outcome="refused", status="insufficient-credits", at=60)
UNKNOWN = Answer(outcome="unknown", status="503", at=61)
OPENING = Books(wallets=figures("10.00", "5.00", numbers=(1, 1)), rows=[])


@dataclasses.dataclass
class Scene:
    """A history and books in which nothing is wrong, yet."""

    history: History
    wallets: Figures
    rows: list[Row]

    def mistakes(self) -> list[Mistake]:
        closing = Books(wallets=self.wallets, rows=self.rows)
        return judge(self.history, opening=OPENING, closing=closing)

    def answer(self, name: str, *answers: Answer) -> None:
        self.history.orders[name].answers[:] = answers

    def show(self, read: Read) -> None:
        self.history.reads[0] = read


@pytest.fixture
def scene() -> Scene:
    orders = [
        order("a", ALICE, BOB, "2.00", 10, done("a", at=20)),
        order("b", BOB, ALICE, "1.00", 30, done("b", at=40, sequences=(3, 3))),
        order("c", BOB, ALICE, "7.00", 50, REFUSED),
    ]
    rows = [
        row("a", ALICE, 2, "-2.00", "8.00"),
        row("a", BOB, 2, "2.00", "7.00"),
        row("b", BOB, 3, "-1.00", "6.00"),
        row("b", ALICE, 3, "1.00", "9.00"),
    ]
    return Scene(
        history=History(orders={o.name: o for o in orders}, reads=[BETWEEN]),
        wallets=figures("9.00", "6.00", numbers=(3, 3)),
        rows=rows,
    )


def a_read(shown: Figures, *, began: int, ended: int) -> Read:
    return Read(began=began, ended=ended, wallets=shown, sums=shown)


AFTER_A = figures("8.00", "7.00", numbers=(2, 2))
BETWEEN = a_read(AFTER_A, began=22, ended=28)


def test_a_history_that_is_as_it_should_be_has_no_mistake(scene):
    assert scene.mistakes() == []


def test_a_repeat_with_the_same_answer_is_no_mistake(scene):
    scene.answer("a", UNKNOWN, done("a", at=20), UNKNOWN, done("a", at=70))

    assert scene.mistakes() == []


def lose_a_transfer(scene: Scene) -> None:
    del scene.rows[:2]


def lose_one_side(scene: Scene) -> None:
    del scene.rows[0]


def book_another_amount(scene: Scene) -> None:
    scene.rows[0] = row("a", ALICE, 2, "-2.01", "7.99")


def book_it_again(scene: Scene) -> None:
    scene.rows += [
        Row("t-again", "a", ALICE, 4, Decimal("-2.00"), Decimal("7.00")),
        Row("t-again", "a", BOB, 4, Decimal("2.00"), Decimal("8.00")),
    ]


def book_what_was_refused(scene: Scene) -> None:
    scene.rows += [
        row("c", BOB, 4, "-7.00", "-1.00"),
        row("c", ALICE, 4, "7.00", "16.00"),
    ]


def book_what_nobody_asked_for(scene: Scene) -> None:
    scene.rows.append(row("z", ALICE, 4, "1.00", "10.00"))


def refuse_the_repeat(scene: Scene) -> None:
    scene.answer("b", done("b", at=40, sequences=(3, 3)), REFUSED)


def answer_the_repeat_with_another_transfer(scene: Scene) -> None:
    scene.answer("a", done("a", at=20), done("other", at=70))


def never_answer(scene: Scene) -> None:
    scene.answer("c", UNKNOWN)


def drop_an_update(scene: Scene) -> None:
    scene.wallets[BOB] = (Decimal("7.00"), 3)


def overdraw_for_a_moment(scene: Scene) -> None:
    scene.rows[0] = row("a", ALICE, 2, "-2.00", "-8.00")


def owe_at_the_end(scene: Scene) -> None:
    scene.wallets[ALICE] = (Decimal("-1.00"), 3)
    scene.wallets[BOB] = (Decimal("16.00"), 3)


def make_credits_outside(scene: Scene) -> None:
    scene.wallets["promotions"] = (Decimal("-14.00"), 2)


def read_half_a_transfer(scene: Scene) -> None:
    torn = {**AFTER_A, BOB: (Decimal("5.00"), 1)}
    scene.show(a_read(torn, began=12, ended=18))


def read_a_balance_that_never_was(scene: Scene) -> None:
    shown = figures("8.50", "6.50", numbers=(2, 2))
    scene.show(a_read(shown, began=22, ended=28))


def read_sums_of_another_moment(scene: Scene) -> None:
    scene.show(dataclasses.replace(BETWEEN, sums=OPENING.wallets))


def read_what_was_long_over(scene: Scene) -> None:
    scene.show(a_read(OPENING.wallets, began=22, ended=28))


def read_the_future(scene: Scene) -> None:
    scene.show(a_read(AFTER_A, began=5, ended=8))


def number_the_first_after_the_second(scene: Scene) -> None:
    scene.answer("a", done("a", at=20, sequences=(3, 3)))
    scene.answer("b", done("b", at=40))
    scene.rows = [
        row("b", BOB, 2, "-1.00", "4.00"),
        row("b", ALICE, 2, "1.00", "11.00"),
        row("a", ALICE, 3, "-2.00", "9.00"),
        row("a", BOB, 3, "2.00", "6.00"),
    ]


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lose_a_transfer, "lost"),
        (lose_one_side, "lost"),
        (book_another_amount, "lost"),
        (book_it_again, "doubled"),
        (book_what_was_refused, "ghost"),
        (book_what_nobody_asked_for, "ghost"),
        (refuse_the_repeat, "contradiction"),
        (answer_the_repeat_with_another_transfer, "contradiction"),
        (never_answer, "unresolved"),
        (drop_an_update, "balance"),
        (drop_an_update, "total"),
        (overdraw_for_a_moment, "negative"),
        (owe_at_the_end, "negative"),
        (make_credits_outside, "total"),
        (read_half_a_transfer, "total"),
        (read_a_balance_that_never_was, "snapshot"),
        (read_sums_of_another_moment, "snapshot"),
        (read_what_was_long_over, "snapshot"),
        (read_the_future, "snapshot"),
        (number_the_first_after_the_second, "order"),
    ],
)
def test_a_mistake_is_found(
    scene: Scene, spoil: Callable[[Scene], None], kind: str
) -> None:
    spoil(scene)

    assert kind in {mistake.kind for mistake in scene.mistakes()}


def test_a_refusal_after_a_request_that_was_given_up_leaves_it_open(scene):
    """The one given up may have been served after the one that was refused."""
    scene.answer("c", Answer(outcome="unknown", status=TIMED_OUT), REFUSED)

    assert scene.mistakes() == []


def test_what_arrived_late_counts_once(scene):
    scene.answer("b", Answer(outcome="unknown", status=TIMED_OUT), REFUSED)

    assert scene.mistakes() == []
