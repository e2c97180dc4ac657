from __future__ import annotations

from django.apps import AppConfig


class WithdrawalsConfig(AppConfig):
    name = "withdrawals"

    def ready(self) -> None:
        from payments.gateway.events_registry import (
            register_payout_handler,
            register_payout_reconciler,
        )
        from wallets import guards
        from withdrawals import services
        from withdrawals.explain import register_figures
        from withdrawals.proof import register_checks

        register_checks()
        guards.register(self)
        register_figures()
        register_payout_handler(services.handle_payout_event)
        register_payout_reconciler(services.reconcile_payouts)
