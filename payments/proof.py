"""What must hold between purchases and the ledger; see `wallets.proof`."""

from __future__ import annotations

from typing import Final

from wallets.proof import Check

# The legs of a transfer by whose wallet they are, for `transfer.id`.
_LEGS: Final = """
LATERAL (
    SELECT count(*) AS rows,
        coalesce(sum(leg.amount) FILTER (WHERE wallet.user_id = purchase.user_id), 0)
            AS buyer,
        coalesce(sum(leg.amount) FILTER (WHERE wallet.code LIKE 'issued:%'), 0)
            AS issued,
        coalesce(sum(leg.amount) FILTER (WHERE wallet.code LIKE 'promotions:%'), 0)
            AS promotions
    FROM credit_transactions AS leg
    JOIN credit_wallets AS wallet ON wallet.id = leg.wallet_id
    WHERE leg.transfer_id = transfer.id
) AS legs ON true
"""

CHECKS: Final = (
    Check(
        invariant="I10",
        title="each paid purchase has its one transfer, of its credits to its buyer",
        sql=f"""
        SELECT format('purchase %s', purchase.id),
            format('is %s, and its transfer does not give its buyer its credits',
                purchase.status)
        FROM credit_purchases AS purchase
        LEFT JOIN credit_transfers AS transfer
          ON transfer.id = purchase.transfer_id
         AND transfer.key = format('purchase:%s', purchase.id)
        LEFT JOIN {_LEGS}
        WHERE (purchase.transfer_id IS NOT NULL OR purchase.status = 'paid')
          AND (transfer.id IS NULL
            OR purchase.status NOT IN ('paid', 'refunded')
            OR legs.rows <> 2 + (purchase.bonus_credits > 0)::int
            OR legs.buyer <> purchase.credits + purchase.bonus_credits
            OR legs.issued <> -purchase.credits
            OR legs.promotions <> -purchase.bonus_credits)
        """,  # noqa: S608 - of constants
    ),
    Check(
        invariant="I10",
        title="each transfer of a purchase belongs to a purchase that is paid",
        sql="""
        SELECT format('transfer %s', transfer.id),
            format('%s is no paid purchase', transfer.key)
        FROM credit_transfers AS transfer
        LEFT JOIN credit_purchases AS purchase ON purchase.transfer_id = transfer.id
        WHERE transfer.key ~ '^purchase:[0-9a-f-]{36}$'
          AND (purchase.id IS NULL OR purchase.status NOT IN ('paid', 'refunded'))
        """,
    ),
    Check(
        invariant="I10",
        title="the credits issued are those sold, less those taken back",
        sql="""
        SELECT 'issued', format('%s are issued, %s are sold', issued.total, sold.total)
        FROM (
            SELECT coalesce(-sum(balance), 0) AS total
            FROM credit_wallets WHERE code LIKE 'issued:%'
        ) AS issued, (
            SELECT coalesce(sum(credits - refunded_credits), 0) AS total
            FROM credit_purchases WHERE transfer_id IS NOT NULL
        ) AS sold
        WHERE issued.total <> sold.total
        """,
    ),
    Check(
        invariant="I15",
        title="each refund has its transfer, of its credits from the buyer",
        sql=f"""
        SELECT format('refund %s', refund.id),
            format('of purchase %s has another transfer', purchase.id)
        FROM credit_purchase_refunds AS refund
        JOIN credit_purchases AS purchase ON purchase.id = refund.purchase_id
        LEFT JOIN credit_transfers AS transfer
          ON transfer.id = refund.transfer_id
         AND transfer.key = format('purchase:%s:refund:%s', purchase.id, refund.number)
        LEFT JOIN {_LEGS}
        WHERE transfer.id IS NULL
           OR legs.rows <> 2 + (refund.bonus_credits > 0)::int
           OR legs.buyer <> -(refund.credits + refund.bonus_credits)
           OR legs.issued <> refund.credits
           OR legs.promotions <> refund.bonus_credits
        """,  # noqa: S608 - of constants
    ),
    Check(
        invariant="I15",
        title="the refunds of a purchase are what it says, and no more than it had",
        sql="""
        SELECT format('purchase %s', purchase.id),
            format('has refunds of %s and %s credits, and says %s and %s',
                made.credits, made.bonus_credits,
                purchase.refunded_credits, purchase.refunded_bonus_credits)
        FROM credit_purchases AS purchase
        LEFT JOIN (
            SELECT purchase_id, sum(credits) AS credits, sum(money) AS money,
                sum(bonus_credits) AS bonus_credits
            FROM credit_purchase_refunds GROUP BY purchase_id
        ) AS made ON made.purchase_id = purchase.id
        WHERE purchase.refunded_credits <> coalesce(made.credits, 0)
           OR purchase.refunded_bonus_credits <> coalesce(made.bonus_credits, 0)
           OR purchase.transfer_id IS NOT NULL
              AND purchase.refunded_money <> coalesce(made.money, 0)
           OR purchase.refunded_credits > purchase.credits
           OR purchase.refunded_bonus_credits > purchase.bonus_credits
           OR purchase.transfer_id IS NOT NULL
              AND purchase.refunded_money > purchase.price
        """,
    ),
    Check(
        invariant="I15",
        title="each transfer that refunds a purchase has its refund",
        sql="""
        SELECT format('transfer %s', transfer.id),
            format('%s is no refund', transfer.key)
        FROM credit_transfers AS transfer
        WHERE transfer.key ~ '^purchase:[0-9a-f-]{36}:refund'
          AND NOT EXISTS (
              SELECT FROM credit_purchase_refunds AS refund
              WHERE refund.transfer_id = transfer.id
          )
        """,
    ),
)
