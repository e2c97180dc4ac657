"""Lists: many people enrolled at a sponsor's cost, or given a bonus, line by line.

What is asked for is kept first, and then carried out. A line's row is decided in the
transaction that does what it asks for, under the row's lock. So whatever interrupts a
list, giving it in again goes on with the lines that are left, and none is done twice.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from courses.models import BulkRow, BulkRun
from courses.people import named
from courses.services.bulk_rules import check_may, needs_second
from courses.services.sponsoring import PeopleRefused, enroll_sponsored
from credits_project import audit, idempotency, retries
from credits_project.exceptions import (
    InvalidInput,
    NotFound,
    PermissionDenied,
)
from credits_project.money import ZERO, positive_amount
from wallets.exceptions import BalanceOutOfRange
from wallets.models import CreditTransfer
from wallets.services import Leg, Posting, TransactionType, post_many, wallet_id_of
from wallets.statements import constraint_of
from wallets.system import system_wallet_id

LONGEST: Final = 5_000
# All of it is one transaction, in which the payer's wallet is locked.
LONGEST_AT_ONCE: Final = 1_000

_UNIQUE_NAME: Final = "courses_bulkrun_unique_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One person of a list, as written in it."""

    # The line of the file, the heading being line 1.
    number: int
    # An e-mail address, a username or an id.
    person: str
    # The bonus in credits; 0.00 in a list of enrollments.
    amount: Decimal = ZERO


class ListRefused(Exception):
    """Lines of a list that is carried out whole or not at all cannot be carried out.

    `lines` tells which and why, by their numbers. Nothing was done.
    """

    def __init__(self, lines: dict[int, str]) -> None:
        super().__init__(f"{len(lines)} line(s) cannot be carried out: nothing was.")
        self.lines = lines


@transaction.atomic
def give_in_list(
    *,
    kind: str,
    lines: Sequence[Line],
    reason: str,
    name: str = "",
    all_or_nothing: bool = False,
    course_id: uuid.UUID | None = None,
    sponsor_id: int | None = None,
    actor: Any = None,
    now: datetime | None = None,
) -> BulkRun:
    """Keep a list to be carried out by `carry_out_list`. Return its run.

    The same list under the same name is the same run, with `is_replay` set. Lines that
    name nobody, or somebody a second time, are refused at once.

    Args:
        name: names the list for ever; made from what it asks for unless given.
        all_or_nothing: all lines in one transaction, or none.
        course_id, sponsor_id: of enrollments: where to, and whose wallet pays.
        actor: who asks; None for an operator at a shell.

    Raises:
        PermissionDenied: the actor may not do to one what the list does to many.
        InvalidInput: no or too many lines, a bad amount, no reason, or a name that
            another list has.
        ListRefused: lines that cannot be, where it is all or nothing.
    """
    kind = BulkRun.Kind(kind)
    check_may(actor, kind)
    is_complete = course_id is not None and sponsor_id is not None
    assert is_complete == (kind == BulkRun.Kind.ENROLL), "an enrollment is somewhere"
    _check(lines, reason, name, longest=LONGEST_AT_ONCE if all_or_nothing else LONGEST)
    run = BulkRun(
        kind=kind,
        all_or_nothing=all_or_nothing,
        course_id=course_id,
        sponsor_id=sponsor_id,
        reason=reason,
        created_by=actor,
        created_at=now or timezone.now(),
    )
    run.digest = _digest_of(run, lines)
    run.name = name or f"{kind}-{run.digest[:16]}"
    earlier = BulkRun.objects.filter(name=run.name).first()
    if earlier is not None:
        return _same(earlier, run.digest)
    rows = _rows_of(run, lines, actor)
    if all_or_nothing and (refused := {r.line: r.detail for r in rows if r.detail}):
        raise ListRefused(refused)
    run.needs_second = needs_second(run, rows, actor)
    _insert(run, rows)
    audit.record(
        actor=actor, row=run, action=f"list of {kind}", reason=reason, lines=len(lines)
    )
    return run


