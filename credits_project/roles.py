"""Who may do what. Migrations make the groups; a test keeps them equal to this table.

A permission that is added here needs a migration that grants it (see
`credits_project.migrations._groups`): groups of running systems do not follow by
themselves.
"""

from __future__ import annotations

from typing import Any

COACHES = "coaches"
SUPPORT = "support"
FINANCE = "finance"
AUDITORS = "auditors"

# What staff may look at. Sessions and second factors are not among it: whoever reads
# those can act as somebody else.
_VIEW = frozenset(
    f"{app}.view_{model}"
    for app, models in {
        "account": ["emailaddress"],
        "admin": ["logentry"],
        "auth": ["group", "user"],
        "courses": ["bulkrun", "commissionrate", "course", "enrollment"],
        "payments": [
            "creditpackage",
            "creditpurchase",
            "gatewaydifference",
            "gatewayevent",
            "purchaserefund",
            "reconciliationrun",
            "refuseddelivery",
            "reviewcase",
        ],
        "wallets": [
            "creditadjustment",
            "credithold",
            "creditseal",
            "creditseal",
            "credittransaction",
            "credittransfer",
            "creditwallet",
        ],
        "withdrawals": [
            "payout",
            "payoutattempt",
            "payoutcase",
            "payoutmethod",
            "payoutrate",
            "payoutswitch",
            "withdrawalrequest",
        ],
    }.items()
    for model in models
)

ROLES: dict[str, frozenset[str]] = {
    # Offer courses and are paid out. Not staff.
    COACHES: frozenset({"courses.publish_course", "withdrawals.request_withdrawal"}),
    # See, freeze, refund.
    SUPPORT: _VIEW
    | {
        "courses.refund_enrollment",
        "payments.decide_reviewcase",
        "payments.process_gatewayevent",
        "payments.recheck_creditpurchase",
        "payments.refund_creditpurchase",
        "wallets.freeze_wallet",
    },
    # Set prices and rates, adjust, approve, see where the money goes.
    FINANCE: _VIEW
    | {
        "courses.add_commissionrate",
        "courses.change_course",
        "courses.refund_enrollment",
        "payments.add_creditpackage",
        "payments.change_creditpackage",
        "payments.change_purchaserefund",
        "payments.decide_gatewaydifference",
        "payments.decide_reviewcase",
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
    },
    # See all, change nothing.
    AUDITORS: _VIEW,
}


def is_coach(user: Any) -> bool:
    """Return whether the user may offer courses and withdraw what they earn."""
    return bool(user.is_active and user.has_perm("courses.publish_course"))
