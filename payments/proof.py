"""What must hold between purchases and the ledger; see `wallets.proof`."""

from __future__ import annotations

from typing import Final

from wallets.proof import Check

# What the legs of transfers of purchase `purchase.id` add up to; `other` are legs of
# whom they have nothing to do with.
_SUMS: Final = """
count(*) FILTER (WHERE wallet.user_id IS DISTINCT FROM purchase.user_id
        AND coalesce(wallet.code, '') NOT LIKE 'issued:%'
        AND coalesce(wallet.code, '') NOT LIKE 'promotions:%') AS other,
    coalesce(sum(leg.amount) FILTER (WHERE wallet.user_id = purchase.user_id), 0)
        AS buyer,
    coalesce(sum(leg.amount) FILTER (WHERE wallet.code LIKE 'issued:%'), 0)
        AS issued,
    coalesce(sum(leg.amount) FILTER (WHERE wallet.code LIKE 'promotions:%'), 0)
        AS promotions
"""
_LEGS: Final = f"""
LATERAL (
    SELECT {_SUMS}
    FROM credit_transactions AS leg
    JOIN credit_wallets AS wallet ON wallet.id = leg.wallet_id
    WHERE leg.transfer_id = transfer.id
) AS legs ON true
"""  # noqa: S608 - of constants
# What is bought with a price, and what staff credited of an excess.
_GIVEN: Final = f"""
LATERAL (
    SELECT {_SUMS}
    FROM credit_transfers AS given
    JOIN credit_transactions AS leg ON leg.transfer_id = given.id
    JOIN credit_wallets AS wallet ON wallet.id = leg.wallet_id
    WHERE given.key IN (format('purchase:%s', purchase.id),
        format('purchase:%s:excess', purchase.id))
) AS legs ON true
"""  # noqa: S608 - of constants

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
        LEFT JOIN {_GIVEN}
        WHERE (purchase.transfer_id IS NOT NULL OR purchase.status = 'paid')
          AND (transfer.id IS NULL
            OR purchase.status NOT IN ('paid', 'refunded')
            OR legs.other > 0
            OR legs.buyer
                <> purchase.credited_credits + purchase.credited_bonus_credits
            OR legs.issued <> -purchase.credited_credits
            OR legs.promotions <> -purchase.credited_bonus_credits)
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
        title="each transfer of an excess belongs to a case that staff credited",
        sql="""
        SELECT format('transfer %s', transfer.id),
            format('%s is no decision', transfer.key)
        FROM credit_transfers AS transfer
        WHERE transfer.key ~ '^purchase:[0-9a-f-]{36}:excess'
          AND NOT EXISTS (
              SELECT FROM review_cases AS decided
              WHERE decided.transfer_id = transfer.id AND decided.kind = 'excess'
                AND decided.status = 'credited'
                AND transfer.key = format('purchase:%s:excess', decided.purchase_id)
          )
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
            SELECT coalesce(sum(credited_credits - refunded_credits), 0)
                AS total
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
        WHERE refund.credits > 0 AND (transfer.id IS NULL
           OR legs.other > 0
           OR legs.buyer <> -(refund.credits + refund.bonus_credits)
           OR legs.issued <> refund.credits
           OR legs.promotions <> refund.bonus_credits)
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
            -- Without credits it is about money that none were given for.
            SELECT purchase_id, sum(credits) AS credits, sum(money) AS money,
                sum(bonus_credits) AS bonus_credits
            FROM credit_purchase_refunds WHERE credits > 0 GROUP BY purchase_id
        ) AS made ON made.purchase_id = purchase.id
        WHERE purchase.refunded_credits <> coalesce(made.credits, 0)
           OR purchase.refunded_bonus_credits <> coalesce(made.bonus_credits, 0)
           OR purchase.transfer_id IS NOT NULL
              AND purchase.refunded_money <> coalesce(made.money, 0)
           OR purchase.refunded_credits > purchase.credited_credits
           OR purchase.refunded_bonus_credits > purchase.credited_bonus_credits
           OR purchase.transfer_id IS NOT NULL
              AND purchase.refunded_money > purchase.credited_money
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
