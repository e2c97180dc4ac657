"""Comparing seals with the rows, and the table of seals with the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection

from wallets.models import CreditSeal
from wallets.proof import Break, Since, snapshot
from wallets.seals.digests import (
    FIRST,
    PARTS,
    Digest,
    Seal,
    digest_of,
    prepare_to_read,
    seal_key,
)
from wallets.seals.exceptions import SealError, SealKeyUnusable
from wallets.seals.file import Contents, parsed, standing_still
from wallets.seals.sealing import last_seal

_INVARIANT: Final = "I16"
# A posting that was open while the seal was made bears the time when it began.
_MARGIN: Final = timedelta(hours=1)

# How far the ids that the sequence gave out go, and what came after the last seal.
_UNSEALED: Final = """
SELECT count(*), min(created_at),
    max(id) > pg_sequence_last_value(
        pg_get_serial_sequence('credit_transactions', 'id')::regclass
    ), max(id)
FROM credit_transactions WHERE id > %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a comparison found: what is wrong, and what it could not look at."""

    breaks: list[Break] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrong(self, subject: str, detail: str) -> None:
        """Add a break of the invariant that history never changes."""
        self.breaks.append(Break(invariant=_INVARIANT, subject=subject, detail=detail))


def verify_seals(*, progress: Callable[[str], None] = lambda line: None) -> Findings:
    """Recompute every seal from the rows, and compare the table with the file.

    Changes nothing. A seal that table and file disagree on is believed where the key
    confirms it.
    """
    findings = Findings()
    try:
        key = seal_key()
        with snapshot():
            table, contents = _both(findings)
            believed = _compare(table, contents, key=key, findings=findings)
            _follow(believed, findings)
            prepare_to_read()
            for position, seal in enumerate(believed, start=1):
                progress(f"seal {seal.number}, {position} of {len(believed)}")
                for detail in _changes(seal, key):
                    findings.wrong(f"seal {seal.number}", detail)
            _look_beyond(believed, table, findings)
    except SealKeyUnusable as error:
        findings.wrong("key", f"{error} No seal can be checked.")
    except SealError as error:
        findings.wrong("file", str(error))
    return findings


def since_last_seal(findings: Findings) -> Since | None:
    """Return where the last seal ends; None where there is none to rely on.

    Says in `findings` what is relied on.
    """
    last = last_seal()
    if last is None:
        findings.notes.append("There is no seal to rely on: everything was checked.")
        return None
    try:
        genuine = last.is_genuine(seal_key())
        trust = "made with the key"
    except SealKeyUnusable as error:
        genuine, trust = True, f"not checked by the key: {error}"
    if not genuine:
        # Whoever puts in a seal of their own must not choose what is looked at.
        findings.wrong(f"seal {last.number}", "is not made with the key")
        return None
    findings.notes.append(
        f"Relied on seal {last.number} ({trust}) for the transactions up to"
        f" {last.last_id}, sealed {last.sealed_at}: their sums, their chains, and the"
        " wallets that were not touched since. --seals compares them with the seals."
    )
    moment = datetime.fromisoformat(last.sealed_at) - _MARGIN
    return Since(last_id=last.last_id, moment=moment.isoformat())


def _both(findings: Findings) -> tuple[list[Seal], Contents | None]:
    """Return the seals of the table, and of the file where there is to be one."""
    path = settings.LEDGER_SEAL_FILE
    if not path:
        findings.notes.append(
            "LEDGER_SEAL_FILE is not set: had the newest seals been removed with their"
            " rows, nothing here could tell."
        )
        return _table(), None
    # The first query of the snapshot, made while no seal can be added: otherwise one
    # could be in the file and not yet in the snapshot, and look like one cut out.
    with standing_still(path) as text:
        table = _table()
    if text is None and table:
        findings.wrong("file", f"LEDGER_SEAL_FILE {path} is missing")
    return table, parsed(text or b"") if text is not None or table else None


def _table() -> list[Seal]:
    return [Seal.of_row(row) for row in CreditSeal.objects.order_by("number")]


def _compare(
    table: list[Seal], contents: Contents | None, *, key: bytes, findings: Findings
) -> list[Seal]:
    """Return the seals that the key confirms, one for each number."""
    in_table = {seal.number: seal for seal in table}
    in_file: dict[int, Seal] = {}
    for position, line in enumerate(contents.seals if contents else [], start=1):
        if line is None:
            findings.wrong("file", f"line {position} is not a seal")
        elif line.number in in_file:
            findings.wrong("file", f"line {position} is seal {line.number} once more")
        else:
            in_file[line.number] = line
    if contents and contents.torn:
        findings.wrong("file", "the last line is cut off")
    either = [*in_table.values(), *in_file.values()]
    if either and not any(seal.is_genuine(key) for seal in either):
        findings.wrong("key", _fits_nothing(in_table, in_file))
        return []
    believed: list[Seal] = []
    disagreements: list[tuple[int, str]] = []
    for number in range(1, max((seal.number for seal in either), default=0) + 1):
        here, there = in_table.get(number), in_file.get(number)
        genuine = [seal for seal in (there, here) if seal and seal.is_genuine(key)]
        believed += genuine[:1]
        if detail := _disagreement(here, there, key=key, has_file=contents is not None):
            disagreements.append((number, detail))
    _report(disagreements, findings)
    return believed


def _fits_nothing(in_table: dict[int, Seal], in_file: dict[int, Seal]) -> str:
    if in_file == in_table:
        return (
            "LEDGER_SEAL_KEY fits no seal, though table and file agree: it is not the"
            " key they were made with"
        )
    return (
        "LEDGER_SEAL_KEY fits no seal: it is not the key they were made with, or all"
        " were rewritten"
    )


def _disagreement(
    here: Seal | None, there: Seal | None, *, key: bytes, has_file: bool
) -> str:
    """Return what is wrong with one number in table and file, or an empty string."""
    is_here = here is not None and here.is_genuine(key)
    is_there = there is not None and there.is_genuine(key)
    if here is None and there is None:
        return "is missing in the table" + (" and in the file" if has_file else "")
    if not has_file or here == there:
        return "" if is_here else "is not made with the key: it was rewritten"
    if there is None:
        return "is missing in the file: lines were removed" + (
            "" if is_here else ", and the table's is not made with the key"
        )
    if here is None:
        return (
            "is missing in the table: seals were removed, says the file"
            if is_there
            else "is in the file alone, and not made with the key"
        )
    if is_here and is_there:
        return "differs in table and file, both made with the key: who else has it?"
    if is_there:
        return "was rewritten in the table, says the file, and the key confirms it"
    if is_here:
        return "was edited in the file; the key confirms the table's"
    return "differs in table and file, and neither is made with the key"


def _report(disagreements: list[tuple[int, str]], findings: Findings) -> None:
    """Report the same of many seals in a row as one."""
    runs: list[tuple[int, int, str]] = []
    for number, detail in disagreements:
        if runs and runs[-1][1:] == (number - 1, detail):
            runs[-1] = (runs[-1][0], number, detail)
        else:
            runs.append((number, number, detail))
    for first, last, detail in runs:
        subject = f"seal {first}" if first == last else f"seals {first} to {last}"
        findings.wrong(subject, detail)


def _follow(seals: list[Seal], findings: Findings) -> None:
    """Report seals that do not take up where the one before ended."""
    previous: Seal | None = None
    for seal in seals:
        number, digest, last_id = (
            (previous.number, previous.digest, previous.last_id)
            if previous
            else (0, FIRST, 0)
        )
        # After one that is missing, which was reported, there is nothing to compare.
        if seal.number == number + 1 and (
            seal.previous_digest != digest or seal.after_id != last_id
        ):
            findings.wrong(f"seal {seal.number}", f"does not follow seal {number}")
        previous = seal


def _changes(seal: Seal, key: bytes) -> Iterator[str]:
    """Yield what became of the rows that the seal covers."""
    covered = (
        f"transactions {seal.after_id + 1} to {seal.last_id}, sealed {seal.sealed_at}"
    )
    sealed = {
        "transactions": Digest(
            count=seal.transactions, digest=seal.transactions_digest
        ),
        "transfers": Digest(count=seal.transfers, digest=seal.transfers_digest),
        "wallets": Digest(count=seal.wallets, digest=seal.wallets_digest),
    }
    for part in PARTS:
        found = digest_of(
            part,
            key=key,
            number=seal.number,
            after_id=seal.after_id,
            last_id=seal.last_id,
        )
        was = sealed[part]
        if found.count < was.count:
            yield f"{covered}: {part} were removed, {found.count} left of {was.count}"
        elif found.count > was.count:
            yield f"{covered}: {part} were added, {found.count} instead of {was.count}"
        elif found.digest != was.digest:
            yield f"{covered}: {part} were changed, {found.count} as before"


def _look_beyond(believed: list[Seal], table: list[Seal], findings: Findings) -> None:
    """Look at what came after the last seal."""
    last_id = believed[-1].last_id if believed else 0
    with connection.cursor() as cursor:
        cursor.execute(_UNSEALED, [last_id])
        count, since, is_beyond, highest = cursor.fetchone()
    if is_beyond:
        # It would be passed over by every seal to come.
        findings.wrong(f"transaction {highest}", "has an id that was never given out")
    if count and not believed and not table:
        findings.wrong("ledger", f"{count} transactions were never sealed")
    elif count:
        findings.notes.append(
            f"{count} transactions since {since.isoformat(timespec='seconds')} are not"
            " sealed yet."
        )