def carry_out_list(
    *,
    run_id: uuid.UUID,
    actor: Any = None,
    seconds: float | None = None,
    now: datetime | None = None,
) -> BulkRun:
    """Carry out what is left of a list. Return its run.

    May be called by many at once, and again after any interruption.

    Args:
        seconds: begin no further line after so long; None goes on to the end.

    Raises:
        PermissionDenied: see `give_in_list`; or it waits for a second person.
        NotFound: there is no such list.
        ListRefused: lines of an all-or-nothing list that cannot be.
        DomainError: what stops all lines, such as a sponsor who cannot pay. The lines
            that are left stay so, for when it has been seen to.
    """
    run = BulkRun.objects.filter(pk=run_id).first()
    if run is None:
        raise NotFound("There is no such list.")
    check_may(actor, BulkRun.Kind(run.kind))
    if run.needs_second and run.agreed_by_id is None:
        raise PermissionDenied("A second person has to agree to this list first.")
    ends_at = None if seconds is None else time.monotonic() + seconds
    step = _do_all if run.all_or_nothing else _do_next

    def once() -> bool:
        return step(run, actor=actor, now=now or timezone.now())

    # A line that lost a deadlock is begun again; one whose outcome is unknown is left
    # to the next time, which looks at its row.
    while retries.run(once):
        if ends_at is not None and time.monotonic() > ends_at:
            return run
    retries.run(lambda: _finish(run, now=now or timezone.now()))
    return run


def _check(lines: Sequence[Line], reason: str, name: str, *, longest: int) -> None:
    if not lines:
        raise InvalidInput("file", "The list is empty.", reason="empty")
    if len(lines) > longest:
        raise InvalidInput(
            "file", f"No more than {longest} lines at once.", reason="max_length"
        )
    if not reason.strip() or len(reason) > 500:
        raise InvalidInput("reason", "Say in 1 to 500 characters what it is for.")
    if len(name) > 100:
        raise InvalidInput("name", "No more than 100 characters.", reason="max_length")


def _digest_of(run: BulkRun, lines: Sequence[Line]) -> str:
    """Return what is the same for the same list, whatever its name."""
    return idempotency.digest_of(
        kind=run.kind,
        lines=[(line.person, line.amount) for line in lines],
        reason=run.reason,
        all_or_nothing=run.all_or_nothing,
        course=run.course_id,
        sponsor=run.sponsor_id,
    )


def _same(run: BulkRun, digest: str) -> BulkRun:
    if run.digest != digest:
        raise InvalidInput(
            "name", "Another list has this name: choose another.", reason="unique"
        )
    run.is_replay = True
    return run


def _insert(run: BulkRun, rows: list[BulkRow]) -> None:
    try:
        # The savepoint stands beside its handler: PostgreSQL refuses every further
        # statement of a transaction in which one has failed.
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError as error:
        if constraint_of(error) == _UNIQUE_NAME:
            raise InvalidInput(
                "name", "It is being given in by somebody else now.", reason="unique"
            ) from error
        raise
    BulkRow.objects.bulk_create(rows)


def _rows_of(run: BulkRun, lines: Sequence[Line], actor: Any) -> list[BulkRow]:
    people = named([line.person for line in lines])
    first_lines: dict[int, int] = {}
    rows = []
    for line in lines:
        row = BulkRow(run=run, line=line.number, person=line.person[:254])
        row.amount = line.amount
        found = people.get(line.person.lower(), [])
        if len(found) != 1:
            _refuse(row, "Names more than one user." if found else "Names no user.")
        elif found[0] in first_lines:
            _refuse(row, f"Is the user of line {first_lines[found[0]]}.")
        elif run.kind == BulkRun.Kind.BONUS and actor and found[0] == actor.pk:
            _refuse(row, "Nobody gives credits to themselves.")
        else:
            row.user_id = found[0]
            first_lines[found[0]] = line.number
            if run.kind == BulkRun.Kind.BONUS:
                _check_amount(row)
        rows.append(row)
    return rows


def _check_amount(row: BulkRow) -> None:
    try:
        row.amount = positive_amount(row.amount)
    except InvalidInput as error:
        row.amount = ZERO
        _refuse(row, str(error))


def _refuse(row: BulkRow, detail: str) -> None:
    row.status = BulkRow.Status.REFUSED
    row.detail = detail[:500]
    row.decided_at = timezone.now()


