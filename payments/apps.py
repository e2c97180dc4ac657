from __future__ import annotations

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from payments.proof import CHECKS
        from wallets import proof

        proof.register(*CHECKS)
