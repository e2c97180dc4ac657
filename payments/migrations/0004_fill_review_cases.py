"""What was on review becomes cases; what was credited and refunded is written out."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import migrations

_PURCHASES = """
UPDATE credit_purchases
SET mode = %(mode)s,
    paid_mode = CASE WHEN transfer_id IS NULL THEN '' ELSE %(mode)s END,
    credited_credits = CASE WHEN transfer_id IS NULL THEN 0 ELSE credits END,
    credited_bonus_credits
        = CASE WHEN transfer_id IS NULL THEN 0 ELSE bonus_credits END,
    credited_money = CASE WHEN transfer_id IS NULL THEN 0 ELSE price END
"""
_REFUNDS = """
UPDATE credit_purchase_refunds AS refund
SET currency = purchase.currency,
    status = CASE WHEN returned_at IS NOT NULL THEN 'returned'
        WHEN money = 0 THEN 'not-due' ELSE 'due' END,
    returned_via = CASE WHEN returned_at IS NOT NULL THEN 'by-hand' ELSE '' END
FROM credit_purchases AS purchase
WHERE purchase.id = refund.purchase_id
"""
# Why somebody had to look was a sentence.
_CASES = """
INSERT INTO review_cases
    (id, kind, reference, purchase_id, expected, came, amount, currency, status,
     opened_at, decided_at, reason)
SELECT gen_random_uuid(),
    CASE WHEN review_reason LIKE 'Paid in %% mode, not in %%' THEN 'mode'
        WHEN review_reason LIKE 'Paid in %%' THEN 'currency'
        WHEN review_reason LIKE '%%too much%%' THEN 'excess'
        WHEN review_reason LIKE '%%had expired%%' THEN 'late'
        WHEN review_reason LIKE '%%after it had said paid%%' THEN 'contradicted'
        WHEN review_reason LIKE '%%not understood%%' THEN 'unknown-word'
        WHEN review_reason LIKE '%%another payment%%' THEN 'other-payment'
        WHEN review_reason LIKE '%%cannot hold%%' THEN 'wallet'
        WHEN review_reason LIKE 'Paid %% of %%' THEN 'short'
        ELSE 'amount' END,
    tx_ref, id, format('%%s %%s', price, currency), left(review_reason, 200),
    CASE WHEN review_reason LIKE '%%too much%%' THEN amount_paid - price
        ELSE amount_paid END,
    CASE WHEN amount_paid IS NULL THEN '' ELSE currency END,
    CASE WHEN reviewed_at IS NULL THEN 'open' ELSE 'settled' END,
    coalesce(checked_at, created_at), reviewed_at, ''
FROM credit_purchases WHERE review_reason <> ''
"""


def fill(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        # Until now each credit took the settings' mode for the one to be paid in.
        cursor.execute(_PURCHASES, {"mode": settings.PAYCHANGU_MODE})
        # It refuses whatever changes a refund whose money went back.
        cursor.execute(
            "ALTER TABLE credit_purchase_refunds DISABLE TRIGGER payments_check_refund"
        )
        cursor.execute(_REFUNDS)
        cursor.execute(
            "ALTER TABLE credit_purchase_refunds ENABLE TRIGGER payments_check_refund"
        )
        cursor.execute(_CASES, {})


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_review_cases")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