def _pending(run: BulkRun) -> Any:
    rows = BulkRow.objects.filter(run=run, status=BulkRow.Status.PENDING)
    # Whoever comes second waits, and then finds them decided.
    return rows.select_for_update(no_key=True).order_by("line")


@transaction.atomic
def _do_next(run: BulkRun, *, actor: Any, now: datetime) -> bool:
    """Decide the next line. Return whether there was one."""
    row = _pending(run).first()
    if row is None:
        return False
    try:
        # The savepoint stands beside its handler: what a refused line has begun is
        # undone, and the row says why.
        with transaction.atomic():
            _do(run, [row], actor=actor, now=now)
    except PeopleRefused as refusal:
        (error,) = refusal.reasons.values()
        _refuse(row, str(error) or error.title)
        row.save(update_fields=["status", "detail", "decided_at"])
    except BalanceOutOfRange as error:
        _refuse(row, str(error))
        row.save(update_fields=["status", "detail", "decided_at"])
    return True


@transaction.atomic
def _do_all(run: BulkRun, *, actor: Any, now: datetime) -> bool:
    """Carry out all lines at once. Return that nothing is left to be done."""
    rows = list(_pending(run))
    if not rows:
        return False
    try:
        _do(run, rows, actor=actor, now=now)
    except PeopleRefused as refusal:
        lines = {row.user_id: row.line for row in rows}
        raise ListRefused(
            {lines[pk]: str(error) for pk, error in refusal.reasons.items()}
        ) from refusal
    return False


def _do(run: BulkRun, rows: list[BulkRow], *, actor: Any, now: datetime) -> None:
    """Do what the lines ask for, and say so on them."""
    do: Callable[..., None] = (
        _enroll if run.kind == BulkRun.Kind.ENROLL else _give_bonus
    )
    do(run, rows, actor=actor, now=now)
    for row in rows:
        row.status = BulkRow.Status.DONE
        row.decided_at = now
    BulkRow.objects.bulk_update(
        rows, ["status", "enrollment", "transfer", "decided_at"], batch_size=500
    )


def _enroll(run: BulkRun, rows: list[BulkRow], *, actor: Any, now: datetime) -> None:
    assert run.course_id is not None, "a list of enrollments has a course"
    assert run.sponsor_id is not None, "and somebody who pays"
    places = enroll_sponsored(
        learner_ids=[row.user_id for row in rows if row.user_id is not None],
        course_id=run.course_id,
        sponsor_id=run.sponsor_id,
        actor=actor,
        now=now,
    )
    for row in rows:
        assert row.user_id is not None, "a line that names nobody is refused"
        row.enrollment = places[row.user_id]


def _give_bonus(
    run: BulkRun, rows: list[BulkRow], *, actor: Any, now: datetime
) -> None:
    transfers = post_many([_posting_of(run, row, actor) for row in rows])
    for row, transfer in zip(rows, transfers, strict=True):
        row.transfer = transfer
        _note(run, transfer, actor)


def _posting_of(run: BulkRun, row: BulkRow, actor: Any) -> Posting:
    assert row.user_id is not None, "a line that names nobody is refused"
    source = system_wallet_id("promotions", cause=uuid.UUID(int=row.user_id))
    legs = ((wallet_id_of(user_id=row.user_id), row.amount), (source, -row.amount))
    return Posting(
        legs=tuple(
            Leg(
                wallet_id=wallet_id,
                amount=amount,
                transaction_type=TransactionType.BONUS,
            )
            for wallet_id, amount in legs
        ),
        key=f"bulk:{run.pk}:{row.line}",
        description=run.reason,
        actor_id=None if actor is None else actor.pk,
    )


def _note(run: BulkRun, transfer: CreditTransfer, actor: Any) -> None:
    audit.record(actor=actor, row=transfer, action="grant", reason=run.reason)


@transaction.atomic
def _finish(run: BulkRun, *, now: datetime) -> None:
    """Note that no line is left to be done, once."""
    locked = BulkRun.objects.select_for_update(no_key=True).get(pk=run.pk)
    left = BulkRow.objects.filter(run=run, status=BulkRow.Status.PENDING)
    if locked.finished_at is None and not left.exists():
        locked.finished_at = now
        locked.save(update_fields=["finished_at"])
    run.finished_at = locked.finished_at
