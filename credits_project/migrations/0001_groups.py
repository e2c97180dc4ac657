"""The groups of people: what they may do is in `credits_project.roles`."""

from __future__ import annotations

from django.db import migrations

from credits_project.migrations._groups import grant

# Written out: a migration does the same for ever, whatever the table says later.
_VIEW = [
    "account.view_emailaddress",
    "admin.view_logentry",
    "auth.view_group",
    "auth.view_user",
    "courses.view_course",
    "courses.view_enrollment",
    "payments.view_creditpackage",
    "payments.view_creditpurchase",
    "payments.view_gatewayevent",
    "payments.view_purchaserefund",
    "wallets.view_credithold",
    "wallets.view_creditseal",
    "wallets.view_credittransaction",
    "wallets.view_credittransfer",
    "wallets.view_creditwallet",
    "withdrawals.view_payout",
    "withdrawals.view_payoutattempt",
    "withdrawals.view_payoutmethod",
    "withdrawals.view_payoutrate",
    "withdrawals.view_payoutswitch",
    "withdrawals.view_withdrawalrequest",
]
GROUPS = {
    "coaches": [
        "courses.publish_course",
        "withdrawals.request_withdrawal",
    ],
    "support": [
        *_VIEW,
        "courses.refund_enrollment",
        "payments.process_gatewayevent",
        "payments.recheck_creditpurchase",
        "payments.refund_creditpurchase",
        "wallets.freeze_wallet",
    ],
    "finance": [
        *_VIEW,
        "courses.change_course",
        "courses.refund_enrollment",
        "payments.add_creditpackage",
        "payments.change_creditpackage",
        "payments.change_purchaserefund",
        "payments.process_gatewayevent",
        "payments.recheck_creditpurchase",
        "payments.refund_creditpurchase",
        "wallets.adjust_wallet",
        "wallets.freeze_wallet",
        "wallets.transfer_credits",
        "withdrawals.add_payoutrate",
        "withdrawals.decide_withdrawal",
        "withdrawals.freeze_payouts",
        "withdrawals.see_account_number",
    ],
    "auditors": _VIEW,
}


class Migration(migrations.Migration):
    dependencies = [
        ("account", "0001_initial"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("courses", "0001_initial"),
        ("payments", "0001_initial"),
        ("wallets", "0005_credit_seals"),
        ("withdrawals", "0001_initial"),
    ]

    operations = [
        # Backwards the groups stay: people are in them.
        migrations.RunPython(grant(GROUPS), migrations.RunPython.noop),
    ]
