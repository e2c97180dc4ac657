"""What must hold between withdrawals and the ledger; see `wallets.proof`."""

from __future__ import annotations

from typing import Final

from wallets.proof import Check, register

_OPEN: Final = "('requested', 'approved', 'sending')"
_GIVEN_BACK: Final = "('failed', 'rejected', 'cancelled')"

# The rows that the ledger should have, by whose wallet (the parts of a system wallet
# together), beside the rows that it has. Either without the other is a break: credits
# that were not taken, were given back twice, or moved for no withdrawal.
_LEGS: Final = f"""
WITH expected AS (
    SELECT 'withdrawal:' || request.id || ':request' AS key,
        wallet.id::text AS holder, 'withdrawal' AS kind, -request.credits AS amount
    FROM withdrawal_requests AS request
    JOIN credit_wallets AS wallet ON wallet.user_id = request.user_id
    UNION ALL
    SELECT 'withdrawal:' || id || ':request', 'withdrawals', 'withdrawal', credits
    FROM withdrawal_requests
    UNION ALL
    SELECT 'withdrawal:' || request.id || ':reversal', wallet.id::text,
        'withdrawal_reversal', request.credits
    FROM withdrawal_requests AS request
    JOIN credit_wallets AS wallet ON wallet.user_id = request.user_id
    WHERE request.status IN {_GIVEN_BACK}
    UNION ALL
    SELECT 'withdrawal:' || id || ':reversal', 'withdrawals', 'withdrawal_reversal',
        -credits
    FROM withdrawal_requests WHERE status IN {_GIVEN_BACK}
    UNION ALL
    SELECT 'withdrawal:' || id || ':paid', 'withdrawals', 'payout', -credits
    FROM withdrawal_requests WHERE status = 'paid'
    UNION ALL
    SELECT 'withdrawal:' || id || ':paid', 'paid_out', 'payout', credits
    FROM withdrawal_requests WHERE status = 'paid'
    UNION ALL
    -- What staff booked to settle late truths: from one to the other.
    SELECT 'withdrawal:' || request.id || ':case:' || settled.id,
        CASE side.holder WHEN 'coach' THEN wallet.id::text ELSE side.holder END,
        side.kind, side.sign * request.credits
    FROM payout_cases AS settled
    JOIN withdrawal_requests AS request ON request.id = settled.withdrawal_id
    JOIN credit_wallets AS wallet ON wallet.user_id = request.user_id
    JOIN (VALUES
        ('paid', 'coach', 'withdrawal', -1), ('paid', 'paid_out', 'payout', 1),
        ('given_back', 'paid_out', 'withdrawal_reversal', -1),
        ('given_back', 'coach', 'withdrawal_reversal', 1),
        ('written_off', 'adjustments', 'adjustment', -1),
        ('written_off', 'paid_out', 'payout', 1)
    ) AS side (resolution, holder, kind, sign) ON side.resolution = settled.resolution
    WHERE settled.transfer_id IS NOT NULL
), booked AS (
    SELECT transfer.key,
        CASE WHEN wallet.user_id IS NULL THEN split_part(wallet.code, ':', 1)
             ELSE wallet.id::text END AS holder,
        leg.transaction_type AS kind, leg.amount
    FROM credit_transactions AS leg
    JOIN credit_transfers AS transfer ON transfer.id = leg.transfer_id
    JOIN credit_wallets AS wallet ON wallet.id = leg.wallet_id
    WHERE transfer.key LIKE 'withdrawal:%'
)
"""  # noqa: S608 - built from constants

_CHECKS: Final = (
    Check(
        invariant="I11",
        title="a withdrawal is paid exactly if its payout is",
        sql="""
        SELECT format('withdrawal %s', request.id),
            format('is %s, and its payout is %s',
                request.status, coalesce(payout.status, 'not there'))
        FROM withdrawal_requests AS request
        LEFT JOIN payouts AS payout ON payout.withdrawal_id = request.id
        WHERE NOT CASE request.status
            WHEN 'requested' THEN payout.id IS NULL
            WHEN 'rejected' THEN payout.id IS NULL
            WHEN 'cancelled' THEN payout.id IS NULL OR payout.status = 'dropped'
            WHEN 'approved' THEN coalesce(payout.status = 'ready', false)
            WHEN 'sending' THEN coalesce(payout.status IN ('ready', 'sent'), false)
            ELSE coalesce(payout.status = request.status, false)
        END
        """,
    ),
    Check(
        invariant="I12",
        title="withdrawals and paid_out hold what was requested and what was paid",
        sql=f"""
        SELECT held.family, format('holds %s, but %s', held.total, held.wanted)
        FROM (
            SELECT 'withdrawals' AS family,
                (SELECT coalesce(sum(balance), 0) FROM credit_wallets
                 WHERE split_part(code, ':', 1) = 'withdrawals') AS total,
                (SELECT coalesce(sum(credits), 0) FROM withdrawal_requests
                 WHERE status IN {_OPEN}) AS wanted
            UNION ALL
            SELECT 'paid_out',
                (SELECT coalesce(sum(balance), 0) FROM credit_wallets
                 WHERE split_part(code, ':', 1) = 'paid_out'),
                (SELECT coalesce(sum(credits), 0) FROM withdrawal_requests
                 WHERE status = 'paid')
                + (SELECT coalesce(sum(CASE settled.resolution
                       WHEN 'given_back' THEN -request.credits
                       ELSE request.credits END), 0)
                   FROM payout_cases AS settled
                   JOIN withdrawal_requests AS request
                     ON request.id = settled.withdrawal_id
                   WHERE settled.transfer_id IS NOT NULL)
        ) AS held
        WHERE held.total <> held.wanted
        """,  # noqa: S608 - built from constants
    ),
    Check(
        invariant="I13",
        title="each withdrawal took its credits, and they were paid or given back once",
        sql=f"""
        {_LEGS}
        SELECT coalesce(expected.key, booked.key),
            CASE WHEN booked.key IS NULL
                THEN format('%s of %s is not booked on %s',
                    expected.kind, expected.amount, expected.holder)
                ELSE format('%s of %s on %s is booked for no withdrawal',
                    booked.kind, booked.amount, booked.holder)
            END
        FROM expected FULL JOIN booked
          ON (booked.key, booked.holder, booked.kind, booked.amount)
           = (expected.key, expected.holder, expected.kind, expected.amount)
        WHERE booked.key IS NULL OR expected.key IS NULL
        """,  # noqa: S608 - built from constants
    ),
    Check(
        invariant="I13",
        title="each withdrawal names the transfers that are its own",
        sql="""
        SELECT format('withdrawal %s', request.id), 'names a transfer of something else'
        FROM withdrawal_requests AS request
        LEFT JOIN credit_transfers AS taken ON taken.id = request.transfer_id
        LEFT JOIN credit_transfers AS closing
          ON closing.id = request.closing_transfer_id
        WHERE taken.key IS DISTINCT FROM 'withdrawal:' || request.id || ':request'
           OR closing.key IS DISTINCT FROM CASE
                WHEN request.status = 'paid'
                    THEN 'withdrawal:' || request.id || ':paid'
                WHEN request.status IN ('failed', 'rejected', 'cancelled')
                    THEN 'withdrawal:' || request.id || ':reversal'
              END
        """,
    ),
)


def register_checks() -> None:
    """Add the checks to the proof."""
    register(*_CHECKS)
