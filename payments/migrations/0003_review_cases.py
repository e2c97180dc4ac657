from __future__ import annotations

from decimal import Decimal

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import credits_project.ids
import credits_project.money


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0002_purchase_guards"),
        ("wallets", "0005_credit_seals"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GatewayDifference",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=credits_project.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        choices=[("purchase", "Purchase"), ("payout", "Payout")],
                        max_length=10,
                    ),
                ),
                ("reference", models.CharField(max_length=255)),
                ("detail", models.CharField(max_length=300)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("gone", "Gone"),
                            ("dismissed", "Dismissed"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("found_at", models.DateTimeField(auto_now_add=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "verbose_name": "difference with the gateway",
                "verbose_name_plural": "differences with the gateway",
                "db_table": "gateway_differences",
                "permissions": [
                    (
                        "decide_gatewaydifference",
                        "Can decide differences with the gateway",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReconciliationRun",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=credits_project.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("began_at", models.DateTimeField(auto_now_add=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("same", "Same"),
                            ("different", "Different"),
                            ("not-compared", "not compared"),
                        ],
                        default="running",
                        max_length=12,
                    ),
                ),
                ("differences", models.PositiveIntegerField(default=0)),
                ("detail", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "verbose_name": "reconciliation",
                "db_table": "reconciliation_runs",
            },
        ),
        migrations.CreateModel(
            name="RefusedDelivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("day", models.DateField()),
                ("reason", models.CharField(max_length=50)),
                ("count", models.PositiveBigIntegerField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "refused delivery",
                "verbose_name_plural": "refused deliveries",
                "db_table": "refused_deliveries",
            },
        ),
        migrations.CreateModel(
            name="ReviewCase",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=credits_project.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("short", "paid too little"),
                            ("excess", "paid too much"),
                            ("currency", "another currency"),
                            ("mode", "another mode"),
                            ("amount", "no amount"),
                            ("other-payment", "an answer about another payment"),
                            ("wallet", "more than the wallet can hold"),
                            ("unknown-word", "a word that is not known"),
                            ("late", "paid after it had expired"),
                            ("contradicted", "said to be paid, and later otherwise"),
                            ("after-refund", "success of a refunded order"),
                            ("unknown-reference", "about nothing of ours"),
                            ("unconfirmed", "an event that was never confirmed"),
                            ("malformed", "an event that is not as documented"),
                        ],
                        max_length=20,
                    ),
                ),
                ("reference", models.CharField(max_length=255)),
                ("expected", models.CharField(max_length=200)),
                ("came", models.CharField(max_length=200)),
                (
                    "amount",
                    models.DecimalField(
                        blank=True, decimal_places=2, max_digits=14, null=True
                    ),
                ),
                ("currency", models.CharField(blank=True, default="", max_length=10)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("settled", "Settled"),
                            ("superseded", "Superseded"),
                            ("credited", "Credited"),
                            ("refunded", "Refunded"),
                            ("dismissed", "Dismissed"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("opened_at", models.DateTimeField(auto_now_add=True)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "verbose_name": "review case",
                "db_table": "review_cases",
                "permissions": [("decide_reviewcase", "Can decide review cases")],
            },
        ),
        migrations.RemoveConstraint(
            model_name="creditpurchase",
            name="payments_creditpurchase_paid_with_transfer",
        ),
        migrations.RemoveConstraint(
            model_name="creditpurchase",
            name="payments_creditpurchase_refund_within_credits",
        ),
        migrations.RemoveConstraint(
            model_name="creditpurchase",
            name="payments_creditpurchase_refunded_iff_all",
        ),
        migrations.RemoveConstraint(
            model_name="purchaserefund",
            name="payments_purchaserefund_amounts_in_range",
        ),
        migrations.AddField(
            model_name="creditpurchase",
            name="credited_bonus_credits",
            field=credits_project.money.CreditField(default=Decimal("0.00")),
        ),
        migrations.AddField(
            model_name="creditpurchase",
            name="credited_credits",
            field=credits_project.money.CreditField(default=Decimal("0.00")),
        ),
        migrations.AddField(
            model_name="creditpurchase",
            name="credited_money",
            field=models.DecimalField(
                decimal_places=2, default=Decimal("0.00"), max_digits=14
            ),
        ),
        migrations.AddField(
            model_name="creditpurchase",
            name="mode",
            field=models.CharField(default="test", max_length=4),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="creditpurchase",
            name="paid_mode",
            field=models.CharField(blank=True, default="", max_length=10),
        ),
        migrations.AddField(
            model_name="purchaserefund",
            name="currency",
            field=models.CharField(default="MWK", max_length=10),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="purchaserefund",
            name="returned_via",
            field=models.CharField(
                blank=True,
                choices=[
                    ("payout", "a payout"),
                    ("card", "the gateway, to the card"),
                    ("by-hand", "by hand"),
                ],
                default="",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="purchaserefund",
            name="status",
            field=models.CharField(
                choices=[
                    ("due", "Due"),
                    ("returned", "Returned"),
                    ("not-due", "not due"),
                ],
                default="due",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="purchaserefund",
            name="transfer",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="wallets.credittransfer",
            ),
        ),
        migrations.AddField(
            model_name="gatewaydifference",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("starts_at__lt", models.F("ends_at"))),
                name="payments_reconciliationrun_period",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at__isnull", True), ("outcome", "running")),
                    models.Q(
                        ("differences", 0),
                        ("ended_at__isnull", False),
                        ("outcome", "same"),
                    ),
                    models.Q(
                        ("differences__gt", 0),
                        ("ended_at__isnull", False),
                        ("outcome", "different"),
                    ),
                    models.Q(("ended_at__isnull", False), ("outcome", "not-compared")),
                    _connector="OR",
                ),
                name="payments_reconciliationrun_outcome",
            ),
        ),
        migrations.AddField(
            model_name="gatewaydifference",
            name="first_run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="payments.reconciliationrun",
            ),
        ),
        migrations.AddField(
            model_name="gatewaydifference",
            name="last_run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="found",
                to="payments.reconciliationrun",
            ),
        ),
        migrations.AddConstraint(
            model_name="refuseddelivery",
            constraint=models.UniqueConstraint(
                fields=("day", "reason"), name="payments_refuseddelivery_one_a_day"
            ),
        ),
        migrations.AddConstraint(
            model_name="refuseddelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(("count__gt", 0)),
                name="payments_refuseddelivery_counted",
            ),
        ),
        migrations.AddField(
            model_name="reviewcase",
            name="decided_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="reviewcase",
            name="event",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cases",
                to="payments.gatewayevent",
            ),
        ),
        migrations.AddField(
            model_name="reviewcase",
            name="purchase",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="cases",
                to="payments.creditpurchase",
            ),
        ),
        migrations.AddField(
            model_name="reviewcase",
            name="transfer",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="wallets.credittransfer",
            ),
        ),
        migrations.AddConstraint(
            model_name="gatewaydifference",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["open", "dismissed"])),
                fields=("reference", "subject", "detail"),
                name="payments_gatewaydifference_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="gatewaydifference",
            constraint=models.CheckConstraint(
                condition=models.Q(("subject__in", ["purchase", "payout"])),
                name="payments_gatewaydifference_subject_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="gatewaydifference",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("reference", ""), _negated=True),
                    models.Q(("detail", ""), _negated=True),
                ),
                name="payments_gatewaydifference_says_what",
            ),
        ),
        migrations.AddConstraint(
            model_name="gatewaydifference",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("reason", ""),
                        ("status", "open"),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", True),
                        ("reason", ""),
                        ("status", "gone"),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("status", "dismissed"),
                        models.Q(("reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="payments_gatewaydifference_decided_by_whom",
            ),
        ),
        migrations.AddIndex(
            model_name="reviewcase",
            index=models.Index(
                condition=models.Q(("status", "open")),
                fields=["id"],
                name="review_cases_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="reviewcase",
            constraint=models.UniqueConstraint(
                fields=("reference", "kind", "came"), name="payments_reviewcase_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="reviewcase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "short",
                            "excess",
                            "currency",
                            "mode",
                            "amount",
                            "other-payment",
                            "wallet",
                            "unknown-word",
                            "late",
                            "contradicted",
                            "after-refund",
                            "unknown-reference",
                            "unconfirmed",
                            "malformed",
                        ],
                    )
                ),
                name="payments_reviewcase_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="reviewcase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("reference", ""), _negated=True),
                    models.Q(("expected", ""), _negated=True),
                    models.Q(("came", ""), _negated=True),
                ),
                name="payments_reviewcase_says_what",
            ),
        ),
        migrations.AddConstraint(
            model_name="reviewcase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("purchase__isnull", False),
                    ("event__isnull", False),
                    _connector="OR",
                ),
                name="payments_reviewcase_about_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="reviewcase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("reason", ""),
                        ("status", "open"),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", True),
                        ("status__in", ["settled", "superseded"]),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("status__in", ["credited", "refunded", "dismissed"]),
                        models.Q(("reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="payments_reviewcase_decided_by_whom",
            ),
        ),
        migrations.AddConstraint(
            model_name="reviewcase",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "credited"), ("transfer__isnull", False)),
                    models.Q(
                        models.Q(("status", "credited"), _negated=True),
                        ("transfer__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="payments_reviewcase_credited_with_transfer",
            ),
        ),
    ]
