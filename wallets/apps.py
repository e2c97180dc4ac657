from __future__ import annotations

from django.apps import AppConfig


class WalletsConfig(AppConfig):
    name = "wallets"
    verbose_name = "Ledger"

    def ready(self) -> None:
        from wallets import signals
        from wallets.services import adjusting, four_eyes

        signals.connect()
        four_eyes.register(adjusting.given_alone)
