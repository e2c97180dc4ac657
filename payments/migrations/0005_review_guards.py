from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from django.db import migrations, models

_SQL = Path(__file__).parent.parent / "sql"
# Two functions of 0002 are replaced; backwards they are what they were.
_BEFORE = "\n".join(
    found.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    for found in re.findall(
        r"^CREATE FUNCTION payments_check_(?:purchase|refund)\(.*?^END \$\$;",
        (_SQL / "transitions.sql").read_text(),
        re.DOTALL | re.MULTILINE,
    )
)
_REMOVE = """
DROP FUNCTION payments_check_case CASCADE;
DROP FUNCTION payments_check_difference CASCADE;
ALTER TABLE credit_purchases
    DROP CONSTRAINT payments_creditpurchase_credited_at_its_price,
    DROP CONSTRAINT payments_creditpurchase_credited_within_paid;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0004_fill_review_cases")]

    operations = [
        migrations.RemoveField(
            model_name="creditpurchase",
            name="review_reason",
        ),
        migrations.RemoveField(
            model_name="creditpurchase",
            name="reviewed_at",
        ),
        migrations.AddIndex(
            model_name="purchaserefund",
            index=models.Index(
                condition=models.Q(("status", "due")),
                fields=["id"],
                name="purchase_refunds_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="creditpurchase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("credited_bonus_credits__gte", 0),
                        ("credited_bonus_credits__lte", models.F("bonus_credits")),
                        ("credited_credits__gt", 0),
                        ("credited_money__gt", 0),
                        ("paid_at__isnull", False),
                        ("status__in", ["paid", "refunded"]),
                        ("transfer__isnull", False),
                    ),
                    models.Q(
                        ("credited_bonus_credits", 0),
                        ("credited_credits", 0),
                        ("credited_money", 0),
                        ("paid_at__isnull", True),
                        ("refunded_bonus_credits", 0),
                        ("refunded_credits", 0),
                        (
                            "status__in",
                            ["created", "pending", "expired", "review", "refunded"],
                        ),
                        ("transfer__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="payments_creditpurchase_paid_with_transfer",
            ),
        ),
        migrations.AddConstraint(
            model_name="creditpurchase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("refunded_bonus_credits__gte", 0),
                    ("refunded_bonus_credits__lte", models.F("credited_bonus_credits")),
                    ("refunded_credits__gte", 0),
                    ("refunded_credits__lte", models.F("credited_credits")),
                    ("refunded_money__gte", 0),
                    ("refunded_money__lt", Decimal("1000000000000")),
                ),
                name="payments_creditpurchase_refund_within_credits",
            ),
        ),
        migrations.AddConstraint(
            model_name="creditpurchase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("refunded_at__isnull", False),
                        ("status", "refunded"),
                        models.Q(
                            ("transfer__isnull", True),
                            models.Q(
                                (
                                    "refunded_bonus_credits",
                                    models.F("credited_bonus_credits"),
                                ),
                                ("refunded_credits", models.F("credited_credits")),
                            ),
                            _connector="OR",
                        ),
                    ),
                    models.Q(
                        models.Q(("status", "refunded"), _negated=True),
                        ("refunded_at__isnull", True),
                        models.Q(
                            ("transfer__isnull", True),
                            ("refunded_credits__lt", models.F("credited_credits")),
                            _connector="OR",
                        ),
                    ),
                    _connector="OR",
                ),
                name="payments_creditpurchase_refunded_iff_all",
            ),
        ),
        migrations.AddConstraint(
            model_name="creditpurchase",
            constraint=models.CheckConstraint(
                condition=models.Q(("mode__in", ["test", "live"])),
                name="payments_creditpurchase_mode_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="creditpurchase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("transfer__isnull", True),
                    ("paid_mode", models.F("mode")),
                    _connector="OR",
                ),
                name="payments_creditpurchase_paid_in_its_mode",
            ),
        ),
        migrations.AddConstraint(
            model_name="purchaserefund",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("bonus_credits__gte", 0),
                    ("bonus_credits__lt", Decimal("1000000000000")),
                    ("credits__gte", 0),
                    ("credits__lt", Decimal("1000000000000")),
                    ("money__gte", 0),
                    ("money__lt", Decimal("1000000000000")),
                ),
                name="payments_purchaserefund_amounts_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="purchaserefund",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("credits__gt", 0), ("transfer__isnull", False)),
                    models.Q(
                        ("bonus_credits", 0),
                        ("credits", 0),
                        ("money__gt", 0),
                        ("transfer__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="payments_purchaserefund_credits_with_transfer",
            ),
        ),
        migrations.AddConstraint(
            model_name="purchaserefund",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("money__gt", 0),
                        ("returned_at__isnull", True),
                        ("returned_via", ""),
                        ("status", "due"),
                    ),
                    models.Q(
                        ("returned_at__isnull", True),
                        ("returned_via", ""),
                        ("status", "not-due"),
                    ),
                    models.Q(
                        ("money__gt", 0),
                        ("returned_at__isnull", False),
                        ("returned_via__in", ["payout", "card", "by-hand"]),
                        ("status", "returned"),
                        models.Q(("returned_how", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="payments_purchaserefund_returned_says_how",
            ),
        ),
        migrations.RunSQL((_SQL / "reviews.sql").read_text(), _REMOVE + _BEFORE),
    ]
