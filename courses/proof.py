"""What must hold between enrollments and the ledger; see `wallets.proof`."""

from __future__ import annotations

from typing import Final

from wallets.proof import Check, register

# The rows that the ledger should have, by whose wallet (the parts of a system wallet
# together), beside the rows that it has. Either without the other is a break: a sale
# that was not paid as it says, or credits that moved for no sale.
_LEGS: Final = """
WITH expected AS (
    SELECT enrollment.transfer_id, wallet.id::text AS holder,
        'course_payment' AS kind, -enrollment.price AS amount
    FROM enrollments AS enrollment
    JOIN credit_wallets AS wallet
      ON wallet.user_id = coalesce(enrollment.payer_id, enrollment.learner_id)
    UNION ALL
    SELECT enrollment.transfer_id, wallet.id::text, 'course_payment',
        enrollment.earnings
    FROM enrollments AS enrollment
    JOIN courses AS course ON course.id = enrollment.course_id
    JOIN credit_wallets AS wallet ON wallet.user_id = course.coach_id
    UNION ALL
    SELECT transfer_id, 'revenue', 'platform_fee', fee FROM enrollments
    UNION ALL
    SELECT refund.transfer_id, wallet.id::text, 'course_refund', refund.amount
    FROM enrollment_refunds AS refund
    JOIN enrollments AS enrollment ON enrollment.id = refund.enrollment_id
    JOIN credit_wallets AS wallet
      ON wallet.user_id = coalesce(enrollment.payer_id, enrollment.learner_id)
    UNION ALL
    SELECT refund.transfer_id, wallet.id::text, 'course_refund',
        refund.shortfall - refund.earnings
    FROM enrollment_refunds AS refund
    JOIN enrollments AS enrollment ON enrollment.id = refund.enrollment_id
    JOIN courses AS course ON course.id = enrollment.course_id
    JOIN credit_wallets AS wallet ON wallet.user_id = course.coach_id
    UNION ALL
    SELECT transfer_id, 'revenue', 'course_refund', -fee - shortfall
    FROM enrollment_refunds
), booked AS (
    SELECT transfer.id AS transfer_id,
        coalesce(split_part(wallet.code, ':', 1), wallet.id::text) AS holder,
        leg.transaction_type AS kind, sum(leg.amount) AS amount
    FROM credit_transfers AS transfer
    JOIN credit_transactions AS leg ON leg.transfer_id = transfer.id
    JOIN credit_wallets AS wallet ON wallet.id = leg.wallet_id
    WHERE transfer.key LIKE 'enrollment:%'
    GROUP BY 1, 2, 3
)
SELECT format('transfer %s', coalesce(due.transfer_id, booked.transfer_id)),
    format('%s of %s should be %s and is %s',
        coalesce(due.kind, booked.kind), coalesce(due.holder, booked.holder),
        coalesce(due.amount, 0), coalesce(booked.amount, 0))
FROM (
    SELECT * FROM expected WHERE transfer_id IS NOT NULL AND amount <> 0
) AS due
FULL JOIN booked USING (transfer_id, holder, kind, amount)
WHERE due.amount IS NULL OR booked.amount IS NULL
"""

_KEYS: Final = """
SELECT format('enrollment %s', named.id), format('its transfer is %s', transfer.key)
FROM (
    SELECT id, transfer_id, format('enrollment:%s', id) AS key FROM enrollments
    UNION ALL
    SELECT enrollment_id, transfer_id,
        format('enrollment:%s:refund:%s', enrollment_id, number)
    FROM enrollment_refunds
) AS named
JOIN credit_transfers AS transfer ON transfer.id = named.transfer_id
WHERE transfer.key <> named.key
"""

_REFUNDS: Final = """
SELECT format('enrollment %s', enrollment.id),
    format('%s refunds of %s, but it says %s of %s, paid %s',
        coalesce(given.rows, 0), coalesce(given.amount, 0),
        enrollment.refunds, enrollment.refunded_amount, enrollment.price)
FROM enrollments AS enrollment
LEFT JOIN (
    SELECT enrollment_id, count(*) AS rows, max(number) AS last,
        sum(amount) AS amount, sum(fee) AS fee, sum(earnings) AS earnings
    FROM enrollment_refunds GROUP BY enrollment_id
) AS given ON given.enrollment_id = enrollment.id
WHERE enrollment.refunded_amount <> coalesce(given.amount, 0)
   OR enrollment.refunds <> coalesce(given.rows, 0)
   OR given.last <> given.rows
   OR given.fee > enrollment.fee
   OR given.earnings > enrollment.earnings
"""

_GUARDS: Final = """
SELECT format('trigger %s.%s', guard.of_table, guard.name), 'is missing or disabled'
FROM (VALUES
    ('courses', 'courses_check_course'),
    ('commission_rates', 'courses_check_commission'),
    ('commission_rates', 'courses_no_delete'),
    ('commission_rates', 'courses_no_truncate'),
    ('enrollments', 'courses_check_new_enrollment'),
    ('enrollments', 'courses_check_enrollment'),
    ('enrollments', 'courses_no_delete'),
    ('enrollments', 'courses_no_truncate'),
    ('enrollment_refunds', 'courses_append_only'),
    ('enrollment_refunds', 'courses_no_truncate'),
    ('bulk_runs', 'courses_check_run'),
    ('bulk_runs', 'courses_no_delete'),
    ('bulk_runs', 'courses_no_truncate'),
    ('bulk_rows', 'courses_check_row'),
    ('bulk_rows', 'courses_no_delete'),
    ('bulk_rows', 'courses_no_truncate')
) AS guard (of_table, name)
LEFT JOIN pg_trigger AS tg
  ON tg.tgname = guard.name AND tg.tgrelid = to_regclass(guard.of_table)
 AND tg.tgenabled IN ('O', 'A')
WHERE tg.oid IS NULL
"""


def register_checks() -> None:
    """Add the checks to the proof."""
    register(
        Check(
            invariant="I14",
            title="enrollments and refunds moved exactly what they say",
            sql=_LEGS,
        ),
        Check(
            invariant="I14",
            title="each enrollment and refund has the transfer of its name",
            sql=_KEYS,
        ),
        Check(
            invariant="I15",
            title="refunds of an enrollment add up, to no more than its price",
            sql=_REFUNDS,
        ),
        Check(
            invariant="guard",
            title="the guards of enrollments are there",
            sql=_GUARDS,
        ),
    )
