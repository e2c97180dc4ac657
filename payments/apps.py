from __future__ import annotations

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from payments.proof import CHECKS
        from wallets import guards, proof

        proof.register(*CHECKS)
        guards.register(self)
